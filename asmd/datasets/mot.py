"""MOTChallenge: every pedestrian that is followed for long enough is a sequence, and a domain, of its own.

    ROOT/.../<video>/gt/gt.txt                  frame, id, x, y, w, h, flag, class, visibility
    ROOT/.../<video>/img1/000001.jpg
    ROOT/.../<video>.txt, <video>.mp4           or the same rows beside a video

Frames, ids and boxes are 1-based in the files. The rows of 2015 have ten values, of which the last three are a place in
the world; those of 2016 and later have nine, with a class (1 is a pedestrian) and the visible share. A flag of 0 marks
rows that the benchmark ignores. MOT17 has each video three times, once for each detector; it is taken once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asmd.datasets._images import numbered_images, pick
from asmd.datasets._rows import read_rows
from asmd.datasets.dataset import Dataset, some
from asmd.errors import DatasetError
from asmd.sequence import FrameSource, Sequence
from asmd.video import ImageFrames, VideoFrames

ORIGIN = np.array([1.0, 1.0, 0.0, 0.0])
"""What boxes of the files have more than ours, which count from 0."""

WIDTHS = frozenset({9, 10})
"""Values in a row."""

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")

_DETECTOR = re.compile(r"-(DPM|FRCNN|SDP)$")


@dataclass(frozen=True)
class TrackFilter:
    """Which rows and tracks count.

    Attributes:
        min_boxes: fewest boxes of a track.
        classes: classes that count, where the rows have one.
        min_visibility: least visible share of a box that counts, where the rows have one.
    """

    min_boxes: int = 60
    classes: tuple[int, ...] = (1,)
    min_visibility: float = 0.0


def load(
    root: Path,
    *,
    frames: bool = True,
    min_boxes: int = 60,
    classes: tuple[int, ...] = (1,),
    min_visibility: float = 0.0,
) -> Dataset:
    """Find the tracks in all videos below a folder.

    Args:
        root: any folder above the videos', for instance `MOT17/train`.
        frames: False reads the annotation without looking for images.
        min_boxes: a track with fewer boxes is left out.
        classes: the classes that count, in files that have them; 1 is a pedestrian.
        min_visibility: boxes of which less is visible are left out, in files that say so.

    Raises:
        DatasetError: if there is no annotation at all, or one is malformed.
    """
    wanted = TrackFilter(min_boxes, classes, min_visibility)
    readers = {}
    for annotation in _annotations(root):
        for track in tracks(annotation, wanted):
            name = f"{video_name(annotation)}-{track}"
            readers[name] = partial(read_track, name, annotation, track, wanted, frames)
    return some(
        Dataset(name="mot", root=root, readers=readers, origin=1),
        f"{root}/.../<video>/gt/gt.txt with a track of {min_boxes} boxes, or <video>.txt beside <video>.mp4",
    )


def _annotations(root: Path) -> list[Path]:
    official = {video_name(p): p for p in sorted(root.rglob("gt/gt.txt"), reverse=True)}
    beside = {p.stem: p for p in sorted(root.rglob("*.txt")) if video_beside(p) is not None and is_tracks(p)}
    return [path for _, path in sorted({**beside, **official}.items())]


def video_name(annotation: Path) -> str:
    """Name of the video that an annotation belongs to, without the detector of MOT17."""
    name = annotation.parent.parent.name if annotation.name == "gt.txt" else annotation.stem
    return _DETECTOR.sub("", name)


def video_beside(annotation: Path) -> Path | None:
    """The video of the same name in the same folder, if there is one."""
    return next((v for s in VIDEO_SUFFIXES if (v := annotation.with_suffix(s)).is_file()), None)


def is_tracks(path: Path) -> bool:
    """Whether the first row of a file has as many values as MOTChallenge's."""
    try:
        with path.open(encoding="utf-8") as stream:
            return len(stream.readline().replace(",", " ").split()) in WIDTHS
    except (OSError, UnicodeDecodeError):
        return False


def tracks(annotation: Path, wanted: TrackFilter) -> list[int]:
    """Ids of the tracks that have enough boxes.

    Raises:
        DatasetError: if the file is malformed.
    """
    ids, counts = np.unique(_rows(annotation, wanted)[:, 1].astype(int), return_counts=True)
    return [int(i) for i, n in zip(ids, counts, strict=True) if n >= wanted.min_boxes]


def _rows(annotation: Path, wanted: TrackFilter) -> NDArray[np.float64]:
    rows = read_rows(annotation, WIDTHS)
    if (rows[:, 0] < 1).any():
        raise DatasetError(f"{annotation}: row {int(np.argmax(rows[:, 0] < 1)) + 1}: frames are counted from 1")
    keep = rows[:, 6] != 0
    if rows.shape[1] == 9:
        keep &= np.isin(rows[:, 7], wanted.classes) & (rows[:, 8] >= wanted.min_visibility)
    return np.asarray(rows[keep])


def read_track(name: str, annotation: Path, track: int, wanted: TrackFilter, frames: bool) -> Sequence:
    """One track, from its first box to its last.

    Raises:
        DatasetError: if the file is malformed, has two boxes of the track in a frame, or an image is missing.
    """
    rows = _rows(annotation, wanted)
    rows = rows[rows[:, 1] == track]
    numbers = rows[:, 0].astype(int)
    first, last = int(numbers.min()), int(numbers.max())
    if len(np.unique(numbers)) != len(numbers):
        raise DatasetError(f"{annotation}: track {track} has two boxes in one frame")
    boxes = np.full((last - first + 1, 4), np.nan)
    boxes[numbers - first] = rows[:, 2:6] - ORIGIN
    absent = np.isnan(boxes).any(axis=1)
    if rows.shape[1] == 9:
        absent[numbers[rows[:, 8] == 0] - first] = True  # boxes go on behind what hides a pedestrian
    meta = {"video": video_name(annotation), "first frame": str(first - 1)}
    return Sequence(name, _frames(annotation, first, last) if frames else (), boxes, absent=absent, meta=meta)


def _frames(annotation: Path, first: int, last: int) -> FrameSource:
    video = video_beside(annotation)
    if video is not None and annotation.name != "gt.txt":
        return VideoFrames(video, first - 1, last)
    folder = annotation.parent.parent / "img1"
    return ImageFrames(pick(numbered_images(folder), range(first, last + 1), folder))
