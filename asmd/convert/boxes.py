"""Boxes files of our own (`asmd.boxfiles`): plain text, table or JSON by the ending, a file for each target."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from asmd.boxfiles import read_track, write_boxes
from asmd.convert.annotation import Annotation, Target
from asmd.errors import ResultsError
from asmd.tracking.result import Status, TrackResult


def write_one(target: Target, annotation: Annotation, path: Path) -> None:
    """Write one target, with every digit.

    Raises:
        OutputError: if the file cannot be written.
    """
    plain = path.suffix.lower() == ".txt"
    about = {
        "name": target.name,
        "colour": target.colour,
        "video": annotation.name,
        "count": annotation.frames,
        "size": annotation.size,
        "fps": annotation.fps,
        "drawn": np.flatnonzero(target.drawn).tolist(),
        "status_known": any(target.status),
    }
    with write_boxes(path, about, exact=True) as add:
        for frame in range(annotation.frames):
            if target.there[frame]:
                add(target.result(frame))
            elif plain:  # a row for each frame, so that row and frame stay together
                add(TrackResult(frame, target.boxes[frame], math.nan, Status.LOST))


def read_one(path: Path) -> Annotation:
    """Read one target.

    Raises:
        ResultsError: if the file is malformed.
    """
    results, about = read_track(path)
    known = path.suffix.lower() != ".txt" and bool(about.get("status_known", True))
    count = _rows(path) if path.suffix.lower() == ".txt" else about.get("count")
    try:
        target = Target.of_results(
            str(about.get("name") or path.stem),
            results,
            count,
            drawn=about.get("drawn", ()),
            colour=str(about.get("colour") or ""),
            known=known,
        )
        return Annotation.of([target], count or 0, _size(about), about.get("fps"), str(about.get("video") or path.stem))
    except (TypeError, ValueError) as error:
        raise ResultsError(f"{path}: what it says of the video is malformed") from error


def _rows(path: Path) -> int:
    return len(path.read_text(encoding="utf-8-sig").rstrip().split("\n"))


def _size(about: dict[str, Any]) -> tuple[int, int] | None:
    size = about.get("size")
    return (int(size[0]), int(size[1])) if size else None
