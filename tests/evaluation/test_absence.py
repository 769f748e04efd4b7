"""Telling frames without the target: AUROC by counting pairs, and scikit-learn's on the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from asmd.evaluation.absence import absence_score
from asmd.evaluation.results import SequenceRun
from asmd.sequence import Sequence

BOXES = np.tile([1.0, 1.0, 5.0, 5.0], (6, 1))


def sequence(absent: list[int], name: str = "s", boxes: np.ndarray = BOXES) -> Sequence:
    return Sequence(name, (), boxes, absent=np.array(absent, dtype=bool))


def pairs(present: list[float], absent: list[float]) -> float:
    """The definition: the share of pairs in which the frame with the target has the higher score, ties half."""
    return float(np.mean([1.0 if p > a else 0.5 if p == a else 0.0 for p in present for a in absent]))


def test_by_hand() -> None:
    run = SequenceRun.of(
        "s", BOXES, scores=[0.0, 0.9, 0.3, 0.3, 0.8, 0.1], status=["found"] * 2 + ["uncertain", "lost", "found", "lost"]
    )
    result = absence_score([(sequence([0, 0, 0, 1, 0, 1]), run)])
    assert result is not None
    # The first frame, given by the user, is no case; so present: .9 .3 .8, absent: .3 .1.
    assert (result.sequences, result.present, result.absent) == (1, 3, 2)
    assert result.score_auroc == pytest.approx(pairs([0.9, 0.3, 0.8], [0.3, 0.1])) == pytest.approx(5.5 / 6)
    assert result.status_auroc == pytest.approx(1.0)
    assert result.lost_when_absent == 1.0 and result.lost_when_present == 0.0


def test_pooled_over_sequences_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(3)
    runs, labels, scores = [], [], []
    for name in "abc":
        absent = rng.random(40) < 0.3
        absent[0] = False
        boxes = np.tile([1.0, 1.0, 5.0, 5.0], (40, 1))
        given = np.round(rng.random(40) - 0.3 * absent, 2)
        runs.append((Sequence(name, (), boxes, absent=absent), SequenceRun.of(name, boxes, scores=given)))
        labels.append(~absent[1:])
        scores.append(given[1:])
    result = absence_score(runs)
    assert result is not None
    assert result.score_auroc == pytest.approx(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))
    assert np.isnan(result.status_auroc) and np.isnan(result.lost_when_absent)


def test_sequences_that_never_lose_their_target_take_no_part() -> None:
    run = SequenceRun.of("s", BOXES, scores=np.linspace(0, 1, 6))
    assert absence_score([(sequence([0] * 6), run)]) is None
    both = absence_score([(sequence([0] * 6), run), (sequence([0, 0, 1, 0, 0, 0], "t"), run)])
    assert both is not None and both.sequences == 1 and both.present == 4


def test_frames_of_which_nothing_is_known_are_left_out() -> None:
    boxes = BOXES.copy()
    boxes[4] = np.nan
    run = SequenceRun.of("s", BOXES, scores=np.linspace(0, 1, 6))
    result = absence_score([(sequence([0, 0, 1, 0, 0, 0], boxes=boxes), run)])
    assert result is not None and (result.present, result.absent) == (3, 1)


def test_a_missing_box_says_lost_for_a_tracker_without_status() -> None:
    boxes = BOXES.copy()
    boxes[[2, 3]] = np.nan
    result = absence_score([(sequence([0, 0, 0, 1, 1, 0]), SequenceRun.of("s", boxes))])
    assert result is not None
    assert np.isnan(result.score_auroc)
    assert result.status_auroc == pytest.approx(pairs([1, 0, 1], [0, 1]))
    assert result.lost_when_absent == 0.5 and result.lost_when_present == pytest.approx(1 / 3)
