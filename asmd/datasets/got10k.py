"""GOT-10k: 9,335 training, 180 validation and 180 test sequences.

    ROOT/{train,val,test}/list.txt              names of the sequences
    ROOT/train/<sequence>/00000001.jpg
    ROOT/train/<sequence>/groundtruth.txt       x,y,w,h a frame; of a test sequence the first frame's alone
    ROOT/train/<sequence>/absence.label, cover.label, cut_by_image.label, meta_info.ini

`cover` is how many eighths of the target are visible. Boxes are taken as they are: the makers call them 1-based, but
many sequences have boxes at 0, and the official toolkit clips the numbers to the image as if they were 0-based.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from asmd.datasets._facts import numbers
from asmd.datasets._images import every_image
from asmd.datasets._rows import listed_names, read_flags, read_lines, read_rows
from asmd.datasets.dataset import Dataset, check_subset, gather
from asmd.datasets.trackingnet import first_box_only
from asmd.sequence import Sequence

SIZES = {"train": 9335, "val": 180, "test": 180, "train-fit": 7934, "train-held": 1401}
"""Subsets and their sizes; the last two part the training set for those who tune on it."""

MISALIGNED = frozenset([*range(8623, 8638), 9058, 9059])
"""Numbers of training sequences whose first images repeat, so that the boxes run ahead of them."""


def load(
    root: Path,
    *,
    subset: str = "test",
    frames: bool = True,
    without_vot: bool = False,
    without_misaligned: bool = False,
) -> Dataset:
    """Find the sequences of a subset.

    Args:
        root: the folder above `train`, `val` and `test`, or such a folder itself.
        subset: `train`, `val`, `test`, `train-fit` or `train-held` (85 and 15 percent of the training set).
        frames: False reads the annotation without looking for images; a test sequence then has its first frame only.
        without_vot: leave out the thousand training sequences that must not be trained on by who tests on VOT.
        without_misaligned: leave out the training sequences whose boxes are known not to fit.

    Raises:
        DatasetError: if there is no sequence at all.
        ConfigError: for another subset.
    """
    check_subset("got10k", subset, SIZES)
    part = subset.partition("-")[0]
    folder = root / part if (root / part).is_dir() or not (root / "list.txt").is_file() else root
    left_out: set[int] = set()
    if part == "train":
        left_out |= numbers("got10k_vot_exclude.txt") if without_vot else frozenset()
        left_out |= MISALIGNED if without_misaligned else frozenset()
        left_out |= numbers("got10k_held_out.txt") if subset == "train-fit" else frozenset()
        left_out |= set(range(1, 9336)) - numbers("got10k_held_out.txt") if subset == "train-held" else frozenset()
    names = [n for n in listed_names(folder) if _number(n) not in left_out]
    return gather(
        f"got10k-{subset}",
        root,
        {name: folder / name / "groundtruth.txt" for name in names},
        partial(_read, frames=frames, test=part == "test"),
        layout=f"{root}/{part}/list.txt and {root}/{part}/<sequence>/groundtruth.txt",
        expected=9335 - len(left_out) if part == "train" else SIZES[subset],
    )


def _number(name: str) -> int:
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0


def _read(name: str, annotation: Path, frames: bool, test: bool) -> Sequence:
    folder = annotation.parent
    boxes = read_rows(annotation, {4})
    meta = _meta(folder / "meta_info.ini")
    if test:
        return first_box_only(name, boxes, folder if frames else None, annotation, meta)
    count = len(boxes)
    absence, cover, cut = (read_flags(folder / f"{k}.label", count) for k in ("absence", "cover", "cut_by_image"))
    meta["cut_by_image"] = "".join(map(str, cut))
    return Sequence(
        name=name,
        frames=every_image(folder, count, annotation) if frames else (),
        boxes=boxes,
        absent=absence != 0,
        cover=cover,
        meta=meta,
    )


def _meta(path: Path) -> dict[str, str]:
    """The lines `key: value` of `meta_info.ini`, which test sequences have not."""
    if not path.is_file():
        return {}
    pairs = (line.partition(":") for line in read_lines(path) if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}
