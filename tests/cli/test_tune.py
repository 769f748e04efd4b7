"""`asmd tune`: recipes, flags, what it says. The search itself is tested in tests/training/test_tuning.py."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from footage import encode, numbered_frames

from asmd import cli
from asmd.training import cross_validation, tuning
from asmd.training.validation import ValidationResult

pytest.importorskip("optuna")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six small videos with boxes."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(6):
        encode(folder / f"v{number}.mp4", numbered_frames(4))
        (folder / f"v{number}.txt").write_text("10,10,20,20\n" * 4)
    return tmp_path


class FakeTrainer:
    """Learns nothing."""

    def __init__(self, config: Any, data: Any, folder: Path, seed: int, device: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.network = self
        self.shared = config.losses

    def run(self, **_: object) -> None:
        """At once."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_validation, "Trainer", FakeTrainer)
    monkeypatch.setattr(
        cross_validation,
        "validate",
        lambda losses, held_out, config: ValidationResult(*(2 * [{s.name: losses.adversarial for s in held_out}])),
    )
    monkeypatch.setattr(tuning.Tuner, "_estimate", lambda self: 3600.0)


def arguments(data: Path, *more: str) -> list[str]:
    sources = ("--videos.sources.0.dataset", "folder", "--videos.sources.0.folder", "data")
    flags = ("--videos.sources.1.folder", "data", "--videos.held-out", "--model.variant", "APS-", "--threads", "1")
    grid = ("--grid.adversarial", "0.02", "0.07", "--folds", "3", "--steps", "5")
    return ["tune", "local", "--data", str(data), "--output", str(data / "out"), *sources, *flags, *grid, *more]


def test_a_search_ends_in_a_table(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments(data)) == 0
    out, err = capsys.readouterr()
    assert "adversarial 0.07: fold 3 of 3, AUC 0.070" in err
    assert "best: asmd train local --losses.adversarial 0.07 ..." in out
    with (data / "out" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["adversarial"]) for row in rows] == [0.07, 0.02]
    assert cli.main(arguments(data)) == 0
    assert "fold" not in capsys.readouterr().err.replace("folders", "")  # nothing was left to do


def test_dry_run_does_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments(data, "--dry-run")) == 0
    out = capsys.readouterr().out
    assert "adversarial: 0.02, 0.07" in out
    assert out.count("trains on 4 domains, tracks") == 3
    assert "2 trials (grid) of 3 folds of 5 iterations; 6 trainings are left, about 6.0 hours" in out
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--model.variant", "FS"], "nothing to tune"),
        (["--folds", "7"], "7 folds need as many videos"),
        (["--folds", "1"], "folds of at least 2"),
        (["--grid.adversarial", "-1"], "not negative"),
    ],
)
def test_errors_are_one_line(data: Path, more: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = cli.main(arguments(data, *more))
    except SystemExit as stop:  # tyro's own refusal of a value
        status = int(stop.code or 0)
    assert status
    assert text in " ".join(capsys.readouterr().err.split())


def test_unknown_recipe(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tune", "locale", "--data", str(data), "--output", "x"]) == 1
    assert "there is no recipe 'locale'" in capsys.readouterr().err
