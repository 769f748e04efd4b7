"""What the network sees of a frame: rectangles of the image and of its flow. Tracking and training share it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, enlarge, to_corners
from asmd.flow import Flow, network_input
from asmd.resizing import resized
from asmd.sequence import Frame

Image: TypeAlias = NDArray[np.integer | np.floating]
"""A frame or a flow: (H, W, C)."""

LARGE = 256
"""A search region whose side is that many pixels of the frame, times a power of two, has a side that can be halved as
often."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def region_corners(around: Boxes, scale: float) -> NDArray[np.int64]:
    """The square search region about a box.

    Args:
        around: (4,) the box.
        scale: side of the region, in mean sides (square root of area) of the box.

    Returns:
        (4,) integer x1, y1, x2, y2 in pixels of the frame; may reach beyond it.
    """
    side = max(2.0, scale * float(np.sqrt(around[2] * around[3])))
    low = np.floor(around[:2] + around[2:] / 2 - side / 2).astype(np.int64)
    # What is going to be made much smaller is of a side that can be halved.
    unit = 2 ** max(0, math.floor(math.log2(side / LARGE)))
    return np.concatenate([low, low + max(2, unit * round(side / unit))])


def crop_corners(boxes: Boxes, context: float) -> NDArray[np.int64]:
    """Where boxes are cropped, each enlarged by `context`: (N, 4) -> (N, 4) integer x1, y1, x2, y2."""
    corners = np.round(to_corners(enlarge(boxes, context))).astype(np.int64)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    return corners


def cut(image: Image, corners: NDArray[np.int64], size: tuple[int, int], replicate: bool) -> Image:
    """A rectangle of an image resized; beyond the image it is padded.

    Args:
        image: (H, W, C), any C.
        corners: (4,) integer x1, y1, x2, y2; may lie outside the image.
        size: (height, width) of what is returned.
        replicate: pad with the nearest pixel; otherwise with zero.

    Returns:
        (height, width, C) of the type of `image`.
    """
    x1, y1, x2, y2 = (int(v) for v in corners)
    height, width = image.shape[:2]
    # At least one row and column of the image, so that there is something to pad from.
    left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    right, bottom = min(max(x2, left + 1), width), min(max(y2, top + 1), height)
    inside = image[top:bottom, left:right]
    above, below, before, after = (max(b, 0) for b in (top - y1, y2 - bottom, left - x1, x2 - right))
    if above or below or before or after:
        kind = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
        inside = np.asarray(cv2.copyMakeBorder(inside, above, below, before, after, kind))
    return resized(inside, size)


def stream_inputs(
    frame: Frame, flows: Sequence[Flow], flow_scale: float, corners: NDArray[np.int64], size: tuple[int, int]
) -> tuple[Image, Image]:
    """Both streams' inputs of one rectangle of a frame.

    Args:
        frame: RGB uint8 (H, W, 3).
        flows: L flows that lead to it, oldest first, see `asmd.flow.FlowStack.flows`.
        flow_scale: pixels of the flows per pixel of the frame.
        corners: (4,) integer x1, y1, x2, y2 in pixels of the frame.
        size: (height, width) of what is returned.

    Returns:
        (height, width, 3) uint8 and (height, width, 2L) float32, see `asmd.flow.network_input`.
    """
    scaled = np.round(corners * flow_scale).astype(np.int64)
    scaled[2:] = np.maximum(scaled[2:], scaled[:2] + 1)
    layers = [cut(flow, scaled, size, replicate=False) for flow in flows]
    motion = network_input(np.concatenate(layers, axis=2).astype(np.float32))
    return cut(frame, corners, size, replicate=True), motion


def scaling(device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and summand (1, 3, 1, 1) that take pixels in 0..255 to what ImageNet's networks are given."""
    scale = torch.tensor([1 / (255 * s) for s in IMAGENET_STD], device=device)
    shift = torch.tensor([-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)], device=device)
    return scale.view(1, 3, 1, 1), shift.view(1, 3, 1, 1)
