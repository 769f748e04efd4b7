"""TrackingNet: 30,132 training videos in twelve chunks and 511 test videos.

ROOT/TRAIN_0/anno/<sequence>.txt            x,y,w,h a frame; TRAIN_0 to TRAIN_11
ROOT/TRAIN_0/frames/<sequence>/0.jpg        1.jpg, ..., 10.jpg: ordered by number, not by name
ROOT/TEST/anno/<sequence>.txt               the first frame's box alone; the others are on the server
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from asmd.datasets._images import every_image, numbered_images, pick
from asmd.datasets._rows import read_rows
from asmd.datasets.dataset import Dataset, some
from asmd.errors import ConfigError, DatasetError
from asmd.sequence import Sequence
from asmd.video import ImageFrames

SIZES = {**{f"TRAIN_{n}": 2511 for n in range(12)}, "TEST": 511}
"""Number of sequences of each chunk."""


def load(root: Path, *, subset: str = "test", frames: bool = True) -> Dataset:
    """Find the sequences of the test set, of all training chunks that are there, or of some of them.

    Args:
        root: the folder above the chunks'.
        subset: `test`, `train`, or chunks such as `TRAIN_0` or `TRAIN_0,TRAIN_3`.
        frames: False reads the annotation without looking for images; a test sequence then has its first frame only.

    Raises:
        DatasetError: if there is no sequence at all.
        ConfigError: for another subset.
    """
    annotations = {}
    missing = {}
    chunks = _chunks(root, subset)
    for chunk in chunks:
        found = sorted((root / chunk / "anno").glob("*.txt"))
        annotations.update({p.stem: p for p in found})
        # The names are not published as a list, so that of a chunk only its size can be wanted.
        if not found:
            missing[chunk] = root / chunk / "anno"
    return some(
        Dataset(
            name=f"trackingnet-{subset}",
            root=root,
            readers={n: partial(_read, p, frames) for n, p in annotations.items()},
            missing=missing,
            expected=sum(SIZES[c] for c in chunks),
        ),
        f"{root}/{chunks[0]}/anno/<sequence>.txt and {root}/{chunks[0]}/frames/<sequence>/0.jpg",
    )


def _chunks(root: Path, subset: str) -> list[str]:
    if subset == "test":
        return ["TEST"]
    if subset == "train":
        return [c for c in SIZES if c != "TEST" and (root / c).is_dir()] or ["TRAIN_0"]
    chunks = [c.strip() for c in subset.split(",")]
    if unknown := [c for c in chunks if c not in SIZES]:
        raise ConfigError(f"trackingnet has no subset {unknown[0]!r}; it has test, train and TRAIN_0 to TRAIN_11")
    return chunks


def _read(annotation: Path, frames: bool) -> Sequence:
    boxes = read_rows(annotation, {4})
    chunk = annotation.parent.parent
    folder = chunk / "frames" / annotation.stem
    meta = {"chunk": chunk.name}
    if chunk.name == "TEST":
        return first_box_only(annotation.stem, boxes, folder if frames else None, annotation, meta)
    return Sequence(annotation.stem, every_image(folder, len(boxes), annotation) if frames else (), boxes, meta=meta)


def first_box_only(
    name: str, boxes: np.ndarray, folder: Path | None, annotation: Path, meta: dict[str, str]
) -> Sequence:
    """A test sequence whose annotation stays on a server: rows of NaN, without any claim of absence, after the first.

    Raises:
        DatasetError: if there is more than one box, or an image is missing.
    """
    if len(boxes) != 1:
        raise DatasetError(f"{annotation} has {len(boxes)} rows; a test sequence has its first box only")
    if folder is None:
        return Sequence(name, (), boxes, meta=meta)
    images = numbered_images(folder)
    paths = pick(images, range(min(images), max(images) + 1), folder)
    padded = np.full((len(paths), 4), np.nan)
    padded[0] = boxes[0]
    return Sequence(name, ImageFrames(paths), padded, absent=np.zeros(len(paths), dtype=bool), meta=meta)
