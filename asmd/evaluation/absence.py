"""How well a tracker knows that its target is not there.

No benchmark of the paper measures it. On sequences that have frames without the target, every frame after the first is
a case, "the target is there" the question, and `score` (or `status`) the answer; the area under the ROC curve is the
chance that of two such frames the one with the target gets the higher answer. 0.5 is guessing. Frames of all sequences
are pooled, since a user sets one threshold for all videos.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asmd.evaluation.results import SequenceRun
from asmd.sequence import Sequence
from asmd.tracking.result import Status

_RANK = {Status.LOST.value: 0.0, Status.UNCERTAIN.value: 0.5, Status.FOUND.value: 1.0, "": np.nan}


@dataclass(frozen=True)
class AbsenceScore:
    """One tracker on the sequences with absent frames.

    Attributes:
        sequences: how many such sequences there are.
        absent: frames without the target.
        present: frames with it.
        score_auroc: area under the ROC curve of the score; NaN for a tracker that has none.
        status_auroc: the same of the status, found above uncertain above lost.
        lost_when_absent: share of the absent frames that it calls lost.
        lost_when_present: share of the others that it calls lost.
    """

    sequences: int
    absent: int
    present: int
    score_auroc: float
    status_auroc: float
    lost_when_absent: float
    lost_when_present: float


def absence_score(runs: Iterable[tuple[Sequence, SequenceRun]]) -> AbsenceScore | None:
    """Measure one tracker.

    Args:
        runs: its runs (of any number of repeats) with the annotation of each. A frame counts as absent where the data
            set says so, as present where it has a box and is not absent, and is left out where neither is known.

    Returns:
        The measure, or None where no sequence has absent frames.
    """
    labels, scores, states, names = [], [], [], set()
    for sequence, run in runs:
        rows = min(len(sequence), len(run))
        assert sequence.absent is not None
        absent = sequence.absent[1:rows]
        known = absent | sequence.valid[1:rows]
        if not absent.any():
            continue
        names.add(sequence.name)
        labels.append(~absent[known])
        scores.append(run.scores[1:rows][known])
        states.append(_states(run)[1:rows][known])
    if not names:
        return None
    present, score, state = np.concatenate(labels), np.concatenate(scores), np.concatenate(states)
    return AbsenceScore(
        sequences=len(names),
        absent=int((~present).sum()),
        present=int(present.sum()),
        score_auroc=_auroc(present, score),
        status_auroc=_auroc(present, state),
        lost_when_absent=_share_lost(state[~present]),
        lost_when_present=_share_lost(state[present]),
    )


def _states(run: SequenceRun) -> NDArray[np.float64]:
    """Status as a number. A tracker that has no status, but leaves out boxes, says by that that it lost the target."""
    states = np.array([_RANK[s] for s in run.status])
    gaps = np.isnan(run.boxes).any(axis=1)
    return np.where(gaps, 0.0, 1.0) if np.isnan(states).all() and gaps.any() else states


def _auroc(labels: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    known = ~np.isnan(values)
    if len(np.unique(labels[known])) < 2:
        return float("nan")
    return float(roc_auc_score(labels[known], values[known]))


def _share_lost(states: NDArray[np.float64]) -> float:
    known = states[~np.isnan(states)]
    return float((known == 0.0).mean()) if len(known) else float("nan")
