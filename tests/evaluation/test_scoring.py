"""The scorer against figures worked out by hand, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asmd.boxes import Boxes, iou
from asmd.errors import DatasetError, ResultsError
from asmd.evaluation.protocols import PROTOCOLS
from asmd.evaluation.scoring import Counts, Curves, each, frame_size, overlaps, pool, score_sequence
from asmd.sequence import Sequence

OTB = PROTOCOLS["otb"]
NAN = [np.nan] * 4
BOX = [10.0, 10.0, 20.0, 10.0]
HALF = [10.0, 10.0, 10.0, 10.0]  # overlap exactly 1/2, centre 5 px off, a quarter of the width
FAR = [400.0, 400.0, 20.0, 10.0]


def sequence(rows: list[list[float]], **more: object) -> Sequence:
    return Sequence("s", (), np.array(rows), **more)  # type: ignore[arg-type]


def score(name: str, truth: Sequence, rows: list[list[float]]) -> Curves:
    return each(score_sequence(PROTOCOLS[name], truth, [np.array(rows)])[0])


def test_success_and_precision_by_hand() -> None:
    truth = sequence([BOX] * 4)
    curves = score("otb", truth, [FAR, HALF, BOX, FAR])  # the first row becomes the annotation
    np.testing.assert_allclose(curves.success[:10], 0.75)  # below 1/2: three of four
    np.testing.assert_allclose(curves.success[10:20], 0.5)  # 1/2 > 1/2 is false
    assert curves.success[20] == 0.0
    np.testing.assert_allclose(curves.precision[[0, 4, 5, 50]], [0.5, 0.5, 0.75, 0.75])  # 5 <= 5 is true
    np.testing.assert_allclose(curves.normalised[[0, 24, 25, 50]], [0.5, 0.5, 0.75, 0.75])
    assert curves.overlap == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    measures = curves.measures(OTB)
    assert measures["auc"] == pytest.approx((10 * 0.75 + 10 * 0.5) / 21)
    assert measures["precision"] == pytest.approx(0.75)
    assert measures["sr50"] == pytest.approx(0.5)


@given(
    hnp.arrays(np.float64, (6, 4), elements=st.floats(1, 100)),
    hnp.arrays(np.float64, (3, 6, 4), elements=st.floats(1, 100)),
    st.sampled_from(["otb@got10k", "otb@pysot", "trackingnet"]),
)
def test_counting_equals_the_plain_comparison(truth: Boxes, runs: Boxes, name: str) -> None:
    rules = replace(PROTOCOLS[name], first="counted", rounded=False)
    counts = score_sequence(rules, Sequence("s", (), truth), list(runs))
    for row, boxes in enumerate(runs):
        values = iou(boxes, truth)[:, None]
        passed = values > rules.success.thresholds if rules.success.strict else values >= rules.success.thresholds
        np.testing.assert_array_equal(counts.success[row], passed.sum(axis=0))
        centres = (boxes[:, :2] + (boxes[:, 2:] - 1) / 2) - (truth[:, :2] + (truth[:, 2:] - 1) / 2)
        errors = np.sqrt((centres**2).sum(axis=1))[:, None]
        np.testing.assert_array_equal(counts.precision[row], (errors <= rules.precision.thresholds).sum(axis=0))
        assert counts.overlap[row] == pytest.approx(values.sum())


def test_runs_are_scored_alone_whatever_stands_beside_them() -> None:
    rng = np.random.default_rng(0)
    truth = Sequence("s", (), rng.uniform(1, 50, (30, 4)))
    runs = [rng.uniform(1, 50, (30, 4)) for _ in range(5)] + [np.full((28, 4), np.nan)]
    for rules in PROTOCOLS.values():
        if rules.clipped or rules.refuses_gaps:
            continue
        together = score_sequence(rules, truth, runs)
        for row, run in enumerate(runs):
            alone = score_sequence(rules, truth, [run])
            np.testing.assert_array_equal(together.success[row], alone.success[0])
            np.testing.assert_array_equal(together.precision[row], alone.precision[0])


def test_first_frame_rules() -> None:
    truth = sequence([BOX] * 2)
    rows = [FAR, BOX]
    assert score("otb", truth, rows).overlap == 1.0
    assert score("otb@pysot", truth, rows).overlap == 0.5
    skipped = sequence([BOX] * 2, meta={"resolution": "(100, 100)"})
    assert score("got10k", skipped, rows).overlap == 1.0
    assert score_sequence(PROTOCOLS["got10k"], skipped, [np.array(rows)]).frames[0] == 1


def test_frames_without_an_annotated_box() -> None:
    truth = sequence([BOX, BOX, NAN, [0.0, 0.0, 0.0, 0.0]])
    rows = [BOX, BOX, BOX, BOX]
    by_otb = score("otb", truth, rows)
    assert by_otb.success[0] == 0.5 and by_otb.precision[0] == 1.0 and by_otb.normalised[0] == 1.0
    # The GOT-10k toolkit takes rows at their word: NaN fails, and the empty box is far off.
    by_got = score("otb@got10k", truth, rows)
    assert by_got.success[0] == 0.5 and by_got.precision[0] == 0.5
    # PyTracking leaves both out of the denominator, and still passes them on the normalised curve.
    by_pytracking = score("otb@pytracking", truth, rows)
    assert by_pytracking.success[0] == 1.0 and by_pytracking.precision[50] == 1.0 and by_pytracking.normalised[0] == 2.0
    # Only NaN is out of view for UAV123 in the GOT-10k toolkit.
    assert score("uav123@got10k", truth, rows).success[0] == pytest.approx(2 / 3)
    assert score("uav123", truth, rows).success[0] == 0.5


def test_a_box_across_the_border_counts_unless_the_rule_is_matlab_s() -> None:
    truth = sequence([BOX, [-1.0, 5.0, 20.0, 10.0], [0.0, 5.0, 20.0, 10.0]])
    rows = truth.boxes.tolist()
    assert score("otb", truth, rows).success[0] == 1.0
    assert score("otb@matlab", truth, rows).success[0] == pytest.approx(2 / 3)  # 0-based -1 is 1-based 0


def test_rows_without_a_box_fail() -> None:
    truth = sequence([BOX] * 4)
    curves = score("otb", truth, [BOX, NAN, BOX, BOX])
    assert curves.success[0] == 0.75 and curves.precision[50] == 0.75
    with pytest.raises(ResultsError, match="s: row 2: otb@pytracking takes no row without a box"):
        score("otb@pytracking", truth, [BOX, NAN, BOX, BOX])


def test_lasot_repeats_the_box_before_an_unusable_one() -> None:
    truth = sequence([BOX] * 5)
    rows = [BOX, BOX, NAN, [5.0, 5.0, -1.0, 9.0], FAR]
    assert score("lasot", truth, rows).overlap == pytest.approx(4 / 5)
    assert score("otb", truth, rows).overlap == pytest.approx(2 / 5)
    # Mending comes before the first box is replaced: an unusable first row is what the second inherits.
    assert score("lasot", truth, [FAR, NAN, BOX, BOX, BOX]).overlap == pytest.approx(4 / 5)


def test_lasot_absent_frames_stay_in_the_denominator() -> None:
    truth = sequence([BOX] * 4, absent=np.array([False, True, False, False]))
    rows = [BOX] * 4
    assert score("lasot", truth, rows).success[0] == 0.75
    assert score("lasot", truth, rows).precision[50] == 0.75
    assert score("lasot@pytracking", truth, rows).success[0] == 0.75
    assert score("lasot@pysot", truth, rows).success[0] == 0.75
    assert score("lasot@got10k", truth, rows).success[0] == 1.0


def test_lasot_drops_sequences_whose_curve_is_zero() -> None:
    truth = [sequence([BOX] * 3), sequence([BOX] * 3, absent=np.ones(3, dtype=bool))]
    for name, expected in (("lasot", 20 / 21), ("lasot@pysot", 10 / 21)):
        rules = PROTOCOLS[name]
        counts = Counts.stack([score_sequence(rules, s, [np.array([BOX] * 3)]) for s in truth], axis=1)
        assert pool(rules, counts).measures(rules)["auc"][0] == pytest.approx(expected)


def test_lasot_normalised_precision_is_read_at_a_fifth_or_averaged() -> None:
    truth = sequence([[10.0, 10.0, 100.0, 100.0]] * 2)
    rows = [[10.0, 10.0, 100.0, 100.0], [35.0, 10.0, 100.0, 100.0]]  # a quarter of a width off
    measures = {n: score(n, truth, rows).measures(PROTOCOLS[n]) for n in ("lasot", "lasot@got10k")}
    assert measures["lasot"]["normalised_precision"] == 0.5
    assert measures["lasot@got10k"]["normalised_precision"] == pytest.approx((25 * 0.5 + 26 * 1.0) / 51)


def test_trackingnet_rounds_and_takes_areas() -> None:
    truth = sequence([[10.4, 10.0, 20.0, 10.0]] * 2)
    curves = score("trackingnet", truth, [FAR, [9.6, 10.0, 20.0, 10.0]])  # both round to x = 10
    assert curves.success[20] == 1.0  # 1 >= 1
    rules = PROTOCOLS["trackingnet"]
    assert curves.measures(rules)["auc"] == pytest.approx(1.0)
    lost = score("trackingnet", sequence([BOX] * 2), [BOX, FAR])
    np.testing.assert_allclose(lost.success, [1.0] + [0.5] * 20)  # an overlap of 0 reaches the threshold 0
    assert lost.measures(rules)["auc"] == pytest.approx(0.5 + 0.5 / 40)
    assert score("trackingnet", sequence([BOX] * 2), [BOX, NAN]).success[0] == 0.5  # no box does not


def test_got10k_clips_and_leaves_out_what_is_not_visible() -> None:
    truth = sequence([BOX] * 4, cover=np.array([8, 8, 0, 8]), meta={"resolution": "(30, 20)"})
    # Sticks out of the frame on the right and below by as much again: clipping gives the annotation.
    rows = [BOX, [10.0, 10.0, 40.0, 20.0], FAR, BOX]
    counts = score_sequence(PROTOCOLS["got10k"], truth, [np.array(rows)])
    assert counts.frames[0] == 2
    assert counts.overlap[0] == pytest.approx(2.0)


def test_got10k_moves_a_corner_before_it_cuts_the_sides() -> None:
    truth = sequence([BOX, [0.0, 0.0, 20.0, 10.0]], meta={"resolution": "(100, 100)"})
    rows = [BOX, [-5.0, 0.0, 20.0, 10.0]]  # keeps its width of 20 when its corner is moved to 0
    assert score("got10k", truth, rows).overlap == pytest.approx(1.0)


def test_pooling_over_frames_sequences_and_classes() -> None:
    long, short = (
        sequence([BOX] * 31, meta={"resolution": "(99, 99)"}),
        sequence([BOX] * 11, meta={"resolution": "(99, 99)"}),
    )
    hit, miss = np.array([BOX] * 31), np.array([BOX] + [[60.0, 60.0, 10.0, 10.0]] * 10)
    counts = {}
    for name in ("got10k", "got10k@classes", "otb"):
        rules = PROTOCOLS[name]
        parts = [score_sequence(rules, s, [b]) for s, b in ((long, hit), (short, miss), (short, miss))]
        counts[name] = pool(rules, Counts.stack(parts, axis=1), ["a", "a", "b"]).overlap[0]
    assert counts["got10k"] == pytest.approx(30 / 50)
    assert counts["got10k@classes"] == pytest.approx((1 / 2 + 0) / 2)
    assert counts["otb"] == pytest.approx((1 + 1 / 11 + 1 / 11) / 3)


def test_short_and_long_files() -> None:
    truth = sequence([BOX] * 10)
    rows = [BOX] * 8
    assert score("otb", truth, rows).overlap == 1.0  # scored on the rows that it has
    assert score("trackingnet", truth, rows).overlap == pytest.approx(0.8)
    assert score("otb@pytracking", truth, rows).overlap == pytest.approx(0.8)
    with pytest.raises(ResultsError, match="s: 4 rows where the annotation has 10; row 5 is missing"):
        score("otb", truth, [BOX] * 4)
    with pytest.raises(ResultsError, match="s: 11 rows where the annotation has 10; row 11 is one too many"):
        score("otb", truth, [BOX] * 11)
    assert score("lasot", truth, [BOX] * 11).overlap == 1.0


def test_scoring_changes_no_input() -> None:
    truth = sequence([BOX] * 3, meta={"resolution": "(15, 15)"})
    run = np.array([FAR, NAN, BOX])
    before = run.copy()
    for rules in PROTOCOLS.values():
        if not rules.refuses_gaps:
            score_sequence(rules, truth, [run])
    np.testing.assert_array_equal(run, before)
    np.testing.assert_array_equal(truth.boxes, [BOX] * 3)


def test_overlaps_of_a_run() -> None:
    values = overlaps(sequence([BOX, BOX, NAN, BOX]), np.array([BOX, HALF, BOX]))
    np.testing.assert_allclose(values, [1, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(overlaps(sequence([BOX] * 2), np.array([BOX, NAN])), [1, 0])


def test_frame_size_comes_from_meta_or_a_frame() -> None:
    class Frames:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> np.ndarray:
            return np.zeros((48, 64, 3), np.uint8)

    assert frame_size(sequence([BOX], meta={"resolution": "(1920, 1080)"})) == (1080, 1920)
    assert frame_size(Sequence("s", Frames(), np.array([BOX]))) == (48, 64)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="s: this protocol clips to the frame"):
        frame_size(sequence([BOX]))
    with pytest.raises(DatasetError, match="s: the resolution 'wide' is not"):
        frame_size(sequence([BOX], meta={"resolution": "wide"}))
