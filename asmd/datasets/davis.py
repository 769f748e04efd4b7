"""DAVIS 2016 and 2017: video object segmentation; the bound of each object's mask is its box.

    ROOT/ImageSets/2017/train.txt               names of the videos (480p/train.txt in the release of 2016)
    ROOT/JPEGImages/480p/<video>/00000.jpg
    ROOT/Annotations/480p/<video>/00000.png     the value of a pixel is its object; 255 is void

The masks of 2016 are grey images without a palette: there is one object, and its pixels are 255.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from asmd.boxes import Boxes
from asmd.datasets._images import every_image, numbered_images, pick
from asmd.datasets._rows import read_lines
from asmd.datasets.dataset import Dataset, some
from asmd.errors import ConfigError, DatasetError
from asmd.sequence import Sequence

VOID = 255
"""Pixels at the border of objects that belong to none, in masks with a palette."""


def load(
    root: Path, *, subset: str = "2017/train", frames: bool = True, resolution: str = "480p", merge: bool = False
) -> Dataset:
    """Find the objects in the videos of an image set. The first mask of each video is read for them.

    Args:
        root: the folder of `ImageSets`, `JPEGImages` and `Annotations`.
        subset: a file below `ImageSets` without its ending, such as `2017/train`, `2016/val` or `480p/train`, or `all`.
        frames: False reads the masks without looking for images.
        resolution: `480p` or `Full-Resolution`.
        merge: take all objects of a video as one, as the task of 2016 does.

    Raises:
        DatasetError: if there is no object at all, or a first mask is damaged.
        ConfigError: if there is no such image set.
    """
    masks = root / "Annotations" / resolution
    readers = {}
    missing = {}
    for video in _videos(root, subset, resolution):
        if not (masks / video).is_dir():
            missing[video] = masks / video
            continue
        objects = _objects(masks / video)
        for thing in [0] if merge or len(objects) == 1 else objects:
            name = f"{video}-{thing}" if thing else video
            images = root / "JPEGImages" / resolution / video
            readers[name] = partial(_read, name, masks / video, images if frames else None, thing)
    return some(
        Dataset(name="davis", root=root, readers=readers, missing=missing),
        f"{masks}/<video>/00000.png and {root}/ImageSets/{subset}.txt",
    )


def _videos(root: Path, subset: str, resolution: str) -> list[str]:
    if subset == "all":
        return sorted(p.name for p in (root / "Annotations" / resolution).glob("*") if p.is_dir())
    path = root / "ImageSets" / f"{subset}.txt"
    if not path.is_file():
        sets = sorted(str(p.relative_to(root / "ImageSets"))[:-4] for p in (root / "ImageSets").rglob("*.txt"))
        raise ConfigError(f"davis has no image set {path}; there are: {', '.join([*sets, 'all'])}")
    # The release of 2016 lists `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png` instead of names.
    firsts = [line.split()[0] for line in read_lines(path) if line.strip()]
    return list(dict.fromkeys(Path(f).parent.name if "/" in f else f for f in firsts))


def _mask(path: Path) -> NDArray[np.uint8]:
    """Object numbers, (H, W)."""
    try:
        with Image.open(path) as image:
            has_palette = image.mode == "P"
            values = np.array(image if image.mode in ("P", "L") else image.convert("L"), dtype=np.uint8)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path} is no mask that can be read") from error
    if not has_palette and np.isin(values, (0, 255)).all():
        return np.asarray(values == 255, dtype=np.uint8)
    return np.asarray(np.where(values == VOID, 0, values), dtype=np.uint8)


def _objects(folder: Path) -> list[int]:
    masks = numbered_images(folder)
    found = np.unique(_mask(next(iter(masks.values()))))
    objects = [int(v) for v in found if v]
    if not objects:
        raise DatasetError(f"{next(iter(masks.values()))} shows no object")
    return objects


def _read(name: str, folder: Path, images: Path | None, thing: int) -> Sequence:
    masks = numbered_images(folder)
    paths = pick(masks, range(min(masks), max(masks) + 1), folder)
    boxes = np.stack([mask_bound(_mask(p) == thing if thing else _mask(p) != 0) for p in paths])
    frames = () if images is None else every_image(images, len(boxes), folder)
    return Sequence(name, frames, boxes, meta={"video": folder.name})


def mask_bound(mask: NDArray[np.bool_]) -> Boxes:
    """The (4,) box around the pixels of a mask (H, W); NaN if there is none."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return np.full(4, np.nan)
    return np.array([xs[0], ys[0], xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1], dtype=np.float64)
