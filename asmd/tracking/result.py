"""What a tracker says of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from asmd.boxes import Boxes
from asmd.sequence import Frame


class Status(StrEnum):
    """How sure the tracker is that its box holds the target."""

    FOUND = "found"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclass(frozen=True, eq=False)
class TrackResult:
    """The tracker's answer for one frame.

    Attributes:
        index: number of the frame, 0 for the one given to `init`.
        box: (4,) float64 `(x, y, w, h)` in pixels of the frame, 0-based; always finite and touching the frame.
        score: confidence in [0, 1]; 0.5 is the classifier's decision boundary.
        status: found, uncertain or lost. The box of a lost frame is the best guess, not a claim.
        seconds: time that the frame took, without decoding.
    """

    index: int
    box: Boxes
    score: float
    status: Status
    seconds: float = 0.0

    def as_row(self) -> str:
        """`x,y,w,h` with two decimals, as written to a boxes file."""
        return ",".join(f"{v:.2f}" for v in self.box)


class TrackerLike(Protocol):
    """What `asmd evaluate` can run: anything with `init` and `update`.

    `update` may return a `TrackResult`, or just a box.
    """

    def init(self, frame: Frame, box: ArrayLike) -> object:
        """Starts on a frame (H, W, 3) with the target's box (4,)."""
        ...

    def update(self, frame: Frame) -> TrackResult | Boxes | tuple[float, float, float, float]:
        """Finds the target in the next frame."""
        ...


def box_of(answer: object) -> Boxes:
    """The (4,) float64 box in what a `TrackerLike` returned."""
    box = answer.box if isinstance(answer, TrackResult) else answer
    return np.asarray(box, dtype=np.float64).reshape(4)
