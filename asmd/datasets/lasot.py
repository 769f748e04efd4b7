"""LaSOT: 70 classes of 20 long sequences.

    ROOT/<class>/<class>-<n>/img/00000001.jpg
    ROOT/<class>/<class>-<n>/groundtruth.txt, full_occlusion.txt, out_of_view.txt, nlp.txt
    ROOT/<class>-<n>.txt, absent/<class>-<n>.txt, att/<class>-<n>.txt   or the boxes alone, as in LaSOT's toolkit

Boxes are 1-based in the files. Each of the two flag files is one line with a 0 or 1 for each frame.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asmd.datasets._facts import table
from asmd.datasets._images import every_image
from asmd.datasets._rows import read_flags, read_rows
from asmd.datasets.dataset import Dataset, check_subset, gather
from asmd.sequence import Sequence

SUBSETS = {"I": "lasot-I", "II": "lasot", "train": "lasot-train"}
"""Protocol I: all 1,400; protocol II: the 280 of the test set; the 1,120 that protocol II trains on."""

ATTRIBUTES = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")
"""In the order of the columns of the toolkit's attribute files."""


def load(root: Path, *, subset: str = "II", frames: bool = True) -> Dataset:
    """Find the sequences of a protocol.

    Args:
        root: the folder above the classes' folders (or above the sequences', as the test set is also handed out); with
            `frames=False` also the `annos` folder of LaSOT's toolkit.
        subset: `I`, `II` or `train`.
        frames: False reads the annotation without looking for images.

    Raises:
        DatasetError: if there is no sequence at all.
        ConfigError: for another subset.
    """
    check_subset("lasot", subset, SUBSETS)
    alone = "" if frames else f" or {root}/airplane-1.txt"
    return gather(
        SUBSETS[subset],
        root,
        {name: _annotation(root, name, frames) for name in names(subset)},
        partial(_read, frames=frames),
        layout=f"{root}/airplane/airplane-1/groundtruth.txt{alone} and so on",
        origin=1,
    )


def names(subset: str) -> list[str]:
    """Names of the sequences of a subset, by class and number."""
    chosen = []
    for kind, numbers in table("lasot.tsv"):
        test = {int(n) for n in numbers.split(",")}
        kept = {"I": set(range(1, 21)), "II": test, "train": set(range(1, 21)) - test}[subset]
        chosen += [f"{kind}-{n}" for n in sorted(kept)]
    return chosen


def _annotation(root: Path, name: str, frames: bool) -> Path:
    official = root / name.rpartition("-")[0] / name / "groundtruth.txt"
    others = [root / name / "groundtruth.txt", *([] if frames else [root / f"{name}.txt"])]
    return next((p for p in (official, *others) if p.is_file()), official)


def _read(name: str, annotation: Path, frames: bool) -> Sequence:
    boxes = read_rows(annotation, {4}) - np.array([1.0, 1.0, 0.0, 0.0])
    folder = annotation.parent
    meta = {"class": name.rpartition("-")[0]}
    attributes: tuple[str, ...] = ()
    absent: NDArray[np.bool_]
    if annotation.name == "groundtruth.txt":
        flags = [read_flags(folder / f"{kind}.txt", len(boxes)) for kind in ("full_occlusion", "out_of_view")]
        absent = (flags[0] != 0) | (flags[1] != 0)
        if (folder / "nlp.txt").is_file():
            meta["description"] = (folder / "nlp.txt").read_text(encoding="utf-8", errors="replace").strip()
    else:
        absent = read_flags(folder / "absent" / f"{name}.txt", len(boxes)) != 0
        labels = folder / "att" / f"{name}.txt"
        if labels.is_file():
            attributes = tuple(a for a, f in zip(ATTRIBUTES, read_flags(labels, len(ATTRIBUTES)), strict=True) if f)
    return Sequence(
        name=name,
        frames=every_image(folder / "img", len(boxes), annotation) if frames else (),
        boxes=boxes,
        absent=absent,
        attributes=attributes,
        meta=meta,
    )
