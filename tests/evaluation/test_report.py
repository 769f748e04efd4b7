"""The report: figures by hand, published results as their README gives them, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_benchmark import LENGTHS, benchmark, write_results

from asmd import datasets
from asmd.errors import ConfigError, DatasetError, ResultsError
from asmd.evaluation.report import Report
from asmd.evaluation.results import ResultsFolder, SequenceRun
from asmd.sequence import Sequence

PERFECT = 20 / 21


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("results")).root


@pytest.fixture(scope="module")
def report(results: Path) -> Report:
    return Report.from_results(results, benchmark(), name="small")


def test_published_results_score_as_published(shared_data: Path) -> None:
    annotations = shared_data / "annotations"
    dataset = datasets.load("otb100", annotations / "otb100", frames=False)
    report = Report.from_results(annotations / "raw_results", dataset)
    assert report.protocol.name == "otb" and len(report.sequences) == 100
    found = {t.name: (t.measures["auc"], t.measures["precision"]) for t in report.trackers}
    expected = {"MDNet": (0.662, 0.888), "KCF": (0.473, 0.688), "Struck": (0.426, 0.579), "TLD": (0.356, 0.500)}
    assert list(found) == list(expected)  # best first
    for name, figures in expected.items():
        assert found[name] == pytest.approx(figures, abs=5e-4)
    assert sorted(w.split(":")[0].rsplit("/", 2)[1] for w in report.warnings) == [
        "KCF",
        "MDNet",
        "MDNet",
        "Struck",
        "TLD",
    ]


def test_short_files_are_told_of(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    for sequence in benchmark():
        folder.write("tail", SequenceRun.of(sequence.name, sequence.boxes[:-1]))
        folder.write("head", SequenceRun.of(sequence.name, sequence.boxes[5:]))
    report = Report.from_results(tmp_path, benchmark())
    assert report.tracker("tail").measures["auc"] == pytest.approx(PERFECT)
    assert f"{tmp_path}/tail/Car.txt: 19 of 20 rows; scored on those that it has" in report.warnings
    late = "15 of 20 rows; it begins at row 6 of the annotation, and is scored against the wrong frames"
    assert f"{tmp_path}/head/Car.txt: {late}" in report.warnings


def test_figures_by_hand(report: Report) -> None:
    assert [t.name for t in report.trackers] == ["exact", "half", "late"]
    exact, half, late = report.trackers
    assert exact.measures["auc"] == pytest.approx(PERFECT)
    by_repeat = [np.mean([(n // 2 + r) / n for n in LENGTHS.values()]) for r in (-1, 0, 1)]
    assert half.repeats == 3
    assert half.measures["auc"] == pytest.approx(PERFECT * np.mean(by_repeat))
    assert half.spread["auc"] == pytest.approx(PERFECT * np.std(by_repeat, ddof=1))
    assert half.sequences["Dog"]["sr50"] == pytest.approx(15 / 30)
    # 12 px of 24 overlap by a third, which passes 7 of the 21 thresholds.
    assert late.measures["auc"] == pytest.approx(np.mean([(20 + 7 * (n - 1)) / (21 * n) for n in LENGTHS.values()]))
    assert late.measures["precision"] == 1.0 and np.isnan(late.spread["auc"])


def test_attributes_are_means_over_their_sequences(report: Report) -> None:
    assert dict(report.attributes) == {"MB": 1, "OCC": 2, "SV": 2}
    late = report.tracker("late")
    assert late.attributes["MB"]["auc"] == pytest.approx(late.sequences["Man"]["auc"])
    assert late.attributes["OCC"]["auc"] == pytest.approx(
        (late.sequences["Car"]["auc"] + late.sequences["Dog"]["auc"]) / 2
    )


def test_speed_leaves_the_first_frame_out(report: Report) -> None:
    assert report.tracker("exact").fps == pytest.approx(20.0)
    assert report.tracker("half").fps == pytest.approx(200.0)
    assert np.isnan(report.tracker("late").fps)


def test_absence(report: Report) -> None:
    exact, late = report.tracker("exact").absence, report.tracker("late").absence
    assert exact is not None and late is not None
    assert (exact.absent, exact.present) == (10, 19)
    assert exact.score_auroc == 1.0 and exact.lost_when_absent == 1.0
    assert np.isnan(late.score_auroc)
    table = report.absence_table()
    assert table is not None and len(table.rows) == 3


def test_tables(report: Report) -> None:
    names = [c.name for c in report.table().columns]
    assert names == ["tracker", "AUC", "± AUC", "runs", "P@20", "NP@0.2", "SR.50", "SR.75", "fps"]
    assert report.table().texts()[1][:4] == ["half", "0.476", "0.034", "3"]
    worst = report.sequence_table("half", limit=2)
    assert len(worst.rows) == 2
    assert worst.rows[0][2] <= worst.rows[1][2]  # type: ignore[operator]
    assert worst.rows[0][4] == "exact"
    assert [c.name for c in report.attribute_table().columns] == ["tracker", "MB (1)", "OCC (2)", "SV (2)"]
    with pytest.raises(ResultsError, match="no results of 'gone'; there are exact, half, late"):
        report.sequence_table("gone")


def test_json_has_the_keys_of_the_contract(report: Report) -> None:
    entries = json.loads(report.json())
    assert [e["tracker"] for e in entries] == ["exact", "half", "late"]
    for entry in entries:
        assert {"tracker", "auc", "precision", "sr50", "fps", "sequences"} <= set(entry)
        assert set(entry["sequences"]) == set(LENGTHS)
    assert entries[0]["auc"] == pytest.approx(PERFECT)
    assert entries[2]["fps"] is None and entries[2]["spread"]["auc"] is None
    assert entries[0]["sequences"]["Car"] == pytest.approx(PERFECT)


def test_results_in_memory_score_as_those_on_disk(report: Report, results: Path) -> None:
    folder = ResultsFolder(results)
    runs = {"half": [{n: folder.read("half", n, r) for n in LENGTHS} for r in (1, 2, 3)]}
    alone = Report.from_results(runs, benchmark(), "otb")
    assert alone.tracker("half").measures == report.tracker("half").measures


def test_one_tracker_s_folder_further_folders_and_a_zip(results: Path, tmp_path: Path) -> None:
    alone = Report.from_results(results / "late", benchmark(), also={"best": results / "exact"})
    assert [t.name for t in alone.trackers] == ["best", "late"]
    assert [t.name for t in Report.from_results(results, benchmark(), trackers=["half"]).trackers] == ["half"]
    packed = tmp_path / "published.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in results.rglob("*.txt"):
            archive.write(path, path.relative_to(results))
    whole = Report.from_results(packed, benchmark())
    assert [t.measures["auc"] for t in whole.trackers] == pytest.approx(
        [t.measures["auc"] for t in Report.from_results(results, benchmark()).trackers]
    )
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(ResultsError, match=r"published\.zip: not a whole zip file"):
        Report.from_results(packed, benchmark())


def test_one_based_boxes(results: Path, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    for sequence in benchmark():
        folder.write("matlab", SequenceRun.of(sequence.name, np.add(sequence.boxes, [1, 1, 0, 0])))
    plain = Report.from_results(tmp_path, benchmark())
    assert plain.tracker("matlab").measures["auc"] < 0.9
    assert any("--one-based matlab" in w for w in plain.warnings)
    shifted = Report.from_results(tmp_path, benchmark(), one_based=["matlab"])
    assert shifted.tracker("matlab").measures["auc"] == pytest.approx(PERFECT)
    assert not shifted.warnings


def test_names_of_other_toolkits(tmp_path: Path) -> None:
    sequence = Sequence("Jogging-1", (), benchmark()[0].boxes)
    ResultsFolder(tmp_path).write("t", SequenceRun.of("jogging_1", sequence.boxes))
    assert Report.from_results(tmp_path, [sequence]).tracker("t").measures["auc"] == pytest.approx(PERFECT)


def corrupt(results: Path, tmp_path: Path, change: str) -> Path:
    """A copy of the results of `exact` with one file changed, and the message's start."""
    folder = ResultsFolder(tmp_path)
    for sequence in benchmark():
        folder.write("exact", SequenceRun.of(sequence.name, sequence.boxes))
    path = tmp_path / "exact/Dog.txt"
    lines = path.read_text().splitlines()
    if change == "cut":
        lines = lines[:12]
    elif change == "long":
        lines.append(lines[-1])
    elif change == "gone":
        path.unlink()
        return path
    else:
        lines[6] = change
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("cut", r"exact/Dog\.txt: 12 rows where the annotation has 30; row 13 is missing$"),
        ("long", r"exact/Dog\.txt: 31 rows where the annotation has 30; row 31 is one too many$"),
        ("1,2,three,4", r"exact/Dog\.txt: row 7: 'three' is not a number$"),
        ("1,nan,3,4", r"exact/Dog\.txt: row 7: a box that is not finite \(1,nan,3,4\)$"),
        ("1,2,3", r"exact/Dog\.txt: row 7: 3 values where x,y,w,h needs 4"),
        ("gone", r"exact/Dog\.txt: no such file; exact lacks Dog of 3 sequences"),
    ],
)
def test_malformed_results_are_named(results: Path, tmp_path: Path, change: str, message: str) -> None:
    corrupt(results, tmp_path, change)
    with pytest.raises(ResultsError, match=message) as caught:
        Report.from_results(tmp_path, benchmark())
    assert "\n" not in str(caught.value)


def test_common_sequences(results: Path, tmp_path: Path) -> None:
    corrupt(results, tmp_path, "gone")
    report = Report.from_results(tmp_path, benchmark(), also={"late": results / "late"}, common=True)
    assert [s.name for s in report.sequences] == ["Car", "Man"]


def test_results_of_another_data_set(results: Path, tmp_path: Path) -> None:
    other = [Sequence("Tree", (), benchmark()[0].boxes)]
    with pytest.raises(ResultsError, match=r"exact/Car\.txt: no sequence of that name in this data set"):
        Report.from_results(results, other)
    moved = [Sequence(s.name, (), np.add(s.boxes, [200, 0, 0, 0])) for s in benchmark()]  # same names and lengths
    with pytest.raises(ResultsError, match=r"exact/Car\.txt: row 1: .* results of another data set\?"):
        Report.from_results(results, moved)


def test_incomplete_repeats_are_left_out(results: Path, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    for sequence in benchmark():
        folder.write("t", SequenceRun.of(sequence.name, sequence.boxes))
    folder.write("t", SequenceRun.of("Car", benchmark()[0].boxes), repeat=2)
    report = Report.from_results(tmp_path, benchmark())
    assert report.tracker("t").repeats == 1
    assert report.warnings == ("t: repeat 2 lacks 2 sequences and is left out",)


def test_what_cannot_be_scored(results: Path, tmp_path: Path) -> None:
    hidden = [Sequence("Car", (), np.vstack([benchmark()[0].boxes[:1], np.full((19, 4), np.nan)]))]
    with pytest.raises(DatasetError, match="Car: no box after the first frame"):
        Report.from_results(results, hidden)
    with pytest.raises(DatasetError, match="no sequence to score"):
        Report.from_results(results, [])
    with pytest.raises(ConfigError, match="there is no protocol 'otbb'"):
        Report.from_results(results, benchmark(), "otbb")
    with pytest.raises(ResultsError, match="no results of 'gone'"):
        Report.from_results(results, benchmark(), trackers=["gone"])
    with pytest.raises(ResultsError, match="two trackers are called 'late'"):
        Report.from_results(results, benchmark(), also={"late": results / "exact"})
    with pytest.raises(ResultsError, match="no such folder of results"):
        Report.from_results(results, benchmark(), also={"x": tmp_path / "none"})


def test_per_cent_where_the_server_prints_it(results: Path) -> None:
    report = Report.from_results(results, benchmark(), "trackingnet")
    assert report.table().texts()[0][1] == "100.00"
    assert report.tracker("exact").measures["auc"] == pytest.approx(1.0)
