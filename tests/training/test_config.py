"""Recipes and their settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asmd.datasets.uav123 import parts
from asmd.errors import ConfigError
from asmd.losses import LossWeights
from asmd.training.config import (
    LOCAL_HELD_OUT,
    RECIPES,
    OptimiserConfig,
    TrainingConfig,
    ValidationConfig,
    local,
    paper_got10k,
    uav123_fold,
)
from asmd.training.domains import footage_of, gather


def test_the_paper_as_it_is_printed() -> None:
    """Paper, 3.5 and 5: rates, batches of 128 with 32 positives, lambdas."""
    config = paper_got10k()
    rates = config.optimiser
    assert (rates.trunk_rate, rates.head_rate) == (1e-4, 1e-3)
    assert (rates.unsupervised_trunk_rate, rates.unsupervised_head_rate) == (1e-5, 1e-3)
    assert config.losses == LossWeights(0.08, 0.01, 0.6)
    assert (config.batch.domains, config.batch.positives.count, config.batch.negatives.count) == (8, 32, 96)
    assert config.model.variant == "ASPS"
    assert config.schedule.steps == 11_000_000


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_can_be_made(name: str) -> None:
    config = RECIPES[name]()
    assert config.trunk.flows == config.flow.length
    assert config.clips.frames > config.flow.length


def test_the_folds_of_uav123_hold_out_every_sequence_once() -> None:
    folds = [uav123_fold(fold) for fold in range(1, 6)]
    names = [name for fold in folds for name in fold]
    assert sorted(names) == sorted(part.name for part in parts("123"))
    folder = {part.name: part.folder for part in parts("123")}
    folders = [{folder[name] for name in fold} for fold in folds]
    assert sum(map(len, folders)) == len(set().union(*folders))  # a video is never in two of them
    long = {part.folder for part in parts("20l")}
    assert [len(long & own) for own in folders] == [4] * 5 if len(long) == 20 else True
    with pytest.raises(ConfigError, match="folds 1 to 5, got 6"):
        uav123_fold(6)


def test_local_keeps_whole_videos_apart(shared_data: Path) -> None:
    data = gather(local().videos, shared_data)
    assert tuple(sequence.name for sequence in data.held_out) == LOCAL_HELD_OUT
    held_out = {footage_of(sequence) for sequence in data.held_out}
    assert not held_out & {footage_of(sequence) for sequence in (*data.domains, *data.clips)}
    assert len(data.clips) > len(data.domains)
    assert not data.skipped


def test_rates_rise_and_fall() -> None:
    config = OptimiserConfig(warm_up=4, decay="cosine")
    factors = [config.factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.25)
    assert max(factors) == pytest.approx(factors[3], abs=0.01)
    assert factors[50] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.001
    assert OptimiserConfig().factor(0, 100) == OptimiserConfig().factor(99, 100) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"workers": -1},
        {"save_every": 0},
        {"kept": 0},
        {"log_every": 0},
        {"without_motion": 1.5},
        {"trained_share": 0.0},
    ],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(TrainingConfig(), **bad)
    with pytest.raises(ConfigError, match="rates must be finite"):
        OptimiserConfig(trunk_rate=float("nan"))
    with pytest.raises(ConfigError, match="validation needs"):
        ValidationConfig(frames=1)
