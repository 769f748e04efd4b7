"""Trackers that behave, or misbehave, on purpose; importable by name in worker processes."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asmd.sequence import Sequence
from asmd.tracking.result import Status, TrackResult


class Still:
    """Answers the first box for ever."""

    def init(self, frame, box):
        self.box = np.asarray(box)

    def update(self, frame):
        return self.box


class Drawing(Still):
    """Draws from its own generator and from those that trackers share."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def update(self, frame):
        shift = [self.random.normal(), random.random(), np.random.rand(), 0.0]  # noqa: NPY002 (on purpose)
        return TrackResult(0, self.box + shift, 0.75, Status.UNCERTAIN)


@dataclass(frozen=True)
class Settings:
    """Of `Configured`."""

    near: int = 1
    far: tuple[int, int] = (2, 3)


class Configured(Still):
    """Tells its settings."""

    config = Settings()


class Fickle(Still):
    """Draws in its constructor, from the generators that trackers share."""

    def __init__(self):
        self.shift = np.random.rand()  # noqa: NPY002 (on purpose)

    def update(self, frame):
        return self.box + self.shift


class Reseeded(Drawing):
    """As `Drawing`, but built once and reseeded; tells where it was built."""

    built = 0

    def __init__(self, seed):
        super().__init__(seed)
        type(self).built += 1

    def reseed(self, seed):
        self.random = np.random.default_rng(seed)


class Raising(Still):
    """Raises on the sequences whose first box is 13 wide."""

    def update(self, frame):
        if self.box[2] == 13:
            raise ZeroDivisionError("thirteen")
        return self.box


class Dying(Still):
    """Kills its process on 13-wide targets: the first time only, unless the folder in DYING holds a file `always`."""

    def update(self, frame):
        folder = Path(os.environ["DYING"])
        if self.box[2] == 13:
            tries = len(list(folder.glob("try-*")))
            (folder / f"try-{tries}").touch()
            if tries == 0 or (folder / "always").exists():
                os.kill(os.getpid(), signal.SIGKILL)
        return self.box


class Waiting(Still):
    """On 13-wide targets, waits for as long as the file named in HOLD is there."""

    def update(self, frame):
        while self.box[2] == 13 and Path(os.environ["HOLD"]).exists():
            time.sleep(0.01)
        return self.box


class Nothing(Still):
    """Never has a box."""

    def update(self, frame):
        return None


class Infinite(Still):
    """Answers what is no box."""

    def update(self, frame):
        return (0.0, 0.0, float("inf"), 1.0)


class Blank:
    """Black frames."""

    def __init__(self, count: int, size: tuple[int, int] = (24, 32)) -> None:
        self.count, self.size = count, size

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return (self[i] for i in range(self.count))

    def __getitem__(self, index: int):
        return np.zeros((*self.size, 3), np.uint8)


def blank_sequence(name: str, frames: int = 4, width: float = 10.0) -> Sequence:
    """A target that does not move, in the dark."""
    return Sequence(name, Blank(frames), np.tile([2.0, 3.0, width, 8.0], (frames, 1)))
