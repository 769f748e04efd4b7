"""VOT short-term challenges: VOT2018, or any folder in the layout of VOT 2013 to 2019.

ROOT/list.txt                               names of the sequences
ROOT/<sequence>/color/00000001.jpg          before 2018: ROOT/<sequence>/00000001.jpg
ROOT/<sequence>/groundtruth.txt             four corners x1,y1,...,x4,y4 a frame, or x,y,w,h
ROOT/<sequence>/<tag>.tag, <label>.label    0 or 1 a frame
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes, polygon_bounds, polygon_to_box, to_corners
from asmd.datasets._facts import table
from asmd.datasets._images import every_image
from asmd.datasets._rows import listed_names, read_flags, read_rows
from asmd.datasets.dataset import Dataset, check_subset, gather
from asmd.errors import ConfigError, DatasetError
from asmd.sequence import Sequence


def load(root: Path, *, subset: str = "", frames: bool = True, boxes: str = "area") -> Dataset:
    """Find the sequences of a VOT challenge.

    Args:
        root: the folder of `list.txt`.
        subset: `2018` expects the 60 sequences of VOT2018 (those of VOT2017, too); empty takes the list as it is.
        frames: False reads the annotation without looking for images.
        boxes: how a rotated rectangle becomes a box: `area` keeps its centre and area (PySOT, the GOT-10k toolkit),
            `bounds` is the axis-aligned bound (MDNet). The corners themselves are in `Sequence.polygons`.

    Raises:
        DatasetError: if there is no sequence at all.
        ConfigError: for another subset or way of making boxes.
    """
    check_subset("vot", subset, ("2018", ""))
    if boxes not in ("area", "bounds"):
        raise ConfigError(f"boxes of vot are made by 'area' or 'bounds', not {boxes!r}")
    names = [row[0] for row in table("vot2018.txt")] if subset else listed_names(root)
    return gather(
        f"vot{subset}",
        root,
        {name: root / name / "groundtruth.txt" for name in names},
        partial(_read, frames=frames, how=boxes),
        layout=f"{root}/list.txt and {root}/<sequence>/groundtruth.txt",
    )


def _read(name: str, annotation: Path, frames: bool, how: str) -> Sequence:
    folder = annotation.parent
    rows = read_rows(annotation, {4, 8}, nan_rows=True)
    boxes, polygons = _regions(rows, how)
    tags = {p.stem: _tag(p, len(rows)) for p in sorted([*folder.glob("*.tag"), *folder.glob("*.label")])}
    color = folder / "color"
    return Sequence(
        name=name,
        frames=every_image(color if color.is_dir() else folder, len(rows), annotation) if frames else (),
        boxes=boxes,
        polygons=polygons,
        attributes=tuple(name for name, flags in tags.items() if flags.any()),
        meta={f"frames of {name}": "".join(map(str, flags)) for name, flags in tags.items()},
    )


def _regions(rows: NDArray[np.float64], how: str) -> tuple[Boxes, NDArray[np.float64]]:
    """Boxes and corners. Some sequences (conduction1 of VOT2017 and 2018) come as x,y,w,h among others with corners."""
    if rows.shape[1] == 8:
        return (polygon_to_box if how == "area" else polygon_bounds)(rows), rows
    x1, y1, x2, y2 = to_corners(rows).T
    return rows, np.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=-1)


def _tag(path: Path, rows: int) -> NDArray[np.int64]:
    """A tag's flags; a file that ends early says 0 for the frames after it."""
    if path.stat().st_size == 0:
        return np.zeros(rows, dtype=np.int64)
    flags = (read_flags(path) != 0).astype(np.int64)
    if len(flags) > rows:
        raise DatasetError(f"{path} has {len(flags)} values for {rows} frames")
    return np.pad(flags, (0, rows - len(flags)))
