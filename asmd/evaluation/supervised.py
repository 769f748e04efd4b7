"""The supervised experiment of VOT: a tracker that has lost its target is started again (VOT 2013 to 2019).

On disk as the VOT toolkit keeps it, so that either reads what the other has run:

    DIR/<tracker>/baseline/<sequence>/<sequence>_001.txt           a repeat; a row a frame
    DIR/<tracker>/baseline/<sequence>/<sequence>_001_time.value    seconds a frame, blank where nothing was run

A row is a region (`x,y,w,h`, or the corners of a polygon), or a single number: 1 where the tracker was started, 2 where
it failed, 0 where it was not run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes
from asmd.errors import DatasetError, ResultsError
from asmd.evaluation._raster import Raster, overlap, rasterise
from asmd.evaluation.one_pass import checked_box
from asmd.evaluation.results import ResultsFolder, write_atomic
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike

SKIPPED, STARTED, FAILED = 0, 1, 2
"""The codes that stand for a region."""

Region: TypeAlias = "NDArray[np.float64] | int"
"""Four numbers `(x, y, w, h)`, eight of a polygon's corners, or a code."""

FOLDER = "baseline"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One supervised run over a sequence.

    Attributes:
        sequence: name of the sequence.
        regions: N regions or codes.
        seconds: (N,) time that each frame took, NaN where the tracker was not run or it is not known.
    """

    sequence: str
    regions: tuple[Region, ...]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.regions)

    def where(self, code: int) -> list[int]:
        """The frames that hold this code."""
        return [i for i, region in enumerate(self.regions) if isinstance(region, int) and region == code]

    def same_as(self, other: Trajectory) -> bool:
        """Whether every frame holds the same, to what a file keeps."""
        return len(self) == len(other) and all(
            _text(a) == _text(b) for a, b in zip(self.regions, other.regions, strict=True)
        )


@dataclass(frozen=True)
class Supervised:
    """The experiment, for `asmd.evaluation.runner.evaluate`; the numbers are VOT2018's.

    Attributes:
        skip: frames from a failure to the next start.
        failure_overlap: a frame with no more overlap than this is a failure.
        repeats: how often each sequence is run.
        probe: if this many repeats are all the same, the tracker is taken for deterministic and run no more.
    """

    skip: int = 5
    failure_overlap: float = 0.0
    repeats: int = 15
    probe: int | None = 3
    name: str = "supervised"

    def perform(self, tracker: TrackerLike, sequence: Sequence) -> Trajectory:
        """Run once over the sequence.

        The tracker is started on `sequence.boxes`; how these come from rotated regions is the data set's affair.

        Raises:
            DatasetError: if the video ends before the annotation.
        """
        truth, count = truth_of(sequence), len(sequence)
        regions, seconds = list[Region](), np.full(count, np.nan)
        start_at: int | None = 0  # the frame from which to start; None while the tracker runs
        for index, frame in zip(range(count), sequence.frames, strict=False):
            if start_at is not None and (index < start_at or truth[index] is None):
                regions.append(SKIPPED)
                continue
            begun = time.perf_counter()
            if start_at is not None:
                tracker.init(frame, sequence.boxes[index])
                seconds[index] = time.perf_counter() - begun
                regions.append(STARTED)
                start_at = None
                continue
            box = checked_box(tracker.update(frame), index)
            seconds[index] = time.perf_counter() - begun
            if _failed(box, truth[index], frame.shape[:2], self.failure_overlap):
                regions.append(FAILED)
                start_at = index + self.skip
            else:
                regions.append(box)
        if len(regions) < count:
            raise DatasetError(f"{sequence.name}: the video ends after {len(regions)} frames, {count} have a box")
        return Trajectory(sequence.name, tuple(regions), seconds)

    def has(self, folder: ResultsFolder, tracker: str, sequence: Sequence, repeat: int) -> bool:
        """Whether that repeat is on disk.

        Raises:
            ResultsError: if what is on disk is of another sequence.
        """
        path = path_of(folder, tracker, sequence.name, repeat)
        if not path.is_file():
            return False
        rows = len(path.read_text(encoding="utf-8").splitlines())
        if rows != len(sequence):
            raise ResultsError(f"{path}: {rows} rows, but {sequence.name} has {len(sequence)} frames here")
        return True

    def write(self, folder: ResultsFolder, tracker: str, run: Trajectory, repeat: int) -> None:
        """Put a repeat on disk."""
        path = path_of(folder, tracker, run.sequence, repeat)
        times = "".join(f"{s:.6f}\n" if np.isfinite(s) else "\n" for s in run.seconds)
        write_atomic(path.with_name(f"{path.stem}_time.value"), times)
        write_atomic(path, "".join(_text(region) + "\n" for region in run.regions))

    def settled(self, folder: ResultsFolder, tracker: str, sequence: Sequence) -> bool:
        """Whether the first repeats are all the same."""
        made = read(folder, tracker, sequence.name)[: self.probe]
        return len(made) == self.probe and all(made[0].same_as(other) for other in made[1:])


def truth_of(sequence: Sequence) -> list[Raster | None]:
    """The annotation as pixels, a polygon where there is one; None for a frame without."""
    regions: NDArray[np.float64] = sequence.boxes
    # Corners that were made of a rectangle are one still: as a polygon it would cover a pixel more each way.
    if sequence.polygons is not None and not _are_corners_of(sequence.polygons, sequence.boxes):
        regions = sequence.polygons
    return [None if np.isnan(region).any() else rasterise(region) for region in regions]


def path_of(folder: ResultsFolder, tracker: str, sequence: str, repeat: int) -> Path:
    """The file of a repeat, which counts from 1."""
    return folder.root / tracker / FOLDER / sequence / f"{sequence}_{repeat:03d}.txt"


def trackers(folder: ResultsFolder) -> list[str]:
    """Names of the trackers that have supervised results, sorted."""
    return sorted({path.parent.name for path in folder.root.glob(f"*/{FOLDER}") if any(path.glob("*/[!.]*_001.txt"))})


def read(folder: ResultsFolder, tracker: str, sequence: str) -> list[Trajectory]:
    """Every repeat of a sequence, in order; none where there is none.

    Raises:
        ResultsError: if a file is malformed; the text names the file and the row.
    """
    paths = sorted(path_of(folder, tracker, sequence, 1).parent.glob(f"{sequence}_[0-9][0-9][0-9].txt"))
    return [read_trajectory(path, sequence) for path in paths]


def read_trajectory(path: Path, sequence: str) -> Trajectory:
    """One file of regions and codes.

    Raises:
        ResultsError: if it is malformed; the text names the file and the row.
    """
    rows = path.read_text(encoding="utf-8").splitlines()
    regions = tuple(_region(path, number, row) for number, row in enumerate(rows, 1))
    times = path.with_name(f"{path.stem}_time.value")
    seconds = np.full(len(rows), np.nan)
    if times.is_file():
        values = times.read_text(encoding="utf-8").splitlines()
        if len(values) != len(rows):
            raise ResultsError(f"{times}: {len(values)} rows for {len(rows)} regions")
        seconds = np.array([_number(times, n, v) if v.strip() else np.nan for n, v in enumerate(values, 1)])
    return Trajectory(sequence, regions, seconds)


def _failed(box: Boxes, truth: Raster | None, size: tuple[int, int], threshold: float) -> bool:
    if truth is None:
        return False  # nobody knows where the target is
    return bool(np.isnan(box).any()) or overlap(rasterise(box), truth, size) <= threshold


def _are_corners_of(polygons: NDArray[np.float64], boxes: Boxes) -> bool:
    x, y, w, h = boxes.T
    corners = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=-1)
    return bool(np.array_equal(corners, polygons, equal_nan=True))


def _text(region: Region) -> str:
    if isinstance(region, int):
        return str(region)
    return ",".join(f"{v:.4f}" for v in region) if not np.isnan(region).any() else str(SKIPPED)


def _region(path: Path, row: int, text: str) -> Region:
    numbers = np.array(list(_numbers(path, row, text)))
    if len(numbers) == 1 and numbers[0] in (SKIPPED, STARTED, FAILED):
        return int(numbers[0])
    if len(numbers) in (4, 8) and np.isfinite(numbers).all():
        return numbers
    raise ResultsError(f"{path}: row {row}: neither a code nor a region of 4 or 8 numbers ({text.strip()[:60]!r})")


def _numbers(path: Path, row: int, text: str) -> Iterator[float]:
    for part in text.replace(",", " ").split():
        yield _number(path, row, part)


def _number(path: Path, row: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ResultsError(f"{path}: row {row}: {text.strip()[:40]!r} is not a number") from error
