"""YouTube-BoundingBoxes: 380,000 segments of some 19 seconds, boxed once a second. Only the boxes are handed out.

    ROOT/yt_bb_detection_train.csv              or .csv.gz, or youtube_boundingboxes_detection_train.csv
    ROOT/.../<youtube id>+<class>+<object>.mp4  a segment, cut from its first boxed frame on
    ROOT/.../<youtube id>.mp4                   or the whole video
    ROOT/.../<youtube id>+<class>+<object>/     or a folder of images, each named by its time in milliseconds: 12000.jpg

A row of the CSV is youtube id, time in ms, class id, class name, object id, `present` or `absent`, **xmin, xmax, ymin,
ymax** as shares of the frame's size (-1 where absent). An object lives in one segment; id, class and object name it.
The clips are whatever the user could still fetch; segments without a clip are no sequences, and no error.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from asmd.datasets._images import numbered_images
from asmd.datasets.dataset import Dataset, check_subset, some
from asmd.datasets.mot import VIDEO_SUFFIXES
from asmd.errors import ConfigError, DatasetError, SourceError
from asmd.sequence import Sequence
from asmd.video import ImageFrames, VideoFrames, read_image
from asmd.video.sources import open_source

SUBSETS = ("train", "validation")

_FIELDS = 10
_SLACK_SECONDS = 1.0
"""How far beyond a clip's end a box may lie: the usual way to cut ends a clip just before its last box."""


@dataclass
class Segment:
    """The boxes of one object.

    Attributes:
        name: `<youtube id>+<class>+<object>`.
        times: when, in milliseconds of the whole video.
        present: whether it is to be seen then.
        shares: xmin, xmax, ymin, ymax as shares of the frame's size.
    """

    name: str
    kind: str
    times: list[int] = field(default_factory=list)
    present: list[bool] = field(default_factory=list)
    shares: list[tuple[float, ...]] = field(default_factory=list)


def load(root: Path, *, subset: str = "train", frames: bool = True, annotations: str | None = None) -> Dataset:
    """Find the segments of which there is a clip.

    Args:
        root: the folder of the CSV file; clips may lie at any depth below it.
        subset: `train` or `validation`.
        frames: must be True: the boxes are shares of the frame's size, which only the clip tells.
        annotations: the CSV file, where it is not in `root` under one of its usual names.

    Raises:
        DatasetError: if the CSV file is missing or malformed, or there is no clip.
        ConfigError: for another subset, or without frames.
    """
    check_subset("youtubebb", subset, SUBSETS)
    if not frames:
        raise ConfigError("youtubebb has no boxes without frames: they are shares of the frame's size")
    path = Path(annotations) if annotations else _csv_file(root, subset)
    clips = _clips(root)
    total = 0
    readers = {}
    for segment in _segments(path, {stem.partition("+")[0] for stem in clips}):
        total += 1
        clip = clips.get(segment.name) or clips.get(segment.name.partition("+")[0])
        if segment.times and clip is not None:
            readers[segment.name] = partial(_read, segment, clip)
    return some(
        Dataset(
            name=f"youtubebb-{subset}",
            root=root,
            readers=readers,
            notes=(f"{path.name} lists {total} segments, {len(readers)} of them have a clip here",),
        ),
        f"{root}/.../<youtube id>+<class>+<object>.mp4",
    )


def _csv_file(root: Path, subset: str) -> Path:
    stems = (f"yt_bb_detection_{subset}", f"youtube_boundingboxes_detection_{subset}")
    candidates = [root / f"{stem}.csv{ending}" for stem in stems for ending in ("", ".gz")]
    return next((p for p in candidates if p.is_file()), candidates[0])


def _clips(root: Path) -> dict[str, Path]:
    """Videos, and folders named like a segment, by their names; ids may hold any of `-` and `_` but no `+`."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            found[path.name.removesuffix(path.suffix)] = path
        elif path.name.count("+") == 2 and path.is_dir():
            found[path.name] = path
    return found


def _segments(path: Path, wanted: set[str]) -> Iterator[Segment]:
    """All segments, in the order of the file; those of other videos without their boxes, for there are millions."""
    found: dict[str, Segment] = {}
    with closing(_open(path)) as stream:
        try:
            for number, row in enumerate(csv.reader(stream), start=1):
                if not row or (number == 1 and row[0] == "youtube_id"):
                    continue
                if len(row) != _FIELDS:
                    raise DatasetError(f"{path}: row {number} has {len(row)} values, {_FIELDS} are expected")
                name = f"{row[0]}+{row[2]}+{row[4]}"
                segment = found.setdefault(name, Segment(name, row[3]))
                if row[0] in wanted:
                    _add(segment, row, path, number)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{path} is damaged ({error})") from error
    yield from found.values()


def _open(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from error


def _add(segment: Segment, row: list[str], path: Path, number: int) -> None:
    if row[5] not in ("present", "absent"):
        raise DatasetError(f"{path}: row {number}: {row[5]!r} where present or absent is expected")
    try:
        time, shares = int(row[1]), tuple(float(v) for v in row[6:])
    except ValueError as error:
        raise DatasetError(f"{path}: row {number}: {error}") from error
    present = row[5] == "present"
    if present and not (shares[0] < shares[1] and shares[2] < shares[3]):
        raise DatasetError(f"{path}: row {number}: xmin, xmax, ymin, ymax are not a box: {','.join(row[6:])}")
    segment.times.append(time)
    segment.present.append(present)
    segment.shares.append(shares)


def _read(segment: Segment, clip: Path) -> Sequence:
    order = np.argsort(segment.times, kind="stable")
    times, present = np.array(segment.times)[order], np.array(segment.present)[order]
    x1, x2, y1, y2 = np.array(segment.shares)[order].T
    shares = np.stack([x1, y1, x2 - x1, y2 - y1], axis=-1)
    shares[~present] = np.nan
    if not present.any():
        raise DatasetError(f"{clip}: the object of {segment.name} is absent throughout")
    return (_from_images if clip.is_dir() else _from_video)(segment, clip, times, present, shares)


def _from_images(
    segment: Segment, clip: Path, times: NDArray[np.int64], present: NDArray[np.bool_], shares: NDArray[np.float64]
) -> Sequence:
    """The images are the boxed frames, or more than these: a frame's box is the one of its time."""
    images = numbered_images(clip)
    frame_of = {int(t): i for i, t in enumerate(times)}
    start = int(times[np.argmax(present)])
    kept = [t for t in images if t >= start]
    if not kept or kept[0] != start:
        raise DatasetError(f"{clip}: there is no image {start}.jpg, the first with a box")
    rows = [frame_of.get(t) for t in kept]
    boxes = np.array([shares[r] if r is not None else np.full(4, np.nan) for r in rows])
    absent = np.array([r is not None and not present[r] for r in rows])
    frames = ImageFrames([images[t] for t in kept])
    return _sequence(segment, frames, boxes * _scale(read_image(frames.paths[0]).shape), absent)


def _from_video(
    segment: Segment, clip: Path, times: NDArray[np.int64], present: NDArray[np.bool_], shares: NDArray[np.float64]
) -> Sequence:
    fps = open_source(clip).fps
    if not fps:
        raise SourceError(f"{clip} does not say how many frames it has a second")
    is_cut = clip.name.removesuffix(clip.suffix) == segment.name
    frames = np.rint((times - (times[0] if is_cut else 0)) / 1000 * fps).astype(int)
    length = len(VideoFrames(clip))
    # The last box of a cut clip belongs to the frame just after its end.
    frames = np.where((frames >= length) & (frames < length + _SLACK_SECONDS * fps), length - 1, frames)
    if frames[-1] >= length:
        raise DatasetError(f"{clip} has {length} frames, {segment.name} has a box at frame {frames[-1]}")
    first, stop = int(frames[np.argmax(present)]), int(frames[-1]) + 1
    boxes, absent = np.full((stop - first, 4), np.nan), np.zeros(stop - first, dtype=bool)
    kept = frames >= first
    boxes[frames[kept] - first], absent[frames[kept] - first] = shares[kept], ~present[kept]
    video = VideoFrames(clip, first, stop)
    return _sequence(segment, video, boxes * _scale(video[0].shape), absent)


def _scale(shape: tuple[int, ...]) -> NDArray[np.float64]:
    height, width = shape[:2]
    return np.array([width, height, width, height], dtype=np.float64)


def _sequence(
    segment: Segment, frames: ImageFrames | VideoFrames, boxes: NDArray[np.float64], absent: NDArray[np.bool_]
) -> Sequence:
    meta = {"video": segment.name.partition("+")[0], "class": segment.kind}
    return Sequence(segment.name, frames, boxes, absent=absent, meta=meta)
