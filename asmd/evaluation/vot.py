"""Accuracy, robustness and expected average overlap (EAO) of VOT's supervised experiment."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ResultsError
from asmd.evaluation._raster import overlaps, rasterise
from asmd.evaluation.protocols import lookup
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.scoring import frame_size
from asmd.evaluation.supervised import truth_of
from asmd.evaluation.trajectories import FAILED, STARTED, Trajectory, read_all
from asmd.sequence import Sequence

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class VotProtocol:
    """How supervised runs are scored.

    Attributes:
        name: as `asmd report --protocol` takes it.
        summary: in a line.
        burn_in: frames from a start that accuracy does not count, as overlap is flattered by the box just given.
        pooled: accuracy is the mean over all frames (each averaged over the repeats first), not over sequences weighted
            by their length.
        interval: of the curve that EAO averages, both ends included; entry n averages n frames after a start.
        spared: a failure in the last so many frames, after which there is no start any more, does not count in EAO.
    """

    name: str
    summary: str
    burn_in: int = 10
    pooled: bool = False
    interval: tuple[int, int] = (100, 356)
    spared: int = 0


_VOT2018 = VotProtocol("vot2018", "VOT2018 by the VOT toolkit (0.7): accuracy, failures per 100 frames, EAO")

VOT_PROTOCOLS: dict[str, VotProtocol] = {
    p.name: p
    for p in (
        _VOT2018,
        replace(
            _VOT2018,
            name="vot2018@pysot",
            summary="VOT2018 by PySOT: frames pooled for accuracy, an EAO interval one frame shorter",
            pooled=True,
            interval=(99, 355),
            spared=4,
        ),
    )
}
"""Every protocol for supervised runs by its name."""


def vot_protocol(name: str | VotProtocol) -> VotProtocol:
    """The protocol of a name.

    Raises:
        ConfigError: if there is none; the text names the nearest.
    """
    return name if isinstance(name, VotProtocol) else lookup(VOT_PROTOCOLS, name)


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
        accuracy: mean overlap while it tracks.
        robustness: failures per 100 frames, as papers print it (lower is better).
        failures: failures a sequence, weighted by the length of the sequence, which is what the toolkit calls R.
        eao: expected average overlap; NaN where no run is long enough.
        curve: expected overlap by length; entry n averages n frames after a start.
        repeats: the most that a sequence has.
        fps: frames a second, starts aside; NaN where no times are known.
        sequences: each one's share.
    """

    accuracy: float
    robustness: float
    failures: float
    eao: float
    curve: Floats
    repeats: int
    fps: float
    sequences: tuple[SequenceScore, ...]


def score(
    folder: ResultsFolder, tracker: str, dataset: Iterable[Sequence], protocol: str | VotProtocol = _VOT2018
) -> VotScore:
    """Score a tracker's supervised results.

    Raises:
        ResultsError: if a sequence has no results, or those of another length.
        DatasetError: if the size of a sequence's frames is not known.
        ConfigError: if there is no such protocol.
    """
    rules = vot_protocol(protocol)
    scores, fragments, frames, seconds = list[SequenceScore](), list[Fragment](), list[Floats](), list[Floats]()
    repeats = 0
    for sequence in dataset:
        runs = read_all(folder, tracker, sequence.name)
        if not runs:
            raise ResultsError(f"{folder.root / tracker}: no supervised results of {sequence.name}")
        truth, size = truth_of(sequence), frame_size(sequence)
        counted, failures = list[Floats](), 0
        for run in runs:
            if len(run) != len(sequence):
                raise ResultsError(f"{tracker}: {len(run)} rows for {sequence.name}, which has {len(sequence)} frames")
            regions = [None if isinstance(region, int) else rasterise(region) for region in run.regions]
            each = overlaps(regions, truth, size)
            counted.append(_after_burn_in(run, each, rules.burn_in))
            failures += len(run.where(FAILED))
            fragments += fragments_of(run, each, rules.spared)
            seconds.append(np.delete(run.seconds, run.where(STARTED)))
        accuracy = float(np.mean([_mean(one, 0.0) for one in counted]))
        scores.append(SequenceScore(sequence.name, accuracy, failures / len(runs), len(sequence)))
        frames.append(_mean_of_repeats(counted))
        repeats = max(repeats, len(runs))
    curve = expected_overlap(fragments)
    lengths = np.array([s.frames for s in scores], dtype=np.float64)
    failed = np.array([s.failures for s in scores])
    weighted = float(np.average([s.accuracy for s in scores], weights=lengths))
    return VotScore(
        accuracy=_mean(np.concatenate(frames), 0.0) if rules.pooled else weighted,
        robustness=float(100 * failed.sum() / lengths.sum()),
        failures=float(np.average(failed, weights=lengths)),
        eao=eao(curve, rules.interval),
        curve=curve,
        repeats=repeats,
        fps=1 / _mean(np.concatenate(seconds), float("nan")),
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


def fragments_of(run: Trajectory, each: Floats, spared: int = 0) -> list[Fragment]:
    """Cut a run at its failures; `each` are the overlaps of its frames; `spared` as in `VotProtocol`."""
    starts, ends = run.where(STARTED), run.where(FAILED)
    late = bool(ends) and len(run) - ends[-1] <= spared
    cut = [Fragment(each[start:end], True) for start, end in zip(starts, ends, strict=False)]
    if late or len(starts) > len(ends):
        cut = cut[: len(cut) - late]
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


def eao(curve: Floats, interval: tuple[int, int] = _VOT2018.interval) -> float:
    """Mean of the curve over an interval of lengths; NaN where it ends before the interval begins."""
    return _mean(curve[interval[0] : interval[1] + 1], float("nan"))


def _after_burn_in(run: Trajectory, each: Floats, burn_in: int) -> Floats:
    counted = each.copy()
    for start in run.where(STARTED):
        counted[start : start + burn_in] = np.nan
    return counted


def _mean(values: Floats, otherwise: float) -> float:
    """Mean of what is not NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else otherwise


def _mean_of_repeats(counted: Rows[Floats]) -> Floats:
    """(N,) each frame's mean over the repeats that count it, NaN where none does."""
    stacked = np.stack(counted)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
