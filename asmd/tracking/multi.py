"""Several targets in one video.

Each target has a tracker of its own: a classifier, a memory, a seed. What does not depend on the target is done once a
frame: the flow, and where search regions overlap the pass through the network (`asmd.tracking.sharing`). The rest is
done for one target after the other, stage by stage: a thread for each is no way to use two cores, as its operations are
so short that threads spend their time on handing Python's lock to each other. Only first frames are learnt in a thread
each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from numpy.typing import ArrayLike

from asmd.boxes import Boxes
from asmd.errors import BoxError, TargetsFailedError, TrackerStateError
from asmd.sequence import Frame
from asmd.tracking.checks import check_box, check_frame
from asmd.tracking.config import TrackerConfig
from asmd.tracking.result import TrackResult
from asmd.tracking.sharing import SharingConfig, aim
from asmd.tracking.threads import NOTHING, beside, computing_threads, opencv
from asmd.tracking.tracker import ProposalSource, Tracker

GOLDEN = 0.618034
"""The golden section."""

Came = TypeVar("Came")

Results: TypeAlias = dict[int, TrackResult]
"""Results by target."""


class MultiTracker:
    """Tracks any number of objects through one video.

    Targets are numbered from 0 in the order in which they are added; a number is not used twice. One that is lost, or
    that fails, does not change what becomes of the others. The first, while it is alone, has the boxes that `Tracker`
    gives with the same seed, bit for bit; the others learn on other frames than it does (`Tracker.phase`).

    Args:
        tracker: what the targets' trackers are made like; it is left as it is.
        seed: target n draws from `seed + n`.
        sharing: when targets share a pass through the network.
    """

    def __init__(self, tracker: Tracker, *, seed: int = 0, sharing: SharingConfig | None = None) -> None:
        self._like = tracker
        self._seed = seed
        self.sharing = sharing or SharingConfig()
        self._flow = tracker.flow_stack() if tracker.uses_flow else None
        self._threads = torch.get_num_threads()
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path | None = None,
        *,
        preset: str | TrackerConfig = "realtime",
        device: str = "auto",
        seed: int = 0,
        proposals: ProposalSource | None = None,
        sharing: SharingConfig | None = None,
    ) -> MultiTracker:
        """Trackers on weights from a file or from the package; see `Tracker.from_pretrained`.

        Args:
            weights: a packaged name, a safetensors file, or None for the best that are at hand.
            preset: "paper", "accurate", "realtime", or settings of your own.
            device: "auto", "cpu", "cuda", ...
            seed: target n draws from `seed + n`.
            proposals: a further source of boxes for a lost target.
            sharing: when targets share a pass through the network.

        Raises:
            WeightsError: if there are none, or they do not fit.
            ConfigError: if there is no such preset.
        """
        tracker = Tracker.from_pretrained(weights, preset=preset, device=device, proposals=proposals)
        return cls(tracker, seed=seed, sharing=sharing)

    @property
    def config(self) -> TrackerConfig:
        """The settings of every target's tracker."""
        return self._like.config

    @property
    def weights_name(self) -> str:
        """A phrase that says which weights they run on."""
        return self._like.weights_name

    @property
    def targets(self) -> tuple[int, ...]:
        """Numbers of the targets that are tracked."""
        return tuple(self._trackers)

    @property
    def results(self) -> Results:
        """The last result of every target."""
        return dict(self._results)

    def reseed(self, seed: int) -> None:
        """Target n draws from `seed + n`, from the next that is added on."""
        self._seed = seed

    def reset(self) -> None:
        """Forgets the video and all targets; numbers begin at 0 again."""
        self._trackers: dict[int, Tracker] = {}
        self._results: Results = {}
        self._next = 0
        self._index = 0
        self._size: tuple[int, int] | None = None
        if self._flow is not None:
            self._flow.reset()

    def init(self, frame: Frame, boxes: Iterable[ArrayLike]) -> Results:
        """Starts a video; forgets whatever was tracked before.

        Args:
            frame: RGB uint8 (H, W, 3).
            boxes: of the targets, each `(x, y, w, h)` in pixels. They are numbered from 0 in this order.

        Returns:
            Each target's box as it was given (clipped to the frame), score 1.

        Raises:
            FrameError: if the frame is not RGB uint8.
            BoxError: if one of the boxes cannot be tracked; the text says which.
        """
        frame = check_frame(frame)
        targets = [_numbered_box(number, box, frame) for number, box in enumerate(boxes)]
        self.reset()
        self.seek(frame)
        return self._begin(frame, targets)

    def add(self, frame: Frame, box: ArrayLike) -> int:
        """Takes on one more target.

        Args:
            frame: RGB uint8 (H, W, 3), the one last given to `update`. On any other, flow starts afresh, see `seek`.
            box: the target on it, `(x, y, w, h)` in pixels.

        Returns:
            Its number, by which `update` gives its results. Its first one is in `results`.

        Raises:
            FrameError: if the frame is not RGB uint8, or not of the video's size.
            BoxError: if the box cannot be tracked.
        """
        frame = check_frame(frame, self._size)
        target = check_box(box, (frame.shape[0], frame.shape[1]))
        self.seek(frame)
        return next(iter(self._begin(frame, [target])))

    def remove(self, target: int) -> None:
        """Tracks a target no longer.

        Raises:
            TrackerStateError: if there is none of that number.
        """
        self._known(target)
        del self._trackers[target], self._results[target]

    def correct(self, target: int, frame: Frame, box: ArrayLike) -> TrackResult:
        """Takes a person's box of a target for the truth, learns from it, and goes on from there.

        See `Tracker.correct`. On a frame that is not the one last given to `update`, flow starts afresh, see `seek`.

        Raises:
            TrackerStateError: if there is no target of that number.
            FrameError: if the frame is not RGB uint8, or not of the video's size.
            BoxError: if the box cannot be tracked.
        """
        tracker = self._known(target)
        frame = check_frame(frame, self._size)
        right = check_box(box, (frame.shape[0], frame.shape[1]))
        self.seek(frame)
        started = time.perf_counter()
        try:
            learnt: TrackResult | Exception = tracker.relearn(frame, right, started)
        except Exception as error:
            learnt = error
        return self._keep({target: learnt}, started)[target]

    def seek(self, frame: Frame) -> None:
        """Says that the video goes on from this frame, so that no flow is measured between it and the one before.

        Nothing is done if it is the one at hand.

        Raises:
            FrameError: if the frame is not RGB uint8, or not of the video's size.
        """
        frame = check_frame(frame, self._size)
        self._size = (frame.shape[0], frame.shape[1])
        if self._flow is not None and not self._flow.shows(frame):
            self._flow.reset()
            self._flow.push(frame)

    @computing_threads(1)
    def update(self, frame: Frame, targets: Iterable[int] | None = None) -> Results:
        """Finds the targets in the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of the size of the first.
            targets: those to look for; all where not given. The others stay where they are.

        Returns:
            A result for each; `index` counts the frames since the video's first, `seconds` is an equal share of the
            time for all.

        Raises:
            TrackerStateError: if there was no `init` or `add` before, or there is no target of such a number.
            FrameError: if the frame is not RGB uint8 or its size has changed.
            TargetsFailedError: if some failed. They are tracked no more; the error has the results of the others, which
                the next call goes on with.
        """
        if self._size is None:
            raise TrackerStateError("update was called before init: give the first frame and boxes to init")
        started = time.perf_counter()
        wanted = self._trackers if targets is None else {target: self._known(target) for target in targets}
        frame = check_frame(frame, self._size)
        self._index += 1
        with opencv.in_one_thread(self._flow is None or not self._flow.dense):
            answers = self._advance(frame, wanted, started)
        return self._keep(answers, started)

    def _advance(
        self, frame: Frame, wanted: Mapping[int, Tracker], started: float
    ) -> Mapping[int, TrackResult | Exception]:
        """What each of these targets comes to on a frame that has been checked."""
        pushed = beside(self._flow.pushing(frame)) if self._flow is not None else NOTHING
        trackers = list(wanted.values())
        aims = aim([t.extractor for t in trackers], [t.place for t in trackers], self.sharing)
        for tracker, region in zip(trackers, aims.regions, strict=True):
            tracker.foresee(region)
        failed: dict[int, Exception] = {}

        def each(stage: Callable[[int], Came]) -> dict[int, Came]:
            """What comes of a stage for each target that has not failed, which does not hinder the others."""
            came = {}
            for number in [n for n in wanted if n not in failed]:
                try:
                    came[number] = stage(number)
                except Exception as error:
                    failed[number] = error
            return came

        try:
            looks = dict(zip(wanted, aims.look(frame, self._flow), strict=True))
            # Stage by stage: there is then always something to do beside, and what a stage needs is still in the cache.
            views = each(lambda n: looks[n]())
            each(lambda n: wanted[n].go_on())
            scored = each(lambda n: wanted[n].scored(views[n]))
            done = each(lambda n: wanted[n].advance(frame, scored[n], started))
        finally:
            # What a target has foreseen came after it: there is something to wait for only where there is no target.
            pushed.result()
        return {number: failed[number] if number in failed else done[number] for number in wanted}

    def _known(self, target: int) -> Tracker:
        if target not in self._trackers:
            there = ", ".join(map(str, self.targets)) or "none"
            raise TrackerStateError(f"there is no target {target}; there are: {there}")
        return self._trackers[target]

    @computing_threads(1)
    def _begin(self, frame: Frame, boxes: Iterable[Boxes]) -> Results:
        started = time.perf_counter()
        new: dict[int, tuple[Tracker, Boxes]] = {}
        for box in boxes:
            new[self._next] = self._like.sibling(self._seed + self._next, self._flow), box
            # Multiples of the golden section lie as far apart as can be, however many there are.
            new[self._next][0].phase = self._next * GOLDEN % 1
            self._next += 1
        self._trackers |= {number: tracker for number, (tracker, _) in new.items()}

        def begin(tracker: Tracker, box: Boxes) -> TrackResult | Exception:
            try:
                return tracker.begin(frame, box, started)
            except Exception as error:
                return error

        # Unlike on later frames the operations are large: a thread for each target pays.
        with ThreadPoolExecutor(self._threads, "asmd-target", lambda: torch.set_num_threads(1)) as pool:
            begun = {number: pool.submit(begin, *own) for number, own in new.items()}
        return self._keep({number: future.result() for number, future in begun.items()}, started)

    def _keep(self, answers: Mapping[int, TrackResult | Exception], started: float) -> Results:
        """Keeps the targets' results; targets that failed are dropped."""
        failures = {number: answer for number, answer in answers.items() if isinstance(answer, Exception)}
        for number in failures:
            self._trackers.pop(number)
            self._results.pop(number, None)
        share = (time.perf_counter() - started) / max(1, len(answers))
        done = {
            number: replace(answer, index=self._index, seconds=share)
            for number, answer in answers.items()
            if not isinstance(answer, Exception)
        }
        self._results |= done
        if failures:
            raise TargetsFailedError(failures, done) from next(iter(failures.values()))
        return done


def _numbered_box(number: int, box: ArrayLike, frame: Frame) -> Boxes:
    try:
        return check_box(box, (frame.shape[0], frame.shape[1]))
    except BoxError as error:
        raise BoxError(f"target {number}: {error}") from error
