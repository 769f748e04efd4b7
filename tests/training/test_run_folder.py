"""A run's folder: checkpoints that are whole or not there, and what a run may be resumed with."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from footage import cut_short
from models.narrow_networks import narrow_trunk
from safetensors.torch import save_file
from torch import nn
from training.small_run import assert_same, small_config

from asmd import checkpoints
from asmd.errors import ConfigError, OutputError, WeightsError
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.training import run_folder
from asmd.training.config import TrainingConfig
from asmd.training.run_folder import RunFolder, restore, write_weights

NAMES = ["a", "b"]
PAGES = [{0: "domain-000000-000000001.safetensors", 7: "domain-000007-000000002.safetensors"}, {}]


def network(seed: int = 0) -> tuple[nn.Module, torch.optim.SGD]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).to()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net[0](torch.ones(1, 3)).sum().backward()  # the second layer has no momentum yet
    optimiser.step()
    return net, optimiser


def folder(path: Path, config: TrainingConfig | None = None, **changes: Any) -> RunFolder:
    facts: dict[str, Any] = {"domains": NAMES, "seed": 0, "size": 1, **changes}
    return RunFolder(path, config or small_config(path), **facts)


def with_steps(path: Path, *steps: int) -> RunFolder:
    run = folder(path)
    for step in steps:
        run.save(step, *network(step), PAGES, step / 100)
    return run


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    run = with_steps(tmp_path, 5)
    state = run.latest()
    assert state is not None
    assert (state.step, state.best, state.pages) == (5, 0.05, PAGES)
    net, optimiser = network(5)
    other, other_optimiser = network(6)
    restore(other, other_optimiser, state)
    assert_same(dict(other.state_dict()), dict(net.state_dict()))
    first, second = (m.weight for m in (other[0], other[1]))  # type: ignore[index]
    assert torch.equal(
        other_optimiser.state[first]["momentum_buffer"], optimiser.state[net[0].weight]["momentum_buffer"]  # type: ignore[index]
    )  # fmt: skip
    assert second not in other_optimiser.state
    with pytest.raises(WeightsError):
        restore(nn.Linear(3, 2), other_optimiser, state)


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    run = with_steps(tmp_path, 1, 2, 3, 4, 5)
    assert run.prune() == [PAGES] * 3
    assert run.steps() == [3, 4, 5]


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = with_steps(tmp_path, 1, 2, 3)
    cut_short(tmp_path / "checkpoints" / "step-00000003.safetensors", 0.7)
    (tmp_path / "checkpoints" / ".77.part.step-00000004.safetensors").write_bytes(b"half")
    (run.branches(0)).mkdir(parents=True)
    (run.branches(0) / ".77.part.domain-000000-000000004.safetensors").write_bytes(b"half")
    (tmp_path / "footage").mkdir()
    with caplog.at_level(logging.WARNING):
        state = run.latest()
    assert state is not None and state.step == 2
    assert "step-00000003.safetensors is damaged" in caplog.text and "trying the one before it" in caplog.text
    run.tidy(2)
    assert run.steps() == [1, 2]
    assert [half.name for half in tmp_path.rglob(".*")] == [".rank-0.lock"]
    run.save(3, *network(), PAGES, 0)
    assert run.prune() == [PAGES] * 3


def test_none_that_is_whole(tmp_path: Path) -> None:
    assert folder(tmp_path).latest() is None
    run = with_steps(tmp_path, 1, 2)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"no checkpoint in .* is whole"):
        run.latest()
    save_file({"a": torch.zeros(1)}, tmp_path / "checkpoints" / "step-00000009.safetensors", {"format": "other"})
    with pytest.raises(ConfigError, match="not a checkpoint of a training run"):
        run.latest()


def test_other_settings_are_named(tmp_path: Path) -> None:
    with_steps(tmp_path, 1)
    config = small_config(tmp_path)
    for changed, said in (
        (folder(tmp_path, replace(config, model=replace(config.model, variant="PS"))), "model.variant ASPS, not PS:"),
        (folder(tmp_path, seed=1), "seed 0, not 1:"),
        (folder(tmp_path, size=2), "processes 1, not 2:"),
        (folder(tmp_path, domains=["a", "c"]), r"domains \['a', 'b'\], not \['a', 'c'\]:"),
        (
            folder(tmp_path, replace(config, precision="bf16", frozen=("appearance",))),
            r"frozen \[\], not \['appearance'\] and 1 more:",
        ),
    ):
        with pytest.raises(ConfigError, match=f"step-00000001.safetensors was trained with {said}"):
            changed.latest()
    may = replace(config, workers=3, save_every=9, kept=1, bank=replace(config.bank, resident=2))
    may = replace(may, schedule=replace(may.schedule, steps=99), footage=replace(may.footage, budget_gb=1))
    assert folder(tmp_path, may).latest() is not None


def test_weights_for_tracking(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = SpatiotemporalResNet()
    write_weights(tmp_path / "w.safetensors", net, {"step": "3"})
    weights = checkpoints.load(tmp_path / "w.safetensors")
    assert weights.motion_trained and weights.metadata["step"] == "3"
    again, missing = checkpoints.build_network(weights)
    assert missing == []
    for name, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float() if tensor.is_floating_point() else tensor)
    path = folder(tmp_path / "run").export("best.safetensors", narrow_trunk(), 7, {"held_out_auc": "0.5"})
    header = checkpoints.read_metadata(path)
    assert (header["step"], header["seed"], header["held_out_auc"]) == ("7", "0", "0.5")


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match=f"{path} cannot be written"):
            folder(path)
    run = with_steps(tmp_path / "run", 1)
    (tmp_path / "run" / "checkpoints" / "step-00000002.safetensors").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        run.save(2, *network(), PAGES, 0)


HOLDER = """
import sys, time
from pathlib import Path
from asmd.training.config import local
from asmd.training.run_folder import RunFolder

held = RunFolder(Path(sys.argv[1]), local(), ["a"], 0)
print("held", flush=True)
time.sleep(600)
"""


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "PATIENCE", 0.1)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="is being trained in by another process: give another --output"):
            folder(tmp_path)
        folder(tmp_path, rank=1)
        other.kill()
    monkeypatch.setattr(run_folder, "PATIENCE", 5.0)
    folder(tmp_path)
    folder(tmp_path)  # as when a run goes on in the process that began it


@pytest.mark.parametrize(
    ("trouble", "told"),
    [(NotImplementedError("no flock"), None), (PermissionError(13, "Permission denied"), "Permission")],
)
def test_a_folder_that_cannot_be_locked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
    told: str | None,
) -> None:
    """Some file systems of clusters have no locks, which must not keep anybody from training there."""

    def fails(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(run_folder.FileLock, "acquire", fails)
    if told:
        with pytest.raises(OutputError, match=told):
            folder(tmp_path)
    else:
        with_steps(tmp_path, 1)
        assert "has no locks" in caplog.text
