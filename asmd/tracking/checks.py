"""What a tracker can start from: frames and boxes as users give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from asmd.boxes import Boxes, clip_to_frame
from asmd.errors import BoxError, FrameError
from asmd.sequence import Frame
from asmd.tracking.candidates import FrameSize

MIN_SIDE = 4.0
"""A box with a side under this many pixels cannot be tracked."""


def check_frame(frame: object, size: FrameSize | None = None) -> Frame:
    """The frame, if it is RGB uint8 (H, W, 3).

    Args:
        frame: anything.
        size: (height, width) that it must have.

    Raises:
        FrameError: if it is not a frame, or not of that size.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        what = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise FrameError(f"a frame must be RGB uint8 of shape (height, width, 3), got {what}")
    if min(frame.shape[:2]) < 2 * MIN_SIDE:
        raise FrameError(f"a frame of {frame.shape[1]}x{frame.shape[0]} pixels is too small to track in")
    if size is not None and frame.shape[:2] != size:
        raise FrameError(f"the frame's size changed from {size[1]}x{size[0]} to {frame.shape[1]}x{frame.shape[0]}")
    return frame


def check_box(box: ArrayLike, frame_size: FrameSize) -> Boxes:
    """The box, clipped to the frame, if it can be tracked.

    Args:
        box: `(x, y, w, h)`.
        frame_size: (height, width).

    Returns:
        (4,) float64.

    Raises:
        BoxError: if it is not four finite numbers, has no area, or its part inside the frame is too small.
    """
    try:
        array = np.asarray(box, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise BoxError(f"a box is four numbers x, y, w, h, got {box!r}") from error
    if array.shape != (4,):
        raise BoxError(f"a box is four numbers x, y, w, h, got {len(array)}")
    text = ",".join(f"{v:g}" for v in array)
    if not np.isfinite(array).all():
        raise BoxError(f"the box {text} is not finite")
    if (array[2:] <= 0).any():
        raise BoxError(f"the box {text} has no area: width and height must be positive")
    height, width = frame_size
    if (array[:2] >= [width, height]).any() or (array[:2] + array[2:] <= 0).any():
        raise BoxError(f"the box {text} lies outside the frame of {width}x{height} pixels")
    inside = clip_to_frame(array, frame_size)
    if (inside[2:] < MIN_SIDE).any():
        raise BoxError(f"the box {text} is too small: {MIN_SIDE:g} pixels a side inside the frame are the least")
    return inside
