from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from asmd.errors import ConfigError
from asmd.tracking.memory import CORRECTIONS, Memory, MemoryConfig


def marked(value: float, count: int) -> Tensor:
    return torch.full((count, 2), value)


def short(memory: Memory) -> tuple[Tensor, Tensor]:
    positives, negatives = memory.short()
    return positives.all(), negatives.all()


def long(memory: Memory) -> tuple[Tensor, Tensor]:
    positives, negatives = memory.long()
    return positives.all(), negatives.all()


def filled(config: MemoryConfig, frames: int) -> Memory:
    """Frame t holds positives t and negatives 1000 + t, the second of which is the uncertain one."""
    memory = Memory(config, marked(-1, 5), marked(-2, 7), np.random.default_rng(0))
    for t in range(frames):
        negatives = marked(1000 + t, 3)
        negatives[1, 1] = -9
        memory.add(marked(t, 2), negatives, torch.tensor([-5.0, 0.1, 3.0]))
    return memory


def test_first_frame_is_never_forgotten_and_memory_is_bounded() -> None:
    memory = filled(MemoryConfig(short_frames=4, long_frames=6), 200)
    for positives, negatives in (short(memory), long(memory)):
        assert (positives[:5] == -1).all() and (negatives[:7] == -2).all()
    assert len(memory.short()[0]) == 5 + 4 * 2
    assert len(memory.long()[0]) == 5 + 6 * 2


def test_short_memory_holds_the_last_frames() -> None:
    positives, negatives = short(filled(MemoryConfig(short_frames=3), 10))
    assert positives[5:, 0].unique().tolist() == [7, 8, 9]
    assert negatives[7:, 0].unique().tolist() == [1007, 1008, 1009]


def test_which_negatives_the_long_update_learns_from() -> None:
    counts = {"uncertain": 7 + 10, "short": 7 + 2 * 3, "all": 7 + 10 + 2 * 3}
    for rule, count in counts.items():
        memory = filled(MemoryConfig(long_negatives=rule, short_frames=2, long_frames=50), 10)
        assert len(memory.long()[1]) == count
        assert memory.keeps_uncertain == (rule != "short")
    memory = filled(MemoryConfig(long_negatives="short", short_frames=2), 2)
    memory.add(marked(5, 2), marked(1005, 3), None)
    assert len(memory.long()[1]) == 7 + 2 * 3


def test_long_memory_keeps_the_most_uncertain_negative() -> None:
    _, negatives = long(filled(MemoryConfig(long_negatives="uncertain", long_frames=50), 10))
    assert len(negatives) == 7 + 10
    assert (negatives[7:, 1] == -9).all()


def test_long_memory_is_a_fair_sample_of_the_video() -> None:
    """Reservoir sampling: each of 60 frames is held by a sixth of many memories of 10."""
    config, counts = MemoryConfig(long_frames=10), np.zeros(60)
    rng = np.random.default_rng(0)
    for _ in range(600):
        memory = Memory(config, marked(-1, 1), marked(-2, 1), rng)
        for t in range(60):
            memory.add(marked(t, 1), marked(0, 1), torch.zeros(1))
        counts[long(memory)[0][1:, 0].numpy().astype(int)] += 1
    assert counts / 600 == pytest.approx(1 / 6, abs=0.08)


def test_frames_without_negatives() -> None:
    memory = Memory(MemoryConfig(), marked(-1, 1), torch.empty(0, 2), np.random.default_rng(0))
    memory.add(marked(0, 1), torch.empty(0, 2), torch.empty(0))
    assert len(memory.long()[1]) == len(memory.short()[1]) == 0


def test_printed_intervals() -> None:
    assert (MemoryConfig().short_interval, MemoryConfig().long_interval) == (15, 50)
    with pytest.raises(ConfigError, match="at least 1 frame"):
        MemoryConfig(short_interval=0)


def test_corrections_are_kept_like_the_first_frame_and_bounded() -> None:
    memory = filled(MemoryConfig(short_frames=2, long_frames=2), 1)
    memory.keep(marked(50, 3), marked(60, 4))
    for t in range(100):
        memory.add(marked(t + 100, 2), marked(1000 + t, 3), torch.tensor([-5.0, 0.1, 3.0]))
    for positives, negatives in (short(memory), long(memory)):
        assert (positives[:5] == -1).all() and (negatives[:7] == -2).all()
        assert (positives[5:8] == 50).all() and (negatives[7:11] == 60).all()
    for _ in range(3 * CORRECTIONS):
        memory.keep(marked(51, 3), marked(61, 4))
    assert int((short(memory)[0] == 51).all(dim=1).sum()) == 3 * CORRECTIONS
    assert not (short(memory)[0] == 50).any()
