"""Average pooling of regions of interest as two matrix products.

A feature map is read as a function that is bilinear between the centres of its cells and constant beyond the outermost;
the value of a bin is the exact mean of that function over the bin. That mean is a weighted sum of cells whose weights
factor into one vector a side, so pooling all boxes is two products and no loop.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 8
"""Parts of a map that are pooled from are whole multiples of this wide, so that products come in few sizes."""

CELL_CENTRE = 0.5
"""Cell i of a map of stride s has its receptive field centred on pixel s * i, which is s * i + 0.5 from the edge."""


def bin_weights(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights with which the cells of one axis add up to the mean over each bin.

    Args:
        low: (N,) where each box starts, in cells: cell i has its centre at i.
        high: (N,) where it ends, above `low`.
        bins: equal parts that a box is cut into.
        cells: length of the axis.

    Returns:
        (N, bins, cells); each row adds up to 1.
    """
    steps = torch.linspace(0, 1, bins + 1, dtype=low.dtype, device=low.device)
    edges = (low[:, None] + (high - low)[:, None] * steps)[..., None]
    centres = torch.arange(cells, dtype=low.dtype, device=low.device)
    # Integral, up to an edge, of each cell's hat function, which is 1 at its own centre and 0 at the neighbours'.
    offset = (edges - centres).clamp(-1, 1)
    integral = 0.5 + offset - 0.5 * offset * offset.abs()
    # Beyond the outermost centres the outermost cell counts in full.
    edge = edges[..., 0]
    integral[..., 0] = torch.where(edge < 0, edge + 0.5, integral[..., 0])
    integral[..., -1] = torch.where(edge > cells - 1, edge - cells + 1.5, integral[..., -1])
    widths = (edges[:, 1:] - edges[:, :-1]).clamp_min(torch.finfo(low.dtype).tiny)
    return (integral[:, 1:] - integral[:, :-1]) / widths


def pool_boxes(features: Tensor, corners: Tensor, bins: int) -> Tensor:
    """Means of a map over bins x bins parts of each box.

    Args:
        features: (H, W, C), in any floating type; the product runs in that type.
        corners: (N, 4) float32 `(x1, y1, x2, y2)` in cells, see `bin_weights`.
        bins: parts along each side.

    Returns:
        (N, bins * bins * C) in the type of `features`; rows of bins before columns before channels.
    """
    if features.device.type == "cpu" and len(corners):
        features, corners = _near(features, corners)
    height, width, channels = features.shape
    count = len(corners)
    if height == width:
        # Both sides at once: for a few hundred boxes calls cost more than arithmetic.
        sides = bin_weights(corners[:, :2].T.flatten(), corners[:, 2:].T.flatten(), bins, width).to(features.dtype)
        across, down = sides[:count], sides[count:]
    else:
        across = bin_weights(corners[:, 0], corners[:, 2], bins, width).to(features.dtype)
        down = bin_weights(corners[:, 1], corners[:, 3], bins, height).to(features.dtype)
    # First down the rows for all boxes at once, then across, each box with its own columns.
    rows = down.reshape(-1, height) @ features.reshape(height, width * channels)
    pooled = across[:, None] @ rows.reshape(count, bins, width, channels)
    return pooled.reshape(count, bins * bins * channels)


def _near(features: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """The part of a map that boxes need, and the boxes in cells of that part: all other cells weigh nothing."""
    low = corners[:, :2].amin(0).floor().tolist()
    high = corners[:, 2:].amax(0).ceil().tolist()
    slices, origin = [], []
    # The part is a square where the map allows.
    need = max(int(min(h, 1e6)) - int(max(l, -1e6)) + 1 for l, h in zip(low, high, strict=True))
    for cells, first in zip((features.shape[1], features.shape[0]), low, strict=True):
        length = min(cells, -(-need // BLOCK) * BLOCK)
        start = int(min(max(first, 0), cells - length))
        slices.append(slice(start, start + length))
        origin.append(start)
    if not any(origin) and (slices[1].stop, slices[0].stop) == features.shape[:2]:
        return features, corners
    return features[slices[1], slices[0]], corners - corners.new_tensor(origin * 2)
