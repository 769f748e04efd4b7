"""Average pooling of regions of interest as two matrix products.

A feature map is read as a function that is bilinear between the centres of its cells and constant beyond the outermost;
the value of a bin is the exact mean of that function over the bin. That mean is a weighted sum of cells whose weights
factor into one vector a side, so pooling all boxes is two products and no loop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 8
"""Parts of a map that are pooled from are whole multiples of this wide, so that products come in few sizes."""

CELL_CENTRE = 0.5
"""Cell i of a map of stride s has its receptive field centred on pixel s * i, which is s * i + 0.5 from the edge."""


def bin_weights(low: Tensor, high: Tensor, bins: int, cells: int, inside: bool = False) -> Tensor:
    """Weights with which the cells of one axis add up to the mean over each bin.

    Args:
        low: (N,) where each box starts, in cells: cell i has its centre at i.
        high: (N,) where it ends, above `low`.
        bins: equal parts that a box is cut into.
        cells: length of the axis.
        inside: whether all boxes are known to lie between the outermost centres.

    Returns:
        (N, bins, cells); each row adds up to 1.
    """
    steps = torch.linspace(0, 1, bins + 1, dtype=low.dtype, device=low.device)
    side = high - low
    edges = torch.addcmul(low[:, None], side[:, None], steps)
    centres = torch.arange(cells, dtype=low.dtype, device=low.device)
    # Integral, up to an edge, of each cell's hat function, which is 1 at its own centre and 0 at the neighbours', less
    # one half: t - t |t| / 2 at a distance t.
    offset = (edges[..., None] - centres).clamp_(-1, 1)
    integral: Tensor = torch.addcmul(offset, offset, offset.abs(), value=-0.5)
    if not inside:
        # Beyond the outermost centres the outermost cell counts in full.
        integral[..., 0] = torch.where(edges < 0, edges, integral[..., 0])
        integral[..., -1] = torch.where(edges > cells - 1, edges - (cells - 1), integral[..., -1])
    widths: Tensor = (side / bins).clamp_min(torch.finfo(low.dtype).tiny)
    return (integral[:, 1:] - integral[:, :-1]) / widths[:, None, None]


def pool_boxes(features: Tensor, corners: Tensor, bins: int) -> Tensor:
    """Means of a map over bins x bins parts of each box.

    Args:
        features: (H, W, C), in any floating type; the product runs in that type.
        corners: (N, 4) float32 `(x1, y1, x2, y2)` in cells, see `bin_weights`.
        bins: parts along each side.

    Returns:
        (N, bins * bins * C) in the type of `features`; rows of bins before columns before channels.
    """
    inside = False
    if features.device.type == "cpu" and len(corners):
        features, corners, inside = _near(features, corners)
    height, width, channels = features.shape
    count = len(corners)
    if height == width:
        # Both sides at once: for a few hundred boxes calls cost more than arithmetic.
        low, high = corners.T.reshape(2, -1)
        both = bin_weights(low, high, bins, width, inside).to(features.dtype)
        across, down = both[:count], both[count:]
    else:
        across = bin_weights(corners[:, 0], corners[:, 2], bins, width, inside).to(features.dtype)
        down = bin_weights(corners[:, 1], corners[:, 3], bins, height, inside).to(features.dtype)
    # First down the rows for all boxes at once, then across, each box with its own columns.
    rows = down.reshape(-1, height) @ features.reshape(height, width * channels)
    pooled = across[:, None] @ rows.reshape(count, bins, width, channels)
    return pooled.reshape(count, bins * bins * channels)


def _near(features: Tensor, corners: Tensor) -> tuple[Tensor, Tensor, bool]:
    """The part of a map that boxes need, all other cells weighing nothing, and the boxes in cells of that part.

    The part is as long as wide where the map is. The last is whether no box reaches beyond its outermost centres.
    """
    (left, top), (right, bottom) = corners[:, :2].amin(0).tolist(), corners[:, 2:].amax(0).tolist()
    height, width = features.shape[:2]
    inside = left >= 0 and top >= 0 and right <= width - 1 and bottom <= height - 1
    left, top = min(max(0.0, left), width), min(max(0.0, top), height)
    need = math.ceil(max(min(right, width) - left, min(bottom, height) - top)) + 2
    length = -(-need // BLOCK) * BLOCK
    if length >= max(height, width):
        return features, corners, inside
    rows, columns = min(height, length), min(width, length)
    row, column = min(int(top), height - rows), min(int(left), width - columns)
    part = features[row : row + rows, column : column + columns]
    return part, corners - corners.new_tensor([column, row, column, row]), inside
