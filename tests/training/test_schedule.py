"""Which iteration is of which kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asmd.errors import ConfigError
from asmd.training.config import ScheduleConfig
from asmd.training.schedule import turn


def test_a_hundred_then_a_thousand() -> None:
    """Paper, 3.5."""
    config = ScheduleConfig()
    assert (config.supervised, config.unsupervised) == (100, 1000)
    kinds = [turn(step, config).supervised for step in range(2300)]
    assert kinds == ([True] * 100 + [False] * 1000) * 2 + [True] * 100


@given(st.integers(1, 7), st.integers(0, 7), st.integers(1, 60))
def test_numbers_count_each_kind_without_a_gap(supervised: int, unsupervised: int, steps: int) -> None:
    config = ScheduleConfig(supervised, unsupervised)
    numbers: dict[bool, list[int]] = {True: [], False: []}
    for step in range(steps):
        kind = turn(step, config)
        numbers[kind.supervised].append(kind.number)
    for found in numbers.values():
        assert found == list(range(len(found)))


def test_bad_settings() -> None:
    for bad in ({"supervised": 0}, {"unsupervised": -1}, {"steps": 0}):
        with pytest.raises(ConfigError, match="a schedule needs"):
            ScheduleConfig(**bad)
