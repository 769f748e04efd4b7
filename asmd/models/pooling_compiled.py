"""Which cells make up the bins of boxes, compiled; see `asmd.models.pooling`, which does the same in torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asmd.compiled import compiled

_LIKELY = 20
"""Cells of a bin that room is made for at first."""


@compiled()
def _integral(offset: np.float32, first: bool, last: bool) -> np.float32:
    """Integral, up to a distance from a cell's centre, of its hat function, less one half.

    That of an outermost cell stays at 1 beyond its centre: more like it are taken to follow.
    """
    near = min(max(offset, np.float32(-1)), np.float32(1))
    value = near - np.float32(0.5) * near * abs(near)
    if first:
        value += min(offset, np.float32(0)) - min(value, np.float32(0))
    if last:
        value += max(offset, np.float32(0)) - max(value, np.float32(0))
    return value


@compiled()
def _cell(place: np.float32, last: int) -> int:
    """The cell at or before a place, of those up to the last."""
    # Compared before it becomes a whole number, which a huge one has no room in; NaN is not above 0.
    return int(np.floor(min(place, np.float32(last)))) if place > 0 else 0


@compiled()
def _axis(
    low: np.float32,
    high: np.float32,
    last: int,
    firsts: NDArray[np.int64],
    counts: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> int:
    """The cells of one axis, up to the last, of each bin of a box: the first, their number, weights (bins, cells)."""
    bins, total = len(firsts), 0
    side = (high - low) / np.float32(bins)
    share = np.float32(1) / max(side, np.finfo(np.float32).tiny)
    for index in range(bins):
        begin, end = low + np.float32(index) * side, low + np.float32(index + 1) * side
        # Every cell is one of the axis, whatever the box: NaN, beyond all bounds or ending before it begins.
        first = _cell(begin, last)
        past = max(min(_cell(end, last) + 1, last), first) + 1
        firsts[index], counts[index] = first, past - first
        total += past - first
        for cell in range(first, past):
            centre, outer = np.float32(cell), (cell == 0, cell == last)
            upto = _integral(end - centre, *outer) - _integral(begin - centre, *outer)
            weights[index, cell - first] = upto * share
    return total


@compiled("Tuple((i4[::1], f4[::1], i4[::1]))(i8[:, ::1], f4[:, :, ::1], i8)")
def bin_cells(
    sizes: NDArray[np.int64], corners: NDArray[np.float32], bins: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Places, weights and starts of a `asmd.models.pooling.Pooling`.

    Args:
        sizes: (S, 2) heights and widths of the maps.
        corners: (S, N, 4) of boxes.
        bins: parts along each side.
    """
    maps, count, _ = corners.shape
    longest, room = sizes.max(), count * maps * bins * bins * _LIKELY
    across, down = np.empty((bins, longest), np.float32), np.empty((bins, longest), np.float32)
    left, top = np.empty(bins, np.int64), np.empty(bins, np.int64)
    wide, tall = np.empty(bins, np.int64), np.empty(bins, np.int64)
    starts = np.empty(count * maps * bins * bins, np.int32)
    places, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    at = bag = 0
    for box in range(count):
        table = 0
        for level in range(maps):
            height, width = sizes[level]
            x1, y1, x2, y2 = corners[level, box]
            needed = at + _axis(x1, x2, width - 1, left, wide, across) * _axis(y1, y2, height - 1, top, tall, down)
            if needed > room:
                room = 2 * needed
                more_places, more_weights = np.empty(room, np.int32), np.empty(room, np.float32)
                more_places[:at], more_weights[:at] = places[:at], weights[:at]
                places, weights = more_places, more_weights
            for row in range(bins):
                for column in range(bins):
                    starts[bag] = at
                    bag += 1
                    for y in range(tall[row]):
                        line, weight = table + (top[row] + y) * width + left[column], down[row, y]
                        for x in range(wide[column]):
                            # Without a sign, or each would be looked at whether it counts from the end.
                            places[np.uint64(at + x)] = line + x
                            weights[np.uint64(at + x)] = weight * across[column, x]
                        at += wide[column]
            table += height * width
    return places[:at], weights[:at], starts
