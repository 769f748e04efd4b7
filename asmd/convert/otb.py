"""OTB: `x,y,w,h` a frame, counted from 1; a row of NaN where there is no box. A file for each target."""

from __future__ import annotations

from pathlib import Path

from asmd.boxes import Boxes
from asmd.convert.annotation import Annotation, Target
from asmd.datasets._rows import read_rows
from asmd.datasets.otb import ORIGIN
from asmd.evaluation.results import write_atomic


def write_one(target: Target, annotation: Annotation, path: Path) -> None:
    """Write one target.

    Raises:
        OutputError: if the file cannot be written.
    """
    write_atomic(path, rows_of(target.boxes + ORIGIN))


def read_one(path: Path) -> Annotation:
    """Read one target.

    Raises:
        DatasetError: if the file is malformed; the text names the row.
    """
    boxes = read_rows(path, {4}, nan_rows=True) - ORIGIN
    return Annotation.of([Target(path.stem, boxes)], name=path.stem)


def rows_of(boxes: Boxes) -> str:
    """Boxes (N, 4) as lines `x,y,w,h`, to a millionth of a pixel."""
    return "".join(",".join(_number(v) for v in box) + "\n" for box in boxes.tolist())


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
