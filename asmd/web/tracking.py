"""The process that tracks for one session: boxes in, a result and a picture for each frame out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from asmd.errors import AsmdError
from asmd.sequence import Frame
from asmd.tracking.result import TrackResult
from asmd.web.decoding import RemoteFrames, as_jpeg
from asmd.web.limits import Limits

if TYPE_CHECKING:
    from asmd.tracking.tracker import Tracker

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
    """A tracker for each target.

    The seam for a tracker of many targets that share a pass through the network: `start` and `follow` are all that
    the process asks for.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._trackers: dict[int, Tracker] = {}
        self._spare: Tracker | None = self._build()
        self._standing: dict[int, tuple[int, Box]] = {}

    @property
    def weights_name(self) -> str:
        """Which weights they run on."""
        tracker = self._spare or next(iter(self._trackers.values()))
        return tracker.weights_name

    def _build(self) -> Tracker:
        from asmd.tracking.tracker import Tracker

        return Tracker.from_pretrained(self._setup.weights, preset=self._setup.preset, device=self._setup.device)

    def start(self, target: int, number: int, frame: Frame, box: Box) -> TrackResult | None:
        """Takes a box for the truth; None where the target's tracker stands there already, so that nothing is new."""
        if self._standing.get(target) == (number, box):
            return None
        if target in self._trackers:
            result = self._trackers[target].correct(frame, box)
        else:
            tracker, self._spare = self._spare or self._build(), None
            result = tracker.init(frame, box)
            self._trackers[target] = tracker
        self._stand(target, number, result)
        return result

    def follow(self, target: int, number: int, frame: Frame) -> TrackResult:
        """The next frame, in either direction."""
        result = self._trackers[target].update(frame)
        self._stand(target, number, result)
        return result

    def _stand(self, target: int, number: int, result: TrackResult) -> None:
        x, y, w, h = (float(v) for v in result.box)
        self._standing[target] = (number, (x, y, w, h))

    def warm_up(self) -> None:
        """Does everything once, on a drawn square, so that the first box does not wait for it."""
        from asmd.samples import drawn_clip

        if self._spare is not None:
            frames, boxes = drawn_clip(count=3)
            self._spare.init(frames[0], boxes[0])
            self._spare.update(frames[1])


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
            results = dict(self._results(run, number, frame))
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

    def _results(self, run: Run, number: int, frame: Frame) -> Iterator[tuple[int, TrackResult]]:
        for target, box in run.boxes.items():
            given = box if number == run.start else run.drawn.get(target, {}).get(number)
            result = self._targets.start(target, number, frame, given) if given is not None else None
            if given is None:
                result = self._targets.follow(target, number, frame)
            if result is not None:
                yield target, result
