"""Images made larger and smaller."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An image in another size: the mean over the area of each new pixel where it has fewer rows, else bilinear.

    To halve an image costs a fraction of what any other factor does, so that much smaller ones are halved as often as
    that goes before the rest is done. Bytes are rounded each time.

    Args:
        image: (H, W) or (H, W, C), any C.
        size: (height, width) of what is returned, which is the image itself where that is its size.
    """
    rows, columns = image.shape[:2]
    while rows >= 2 * size[0] and columns >= 2 * size[1] and rows % 2 == columns % 2 == 0:
        rows, columns = rows // 2, columns // 2
        image = _to(image, (rows, columns), cv2.INTER_AREA)
    if (rows, columns) == tuple(size):
        return image
    return _to(image, size, cv2.INTER_AREA if rows > size[0] else cv2.INTER_LINEAR)


def _to(image: NDArray[Any], size: tuple[int, int], how: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=how), dtype=image.dtype)
