"""One object through one source: frames in, results out, nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from numpy.typing import ArrayLike

from asmd.errors import BoxError, ConfigError
from asmd.sequence import Frame
from asmd.tracking.result import TrackResult
from asmd.video.sources import Numbered, open_source

if TYPE_CHECKING:
    from asmd.tracking.config import TrackerConfig


class OnlineTracker(Protocol):
    """A tracker that says how sure it is: `asmd.Tracker`, or anything with its `init` and `update`."""

    def init(self, frame: Frame, box: ArrayLike) -> TrackResult:
        """Start on a frame."""
        ...

    def update(self, frame: Frame) -> TrackResult:
        """Find the object in the next frame."""
        ...


def track(
    source: str | Path | int,
    box: ArrayLike,
    *,
    preset: str | TrackerConfig = "realtime",
    weights: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    start: int = 0,
    frames: int | None = None,
    tracker: OnlineTracker | None = None,
) -> Iterator[TrackResult]:
    """Track the object in a box through a video, lazily and in bounded memory.

    Args:
        source: a video file, a folder of images, a pattern such as `frames/*.jpg`, a camera's number, or a stream's
            address.
        box: (x, y, w, h) of the object on frame `start`, 0-based, in pixels.
        preset: "paper", "accurate", "realtime", or settings of your own.
        weights: a packaged name, a safetensors file, or None for the best that are at hand.
        device: "auto", "cpu", "cuda", ...
        seed: decides every random draw.
        start: number of the frame that the box is drawn on.
        frames: how many frames to track at most, that one included.
        tracker: used in place of one built from preset, weights, device and seed.

    Yields:
        A result for each frame, that of `start` first; `index` is the frame's number in the source. A damaged frame is
        skipped with a logged warning, so that its number is missing.

    Raises:
        SourceError: if the source cannot be opened or holds no frame number `start`.
        BoxError: if the box cannot be tracked.
        FrameError: if the size of the frames changes.
        WeightsError: if the weights are missing or unfit.
        ConfigError: if `start` or `frames` is out of range, or there is no such preset.
    """
    stop = last_frame(start, frames)
    opened = open_source(source)
    if tracker is None:
        from asmd.tracking.tracker import Tracker

        tracker = Tracker.from_pretrained(weights, preset=preset, device=device, seed=seed)
    with opened.frames(start, stop) as numbered:
        for _, result in follow(numbered, tracker, box):
            yield result


def follow(frames: Iterable[Numbered], tracker: OnlineTracker, box: ArrayLike) -> Iterator[tuple[Frame, TrackResult]]:
    """Give numbered frames to a tracker, the first with the box.

    Yields:
        Each frame with its result, whose `index` is the frame's number.
    """
    started = False
    for number, frame in frames:
        result = tracker.update(frame) if started else tracker.init(frame, box)
        started = True
        yield frame, replace(result, index=number)


def last_frame(start: int, frames: int | None) -> int | None:
    """Number of the frame after the last of `frames` frames from `start` on; None where all are wanted.

    Raises:
        ConfigError: if `start` is negative or `frames` is not positive.
    """
    if start < 0:
        raise ConfigError(f"the first frame's number is 0 or more, got {start}")
    if frames is None:
        return None
    if frames < 1:
        raise ConfigError(f"at least one frame has to be tracked, got {frames}")
    return start + frames


def parse_box(text: str) -> tuple[float, float, float, float]:
    """A box written as `X,Y,W,H`.

    Raises:
        BoxError: if it is not four numbers.
    """
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise BoxError(f"a box is X,Y,W,H, four numbers with commas between them, got {text!r}") from None
    return x, y, w, h
