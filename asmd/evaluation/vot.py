"""Accuracy, robustness and expected average overlap (EAO) of VOT's supervised experiment.

As the VOT toolkit (0.7) computes them; `docs/evaluating.md` tells where other toolkits part from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ResultsError
from asmd.evaluation._raster import overlaps, rasterise
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.scoring import frame_size
from asmd.evaluation.supervised import truth_of
from asmd.evaluation.trajectories import FAILED, STARTED, Trajectory, read_all
from asmd.sequence import Sequence

Floats = NDArray[np.float64]

BURN_IN = 10
"""Frames from a start that accuracy does not count: the overlap is flattered by the annotation just given."""

INTERVAL = (100, 356)
"""Lengths that the EAO of VOT2017 and VOT2018 averages over, both included."""


@dataclass(frozen=True)
class SequenceScore:
    """One sequence.

    Attributes:
        accuracy: mean overlap after burn-in, averaged over the repeats; 0 where no frame counts.
        failures: a repeat, on average.
        frames: length of the sequence.
    """

    sequence: str
    accuracy: float
    failures: float
    frames: int


@dataclass(frozen=True, eq=False)
class VotScore:
    """A tracker on a VOT challenge.

    Attributes:
        accuracy: mean overlap, sequences weighted by their length.
        robustness: failures per 100 frames, as papers print it (lower is better).
        failures: failures a sequence, weighted by the length of the sequence, which is the toolkit's own `R`.
        eao: expected average overlap; NaN where no run is long enough.
        curve: expected overlap by length; `curve[n]` averages `n` frames after the start.
        sequences: each one's share.
    """

    accuracy: float
    robustness: float
    failures: float
    eao: float
    curve: Floats
    sequences: tuple[SequenceScore, ...]


def score(folder: ResultsFolder, tracker: str, dataset: Iterable[Sequence]) -> VotScore:
    """Score a tracker's supervised results.

    Raises:
        ResultsError: if a sequence has no results, or those of another length.
        DatasetError: if the size of a sequence's frames is not known.
    """
    scores, fragments = list[SequenceScore](), list[Fragment]()
    for sequence in dataset:
        runs = read_all(folder, tracker, sequence.name)
        if not runs:
            raise ResultsError(f"{folder.root / tracker}: no supervised results of {sequence.name}")
        truth, size = truth_of(sequence), frame_size(sequence)
        accuracies, failures = list[float](), 0
        for run in runs:
            if len(run) != len(sequence):
                raise ResultsError(f"{tracker}: {len(run)} rows for {sequence.name}, which has {len(sequence)} frames")
            regions = [None if isinstance(region, int) else rasterise(region) for region in run.regions]
            each = overlaps(regions, truth, size)
            accuracies.append(_accuracy(run, each))
            failures += len(run.where(FAILED))
            fragments += fragments_of(run, each)
        mean = float(np.mean(accuracies))
        scores.append(SequenceScore(sequence.name, mean, failures / len(runs), len(sequence)))
    curve = expected_overlap(fragments)
    weights = np.array([s.frames for s in scores], dtype=np.float64)
    failed = np.array([s.failures for s in scores])
    return VotScore(
        accuracy=float(np.average([s.accuracy for s in scores], weights=weights)),
        robustness=float(100 * failed.sum() / weights.sum()),
        failures=float(np.average(failed, weights=weights)),
        eao=eao(curve),
        curve=curve,
        sequences=tuple(scores),
    )


@dataclass(frozen=True, eq=False)
class Fragment:
    """What lies between a start and a failure, or the end of the sequence.

    Attributes:
        overlaps: of its frames, that of the start first (whose value is never used).
        failed: whether it was a failure that ended it.
    """

    overlaps: Floats
    failed: bool


def fragments_of(run: Trajectory, each: Floats) -> list[Fragment]:
    """Cut a run at its failures; `each` are the overlaps of its frames."""
    starts, ends = run.where(STARTED), run.where(FAILED)
    cut = [Fragment(each[start:end], True) for start, end in zip(starts, ends, strict=False)]
    if len(starts) > len(ends):
        cut.append(Fragment(each[starts[-1] :], False))
    return cut


def expected_overlap(fragments: Rows[Fragment]) -> Floats:
    """The curve: for each length the mean over fragments of their mean overlap over that many frames.

    After a failure the overlap is 0 for ever, so a fragment that ends in one takes part at every length; one that ends
    with its sequence does up to its own length, as nobody knows how it would have gone on.
    """
    longest = max((len(fragment.overlaps) for fragment in fragments), default=0)
    total, count = np.zeros(longest), np.zeros(longest)
    lengths = np.maximum(np.arange(longest), 1)
    for fragment in fragments:
        padded = np.zeros(longest)
        padded[1 : len(fragment.overlaps)] = np.nan_to_num(fragment.overlaps[1:])
        until = longest if fragment.failed else len(fragment.overlaps)
        total[:until] += (np.cumsum(padded) / lengths)[:until]
        count[:until] += 1
    return total / np.maximum(count, 1)


def eao(curve: Floats, interval: tuple[int, int] = INTERVAL) -> float:
    """Mean of the curve over an interval of lengths; NaN where it ends before the interval begins."""
    part = curve[interval[0] : interval[1] + 1]
    return float(part.mean()) if len(part) else float("nan")


def _accuracy(run: Trajectory, each: Floats) -> float:
    counted = ~np.isnan(each)
    for start in run.where(STARTED):
        counted[start : start + BURN_IN] = False
    return float(each[counted].mean()) if counted.any() else 0.0
