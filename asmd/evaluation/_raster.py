"""Overlap of rotated regions the way VOT measures it: on whole pixels, inside the image.

A region becomes, in each row of pixels, one or two runs of pixels, first and last included. Counting pixels in common
is then arithmetic on the ends of runs, and no mask is ever drawn. What pixels a region covers follows the VOT toolkit
(0.7), to which the tests compare it: coordinates are rounded in single precision; a rectangle covers w x h pixels; a
polygon covers, in each row it touches, the pixels between crossings of its edges, which are cut to whole numbers.
(Where a crossing should be a whole number, rounding errors may tell the two apart by a pixel, now and then.)
"""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bounds = tuple[int, int, int, int]
"""First column, first row, last column, last row."""

_NOWHERE = np.iinfo(np.int64).max
_EMPTY_RUN = (0, -1)


@dataclass(frozen=True, eq=False)
class Raster:
    """The pixels of a region.

    Attributes:
        bounds: of the rounded region, whether or not it covers a pixel.
        top: row of the first runs.
        runs: (rows, 2, 2) int, up to two runs a row, each its first and last pixel; last < first where there is none.
    """

    bounds: Bounds
    top: int
    runs: NDArray[np.int64]

    def clipped(self, bounds: Bounds) -> Raster:
        """The part within bounds, a row for each of theirs."""
        left, top, right, bottom = bounds
        runs = np.empty((max(bottom - top + 1, 0), 2, 2), dtype=np.int64)
        runs[:] = _EMPTY_RUN
        first, last = max(top, self.top), min(bottom, self.top + len(self.runs) - 1)
        if first <= last:
            inside = self.runs[first - self.top : last - self.top + 1]
            there = inside[..., 0] <= inside[..., 1]
            low, high = np.maximum(inside[..., 0], left), np.minimum(inside[..., 1], right)
            low[:, 1] = np.maximum(low[:, 1], high[:, 0] + 1)  # a pixel in both runs counts once
            keep = there & (low <= high)
            runs[first - top : last - top + 1] = np.where(keep[..., None], np.stack([low, high], axis=-1), _EMPTY_RUN)
        return Raster(bounds, top, runs)

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return int((self.runs[..., 1] - self.runs[..., 0] + 1).sum())


def rasterise(region: ArrayLike) -> Raster:
    """The pixels of a rectangle `x, y, w, h` or a four-point polygon `x1, y1, ..., x4, y4`.

    Raises:
        ValueError: if it has neither 4 nor 8 numbers.
    """
    numbers = np.round(np.asarray(region, dtype=np.float32)).astype(np.float64)
    if numbers.shape == (4,):
        return _rectangle(numbers)
    if numbers.shape == (8,):
        return _polygon(numbers.reshape(4, 2))
    raise ValueError(f"a region has 4 or 8 numbers, not {numbers.shape}")


def overlap(first: Raster, second: Raster, size: tuple[int, int]) -> float:
    """Pixels in common over pixels of either, within an image of `size` (height, width)."""
    a, b = first.bounds, second.bounds
    left, top, right, bottom = min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
    if left >= right or top >= bottom:
        return 1.0  # two points, or less, are the same by definition
    image = (max(left, 0), max(top, 0), min(right, size[1] - 1), min(bottom, size[0] - 1))
    if image[0] >= image[2] or image[1] >= image[3]:
        return 0.0
    one, other = first.clipped(image), second.clipped(image)
    low = np.maximum(one.runs[:, :, None, 0], other.runs[:, None, :, 0])
    high = np.minimum(one.runs[:, :, None, 1], other.runs[:, None, :, 1])
    common = int(np.maximum(high - low + 1, 0).sum())
    either = one.pixels + other.pixels - common
    return common / either if either else 0.0


def overlaps(first: Rows[Raster | None], second: Rows[Raster | None], size: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) overlaps, NaN where either is None."""
    pairs = zip(first, second, strict=True)
    return np.array([np.nan if a is None or b is None else overlap(a, b, size) for a, b in pairs], dtype=np.float64)


def _rectangle(numbers: NDArray[np.float64]) -> Raster:
    x, y, w, h = numbers.astype(int).tolist()
    runs = np.empty((max(h, 0), 2, 2), dtype=np.int64)
    runs[:, 0], runs[:, 1] = (x, x + w - 1), _EMPTY_RUN
    return Raster((x, y, x + w - 1, y + h - 1), y, runs)


def _polygon(points: NDArray[np.float64]) -> Raster:
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    rows = np.arange(low[1], high[1] + 1)[:, None]
    before = np.roll(points, 1, axis=0)
    (x, y), (dx, dy) = points.T, (before - points).T
    touched = (rows >= np.minimum(y, y + dy)) & (rows <= np.maximum(y, y + dy))
    crossing = np.trunc(x + (rows - y) / np.where(dy == 0, 1, dy) * np.where(dy == 0, 0, dx)).astype(np.int64)
    nodes = np.sort(np.where(touched, crossing, _NOWHERE), axis=1)
    runs = np.empty((len(rows), 2, 2), dtype=np.int64)
    runs[:, 0], runs[:, 1] = nodes[:, :2], _EMPTY_RUN
    a, b, c, d = nodes.T
    # A corner counts for both of its edges. Met at the start of a run it is taken once, or the run would end there.
    skip = (c != _NOWHERE) & (a == b)
    runs[skip, 0] = nodes[skip, 1:3]
    four = d != _NOWHERE
    later = four & ~(skip & (b != c))
    runs[later, 1] = nodes[later, 2:4]
    runs[later & skip, 0] = _EMPTY_RUN
    return Raster((int(low[0]), int(low[1]), int(high[0]), int(high[1])), int(low[1]), runs)
