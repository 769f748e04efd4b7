"""`asmd train`: recipes and flags, one line for what is wrong, and an end in good order when asked for one."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from models.narrow_networks import narrow_trunk
from training.small_run import finish, start, videos

from asmd import checkpoints
from asmd.cli import main, train
from asmd.training.config import RECIPES
from asmd.training.metrics import read
from asmd.training.trainer import Report

SMALL = [
    *("--trunk.flows", "2", "--flow.length", "2", "--model.stages", "2", "3", "--model.bins", "1"),
    *("--batch.domains", "2", "--batch.region-size", "33", "--batch.positives.count", "6"),
    *("--batch.negatives.count", "12", "--clips.frames", "4", "--clips.pairs", "1", "--clips.size", "33"),
    *("--clips.still", "0", "--videos.held-out", "--workers", "0", "--precision", "fp32", "--log-every", "1"),
    *("--videos.sources.0.folder", "data", "--videos.sources.1.folder", "data", "--threads", "1", "--frozen"),
]
"""Flags that make the recipe `local` small. None of its layers is frozen: group norm, which the narrow
network has, does not stand that in torch 2.13."""


def command(*arguments: str) -> None:
    """The command line with a narrow network, in a process of its own."""
    checkpoints.build_network = lambda *_: (narrow_trunk(), [])  # type: ignore[assignment]
    sys.exit(main(["train", *arguments]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    return folder


def line_of(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Runs the command; gives the one line that it must have said."""
    assert main(["train", *arguments]) == 1
    err = capfd.readouterr().err
    assert err.startswith("asmd train: error: ") and err.count("\n") == 1, err
    return err


def test_recipes(capfd: pytest.CaptureFixture[str]) -> None:
    assert train.preset_options(["local", "--output", "lasot-protocol2"]).settings == RECIPES["local"]()
    fifth = train.preset_options(["uav123-5fold", "--fold", "5"]).settings
    assert fifth != RECIPES["uav123-5fold"]() and fifth == train.preset_options(["uav123-5fold", "--fold=5"]).settings
    assert "there is no recipe 'locl'; there are paper-got10k" in line_of(["locl"], capfd)
    assert "the recipe comes first" in line_of(["--output", "local", "paper-got10k"], capfd)
    assert "UAV123 has folds 1 to 5, got 6" in line_of(["uav123-5fold", "--fold", "6"], capfd)


def test_a_misspelt_flag_is_a_wrong_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    places = ["--data", str(tmp_path), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(["train", "local", *places, "--optimiser.trunk-rat", "1"])
    assert end.value.code == 2
    assert "--optimiser.trunk-rate" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_input_in_one_line(world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = ["--output", str(tmp_path / "out")]
    small = ["local", "--data", str(world), *SMALL]
    assert "no-such-folder" in line_of(["local", "--data", str(tmp_path / "no-such-folder"), *out], capfd)
    (tmp_path / "empty" / "data").mkdir(parents=True)
    assert "empty/data" in line_of(["local", "--data", str(tmp_path / "empty"), *SMALL, *out], capfd)
    said = line_of([*small, *out, "--videos.held-out", "nobody"], capfd)
    assert "the held-out sequence 'nobody' is not in" in said
    assert "nothing computes with 0 threads" in line_of([*small, *out, "--threads", "0"], capfd)
    assert "there is no device 'gpu'" in line_of([*small, *out, "--device", "gpu"], capfd)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    assert main(["train", *small, "--output", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be written" in capfd.readouterr().err
    assert main(["train", *small, *out, "--start", "nothing.safetensors"]) == 1
    assert "no such weights: nothing.safetensors" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_good_order_and_goes_on(world: Path, tmp_path: Path, number: int) -> None:
    arguments = [
        "local",
        "--data",
        str(world),
        "--output",
        str(tmp_path),
        *SMALL,
        "--resume",
        "--validation.every",
        "0",
    ]
    process = start(command, *arguments)
    while not read(tmp_path):
        assert process.is_alive()
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, number)
    assert finish(process) == 130
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    step = int(checkpoint.stem.removeprefix("step-"))
    assert 0 < step < 100
    assert finish(start(command, *arguments, "--max-steps", str(step + 2))) == 0
    assert [line["step"] for line in read(tmp_path) if line["kind"] == "train"] == list(range(1, step + 3))
    assert checkpoints.read_metadata(tmp_path / "weights.safetensors")["step"] == str(step + 2)


def test_what_is_said_of_a_run(capfd: pytest.CaptureFixture[str]) -> None:
    values: dict[str, Any] = {
        "domain": 0.25,
        "adversarial": 1.5,
        "arrow": 0.7,
        "domain_accuracy": 0.1,
        "domain_chance": 0.05,
        "arrow_accuracy": 0.75,
        "samples": 1000.0,
        "samples_per_second": 2500.0,
        "iterations_per_second": 2.5,
        "waiting": 0.02,
        "not_finite": 0.1,
    }
    with train.Display(shown=True) as display:
        display.show(Report(10, 40, values))
        display.show(Report(10, 40, {"auc": 0.5, "precision": 0.6}, "validation"))
    assert capfd.readouterr().err.splitlines() == [
        "[10/40] loss 0.25, adversarial 1.5, arrow 0.7, domain told 10.0% (chance 5.0%), arrow told 75%, "
        "2500 samples/s, 10% of gradients not finite, 2.50 it/s, 2% waiting",
        "[10/40] held out: AUC 0.500, precision 0.600",
    ]
