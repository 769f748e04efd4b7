"""The process that tracks for one session: boxes in, a result and a picture for each frame out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from asmd.errors import AsmdError
from asmd.sequence import Frame
from asmd.tracking.result import TrackResult
from asmd.web.decoding import RemoteFrames, as_jpeg
from asmd.web.limits import Limits

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Setup:
    """What trackers are made from."""

    weights: str | None = None
    preset: str = "realtime"
    device: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Run:
    """A stretch to track.

    Attributes:
        number: of the run, to tell late answers from those of the next.
        start: frame that the boxes are of.
        step: 1 forward, -1 backward.
        boxes: of each target on the first frame.
        drawn: of each target, the boxes that a person drew on other frames; they are taken as they are.
        live: frames are still coming; the run goes on until it is paused.
    """

    number: int
    start: int
    step: int
    boxes: dict[int, Box]
    drawn: dict[int, dict[int, Box]]
    live: bool = False


@dataclass(frozen=True)
class Tracked:
    """A frame of a run: results by target, frames a second of late, and the JPEG, empty where none was wanted."""

    run: int
    frame: int
    results: dict[int, TrackResult]
    fps: float
    picture: bytes


class Targets:
    """The targets of a session, under its own numbers."""

    def __init__(self, setup: Setup) -> None:
        from asmd.tracking.multi import MultiTracker

        self._tracker = MultiTracker.from_pretrained(setup.weights, preset=setup.preset, device=setup.device)
        self._numbers: dict[int, int] = {}
        self._standing: dict[int, tuple[int, Box]] = {}

    @property
    def weights_name(self) -> str:
        """Which weights they run on."""
        return self._tracker.weights_name

    def take(
        self, number: int, frame: Frame, given: Mapping[int, Box], followed: Iterable[int]
    ) -> dict[int, TrackResult]:
        """The next frame, in either direction, or the first of a run.

        Args:
            number: of the frame.
            frame: RGB uint8 (H, W, 3).
            given: by target, boxes that are the truth.
            followed: other targets, which are looked for.

        Returns:
            By target; without those of which a box is given where they stand already, so that nothing is new.
        """
        numbers = {self._numbers[target]: target for target in followed}
        results: dict[int, TrackResult] = {}
        if numbers:
            found = self._tracker.update(frame, numbers)
            results = {numbers[n]: result for n, result in found.items()}
        else:
            self._tracker.seek(frame)
        for target, box in given.items():
            if self._standing.get(target) != (number, box):
                results[target] = self._start(target, frame, box)
        for target, result in results.items():
            x, y, w, h = (float(v) for v in result.box)
            self._standing[target] = (number, (x, y, w, h))
        return results

    def _start(self, target: int, frame: Frame, box: Box) -> TrackResult:
        known = self._numbers.get(target)
        if known is not None and known in self._tracker.targets:
            return self._tracker.correct(known, frame, box)
        self._numbers[target] = added = self._tracker.add(frame, box)
        return self._tracker.results[added]

    def warm_up(self) -> None:
        """Does everything once, on a drawn square, so that the first box does not wait for it."""
        from asmd.samples import drawn_clip

        frames, boxes = drawn_clip(count=3)
        self._tracker.init(frames[0], [boxes[0]])
        self._tracker.update(frames[1])
        self._tracker.reset()


def serve(connection: Connection, setup: Setup, decoder: Connection, limits: Limits) -> None:
    """Tracks what it is told until the wire is closed; for a `Worker`.

    Messages in: a `Run`; ("pause", None); ("view", whether pictures are wanted); ("count", frames) of a live source.
    Messages out: ("ready", weights), a `Tracked` for each frame, ("done", run), ("error", run, text).
    """
    import cv2
    import torch

    if setup.threads:
        torch.set_num_threads(setup.threads)
        cv2.setNumThreads(setup.threads)
    try:
        targets = Targets(setup)
        targets.warm_up()
        connection.send(("ready", targets.weights_name))
        _Loop(connection, targets, RemoteFrames(decoder, limits)).serve()
    except AsmdError as error:
        connection.send(("error", -1, str(error)))


class _Loop:
    def __init__(self, connection: Connection, targets: Targets, frames: RemoteFrames) -> None:
        self._wire, self._targets, self._frames = connection, targets, frames
        self._count = frames.opened.count
        self._paused = False
        self._pictures = True
        self._next: Run | None = None

    def serve(self) -> None:
        while True:
            while self._next is None:
                self._hear()
            run, self._next, self._paused = self._next, None, False
            try:
                self._run(run)
            except AsmdError as error:
                self._wire.send(("error", run.number, str(error)))
            self._wire.send(("done", run.number))

    def _hear(self) -> None:
        message: Any = self._wire.recv()
        if isinstance(message, Run):
            self._next, self._paused = message, True
        elif message[0] == "pause":
            self._paused = True
        elif message[0] == "view":
            self._pictures = message[1]
        elif message[0] == "count":
            self._count = message[1]

    def _run(self, run: Run) -> None:
        finished = deque[float](maxlen=30)
        for number, frame in self._frames.walk(self._numbers(run), ahead=0 if run.live else 1):
            results = self._results(run, number, frame)
            finished.append(time.perf_counter())
            spent = finished[-1] - finished[0]
            fps = (len(finished) - 1) / spent if spent > 0 else 0.0
            picture = as_jpeg(frame) if self._pictures else b""
            self._wire.send(Tracked(run.number, number, results, fps, picture))
            while self._wire.poll():
                self._hear()
            if self._paused:
                return

    def _numbers(self, run: Run) -> Iterable[int]:
        number = run.start
        while not self._paused:
            if not 0 <= number < self._count:
                if not run.live:
                    return
                self._hear()  # the next frame of the camera, or the end
                continue
            yield number
            number += run.step

    def _results(self, run: Run, number: int, frame: Frame) -> dict[int, TrackResult]:
        drawn = {target: boxes[number] for target, boxes in run.drawn.items() if number in boxes}
        given = run.boxes if number == run.start else {t: box for t, box in drawn.items() if t in run.boxes}
        return self._targets.take(number, frame, given, [t for t in run.boxes if t not in given])
