"""What people look at: the video with all targets drawn in, and each target cut out of every frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from asmd.boxes import clip_to_frame, enlarge, to_corners
from asmd.convert.annotation import Annotation, Target, file_names
from asmd.errors import OutputError, SourceError
from asmd.files import make_folder
from asmd.sequence import Frame
from asmd.tracking.result import Status
from asmd.video.annotate import Annotator
from asmd.video.sinks import write_video
from asmd.video.sources import Source

Told = Callable[[int], None]
"""Is called with the number of each frame that is done; an exception that it raises ends the work."""


def write_annotated(annotation: Annotation, source: Source, path: Path, told: Told | None = None) -> list[Path]:
    """Write the video with names, boxes, status, scores and trails drawn in.

    Args:
        annotation: of the video.
        source: the video.
        path: the file, ending in .mp4, .m4v, .mov or .mkv.
        told: of progress.

    Raises:
        OutputError: if it cannot be written.
        SourceError: if the video cannot be read.
    """
    several = len(annotation.targets) > 1
    annotators = [
        Annotator(name=t.name if several else "", colour=_rgb(t.colour) if several else None)
        for t in annotation.targets
    ]
    with write_video(path, source.fps or annotation.fps) as video, source.frames() as numbered:
        for number, frame in numbered:
            for target, annotator in zip(annotation.targets, annotators, strict=True):
                if number < annotation.frames and target.there[number]:
                    frame = annotator.draw(frame, target.result(number))
            video.write(frame)
            if told is not None:
                told(number)
    return [path]


def write_crops(
    annotation: Annotation, source: Source, path: Path, told: Told | None = None, *, margin: float = 0.0
) -> list[Path]:
    """Write what is in the boxes as images: `PATH/<target>/<frame>.png`, those of lost frames left out.

    Args:
        annotation: of the video.
        source: the video.
        path: the folder.
        told: of progress.
        margin: boxes are enlarged by this share of their sides.

    Raises:
        OutputError: if an image cannot be written, or there is none to write.
        SourceError: if the video cannot be read.
    """
    folders = [make_folder(path / name) for name in file_names(annotation.targets)]
    written: list[Path] = []
    with source.frames(0, annotation.frames) as numbered:
        for number, frame in numbered:
            for target, folder in zip(annotation.targets, folders, strict=True):
                piece = _piece(frame, target, number, margin)
                if piece is not None:
                    written.append(folder / f"{number:06d}.png")
                    _write_image(written[-1], piece)
            if told is not None:
                told(number)
    if not written:
        raise OutputError(f"{path}: no target has a box, so there is nothing to cut out")
    return written


def _piece(frame: Frame, target: Target, number: int, margin: float) -> Frame | None:
    if not target.there[number] or target.status[number] == Status.LOST:
        return None
    size = frame.shape[0], frame.shape[1]
    x1, y1, x2, y2 = to_corners(clip_to_frame(enlarge(target.boxes[number], 1 + margin), size))
    piece = frame[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))]
    return piece if piece.size else None


def _write_image(path: Path, image: Frame) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise OutputError(f"{path} cannot be written")


def _rgb(colour: str) -> tuple[int, int, int] | None:
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)) if colour else None


def check_length(annotation: Annotation, source: Source) -> None:
    """Raises SourceError where a video is known to be shorter than its annotation."""
    if source.count is not None and source.count < annotation.frames:
        raise SourceError(f"{source.name} has {source.count} frames, its annotation {annotation.frames}")
