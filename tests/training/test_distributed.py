"""Several processes: what is shared comes out as in one, what is private stays where it is, and a death is survived."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training.small_run import (
    assert_same,
    elastic,
    finish,
    free_port,
    in_group,
    run,
    small_batch,
    small_config,
    start,
    state,
    videos,
)

from asmd import checkpoints
from asmd.errors import ConfigError
from asmd.training.config import ScheduleConfig, TrainingConfig
from asmd.training.distributed import Group, own_device
from asmd.training.metrics import read

STEPS = 6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data", 5)
    return folder


def config_of(world: Path) -> TrainingConfig:
    """Six iterations. All negatives are learnt from: the choice of the hardest turns on the last digit."""
    return small_config(world, batch=small_batch(domains=4, hardest=0), schedule=ScheduleConfig(3, 1, STEPS))


@pytest.fixture(scope="module")
def two(world: Path) -> Path:
    """The folder of a run in two processes."""
    port = free_port()
    output = world / "two"
    processes = [start(in_group, rank, 2, port, config_of(world), world / "data", output) for rank in (0, 1)]
    assert [finish(process) for process in processes] == [0, 0]
    return output


def test_two_processes_learn_what_one_learns_from_the_joint_batch(world: Path, two: Path) -> None:
    """In single precision, where sums are added up in another order: six steps part them by some 1e-6."""
    run(config_of(world), world / "data", world / "one", group=Group(partitions=2))
    one, other = state(world / "one"), state(two)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        scale = float(tensor.abs().max())
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-4 * scale + 1e-8, msg=name)
    # Nor is that because little has been learnt.
    run(config_of(world), world / "data", world / "short", group=Group(partitions=2), max_steps=1)
    name = "network.shared.appearance.layer3.1.conv2.weight"
    learnt = (one[name] - state(world / "short")[name]).abs().max()
    assert learnt > 100 * (one[name] - other[name]).abs().max()
    train = [[line for line in read(output) if line["kind"] == "train"] for output in (world / "one", two)]
    assert next(line["samples"] for line in train[0] if "samples" in line) == 4 * (6 + 12)
    for line, same in zip(*train, strict=True):
        for key in ("domain", "adversarial", "difference", "arrow", "samples", "gradient"):
            assert (key in line) is (key in same)
            assert line.get(key, 0.0) == pytest.approx(same.get(key, 0.0), rel=1e-3), key


def test_a_private_branch_lives_in_one_process(two: Path) -> None:
    newest = max((two / "checkpoints").iterdir())
    pages = json.loads(checkpoints.read_metadata(newest)["pages"])
    domains = [sorted(int(domain) for domain in of_rank) for of_rank in pages]
    assert domains == [[0, 2, 4], [1, 3]]
    for rank in (0, 1):
        found = {int(path.name.split("-")[1]) for path in (two / "branches" / f"rank-{rank}").iterdir()}
        assert found == set(domains[rank])


def test_a_death_is_survived(world: Path, two: Path, tmp_path: Path) -> None:
    """The agent of torchrun starts both anew, from the last checkpoint; nothing shows of it in the end."""
    elastic(tmp_path, 5, config_of(world), world / "data")
    assert sorted(path.name for path in tmp_path.glob("try-*")) == ["try-0-0", "try-0-1", "try-1-0", "try-1-1"]
    assert_same(state(tmp_path), state(two))
    assert [line["step"] for line in read(tmp_path) if line["kind"] == "train"] == list(range(1, STEPS + 1))


def test_other_numbers_of_processes() -> None:
    with pytest.raises(ConfigError, match="3 parts cannot be shared by 2 processes"):
        Group(0, 2, partitions=3)
    alone = Group.join(torch.device("cpu"))
    assert (alone.rank, alone.size, alone.partitions, alone.leads) == (0, 1, 1, True)
    assert alone.gather("x") == ["x"] and alone.any(True) and not alone.any(False)


def test_devices() -> None:
    assert own_device("cpu") == torch.device("cpu")
    for name in ("gpu", "cuda:99", "meta:x"):
        with pytest.raises(ConfigError, match=f"there is no device '{name}'"):
            own_device(name)
