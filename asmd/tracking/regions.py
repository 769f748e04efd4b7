"""Where a search region lies and how boxes are pooled from its maps, all of which is known before the network runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, enlarge, to_corners
from asmd.models.pooling import CELL_CENTRE, Pooling

POOLED_AT_ONCE = 512
"""Boxes that are pooled at the same time."""


class MapForm(NamedTuple):
    """Form of a map: cells down, across and in depth, and network pixels between neighbouring cells."""

    height: int
    width: int
    channels: int
    stride: int


Poolings: TypeAlias = tuple[Pooling, ...]
"""How some boxes are pooled, for each run of maps that have as many channels as each other."""


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of a frame as the network sees it.

    Attributes:
        corners: (4,) x1, y1, x2, y2 in pixels of the frame; may reach beyond it.
        scale: (2,) pixels of the network's input per pixel of the frame, across and down.
        forms: of the maps that candidates are pooled from.
        context: candidates are enlarged by this.
        bins: parts along each side that they are pooled in.
        device: where the maps are.
    """

    corners: Boxes | NDArray[np.int64]
    scale: Boxes
    forms: tuple[MapForm, ...]
    context: float
    bins: int
    device: torch.device

    def pixels(self, corners: Boxes) -> Tensor:
        """Corners (N, 4) in pixels of the frame -> (N, 4) float32 in pixels of the network's input."""
        placed = (corners - np.tile(self.corners[:2], 2)) * np.tile(self.scale, 2)
        return torch.from_numpy(placed.astype(np.float32))

    def poolings(self, boxes: Boxes) -> Poolings:
        """How boxes (N, 4) of the frame are pooled; with very many of them that takes room, see `in_parts`."""
        pixels = self.pixels(to_corners(enlarge(boxes, self.context))).to(self.device)
        ways = []
        # Maps are pooled together where they have as many channels as each other: as components they do.
        for _, run in itertools.groupby(self.forms, lambda form: form.channels):
            forms = list(run)
            cells = (pixels - CELL_CENTRE) / pixels.new_tensor([form.stride for form in forms])[:, None, None]
            ways.append(Pooling.of([(form.height, form.width) for form in forms], cells, self.bins))
        return tuple(ways)


def in_parts(boxes: Boxes) -> Iterable[Boxes]:
    """Boxes (N, 4) in parts that are pooled at once, at least one."""
    return (boxes[at : at + POOLED_AT_ONCE] for at in range(0, max(1, len(boxes)), POOLED_AT_ONCE))
