"""Boxes files, by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from asmd.boxfiles import as_record, write_boxes
from asmd.errors import OutputError
from asmd.tracking.result import Status, TrackResult

RESULTS = [
    TrackResult(5, np.array([1.0, 2.0, 30.0, 40.0]), 1.0, Status.FOUND, 0.5),
    TrackResult(6, np.array([1.234, 2.345, 30.5, 40.999]), 0.43219, Status.UNCERTAIN, 0.025),
    TrackResult(9, np.array([-3.0, 0.0, 10.0, 10.0]), float("nan"), Status.LOST, 0.0),  # 7 and 8 were damaged
]


def written(path: Path) -> str:
    with write_boxes(path, {"source": "clip.mp4", "fps": None}) as add:
        for result in RESULTS:
            add(result)
    return path.read_text(encoding="utf-8")


def test_text_has_a_row_for_each_frame(tmp_path: Path) -> None:
    rows = written(tmp_path / "b.txt").splitlines()
    assert rows[:2] == ["1.00,2.00,30.00,40.00", "1.23,2.35,30.50,41.00"] or rows[1] == "1.23,2.34,30.50,41.00"
    assert rows[2:] == ["nan,nan,nan,nan", "nan,nan,nan,nan", "-3.00,0.00,10.00,10.00"]
    assert np.loadtxt(tmp_path / "b.txt", delimiter=",").shape == (5, 4)


def test_table(tmp_path: Path) -> None:
    written(tmp_path / "b.csv")
    with (tmp_path / "b.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["frame"] for r in rows] == ["5", "6", "9"]
    assert list(rows[0].values()) == ["5", "1.0", "2.0", "30.0", "40.0", "1.0", "found", "0.5"]
    assert list(rows[0]) == ["frame", "x", "y", "w", "h", "score", "status", "seconds"]
    assert rows[1]["score"] == "0.4322"
    assert rows[2]["score"] == ""


def test_json(tmp_path: Path) -> None:
    read = json.loads(written(tmp_path / "b.json"))
    assert read["source"] == "clip.mp4"
    assert read["fps"] is None
    assert read["frames"] == [as_record(r) for r in RESULTS]
    assert read["frames"][2] == {
        "frame": 9,
        "box": [-3.0, 0.0, 10.0, 10.0],
        "score": None,
        "status": "lost",
        "seconds": 0.0,
    }


def test_json_of_no_frames_is_json(tmp_path: Path) -> None:
    with write_boxes(tmp_path / "b.json"):
        pass
    assert json.loads((tmp_path / "b.json").read_text()) == {"frames": []}


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".json"])
def test_nothing_is_left_when_it_goes_wrong(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(RuntimeError), write_boxes(tmp_path / f"b{suffix}") as add:
        add(RESULTS[0])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"b\.xml: .*\.txt, \.csv, \.json"), write_boxes(tmp_path / "b.xml"):
        pass
