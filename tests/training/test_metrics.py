"""Metrics: means and rates, and a journal in which nothing is twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from asmd.errors import OutputError
from asmd.training import metrics
from asmd.training.metrics import FILE, Journal, Meter, mean, read


def test_means_are_over_the_iterations_that_had_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: now)
    meter = Meter()
    meter.add({"domain": 1.0, "samples": 30.0}, 0.5, ["a: broken"])
    meter.add({"domain": 2.0, "samples": 30.0, "arrow": float("nan")}, 0.0)
    meter.add({"arrow": 0.5}, 0.5, ["b: broken"])
    now = 103.0
    with meter.paused():
        now = 110.0
    assert (meter.steps, meter.skipped) == (3, ["a: broken", "b: broken"])
    now = 111.0
    assert meter.take() == {
        "domain": 1.5,
        "samples": 30.0,
        "arrow": 0.5,
        "waiting": 0.25,
        "iterations_per_second": 0.75,
        "samples_per_second": 15.0,
    }
    assert (meter.steps, meter.skipped) == (0, [])
    now = 113.0
    assert meter.take() == {"waiting": 0, "iterations_per_second": 0, "samples_per_second": 0}


def test_means_of_several_processes() -> None:
    assert mean([{"a": 1.0, "b": 4.0}, {"a": 3.0}]) == {"a": 2.0, "b": 4.0}


def steps(folder: Path) -> list[int]:
    return [line["step"] for line in read(folder)]


def test_what_came_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for step in (1, 2, 3):
        journal.write(step, "train", {"domain": 0.5, "sequences": {"a": 1}})
    journal.close()
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 4, "ki')  # killed while writing
    assert steps(tmp_path) == [1, 2, 3]
    journal = Journal(tmp_path, 2)
    journal.write(3, "train", {})
    journal.close()
    assert steps(tmp_path) == [1, 2, 3]
    assert json.loads((tmp_path / FILE).read_text().splitlines()[0])["domain"] == 0.5
    Journal(tmp_path, 0).close()
    assert steps(tmp_path) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(OutputError, match=r"metrics\.jsonl cannot be written"):
        journal.write(1, "train", {})
    journal.close()
    with pytest.raises(OutputError):
        Journal(tmp_path, 0)


def test_tensorboard_has_the_numbers(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("torch.utils.tensorboard")
    for first in (0, 2):
        journal = Journal(tmp_path, first)
        for step in range(first + 1, 4):
            journal.write(step, "train", {"domain": float(step), "words": "no number"})
        journal.close()
    board = events.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["scalars"] == ["train/domain"]
    assert [(event.step, event.value) for event in board.Scalars("train/domain")] == [(1, 1), (2, 2), (3, 3)]


def test_nothing_is_amiss_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    journal = Journal(tmp_path, 0)
    journal.write(1, "train", {"domain": 1.0})
    journal.close()
    assert steps(tmp_path) == [1]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
