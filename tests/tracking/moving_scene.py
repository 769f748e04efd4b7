"""A small moving scene, made on the spot."""

from __future__ import annotations

import cv2
import numpy as np

from asmd.boxes import Boxes
from asmd.sequence import Frame


class Scene:
    """A chequered disc that moves over a smooth background."""

    def __init__(self, height: int = 120, width: int = 160, side: int = 28) -> None:
        rng = np.random.default_rng(0)
        noise = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)).astype(np.float32), (0, 0), 6)
        self.background = np.asarray(cv2.normalize(noise, None, 40, 160, cv2.NORM_MINMAX), np.uint8)
        self.side = side

    def box(self, index: int) -> Boxes:
        return np.array([40.0 + 2 * index, 40 + index, self.side, self.side])

    def frame(self, index: int, visible: bool = True) -> Frame:
        frame = self.background.copy()
        if visible:
            x, y = self.box(index)[:2].astype(int)
            tile = np.indices((self.side, self.side)).sum(axis=0) // 7 % 2 * 255
            inside = np.hypot(*(np.indices((self.side, self.side)) - self.side / 2)) < self.side / 2
            frame[y : y + self.side, x : x + self.side][inside] = np.stack([tile, 255 - tile, tile * 0], axis=2)[inside]
        return frame
