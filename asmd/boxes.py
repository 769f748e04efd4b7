"""Box arithmetic on arrays.

A box is `(x, y, w, h)` in floating point: 0-based, top-left corner, in pixels of the original frame. A pixel covers
`[i, i + 1)`, so a box that covers the whole of a W x H frame is `(0, 0, W, H)`. Every function takes and returns arrays
whose last axis is the box and broadcasts over the others, unless it says otherwise.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes: TypeAlias = NDArray[np.float64]


def as_boxes(boxes: ArrayLike) -> Boxes:
    """Boxes as a float64 array of shape (..., 4).

    Raises:
        ValueError: if the last axis has not four entries.
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise ValueError(f"boxes need a last axis of 4 (x, y, w, h), got shape {array.shape}")
    return array


def to_corners(boxes: ArrayLike) -> Boxes:
    """(x, y, w, h) -> (x1, y1, x2, y2)."""
    b = as_boxes(boxes)
    return np.concatenate([b[..., :2], b[..., :2] + b[..., 2:]], axis=-1)


def from_corners(corners: ArrayLike) -> Boxes:
    """(x1, y1, x2, y2) -> (x, y, w, h)."""
    c = as_boxes(corners)
    return np.concatenate([c[..., :2], c[..., 2:] - c[..., :2]], axis=-1)


def to_center(boxes: ArrayLike) -> Boxes:
    """(x, y, w, h) -> (cx, cy, w, h)."""
    b = as_boxes(boxes)
    return np.concatenate([b[..., :2] + b[..., 2:] / 2, b[..., 2:]], axis=-1)


def from_center(centered: ArrayLike) -> Boxes:
    """(cx, cy, w, h) -> (x, y, w, h)."""
    c = as_boxes(centered)
    return np.concatenate([c[..., :2] - c[..., 2:] / 2, c[..., 2:]], axis=-1)


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Areas in square pixels, shape (...,); a negative side counts as zero."""
    sides = np.maximum(as_boxes(boxes)[..., 2:], 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def is_valid(boxes: ArrayLike) -> NDArray[np.bool_]:
    """Where a box is finite and has a positive area, shape (...,)."""
    b = as_boxes(boxes)
    finite = np.isfinite(b).all(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(finite & (b[..., 2] > 0) & (b[..., 3] > 0))


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of boxes that broadcast against each other.

    Args:
        a: boxes of shape (..., 4).
        b: boxes of a shape that broadcasts with `a`.

    Returns:
        IoU in [0, 1], of the broadcast shape without its last axis; 0 where the union is empty, NaN where a box is NaN.
    """
    first, second = to_corners(a), to_corners(b)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    sides = np.where(np.isnan(sides), sides, np.maximum(sides, 0.0))
    inter = sides[..., 0] * sides[..., 1]
    union = area(a) + area(b) - inter
    ratio = np.divide(inter, union, out=np.zeros_like(inter * union), where=union != 0)
    # Rounding can leave a box with itself a hair above 1, which a strict threshold of 1 would let through.
    return np.asarray(np.minimum(ratio, 1.0))


def iou_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """IoU of every box of `a` (N, 4) with every box of `b` (M, 4), shape (N, M)."""
    return iou(as_boxes(a)[:, None, :], as_boxes(b)[None, :, :])


def clip_to_frame(boxes: ArrayLike, frame_size: tuple[int, int], min_side: float = 0.0) -> Boxes:
    """The part of each box inside the frame.

    Args:
        boxes: boxes of shape (..., 4).
        frame_size: (height, width) in pixels.
        min_side: least width and height of what is returned; a box that lies outside is moved to the nearest edge so
            that this much of it shows. Never more than the frame itself.

    Returns:
        Boxes of shape (..., 4) inside the frame.
    """
    height, width = frame_size
    corners = to_corners(boxes)
    limit = np.array([width, height], dtype=np.float64)
    side = np.minimum(min_side, limit)
    low = np.clip(corners[..., :2], 0.0, limit - side)
    high = np.clip(corners[..., 2:], low + side, limit)
    return from_corners(np.concatenate([low, high], axis=-1))


def enlarge(boxes: ArrayLike, factor: float) -> Boxes:
    """Boxes of the same centres with both sides multiplied by `factor`."""
    c = to_center(boxes)
    return from_center(np.concatenate([c[..., :2], c[..., 2:] * factor], axis=-1))


def polygon_bounds(polygons: ArrayLike) -> Boxes:
    """Axis-aligned bounds of polygons given as x1, y1, x2, y2, ...: (..., 2n) -> (..., 4)."""
    points = np.asarray(polygons, dtype=np.float64)
    xs, ys = points[..., 0::2], points[..., 1::2]
    low = np.stack([xs.min(axis=-1), ys.min(axis=-1)], axis=-1)
    high = np.stack([xs.max(axis=-1), ys.max(axis=-1)], axis=-1)
    return np.concatenate([low, high - low], axis=-1)


def polygon_to_box(polygons: ArrayLike) -> Boxes:
    """Boxes that keep the centre and the area of four-point polygons: (..., 8) -> (..., 4).

    The bounds of the polygon are shrunk about the mean of its points by the square root of the ratio of the areas,
    which is how VOT rectangles are commonly initialised (FACTS 7.6); it assumes the points in order around a
    near-rectangle.
    """
    points = np.asarray(polygons, dtype=np.float64)
    xs, ys = points[..., 0::2], points[..., 1::2]
    bounds = polygon_bounds(points)
    first = np.hypot(xs[..., 0] - xs[..., 1], ys[..., 0] - ys[..., 1])
    second = np.hypot(xs[..., 1] - xs[..., 2], ys[..., 1] - ys[..., 2])
    outer = area(bounds)
    ratio = np.sqrt(np.divide(first * second, outer, out=np.zeros_like(outer), where=outer > 0))
    centre = np.stack([xs.mean(axis=-1), ys.mean(axis=-1)], axis=-1)
    # The published rule adds one pixel to each side, because its coordinates name pixels, not their edges.
    return from_center(np.concatenate([centre, ratio[..., None] * bounds[..., 2:] + 1.0], axis=-1))
