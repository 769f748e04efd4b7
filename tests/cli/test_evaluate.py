"""`asmd evaluate` and `asmd vot init` as their users see them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from asmd.cli import main

MODULE = """
class Lazy:
    def init(self, frame, box):
        self.box, self.shape = box, frame.shape
    def update(self, frame):
        if self.box[2] == 13:
            raise RuntimeError("no")
        return self.box
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name, width in (("first", 10), ("second", 12)):
        (root / name).mkdir(parents=True)
        for index in range(3):
            image = np.full((30, 40, 3), 40 * index, np.uint8)
            cv2.imwrite(str(root / name / f"{index:03d}.png"), image)
        (root / f"{name}.txt").write_text(f"5,6,{width},8\n" * 3)
    return root


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lazy_tracker.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # which is also taken away again, as what `main` adds is not
    return tmp_path


def _evaluate(root: Path, *more: str) -> int:
    return main(["evaluate", "--dataset", "folder", "--root", str(root), "--tracker", "lazy_tracker:Lazy", *more])


def test_results_are_where_they_should_be_and_a_second_run_has_nothing_to_do(data, here, capsys):
    assert _evaluate(data) == 0
    said = capsys.readouterr()
    assert "Lazy: 2 of 2 sequences in results/Lazy" in said.out
    assert "[2/2] second: done" in said.err
    assert (here / "results/Lazy/first.txt").read_text() == "5.0000,6.0000,10.0000,8.0000\n" * 3
    assert (here / "results/Lazy/first.csv").read_text().startswith("frame,seconds,score,status\n0,")
    assert json.loads((here / "results/Lazy/run.json").read_text())["dataset"] == "folder"
    assert _evaluate(data) == 0
    assert "0 of 2 sequences to run" in capsys.readouterr().err


def test_repeats_labels_and_chosen_sequences(data, here, capsys):
    assert _evaluate(data, "--sequences", "second", "--repeats", "2", "--results", "r", "--label", "mine") == 0
    found = sorted(str(p.relative_to(here / "r")) for p in (here / "r").rglob("*.txt"))
    assert found == ["mine/run-2/second.txt", "mine/second.txt"]


def test_supervised_runs_are_kept_as_the_vot_toolkit_keeps_them(data, here, capsys):
    assert _evaluate(data, "--experiment", "supervised", "--sequences", "first") == 0
    folder = here / "results/Lazy/baseline/first"
    assert sorted(p.name for p in folder.glob("*.txt")) == [f"first_00{n}.txt" for n in (1, 2, 3)]
    assert (folder / "first_001.txt").read_text() == "1\n" + "5.0000,6.0000,10.0000,8.0000\n" * 2


def test_a_sequence_that_fails_is_named_with_status_1_and_the_others_are_there(data, here, capsys):
    (data / "first.txt").write_text("5,6,13,8\n" * 3)
    assert _evaluate(data) == 1
    said = capsys.readouterr()
    assert "failed: first: RuntimeError: no" in said.err
    assert "1 of 2 sequences" in said.out
    assert (here / "results/Lazy/second.txt").exists() and not (here / "results/Lazy/first.txt").exists()
    assert "Traceback" in (here / "results/Lazy/first.error").read_text()
    (data / "first.txt").write_text("5,6,10,8\n" * 3)
    assert _evaluate(data) == 0
    assert not (here / "results/Lazy/first.error").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--tracker", "ksf"], "no tracker is called 'ksf'"),
        (["--tracker", "kcf", "--weights", "w"], "the tracker kcf has no weights"),
        (["--tracker", "nanotrack"], "nanotrack needs weights"),
        (["--sequences", "frist"], "did you mean 'first'?"),
        (["--workers", "0"], "workers is 0"),
        (["--dataset", "otb"], "otb"),
        (["--dataset", "fold"], "there is no data set 'fold'"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_writes_nothing(data, here, capsys, more, says):
    assert _evaluate(data, *more) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("asmd evaluate: error: ") and says in error
    assert not (here / "results").exists()


def test_a_data_set_with_a_gap_is_refused_before_anything_is_run_unless_told_otherwise(data, here, capsys):
    (data / "third").mkdir()
    cv2.imwrite(str(data / "third" / "0.png"), np.zeros((9, 9, 3), np.uint8))
    assert _evaluate(data) == 1
    assert "third.txt is missing" in capsys.readouterr().err
    assert not (here / "results").exists()
    assert _evaluate(data, "--incomplete") == 0
    (data / "first" / "002.png").unlink()
    assert _evaluate(data, "--results", "r", "--incomplete") == 1
    assert "first: 3 rows of boxes, but 2 frames" in capsys.readouterr().err


def test_vot_init_writes_a_registry_and_says_what_next(tmp_path, capsys):
    assert main(["vot", "init", str(tmp_path / "ws"), "--tracker", "kcf", "--stack", "vot2018/shortterm"]) == 0
    said = capsys.readouterr()
    assert said.out.split() == [str(tmp_path / "ws" / name) for name in ("trackers.ini", "config.yaml")]
    assert "test kcf" in said.err
    assert "[kcf]" in (tmp_path / "ws" / "trackers.ini").read_text()
