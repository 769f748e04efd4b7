"""What the tracker says, drawn into the frame: box, status, score and the way that the target came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from asmd.sequence import Frame
from asmd.tracking.result import Status, TrackResult

COLOURS: dict[Status, tuple[int, int, int]] = {
    Status.FOUND: (60, 220, 90),
    Status.UNCERTAIN: (255, 190, 40),
    Status.LOST: (255, 70, 70),
}
"""RGB of each status. The word is written beside the box as well, for those who do not tell red from green."""

_DARK = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL = 3
"""Fractional bits of the coordinates given to OpenCV, so that a box that creeps is not drawn as one that jumps."""


@dataclass(frozen=True)
class Pen:
    """Sizes of what is drawn, by the size of the frame, so that it can be read at 240p as at 4K.

    Attributes:
        line: width of the box's lines, pixels.
        text: height of capital letters, pixels.
    """

    line: int
    text: int

    @classmethod
    def for_frame(cls, height: int, width: int) -> Pen:
        """The pen for a frame of this size."""
        side = (height * width) ** 0.5
        return cls(line=max(2, round(side / 320)), text=max(9, round(side / 48)))


class Annotator:
    """Draws results into frames, and keeps the trail.

    Args:
        trail: how many of the last centres to draw.
        name: of the target, written before its status.
        colour: RGB of its box and trail, where targets are to be told apart; that of the status where None.
    """

    def __init__(self, trail: int = 48, name: str = "", colour: tuple[int, int, int] | None = None) -> None:
        self._centres: deque[NDArray[np.float64]] = deque(maxlen=trail)
        self._name, self._colour = name, colour

    def draw(self, frame: Frame, result: TrackResult) -> Frame:
        """A copy of the frame with the result drawn in; the trail is that of the results given before.

        Args:
            frame: RGB uint8 (H, W, 3).
            result: what the tracker said of it.
        """
        image = frame.copy()
        pen = Pen.for_frame(*image.shape[:2])
        if result.status is Status.LOST:
            self._centres.clear()  # a guess is no way that the target came
        else:
            self._centres.append(result.box[:2] + result.box[2:] / 2)
        colour = self._colour or COLOURS[result.status]
        self._draw_trail(image, pen, colour)
        _draw_box(image, result, pen, colour)
        _draw_label(image, result, pen, self._name)
        return image

    def _draw_trail(self, image: Frame, pen: Pen, colour: tuple[int, int, int]) -> None:
        points = [_fixed(c) for c in self._centres]
        for age, (before, after) in enumerate(pairwise(points), 1):
            fade = age / len(points)
            shade = tuple(round(c * (0.35 + 0.65 * fade)) for c in colour)
            cv2.line(image, before, after, shade, max(1, round(pen.line * fade)), cv2.LINE_AA, _SUBPIXEL)


def _draw_box(image: Frame, result: TrackResult, pen: Pen, colour: tuple[int, int, int]) -> None:
    x, y, w, h = result.box
    # OpenCV's coordinates name centres of pixels; a box's are the edges of pixels.
    low, high = np.array([x, y]) - 0.5, np.array([x + w, y + h]) - 0.5
    if result.status is Status.LOST:
        _draw_corners(image, low, high, colour, pen)
        return
    for shade, line in ((_DARK, pen.line + 2), (colour, pen.line)):
        cv2.rectangle(image, _fixed(low), _fixed(high), shade, line, cv2.LINE_AA, _SUBPIXEL)


def _draw_corners(
    image: Frame, low: NDArray[np.float64], high: NDArray[np.float64], colour: tuple[int, int, int], pen: Pen
) -> None:
    """Corners only: the box of a lost target is a guess."""
    arm = (high - low) / 4
    for shade, line in ((_DARK, pen.line + 2), (colour, pen.line)):
        for corner, sign in (
            (low, (1, 1)),
            (high, (-1, -1)),
            (np.array([low[0], high[1]]), (1, -1)),
            (np.array([high[0], low[1]]), (-1, 1)),
        ):
            for axis in (0, 1):
                end = corner.copy()
                end[axis] += sign[axis] * arm[axis]
                cv2.line(image, _fixed(corner), _fixed(end), shade, line, cv2.LINE_AA, _SUBPIXEL)


def _draw_label(image: Frame, result: TrackResult, pen: Pen, name: str) -> None:
    height, width = image.shape[:2]
    score = f" {result.score:.2f}" if np.isfinite(result.score) else ""
    # OpenCV's letters are those of ASCII.
    text = f"{name} ".encode("ascii", "replace").decode().lstrip() + f"{result.status}{score}"
    thickness = max(1, pen.text // 9)
    scale = cv2.getFontScaleFromHeight(_FONT, pen.text, thickness)
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, pen.text // 4)
    tag_width, tag_height = text_width + 2 * pad, text_height + below + 2 * pad
    x, y, _, h = result.box
    # Above the box, or below it where there is no room, or inside; always whole within the frame.
    left = int(np.clip(round(x), 0, max(0, width - tag_width)))
    top = round(y) - tag_height - pen.line
    if top < 0:
        top = round(y + h) + pen.line
    top = int(np.clip(top, 0, max(0, height - tag_height)))
    cv2.rectangle(image, (left, top), (left + tag_width, top + tag_height), COLOURS[result.status], cv2.FILLED)
    at = left + pad, top + pad + text_height
    cv2.putText(image, text, at, _FONT, scale, _DARK, thickness, cv2.LINE_AA)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.round(np.clip(point, -1e5, 1e5) * (1 << _SUBPIXEL)).astype(int)
    return int(x), int(y)
