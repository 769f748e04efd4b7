"""Average pooling of regions of interest as weighted sums of cells.

A feature map is read as a function that is bilinear between the centres of its cells and constant beyond the outermost;
the value of a bin is the exact mean of that function over the bin. That mean is a weighted sum of the few cells about
the bin, with weights that are products of one for each side, so that pooling is a look-up in a table of cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from asmd import compiled

CELL_CENTRE = 0.5
"""Cell i of a map of stride s has its receptive field centred on pixel s * i, which is s * i + 0.5 from the edge."""


BEYOND = 2
"""Cells like the outermost that are reckoned with one by one on either side of a map."""


def bin_weights(low: Tensor, high: Tensor, bins: int, last: int | Tensor) -> tuple[Tensor, Tensor]:
    """Which cells of one axis add up to the mean over each bin, and with which weights.

    Args:
        low: (N,) where each box starts, in cells: cell i has its centre at i.
        high: (N,) where it ends, above `low`.
        bins: equal parts that a box is cut into.
        last: number of the axis' last cell; (N,) where boxes lie on axes of several lengths.

    Returns:
        Numbers of cells, as floats, and weights, both (K, bins, N). Over the K, which are as many as the longest bin
        needs, the weights of a bin add up to 1; some of them may be 0.
    """
    side = (high - low) / bins
    last = torch.as_tensor(last, dtype=low.dtype, device=low.device)
    # Boxes come last throughout: the inner loops of the arithmetic are then long.
    steps = torch.arange(bins + 1, dtype=low.dtype, device=low.device)
    edges = torch.addcmul(low, side, steps[:, None])
    reach, most = _reach(high - low, bins), int(last.max()) + 2 * BEYOND + 1
    # What huge boxes have far beyond the outermost cells is theirs at once; others have nothing there.
    near = edges if reach <= most else edges.clamp(min=-BEYOND).minimum(last + BEYOND)
    cells = near[:-1].floor() + torch.arange(min(reach, most), dtype=low.dtype, device=low.device)[:, None, None]
    weights = _integral(near[1:] - cells) - _integral(near[:-1] - cells)
    if near is not edges:
        far = edges - near
        weights[0] += far.clamp(max=0).diff(dim=0)
        weights[-1] += far.clamp(min=0).diff(dim=0)
    weights /= side.clamp_min(torch.finfo(low.dtype).tiny)
    # Beyond the outermost cells there are more like them, which is what makes the function constant there.
    return cells.clamp_(min=0).minimum(last), weights


def _reach(lengths: Tensor, bins: int) -> int:
    """Most cells that a bin of boxes of these lengths can have a share of."""
    return math.ceil(float(lengths.max()) / bins) + 2


def _integral(offset: Tensor) -> Tensor:
    """Integral, up to a distance from a cell's centre, of its hat function: 1 at the centre, 0 at the neighbours'.

    It is given less one half: t - t |t| / 2 at a distance t.
    """
    near = offset.clamp(-1, 1)
    return torch.addcmul(near, near, near.abs(), value=-0.5)


@dataclass(frozen=True, eq=False)
class Pooling:
    """Which cells of maps make up the bins of boxes, and with which weights; the maps need not be there yet.

    Attributes:
        sizes: (H, W) of S maps.
        bins: parts along each side of a box.
        places: (M,) int32 numbers of cells, in a table of those of all maps, those of one bin after those of another.
        weights: (M,) float32.
        starts: (N * S * bins * bins,) int32 where each bin's begin.
        box_first: whether all bins of the first box come first, map by map; else the first bins of all boxes do, and
            of these the first map's.
    """

    sizes: Sequence[tuple[int, int]]
    bins: int
    places: Tensor
    weights: Tensor
    starts: Tensor
    box_first: bool = True

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], corners: Tensor, bins: int) -> Pooling:
        """How boxes are pooled.

        Args:
            sizes: (H, W) of S maps.
            corners: (S, N, 4) float32 `(x1, y1, x2, y2)` of the boxes in cells of each map, see `bin_weights`.
            bins: parts along each side.
        """
        if corners.shape[1] == 0:
            nothing = corners.new_empty(0)
            return cls(sizes, bins, nothing.int(), nothing, nothing.int())
        if compiled.serves(corners):
            from asmd.models.pooling_compiled import bin_cells

            found = bin_cells(np.array(sizes), np.ascontiguousarray(corners.numpy()), bins)
            places, weights, starts = map(torch.from_numpy, found)
            return cls(sizes, bins, places, weights, starts)
        return cls(sizes, bins, *_bin_cells(sizes, corners, bins), box_first=False)

    def pool(self, maps: Sequence[Tensor]) -> Tensor:
        """Means of the maps over the bins.

        Args:
            maps: S maps (H, W, C), of these sizes and one C, in one floating type; sums run in that type.

        Returns:
            (N, S, bins * bins, C) in the type of the maps; rows of bins before columns.

        Raises:
            ValueError: if the maps are of other sizes.
        """
        if [tuple(m.shape[:2]) for m in maps] != list(self.sizes):
            raise ValueError(f"maps of {[tuple(m.shape) for m in maps]} cannot be pooled as those of {self.sizes}")
        table = torch.cat([m.flatten(0, 1) for m in maps])
        bins, channels = self.bins**2, table.shape[1]
        count = len(self.starts) // (len(maps) * bins)
        if count == 0:
            return table.new_empty(0, len(maps), bins, channels)
        weights = self.weights.to(table.dtype)
        pooled = nn.functional.embedding_bag(self.places, table, self.starts, mode="sum", per_sample_weights=weights)
        if self.box_first:
            return pooled.view(count, len(maps), bins, channels)
        return pooled.view(bins, len(maps), count, channels).permute(2, 1, 0, 3).contiguous()


def _bin_cells(sizes: Sequence[tuple[int, int]], corners: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places, weights and starts of a `Pooling` in torch, all bins of as many cells."""
    count = corners.shape[1]
    # All maps and both sides at once: for a few hundred boxes calls cost more than arithmetic.
    begins = [0, *itertools.accumulate(height * width for height, width in sizes[:-1])]
    lasts = [[width - 1 for _, width in sizes], [height - 1 for height, _ in sizes], [w for _, w in sizes], begins]
    across, down, widths, starts = corners.new_tensor(lasts).repeat_interleave(count, dim=1)
    low, high = corners.permute(2, 0, 1).reshape(2, -1)
    cells, weights = bin_weights(low, high, bins, torch.cat([across, down]))
    half = len(sizes) * count
    # The side whose bins are shorter needs fewer cells: what is left out weighs nothing, unless it stands for more.
    lengths = (high - low).view(2, -1)
    whole = _reach(lengths, bins) > len(cells)
    wide, tall = (len(cells) if whole else _reach(length, bins) for length in lengths)
    columns, rows = cells[:wide, :, :half].int(), torch.addcmul(starts, cells[:tall, :, half:], widths).int()
    # Every row of cells with every column: a line for each bin of each box.
    places = _each_row(rows, wide)[:, None] + _each_column(columns, tall)
    products = _each_row(weights[:tall, :, half:], wide)[:, None] * _each_column(weights[:wide, :, :half], tall)
    firsts = torch.arange(0, places.numel(), wide * tall, dtype=torch.int32, device=corners.device)
    return places.flatten(), products.flatten(), firsts


def pool_boxes(maps: Sequence[Tensor], corners: Tensor, bins: int) -> Tensor:
    """Means of maps over bins x bins parts of each box.

    Args:
        maps: S maps (H, W, C), of any H and W and one C, in one floating type; sums run in that type.
        corners: (S, N, 4) float32 `(x1, y1, x2, y2)` of the boxes in cells of each map, see `bin_weights`.
        bins: parts along each side.

    Returns:
        (N, S, bins * bins, C) in the type of the maps; rows of bins before columns.
    """
    return Pooling.of([(m.shape[0], m.shape[1]) for m in maps], corners, bins).pool(maps)


def _each_row(values: Tensor, columns: int) -> Tensor:
    """(K, bins, M) -> (bins, M, K * columns), each value so many times in a row."""
    # Turned round before the two sides meet, when there is least to turn.
    return values.repeat_interleave(columns, dim=0).permute(1, 2, 0).contiguous()


def _each_column(values: Tensor, rows: int) -> Tensor:
    """(K, bins, M) -> (bins, M, rows * K), all values so many times over."""
    return values.repeat(rows, 1, 1).permute(1, 2, 0).contiguous()
