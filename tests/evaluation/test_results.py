"""Results on disk: what is written is read back, and what is malformed is named with its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asmd.errors import OutputError, ResultsError
from asmd.evaluation.results import ResultsFolder, SequenceRun, read_boxes, write_atomic
from asmd.tracking.result import Status, TrackResult

BOXES = np.array([[1.0, 2.0, 30.0, 40.0], [1.5, 2.25, 30.0, 40.125], [0.0, -3.5, 31.0, 41.0]])


def test_layout_and_contents_are_those_of_the_design(tmp_path: Path) -> None:
    run = SequenceRun.of("Car", BOXES, [0.5, 0.1, 0.1], [1.0, 0.75, np.nan], ["found", "uncertain", ""])
    ResultsFolder(tmp_path).write("asmd", run)
    ResultsFolder(tmp_path).write("asmd", run, repeat=2)
    assert (tmp_path / "asmd/Car.txt").read_text().splitlines()[1] == "1.5000,2.2500,30.0000,40.1250"
    assert (tmp_path / "asmd/Car.csv").read_text().splitlines() == [
        "frame,seconds,score,status",
        "0,0.500000,1.000000,found",
        "1,0.100000,0.750000,uncertain",
        "2,0.100000,,",
    ]
    assert (tmp_path / "asmd/run-2/Car.txt").is_file()
    assert sorted(p.name for p in (tmp_path / "asmd").iterdir()) == ["Car.csv", "Car.txt", "run-2"]


def test_read_returns_what_was_written(tmp_path: Path) -> None:
    results = [
        TrackResult(i, b, 0.25 * i, s, 0.01 * (i + 1)) for i, (b, s) in enumerate(zip(BOXES, Status, strict=True))
    ]
    folder = ResultsFolder(tmp_path)
    folder.write("asmd", SequenceRun.from_track("Car", results))
    run = folder.read("asmd", "Car")
    np.testing.assert_allclose(run.boxes, BOXES, atol=5e-5)
    np.testing.assert_allclose(run.seconds, [0.01, 0.02, 0.03])
    np.testing.assert_allclose(run.scores, [0.0, 0.25, 0.5])
    assert run.status == ("found", "uncertain", "lost")
    assert run.fps == pytest.approx(2 / 0.05)  # the first frame is set-up


@given(hnp.arrays(np.float64, (5, 4), elements=st.floats(-1e4, 1e4)))
def test_any_box_survives_to_the_fourth_decimal(tmp_path_factory: pytest.TempPathFactory, boxes: np.ndarray) -> None:
    folder = ResultsFolder(tmp_path_factory.getbasetemp() / "round-trip")
    folder.write("t", SequenceRun.of("s", boxes))
    np.testing.assert_allclose(folder.read("t", "s").boxes, boxes, atol=5.1e-5)


def test_lists_trackers_sequences_and_repeats(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    for tracker, sequence, repeat in [("b", "X", 1), ("a", "X", 1), ("a", "Y", 1), ("a", "X", 2), ("a", "X", 3)]:
        folder.write(tracker, SequenceRun.of(sequence, BOXES), repeat)
    (tmp_path / "notes").mkdir()
    assert folder.trackers() == ["a", "b"]
    assert folder.sequences("a") == ["X", "Y"]
    assert folder.repeats("a", "X") == [1, 2, 3]
    assert folder.repeats("a", "Y") == [1]
    assert folder.repeats("a", "Z") == []
    assert folder.has("a", "X", 3) and not folder.has("a", "Y", 2)


def test_reads_the_layout_of_the_got10k_toolkit(tmp_path: Path) -> None:
    nested = tmp_path / "siam" / "GOT-10k_Val_000001"
    nested.mkdir(parents=True)
    for repeat in (1, 2):
        (nested / f"GOT-10k_Val_000001_{repeat:03d}.txt").write_text(
            "1.000,2.000,3.000,4.000\n5.000,6.000,7.000,8.000\n"
        )
    (nested / "GOT-10k_Val_000001_time.txt").write_text("0.5,0.6\n0.1,0.2\n")
    folder = ResultsFolder(tmp_path)
    assert folder.trackers() == ["siam"]
    assert folder.sequences("siam") == ["GOT-10k_Val_000001"]
    assert folder.repeats("siam", "GOT-10k_Val_000001") == [1, 2]
    run = folder.read("siam", "GOT-10k_Val_000001", 2)
    np.testing.assert_array_equal(run.boxes[1], [5, 6, 7, 8])
    np.testing.assert_allclose(run.seconds, [0.6, 0.2])


@pytest.mark.parametrize("text", ["1,2,3,4\n5,6,7,8\n", "1\t2\t3\t4\r\n5 6 7 8\r\n", "\ufeff1, 2, 3, 4\n5;6;7;8\n\n"])
def test_separators_of_other_tools(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    np.testing.assert_array_equal(read_boxes(tmp_path / "a.txt"), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_a_row_of_nan_says_no_box(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,2,3,4\nNaN,NaN,NaN,NaN\n")
    assert np.isnan(read_boxes(tmp_path / "a.txt")[1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4\n1,2,x,4\n", r"a\.txt: row 2: 'x' is not a number"),
        ("1,2,3,4\n1,2,3\n", r"a\.txt: row 2: 3 values"),
        ("1,2,3,4\n\n1,2,3,4\n", r"a\.txt: row 2: "),
        ("1,2,3,4\n1,2,3,4\n1,nan,3,4\n", r"a\.txt: row 3: a box that is not finite"),
        ("inf,2,3,4\n", r"a\.txt: row 1: a box that is not finite"),
        ("1,2,3,4,5,6,7,8\n", r"a\.txt: row 1: 8 values"),
        ("", r"a\.txt: empty"),
        (b"\xff\xfe\x00binary", r"a\.txt: cannot be read as text"),
        (None, r"a\.txt: no such file"),
    ],
)
def test_malformed_boxes_are_named(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "a.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ResultsError, match=message) as caught:
        read_boxes(tmp_path / "a.txt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("frame,score\n0,1\n", "row 1: the columns"),
        ("frame,seconds,score,status\n0,0.1,,\n", "1 rows for 3 boxes"),
        ("frame,seconds,score,status\n0,0.1,,\n1,abc,,\n2,0.1,,\n", "row 3: 'abc' is not a number"),
        ("frame,seconds,score,status\n0,0.1,,\n1,0.1,,\n2,0.1,,gone\n", "row 4: 'gone' is not a status"),
        ("frame,seconds,score,status\n0,0.1,,\n1,0.1\n2,0.1,,\n", "row 3: 2 values"),
    ],
)
def test_malformed_details_are_named(tmp_path: Path, table: str, message: str) -> None:
    folder = ResultsFolder(tmp_path)
    folder.write("t", SequenceRun.of("s", BOXES))
    (tmp_path / "t/s.csv").write_text(table)
    with pytest.raises(ResultsError, match=rf"s\.csv: {message}"):
        folder.read("t", "s")
    assert len(folder.read("t", "s", details=False)) == 3


def test_provenance(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    assert folder.provenance("t") == {}
    folder.write_provenance("t", {"seed": 3, "weights": Path("w")})
    assert folder.provenance("t") == {"seed": 3, "weights": "w"}
    (tmp_path / "t/run.json").write_text("{")
    with pytest.raises(ResultsError, match=r"run\.json: not JSON"):
        folder.provenance("t")


def test_no_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no such folder"):
        ResultsFolder(tmp_path / "none").trackers()
    with pytest.raises(ResultsError, match=r"no <tracker>/<sequence>\.txt"):
        ResultsFolder(tmp_path).trackers()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(OutputError, match="target is a folder"):
        write_atomic(tmp_path / "target", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


def test_lengths_must_agree() -> None:
    with pytest.raises(ResultsError, match="2 seconds for 3 boxes"):
        SequenceRun.of("s", BOXES, seconds=[1, 2])
