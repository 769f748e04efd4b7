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
from asmd.datasets.dataset import Dataset, existing_folder, some
from asmd.errors import ConfigError, DatasetError
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
    if subset not in SUBSETS:
        raise ConfigError(f"uav123 has no subset {subset!r}; it has {', '.join(SUBSETS)}")
    existing_folder(root)
    label = SUBSETS[subset]
    annotations = _annotation_folder(root, label, frames)
    base = annotations.parent if annotations.name == "anno" else annotations.parent.parent
    images = base / "data_seq" / ("UAV123" if subset == "20l" else label)
    places = {p.name: annotations / f"{p.name}.txt" for p in parts(subset)}
    return some(
        Dataset(
            name=label.lower(),
            root=root,
            readers={
                p.name: partial(_read, p, places[p.name], images if frames else None)
                for p in parts(subset)
                if places[p.name].is_file()
            },
            missing={n: p for n, p in places.items() if not p.is_file()},
            lengths={p.name: p.length for p in parts(subset)},
            expected=len(places),
        ),
        f"{root}/anno/{label}/<sequence>.txt and {root}/data_seq/{images.name}",
    )


def _annotation_folder(root: Path, label: str, frames: bool) -> Path:
    candidates = [root / "anno" / label, root / label / "anno" / label, root / "UAV123" / "anno" / label, root / "anno"]
    candidates += [] if frames else [root]
    return next((p for p in candidates if any(p.glob("*.txt"))), candidates[0])


def _read(part: Part, annotation: Path, images: Path | None) -> Sequence:
    boxes = read_rows(annotation, {4}, nan_rows=True)
    if len(boxes) != part.length:
        raise DatasetError(f"{annotation} has {len(boxes)} rows, {part.length} are expected")
    chosen = []
    if images is not None:
        folder = images / part.folder
        chosen = pick(numbered_images(folder), range(part.first, part.last + 1), folder)
    return Sequence(
        name=part.name,
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
