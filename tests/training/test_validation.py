"""Validation: tracking the beginnings of held-out sequences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fake_tracker import ScriptedTracker

from asmd.checkpoints import RANDOM, build_network, load
from asmd.samples import drawn_clip
from asmd.sequence import Sequence
from asmd.training import validation
from asmd.training.config import ValidationConfig
from asmd.training.validation import ValidationResult, beginning, joined, validate


def drawn(name: str, count: int = 4) -> Sequence:
    frames, boxes = drawn_clip(count, (96, 128))
    return Sequence(name, frames, boxes)


def test_the_first_frames_of_a_sequence() -> None:
    whole = drawn("a", 6)
    cut = beginning(whole, 4)
    assert len(cut) == len(cut.frames) == len(list(cut.frames)) == 4
    np.testing.assert_array_equal(cut.boxes, whole.boxes[:4])
    np.testing.assert_array_equal(cut.frames[3], whole.frames[3])
    assert len(beginning(whole, 99)) == 6


def test_tracks_are_scored_and_failures_named() -> None:
    """An untrained network still follows a square for two frames."""
    network, _ = build_network(load(RANDOM))
    first_gone = replace(drawn("gone"), boxes=np.full((4, 4), np.nan), absent=np.ones(4, bool))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = validate(network, [first_gone, drawn("a")], ValidationConfig(frames=3))
    assert list(result.sequences) == list(result.precisions) == ["a"]
    assert 0 < result.auc <= 1 and 0 <= result.precision <= 1
    assert len(result.skipped) == 1 and result.skipped[0].startswith("gone: ")
    assert all((network.state_dict()[name] == tensor).all() for name, tensor in before.items())


def test_results_of_several_processes() -> None:
    whole = joined([ValidationResult({"b": 0.5}, {"b": 1.0}, ("c: broken",)), ValidationResult({"a": 0.7}, {"a": 0.0})])
    assert list(whole.sequences) == ["a", "b"]
    assert whole.auc == pytest.approx(0.6) and whole.precision == 0.5 and whole.skipped == ("c: broken",)
    assert math.isnan(joined([]).auc)


def test_every_sequence_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    class Tracker(ScriptedTracker):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__()

        def reseed(self, seed: int) -> None:
            seeds.append(seed)

    monkeypatch.setattr(validation, "Tracker", Tracker)
    network, _ = build_network(load(RANDOM))
    config = ValidationConfig(frames=3, seeds=2)
    validate(network, [drawn("a"), drawn("b")], config)
    validate(network, [drawn("b")], config)
    assert len(set(seeds)) == 4
    assert seeds[4:] == seeds[2:4]
