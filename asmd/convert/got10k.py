"""GOT-10k: a folder for each target, in the layout of the validation set.

    PATH/val/list.txt
    PATH/val/<target>/groundtruth.txt, absence.label, cover.label, cut_by_image.label, meta_info.ini

A frame without a box is absent, and its box 0,0,0,0.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from asmd.convert.annotation import Annotation, Target, file_names
from asmd.convert.otb import rows_of
from asmd.datasets import got10k
from asmd.evaluation.results import write_atomic
from asmd.sequence import Sequence

SUBSET = "val"


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the folder.

    Raises:
        OutputError: if a file cannot be written.
    """
    names = file_names(annotation.targets)
    written = []
    for target, name in zip(annotation.targets, names, strict=True):
        there, folder = target.there, path / SUBSET / name
        cut = np.zeros(annotation.frames, dtype=int)
        if annotation.size is not None:
            low, high = target.boxes[:, :2], target.boxes[:, :2] + target.boxes[:, 2:]
            cut[there] = ((low[there] <= 0) | (high[there] >= annotation.size)).any(axis=1)
        files = {
            "groundtruth.txt": rows_of(np.where(there[:, None], target.boxes, 0.0)),
            "absence.label": _column(~there),
            "cover.label": _column(np.where(there, 8, 0)),
            "cut_by_image.label": _column(cut),
            "meta_info.ini": _meta(target, annotation),
        }
        for file, text in files.items():
            write_atomic(folder / file, text)
            written.append(folder / file)
    write_atomic(path / SUBSET / "list.txt", "".join(f"{name}\n" for name in names))
    return [*written, path / SUBSET / "list.txt"]


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read the folder, with the reader of the data set.

    Args:
        path: the folder above `val`, or `val` itself.
        size: (width, height), where the files do not say.
        fps: frames a second, where the files do not say.

    Raises:
        DatasetError: if it is incomplete or malformed.
    """
    sequences = list(got10k.load(path, subset=SUBSET, frames=False))
    said = [_said(s.meta) for s in sequences]
    size = next((s for s, _ in said if s is not None), size)
    fps = next((f for _, f in said if f is not None), fps)
    return Annotation.of([_target(s) for s in sequences], 0, size, fps, path.name)


def _target(sequence: Sequence) -> Target:
    assert sequence.absent is not None
    nowhere = sequence.absent & ~sequence.valid
    name = sequence.meta.get("object_class") or sequence.name
    return Target(name, np.where(nowhere[:, None], np.nan, sequence.boxes))


def _column(values: Any) -> str:
    return "".join(f"{int(v)}\n" for v in values)


def _meta(target: Target, annotation: Annotation) -> str:
    lines = ["[METAINFO]", f"object_class: {' '.join(target.name.split())}"]
    if annotation.fps is not None:
        lines.append(f"anno_fps: {annotation.fps!r}Hz")
    if annotation.size is not None:
        lines.append(f"resolution: {annotation.size}")
    return "\n".join(lines) + "\n"


def _said(meta: dict[str, str]) -> tuple[tuple[int, int] | None, float | None]:
    """Size and rate in `meta_info.ini`."""
    size = re.fullmatch(r"\((\d+), (\d+)\)", meta.get("resolution", ""))
    rate = re.fullmatch(r"([\d.]+)\s*[Hh]z", meta.get("anno_fps", ""))
    return (int(size[1]), int(size[2])) if size else None, float(rate[1]) if rate else None
