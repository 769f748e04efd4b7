"""VOT's supervised experiment: the overlap on pixels, the resets, the files, the measures."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import vot_sample
from fake_trackers import Blank, Still
from hypothesis import given
from hypothesis import strategies as st

from asmd.errors import ConfigError, ResultsError
from asmd.evaluation import trajectories
from asmd.evaluation._raster import overlap, rasterise
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.runner import evaluate
from asmd.evaluation.supervised import Supervised
from asmd.evaluation.trajectories import FAILED, SKIPPED, STARTED, Trajectory
from asmd.evaluation.vot import eao, expected_overlap, fragments_of, score
from asmd.evaluation.vot_report import VotReport
from asmd.sequence import Sequence

# What vot-toolkit 0.7.4 answers for these pairs in an image of 100 x 80.
TOOLKIT_OVERLAPS = [
    ([10, 10, 20, 10], [15, 12, 20, 10], 0.42857142857142855),
    ([10, 10, 20, 10], [10, 10, 30, 10, 30, 20, 10, 20], 0.8658008658008658),
    ([10.4, 9.6, 20.5, 10.5], [14.2, 5.1, 33.7, 9.9, 29.3, 24.8, 9.9, 20.1], 0.5428571428571428),
    ([-8, -5, 20, 20], [5, -9, 14, 4, 1, 13, -9, 0], 0.6631016042780749),
    ([90, 70, 30, 30], [85, 65, 30, 30], 0.4444444444444444),
    ([0, 0, 5, 5], [50, 50, 5, 5], 0.0),
    ([20, 20, 0.3, 0.2], [20, 20, 0.2, 0.4], 1.0),
    ([20, 20, 1, 30], [15, 25, 20, 5], 0.04),
    ([30, 10, 60, 30, 30, 50, 10, 30], [12, 12, 40, 30], 0.6452802359882006),
    ([10, 10, 40, 40, 40, 10, 10, 40], [10, 10, 31, 31], 0.5920915712799167),
    ([200, 10, 20, 20], [190, 5, 30, 30], 0.0),
    ([30, 5, 80, 15, 60, 75, 20, 60], [40, 2, 85, 30, 70, 78, 15, 50], 0.6951394880644234),
]


@pytest.mark.parametrize(("first", "second", "expected"), TOOLKIT_OVERLAPS)
def test_overlap_is_that_of_the_vot_toolkit(first, second, expected):
    assert overlap(rasterise(first), rasterise(second), (80, 100)) == pytest.approx(expected, abs=1e-12)
    assert overlap(rasterise(second), rasterise(first), (80, 100)) == pytest.approx(expected, abs=1e-12)


@given(
    st.tuples(*[st.floats(0, 40)] * 2, *[st.integers(10, 40)] * 2),
    st.tuples(*[st.floats(25, 60)] * 2, *[st.floats(10, 30)] * 2, st.floats(0, 90)),
)
def test_overlap_inside_the_image_is_near_that_of_the_areas(box, turned):
    x, y, w, h = box
    corners = cv2.boxPoints(((turned[0], turned[1]), (turned[2], turned[3]), turned[4]))
    upright = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], dtype=np.float32)
    areas = w * h + turned[2] * turned[3]
    common = cv2.intersectConvexConvex(upright, corners)[0]
    # A pixel along the outlines is all that rounding can change.
    slack = (2 * (w + h) + 2 * (turned[2] + turned[3])) / (areas - common)
    found = overlap(rasterise(box), rasterise(corners.ravel()), (100, 100))
    assert found == pytest.approx(common / (areas - common), abs=slack)


def test_a_region_of_another_size_is_refused():
    with pytest.raises(ValueError, match="4 or 8 numbers"):
        rasterise([1, 2, 3])


class Leaving(Still):
    """Jumps off the target in its third frame after each start, and tells on which frames it was started."""

    starts: ClassVar[list[float]] = []

    def init(self, frame, box):
        super().init(frame, box)
        self.starts.append(float(self.box[0]))
        self.frames = 0

    def update(self, frame):
        self.frames += 1
        return self.box + ([60, 0, 0, 0] if self.frames == 3 else [0, 0, 0, 0])


def _moving(frames: int) -> Sequence:
    boxes = np.array([[2.0 + 0.1 * i, 3, 10, 8] for i in range(frames)])
    return Sequence("moving", Blank(frames, (40, 120)), boxes)


def test_a_lost_tracker_is_started_again_five_frames_later_on_the_annotation_there():
    Leaving.starts.clear()
    run = Supervised().perform(Leaving(), _moving(20))
    codes = [region if isinstance(region, int) else "box" for region in run.regions]
    assert codes == [1, "box", "box", 2, 0, 0, 0, 0] * 2 + [1, "box", "box", 2]
    np.testing.assert_allclose(Leaving.starts, [2.0, 2.8, 3.6])
    assert np.isnan(run.seconds[4:8]).all() and np.isfinite(run.seconds[:4]).all()


def test_where_there_is_no_annotation_nothing_fails_and_nothing_starts():
    sequence = _moving(12)
    sequence.boxes[3] = sequence.boxes[8] = np.nan
    run = Supervised().perform(Leaving(), sequence)
    # Frame 3, where it jumps, has no annotation; it never jumps again, so it runs to the end.
    assert [r if isinstance(r, int) else "box" for r in run.regions] == [1] + ["box"] * 11
    sequence.boxes[3] = [2, 3, 10, 8]
    run = Supervised().perform(Leaving(), sequence)
    assert run.where(FAILED) == [3] and run.where(STARTED) == [0, 9]


def test_a_tracker_that_repeats_itself_is_run_three_times_another_as_often_as_asked(tmp_path):
    sequences = [_moving(6)]
    run = evaluate(Still, sequences, results=tmp_path, experiment=Supervised())
    assert len(trajectories.read_all(run.results, "Still", "moving")) == 3
    run = evaluate("fake_trackers:Drawing", sequences, results=tmp_path, experiment=Supervised(), repeats=5)
    repeats = trajectories.read_all(run.results, "Drawing", "moving")
    assert len(repeats) == 5 and not repeats[0].same_as(repeats[1])
    assert trajectories.trackers(run.results) == ["Drawing", "Still"]
    seen = []
    evaluate(Still, sequences, results=tmp_path, experiment=Supervised(), progress=seen.append)
    assert [(p.done, p.total) for p in seen] == [(3, 3)]


def test_what_is_written_is_read_back_and_rotated_results_are_read(tmp_path):
    regions = (STARTED, np.array([1.5, 2.25, 3, 4]), FAILED, SKIPPED)
    run = Trajectory("s", regions, np.array([0.5, 0.25, 0.125, np.nan]))
    path = tmp_path / "s_001.txt"
    trajectories.write(path, run)
    assert path.read_text() == "1\n1.5000,2.2500,3.0000,4.0000\n2\n0\n"
    back = trajectories.read(path, "s")
    assert back.same_as(run)
    np.testing.assert_array_equal(back.seconds, run.seconds)
    path.write_text("1\n0,0,1.5,0,2,2,0,2\n")
    path.with_name("s_001_time.value").unlink()
    assert len(trajectories.read(path, "s").regions[1]) == 8


def test_the_binary_form_is_read(tmp_path):
    path = tmp_path / "s_001.bin"
    rectangle = struct.pack("<Bffff", 1, 1, 2, 3, 4.5)
    corners = struct.pack("<BH8f", 2, 4, *range(8))
    path.write_bytes(struct.pack("<hI", 1, 3) + struct.pack("<BI", 0, 1) + rectangle + corners)
    start, box, polygon = trajectories.read(path, "s").regions
    assert start == STARTED
    np.testing.assert_array_equal(box, [1, 2, 3, 4.5])
    np.testing.assert_array_equal(polygon, range(8))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ResultsError, match=r"s_001\.bin: ends in the middle, after row 2"):
        trajectories.read(path, "s")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n1,2,3\n", "row 2: neither a code nor a region"),
        ("1\n3\n", "row 2: neither"),
        ("x\n", "row 1: 'x' is not a number"),
        ("1\nnan,1,1,1\n", "row 2"),
    ],
)
def test_malformed_results_are_named_with_their_row(tmp_path, text, says):
    path = tmp_path / "s_001.txt"
    path.write_text(text)
    with pytest.raises(ResultsError, match=rf"s_001\.txt: {says}"):
        trajectories.read(path, "s")


def test_fragments_curve_and_eao_by_hand():
    box = np.ones(4)
    run = Trajectory("s", (1, box, box, 2, 0, 0, 0, 0, 1, box, box, box), np.full(12, np.nan))
    each = np.array([np.nan, 0.8, 0.4, np.nan, *[np.nan] * 4, np.nan, 1.0, 0.5, 0.6])
    failed, whole = fragments_of(run, each)
    assert failed.failed and not whole.failed
    # After one frame: .8 and 1; after two: (.8+.4)/2 and (1+.5)/2; after three: (.8+.4+0)/3 and (1+.5+.6)/3.
    curve = expected_overlap([failed, whole])
    np.testing.assert_allclose(curve[1:], [0.9, 0.675, 0.55])
    assert eao(curve, (1, 2)) == pytest.approx((0.9 + 0.675) / 2)
    assert np.isnan(eao(curve))


def _write_sample(results: Path) -> None:
    for name in vot_sample.LENGTHS:
        folder = results / "made" / "baseline" / name
        folder.mkdir(parents=True)
        for repeat in (1, 2, 3):
            (folder / f"{name}_{repeat:03d}.txt").write_text(vot_sample.trajectory(name, repeat))


def test_measures_are_those_that_the_vot_toolkit_gave(tmp_path):
    _write_sample(tmp_path)
    dataset = [vot_sample.sequence(name) for name in vot_sample.LENGTHS]
    result = score(ResultsFolder(tmp_path), "made", dataset)
    # vot-toolkit 0.7.4 on the same files; test_measures_are_those_of_the_vot_toolkit asks it again.
    assert result.accuracy == pytest.approx(0.5297445237750288, abs=1e-5)
    assert result.failures == pytest.approx(2.1761006289308176, abs=1e-12)
    assert result.eao == pytest.approx(0.2310023835320819, abs=1e-5)
    np.testing.assert_allclose(
        result.curve[[1, 50, 100, 149]], [0.66318578, 0.45309468, 0.29738764, 0.18679043], atol=1e-5
    )
    # 8 + 6 + 4 failures in three repeats over 530 frames.
    assert result.robustness == pytest.approx(100 * 18 / 3 / 530)
    assert [s.failures for s in result.sequences] == pytest.approx([8 / 3, 2, 4 / 3])


def test_results_that_are_missing_or_of_another_length_are_named(tmp_path):
    _write_sample(tmp_path)
    sequence = vot_sample.sequence("plain")
    with pytest.raises(ResultsError, match="no supervised results of other"):
        score(ResultsFolder(tmp_path), "made", [Sequence("other", (), sequence.boxes)])
    with pytest.raises(ResultsError, match="120 rows for plain, which has 119 frames"):
        score(ResultsFolder(tmp_path), "made", [Sequence("plain", (), sequence.boxes[1:], meta=sequence.meta)])


STACK = """
title: small
experiments:
  baseline:
    type: supervised
    repetitions: 15
    skip_initialize: 5
    analyses:
      - type: supervised_average_ar
      - type: supervised_eao_score
        low: 100
        high: 356
"""


def toolkit() -> Path:
    """The `vot` command of an environment with vot-toolkit 0.7.4, vot-trax 4.0.2 and attributee 0.1.9."""
    path = Path(os.environ.get("ASMD_VOT_TOOLKIT", ""))
    if not path.is_file():
        pytest.skip("ASMD_VOT_TOOLKIT does not name the `vot` command of the VOT toolkit")
    return path


def toolkit_workspace(folder: Path, images: bool) -> None:
    """A workspace of the toolkit with the sample challenge."""
    vot_sample.write(folder / "sequences", images)
    (folder / "config.yaml").write_text("registry:\n- ./trackers.ini\nstack: stack.yaml\n")
    (folder / "stack.yaml").write_text(STACK)


def toolkit_measures(folder: Path, tracker: str) -> tuple[float, float, float]:
    """Accuracy, failures and EAO as the toolkit's analysis has them."""
    command = [str(toolkit()), "analysis", tracker, "--name", tracker]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    found = json.loads((folder / "analysis" / f"{tracker}.json").read_text())["results"]["baseline"]["results"]
    return found[0][0][0], found[0][0][1], found[1][0][0]


def test_measures_are_those_of_the_vot_toolkit(tmp_path):
    toolkit()
    toolkit_workspace(tmp_path, images=False)
    (tmp_path / "trackers.ini").write_text("[made]\nlabel = made\nprotocol = traxpython\ncommand = none\n")
    _write_sample(tmp_path / "results")
    dataset = [vot_sample.sequence(name) for name in vot_sample.LENGTHS]
    ours = score(ResultsFolder(tmp_path / "results"), "made", dataset)
    assert (ours.accuracy, ours.failures, ours.eao) == pytest.approx(toolkit_measures(tmp_path, "made"), abs=1e-4)


def test_pysot_pools_frames_and_spares_a_failure_at_the_very_end(tmp_path):
    # Two sequences with the annotation (10, 10, 20, 20): overlaps 1 on 110 frames, 1/2 (a shift by a third) on 20.
    box, shifted = "10,10,20,20", "10,10,20,10"
    rows = {"long": ["1"] + [box] * 119, "short": ["1"] + [shifted] * 27 + ["2", "0"]}
    dataset = []
    for name, lines in rows.items():
        folder = tmp_path / "t" / "baseline" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_001.txt").write_text("\n".join(lines) + "\n")
        truth = np.tile([10.0, 10, 20, 20], (len(lines), 1))
        dataset.append(Sequence(name, (), truth, meta={"resolution": "(64, 48)"}))
    toolkit_way, pysot = (score(ResultsFolder(tmp_path), "t", dataset, p) for p in ("vot2018", "vot2018@pysot"))
    assert toolkit_way.accuracy == pytest.approx((120 * 1 + 30 * 0.5) / 150)
    assert pysot.accuracy == pytest.approx((110 * 1 + 18 * 0.5) / 128)
    assert toolkit_way.robustness == pysot.robustness == pytest.approx(100 / 150)
    # Over n > 27 frames the failed run has (27/2)/n on average; PySOT lets it end with its sequence instead.
    n = np.arange(100, 120)
    assert toolkit_way.eao == pytest.approx(np.mean((1 + 13.5 / n) / 2))
    assert pysot.eao == pytest.approx(1.0)
    table = str(VotReport.from_results(tmp_path, dataset, name="vot2018").table())
    assert "vot2018: 2 sequences, protocol vot2018" in table and "0.900" in table and "0.667" in table


def test_a_report_puts_the_best_first_and_names_what_is_missing(tmp_path):
    _write_sample(tmp_path)
    dataset = [vot_sample.sequence(name) for name in vot_sample.LENGTHS]
    worse = Trajectory("x", (1, 2, 0), np.full(3, np.nan))
    for sequence in dataset:
        regions = (*worse.regions, *[0] * (len(sequence) - 3))
        path = trajectories.path_of(ResultsFolder(tmp_path), "worse", sequence.name, 1)
        trajectories.write(path, Trajectory(sequence.name, regions, np.full(len(sequence), np.nan)))
    report = VotReport.from_results(tmp_path, dataset)
    assert [entry["tracker"] for entry in report.to_json()] == ["made", "worse"]
    assert report.to_json()[1]["fps"] is None
    assert [row[0] for row in report.sequence_table("made").rows] == ["spin", "plain", "drift"]
    with pytest.raises(ResultsError, match="no supervised results of 'other'; there are made, worse"):
        VotReport.from_results(tmp_path, dataset, trackers=["other"])
    with pytest.raises(ConfigError, match=r"did you mean 'vot2018@pysot'"):
        VotReport.from_results(tmp_path, dataset, "vot2018@pyso")
