"""The supervised experiment of VOT: a tracker that has lost its target is started again (VOT 2013 to 2019)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes
from asmd.errors import DatasetError, ResultsError
from asmd.evaluation import trajectories
from asmd.evaluation._raster import Raster, overlap, rasterise
from asmd.evaluation.one_pass import checked_box
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.trajectories import FAILED, SKIPPED, STARTED, Region, Trajectory
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike


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
            ResultsError: if what is on disk is malformed or of another sequence.
        """
        path = trajectories.path_of(folder, tracker, sequence.name, repeat)
        if not path.is_file():
            return False
        if (rows := len(trajectories.read(path, sequence.name))) != len(sequence):
            raise ResultsError(f"{path}: {rows} rows, but {sequence.name} has {len(sequence)} frames here")
        return True

    def write(self, folder: ResultsFolder, tracker: str, run: Trajectory, repeat: int) -> None:
        """Put a repeat on disk."""
        trajectories.write(trajectories.path_of(folder, tracker, run.sequence, repeat), run)

    def settled(self, folder: ResultsFolder, tracker: str, sequence: Sequence) -> bool:
        """Whether the first repeats are all the same."""
        made = trajectories.read_all(folder, tracker, sequence.name)[: self.probe]
        return len(made) == self.probe and all(made[0].same_as(other) for other in made[1:])


def truth_of(sequence: Sequence) -> list[Raster | None]:
    """The annotation as pixels, a polygon where there is one; None for a frame without."""
    regions: NDArray[np.float64] = sequence.boxes
    # Corners that were made of a rectangle are one still: as a polygon it would cover a pixel more each way.
    if sequence.polygons is not None and not _are_corners_of(sequence.polygons, sequence.boxes):
        regions = sequence.polygons
    return [None if np.isnan(region).any() else rasterise(region) for region in regions]


def _failed(box: Boxes, truth: Raster | None, size: tuple[int, int], threshold: float) -> bool:
    if truth is None:
        return False  # nobody knows where the target is
    return bool(np.isnan(box).any()) or overlap(rasterise(box), truth, size) <= threshold


def _are_corners_of(polygons: NDArray[np.float64], boxes: Boxes) -> bool:
    x, y, w, h = boxes.T
    corners = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=-1)
    return bool(np.array_equal(corners, polygons, equal_nan=True))
