"""A folder of videos, or of folders of images, each with a text file of boxes: the format for footage of one's own.

    ROOT/.../<name>.mp4                         or a folder ROOT/.../<name>/ of images in natural order
    ROOT/.../<name>.txt                         x,y,w,h a frame, 0-based; nan,nan,nan,nan where there is no box
    ROOT/index.json                             optional, here or in a folder above: attributes and the like

A text file with nine or ten values a row is taken as MOTChallenge's: each of its longer tracks is a sequence.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asmd.datasets._rows import read_rows
from asmd.datasets.dataset import Dataset, Reader, some
from asmd.datasets.mot import VIDEO_SUFFIXES, TrackFilter, is_tracks, read_track, tracks
from asmd.errors import DatasetError
from asmd.sequence import FrameSource, Sequence
from asmd.video import ImageFrames, VideoFrames
from asmd.video.images import SUFFIXES, list_images

INDEX = "index.json"
"""A list of objects with `name` (with or without `.mp4`) and, where they apply, `split` and `benchmark`, which are the
folders above it, `attributes` and `frames`; whatever else they have is kept in `Sequence.meta`."""


@dataclass(frozen=True)
class Clip:
    """A video file or a folder of images, and the text file that belongs to it."""

    media: Path
    boxes: Path

    @property
    def stem(self) -> str:
        """The name without an ending."""
        return self.boxes.name.removesuffix(".txt")


def load(root: Path, *, frames: bool = True, unlabeled: bool = False, min_boxes: int = 60) -> Dataset:
    """Find the clips below a folder, at any depth.

    Args:
        root: the folder.
        frames: False reads the annotation only.
        unlabeled: take clips without a text file as well; their sequences have no boxes, shape (0, 4).
        min_boxes: fewest boxes of a track, in MOTChallenge's files.

    Raises:
        DatasetError: if there is no clip, `index.json` or a file of tracks is malformed, or no clip has a text file and
            `unlabeled` is off.
    """
    clips = _clips(root)
    names = _names(root, clips)
    index = _Index.near(root)
    readers: dict[str, Reader] = {}
    missing: dict[str, Path] = {}
    lengths: dict[str, int] = {}
    for clip in clips:
        name, facts = names[clip], index.facts(clip)
        if not clip.boxes.is_file():
            if unlabeled:
                readers[name] = partial(_read_unlabeled, name, clip, frames, facts)
            else:
                missing[name] = clip.boxes
        elif is_tracks(clip.boxes):
            wanted = TrackFilter(min_boxes=min_boxes)
            for track in tracks(clip.boxes, wanted):
                one = f"{name}-{track}"
                readers[one] = partial(read_track, one, clip.boxes, track, wanted, frames)
        else:
            readers[name] = partial(_read, name, clip, frames, facts)
            if "frames" in facts:
                lengths[name] = int(facts["frames"])
    if missing and not readers:
        raise DatasetError(f"{root}: no clip has a text file of boxes ({next(iter(missing.values()))} and so on)")
    missing.update(index.without_clip(root, clips))
    expected = len(readers) + len(missing) if index.entries else None
    dataset = Dataset("folder", root, readers, missing, lengths, expected)
    return some(dataset, f"{root}/<name>.mp4 and {root}/<name>.txt")


def _clips(root: Path) -> list[Clip]:
    found: list[Clip] = []
    for place, folders, files in os.walk(root):
        folders.sort()
        here = Path(place)
        videos = sorted(f for f in files if Path(f).suffix.lower() in VIDEO_SUFFIXES)
        found += [Clip(here / f, (here / f).with_suffix(".txt")) for f in videos]
        if any(Path(f).suffix.lower() in SUFFIXES for f in files) and here != root:
            found.append(Clip(here, here.parent / f"{here.name}.txt"))
    return found


def _names(root: Path, clips: list[Clip]) -> dict[Clip, str]:
    """The clips' own names; those that occur twice are told apart by their folders."""
    counts = Counter(c.stem for c in clips)
    return {
        c: c.stem if counts[c.stem] == 1 else "-".join((*c.boxes.parent.relative_to(root).parts, c.stem)) for c in clips
    }


def _source(clip: Clip) -> FrameSource:
    return ImageFrames(list_images(clip.media)) if clip.media.is_dir() else VideoFrames(clip.media)


def _read(name: str, clip: Clip, frames: bool, facts: dict[str, Any]) -> Sequence:
    return Sequence(
        name=name,
        frames=_source(clip) if frames else (),
        boxes=read_rows(clip.boxes, {4}, nan_rows=True),
        attributes=tuple(str(a) for a in facts.get("attributes", ())),
        meta=_meta(facts),
    )


def _read_unlabeled(name: str, clip: Clip, frames: bool, facts: dict[str, Any]) -> Sequence:
    return Sequence(name, _source(clip) if frames else (), np.empty((0, 4)), meta=_meta(facts))


def _meta(facts: dict[str, Any]) -> dict[str, str]:
    return {str(k): str(v) for k, v in facts.items() if k not in ("name", "attributes")}


@dataclass(frozen=True)
class _Index:
    """What `index.json` says of the clips below the folder it lies in."""

    folder: Path
    entries: dict[str, dict[str, Any]]

    @classmethod
    def near(cls, root: Path) -> _Index:
        """The index in a folder or the nearest of the three above it."""
        for folder in (root.resolve(), *list(root.resolve().parents)[:3]):
            if (folder / INDEX).is_file():
                return cls(folder, dict(cls._entries(folder / INDEX)))
        return cls(root, {})

    @staticmethod
    def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} is no JSON ({error})") from error
        if not isinstance(content, list):
            raise DatasetError(f"{path} holds a {type(content).__name__}, a list of clips is expected")
        for number, entry in enumerate(content, start=1):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise DatasetError(f"{path}: entry {number} has no name")
            parts = [str(entry[k]) for k in ("split", "benchmark") if entry.get(k)]
            name: str = entry["name"]
            ending = Path(name).suffix
            yield "/".join([*parts, name.removesuffix(ending) if ending in VIDEO_SUFFIXES else name]), entry

    def facts(self, clip: Clip) -> dict[str, Any]:
        try:
            place = clip.boxes.parent.resolve().relative_to(self.folder)
        except ValueError:
            return {}
        return self.entries.get((place / clip.stem).as_posix(), {})

    def without_clip(self, root: Path, clips: list[Clip]) -> dict[str, Path]:
        """Entries below `root` to which there is no clip."""
        there = {c.boxes.parent.resolve() / c.stem for c in clips}
        base = root.resolve()
        places = (self.folder / key for key in self.entries)
        return {p.name: p.with_name(f"{p.name}.mp4") for p in places if base in p.parents and p not in there}
