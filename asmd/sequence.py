"""`Sequence`: a video with its annotation, the one currency of all data code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes, as_boxes, is_valid

Frame: TypeAlias = NDArray[np.uint8]
"""An image: RGB, uint8, shape (H, W, 3)."""


@runtime_checkable
class FrameSource(Protocol):
    """Frames that can be counted, walked in order, and reached by index, decoded only when asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __getitem__(self, index: int) -> Frame: ...


@dataclass(frozen=True, eq=False)
class Sequence:
    """One target in one video.

    Attributes:
        name: unique in its data set; also the name of its result file.
        frames: the images, lazy. May be empty (`()`) where only the annotation is at hand.
        boxes: (N, 4) float64 `(x, y, w, h)`, 0-based; a row of NaN where there is no box (absent or not annotated).
        absent: (N,) bool, True where the target is known to be out of view or fully occluded.
        attributes: the data set's own labels, such as `("OCC", "SV")`.
        polygons: (N, 8) float64 corner points where the data set has rotated boxes (VOT), else None.
        cover: (N,) int in 0..8, eighths of the target that are visible (GOT-10k), else None.
        domain: what counts as one domain in multi-domain training; the name of the sequence where not given.
        meta: anything else worth keeping, as text.
    """

    name: str
    frames: FrameSource | tuple[()]
    boxes: Boxes
    absent: NDArray[np.bool_] | None = None
    attributes: tuple[str, ...] = ()
    polygons: NDArray[np.float64] | None = None
    cover: NDArray[np.int64] | None = None
    domain: str = ""
    meta: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boxes = as_boxes(self.boxes)
        object.__setattr__(self, "boxes", boxes)
        if self.absent is None:
            object.__setattr__(self, "absent", np.isnan(boxes).any(axis=-1))
        if not self.domain:
            object.__setattr__(self, "domain", self.name)

    def __len__(self) -> int:
        """Number of annotated frames (rows of `boxes`)."""
        return len(self.boxes)

    @property
    def init_box(self) -> Boxes:
        """The first box, shape (4,), with which a one-pass run starts."""
        return np.asarray(self.boxes[0])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N,) bool: the row is a finite box with an area."""
        return is_valid(self.boxes)
