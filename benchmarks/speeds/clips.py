"""Footage for measuring: stretches of video in memory, resized, played to and fro."""

from __future__ import annotations

import itertools
import resource
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from asmd.boxes import Boxes
from asmd.datasets import load
from asmd.sequence import Frame, Sequence
from asmd.tracking.tracker import Tracker
from asmd.training.config import LOCAL_HELD_OUT
from asmd.video import VideoFrames
from asmd.video.sinks import write_video
from speeds.timing import clocked


@dataclass(frozen=True)
class Footage:
    """What is measured on.

    Attributes:
        root: folder of the data set.
        dataset: its name.
        sequences: names of those that are taken; those that the recipe `local` holds out where None.
        frames: of each, at most.
    """

    root: Path
    dataset: str
    sequences: tuple[str, ...] | None
    frames: int

    def chosen(self) -> list[Sequence]:
        """The sequences."""
        every = load(self.dataset, self.root)
        if self.sequences is not None:
            return list(every.select(self.sequences))
        held_out = [name for name in LOCAL_HELD_OUT if name in every]
        return list(every.select(held_out) if held_out else every)

    def first(self) -> Clip:
        """The beginning of the first of them, in memory."""
        sequence = self.chosen()[0]
        frames = list(itertools.islice(iter(sequence.frames), self.frames))
        return Clip(sequence.name, frames, sequence.init_box)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in memory, and the target (4,) on the first."""

    name: str
    frames: list[Frame]
    box: Boxes

    def to_and_fro(self) -> Iterator[Frame]:
        """The frames forward and backward, for ever, so that nothing ever jumps."""
        yield from itertools.cycle(self.frames + self.frames[-2:0:-1])

    def resized(self, height: int) -> Clip:
        """The same at another height, of the same shape."""
        scale = height / self.frames[0].shape[0]
        size = (2 * round(self.frames[0].shape[1] * scale / 2), height)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        frames = [np.asarray(cv2.resize(f, size, interpolation=how), dtype=np.uint8) for f in self.frames]
        return Clip(self.name, frames, self.box * scale)


@contextmanager
def video_of(frames: Iterable[Frame]) -> Iterator[Path]:
    """A video file of these frames, there for the while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with write_video(path) as video:
            for frame in frames:
                video.write(frame)
        yield path


def decoding_seconds(clip: Clip) -> list[float]:
    """What each frame but the first takes to decode by itself, once the clip is a video file."""
    with video_of(clip.frames) as path:
        walk = iter(VideoFrames(path))
        next(walk)
        return [clocked(lambda: next(walk)) for _ in clip.frames[1:]]


def stepped(tracker: Tracker, clip: Clip, frames: int) -> Iterator[None]:
    """Starts on the clip at the first step, then takes so many frames, to and fro, one a step."""
    for index, frame in zip(range(frames + 1), clip.to_and_fro(), strict=False):
        if index:
            tracker.update(frame)
        else:
            tracker.init(frame, clip.box)
        yield


def resident_megabytes() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
