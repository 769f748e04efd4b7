"""UAV123, UAV123@10fps and UAV20L: 123 short and 20 long sequences from a drone.

    ROOT/anno/UAV123/<sequence>.txt             x,y,w,h a frame; NaN,NaN,NaN,NaN where the target is out of view
    ROOT/anno/UAV123/att/<sequence>.txt         twelve flags
    ROOT/data_seq/UAV123/<folder>/000001.jpg
    ROOT/<sequence>.txt                         or the boxes alone

Many sequences are parts of one folder of images (bird1_2 is images 775 to 1477 of bird1), and UAV20L is whole folders.
UAV123@10fps is every third image of each folder, numbered anew, under `UAV123_10fps` in place of `UAV123`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asmd.datasets._facts import table
from asmd.datasets._images import numbered_images, pick
from asmd.datasets._rows import read_flags, read_rows
from asmd.datasets.dataset import Dataset, check_subset, gather
from asmd.errors import DatasetError
from asmd.sequence import Sequence
from asmd.video import ImageFrames

SUBSETS = {"123": "UAV123", "10fps": "UAV123_10fps", "20l": "UAV20L"}
"""The three sets, and the name that their files go by."""

ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")
"""In the order of the columns of the attribute files."""


@dataclass(frozen=True)
class Part:
    """A sequence as images `first` to `last`, counted from 1, of a folder."""

    name: str
    folder: str
    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


def parts(subset: str) -> list[Part]:
    """The sequences of a subset."""
    rows = [Part(n, f, int(a), int(z)) for n, f, a, z in table("uav20l.tsv" if subset == "20l" else "uav123.tsv")]
    if subset == "10fps":
        return [Part(p.name, p.folder, (p.first - 1) // 3 + 1, (p.last - 1) // 3 + 1) for p in rows]
    return rows


def load(root: Path, *, subset: str = "123", frames: bool = True) -> Dataset:
    """Find the sequences of one of the three sets.

    Args:
        root: the folder of `anno` and `data_seq`, or the one above it; with `frames=False` also a folder of
            `<sequence>.txt` alone.
        subset: `123`, `10fps` or `20l`.
        frames: False reads the annotation without looking for images.

    Raises:
        DatasetError: if there is no sequence at all.
        ConfigError: for another subset.
    """
    check_subset("uav123", subset, SUBSETS)
    label = SUBSETS[subset]
    annotations = _annotation_folder(root, label, frames)
    base = annotations.parent if annotations.name == "anno" else annotations.parent.parent
    images = base / "data_seq" / ("UAV123" if subset == "20l" else label)
    wanted = {part.name: part for part in parts(subset)}
    return gather(
        label.lower(),
        root,
        {name: annotations / f"{name}.txt" for name in wanted},
        partial(_read, wanted=wanted, images=images if frames else None),
        layout=f"{root}/anno/{label}/<sequence>.txt and {root}/data_seq/{images.name}",
        lengths={name: part.length for name, part in wanted.items()},
    )


def _annotation_folder(root: Path, label: str, frames: bool) -> Path:
    candidates = [root / "anno" / label, root / label / "anno" / label, root / "UAV123" / "anno" / label, root / "anno"]
    candidates += [] if frames else [root]
    return next((p for p in candidates if any(p.glob("*.txt"))), candidates[0])


def _read(name: str, annotation: Path, wanted: dict[str, Part], images: Path | None) -> Sequence:
    part = wanted[name]
    boxes = read_rows(annotation, {4}, nan_rows=True)
    if len(boxes) != part.length:
        raise DatasetError(f"{annotation} has {len(boxes)} rows, {part.length} are expected")
    chosen = []
    if images is not None:
        folder = images / part.folder
        chosen = pick(numbered_images(folder), range(part.first, part.last + 1), folder)
    return Sequence(
        name=name,
        frames=() if images is None else ImageFrames(chosen),
        boxes=boxes,
        attributes=_attributes(annotation),
        meta={"folder": part.folder},
    )


def _attributes(annotation: Path) -> tuple[str, ...]:
    for folder in (annotation.parent / "att", annotation.parent.parent / "att"):
        labels = folder / annotation.name
        if labels.is_file():
            return tuple(a for a, f in zip(ATTRIBUTES, read_flags(labels, len(ATTRIBUTES)), strict=True) if f)
    return ()
