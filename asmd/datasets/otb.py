"""Object Tracking Benchmark: OTB-50 (CVPR 2013), TB-50 and TB-100.

    ROOT/<Folder>/img/0001.jpg
    ROOT/<Folder>/groundtruth_rect.txt          .1.txt and .2.txt where one video has two targets
    ROOT/<target>.txt                           or the boxes alone, one file a target, without frames

Boxes are 1-based in the files. "OTB-50" is the set of the CVPR 2013 paper (51 targets in 50 folders), not the harder
TB-50 of the 2015 paper (50 targets in 49 folders).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from asmd.boxes import Boxes
from asmd.datasets._facts import table
from asmd.datasets._images import numbered_images, pick
from asmd.datasets._rows import read_rows
from asmd.datasets.dataset import Dataset, check_subset, gather
from asmd.errors import DatasetError
from asmd.sequence import Sequence
from asmd.video import ImageFrames

ORIGIN = np.array([1.0, 1.0, 0.0, 0.0])
"""What boxes of the files have more than ours, which count from 0."""

NAMES = {"cvpr13": "otb50", "tb50": "tb50", "tb100": "otb100"}
"""The sets of the benchmark, and what they are called here."""


@dataclass(frozen=True)
class Target:
    """What is published of one target: its first and last image, the sets that it is in, and its labels."""

    name: str
    first: int
    last: int
    sets: tuple[str, ...]
    attributes: tuple[str, ...]

    @property
    def folder(self) -> str:
        """`Jogging` for `Jogging-1`: the folder, and what is held out together in leave-one-out training."""
        return self.name.partition("-")[0]

    @property
    def file(self) -> str:
        """Name of the annotation file inside the folder."""
        number = self.name.partition("-")[2]
        return f"groundtruth_rect.{number}.txt" if number else "groundtruth_rect.txt"

    @property
    def length(self) -> int:
        """Number of annotated frames."""
        return self.last - self.first + 1


@cache
def targets() -> tuple[Target, ...]:
    """The 100 targets in alphabetical order."""
    return tuple(
        Target(n, int(a), int(z), tuple(s.split(",")), tuple(t.split(","))) for n, a, z, s, t in table("otb.tsv")
    )


def load(root: Path, *, subset: str = "tb100", frames: bool = True, tiger1_skip: int = 0) -> Dataset:
    """Find the targets of one of the sets.

    Args:
        root: the folder above the targets' folders, or a folder of `<target>.txt` alone.
        subset: `cvpr13`, `tb50` or `tb100`.
        frames: False reads boxes without looking for images.
        tiger1_skip: frames at the start of Tiger1 to leave out; 5 in MDNet's and PyTracking's evaluation, 0 in the
            benchmark's own.

    Raises:
        DatasetError: if there is no target at all.
        ConfigError: for another subset.
    """
    check_subset("otb", subset, NAMES)
    wanted = {t.name: t for t in targets() if subset in t.sets}
    skips = {"Tiger1": tiger1_skip}
    alone = "" if frames else f" or {root}/Basketball.txt"
    return gather(
        NAMES[subset],
        root,
        {name: _annotation(root, target, frames) for name, target in wanted.items()},
        partial(_read, frames=frames, skips=skips),
        layout=f"{root}/Basketball/groundtruth_rect.txt{alone} and so on",
        lengths={name: target.length - skips.get(name, 0) for name, target in wanted.items()},
        origin=1,
    )


def _annotation(root: Path, target: Target, frames: bool) -> Path:
    """The file of a target; where there is none, the official place of it."""
    official = root / target.folder / target.file
    # PySOT wants copies of the folders with two targets, one under the name of each target.
    copies = [root / target.name / file for file in (target.file, "groundtruth_rect.txt")]
    alone = [] if frames else [root / f"{target.name}.txt"]
    return next((p for p in (official, *copies, *alone) if p.is_file()), official)


def _read(name: str, annotation: Path, frames: bool, skips: dict[str, int]) -> Sequence:
    target, skip = next(t for t in targets() if t.name == name), skips.get(name, 0)
    boxes = read_rows(annotation, {4}) - ORIGIN
    images = _images(target, annotation, boxes) if frames else []
    # The benchmark scores the frames that have both: Diving, for one, has more images than boxes.
    count = min(len(images), len(boxes)) if frames else len(boxes)
    if count <= skip:
        raise DatasetError(f"{annotation} has {len(boxes)} rows, of which {skip} are to be skipped")
    return Sequence(
        name=target.name,
        frames=ImageFrames(images[skip:count]) if frames else (),
        boxes=boxes[skip:count],
        attributes=target.attributes,
        meta={"folder": target.folder},
    )


def _images(target: Target, annotation: Path, boxes: Boxes) -> list[Path]:
    folder = annotation.parent / "img"
    images = numbered_images(folder)
    if target.first not in images and len(images) == len(boxes):
        return list(images.values())  # a copy that was cut to the annotated range and numbered anew
    available = max(n for n in (*images, target.first) if n <= max(target.last, target.first))
    return pick(images, range(target.first, available + 1), folder)
