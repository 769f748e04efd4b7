"""Mining against its theory: zero bias and minimal spread, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asmd.errors import ConfigError
from asmd.tracking.mining import (
    MiningConfig,
    inclusion_probabilities,
    pool_indices,
    select,
    stochastic_universal_sampling,
    systematic_without_replacement,
)

WEIGHTS = arrays(np.float64, st.integers(8, 60), elements=st.floats(1e-4, 1.0))


@settings(max_examples=60)
@given(WEIGHTS, st.integers(1, 40), st.integers(0, 2**31))
def test_sus_has_minimal_spread(weights: np.ndarray, count: int, seed: int) -> None:
    drawn = stochastic_universal_sampling(weights, count, np.random.default_rng(seed))
    copies = np.bincount(drawn, minlength=len(weights))
    expected = count * weights / weights.sum()
    assert copies.sum() == count
    assert (copies >= np.floor(expected - 1e-9)).all()
    assert (copies <= np.ceil(expected + 1e-9)).all()


def test_sus_has_no_bias() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([0.9, 0.5, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01])
    runs = 20_000
    copies = np.bincount(
        np.concatenate([stochastic_universal_sampling(weights, 3, rng) for _ in range(runs)]), minlength=len(weights)
    )
    expected = 3 * weights / weights.sum()
    # Copies are floor or ceil, so a count varies by at most 1/4 a run: five standard errors.
    np.testing.assert_allclose(copies / runs, expected, atol=5 * 0.5 / np.sqrt(runs))


@settings(max_examples=60)
@given(WEIGHTS, st.integers(1, 8), st.integers(0, 2**31))
def test_without_replacement_draws_distinct_entries(weights: np.ndarray, count: int, seed: int) -> None:
    drawn = systematic_without_replacement(weights, count, np.random.default_rng(seed))
    assert len(set(drawn.tolist())) == len(drawn)
    assert len(drawn) == count


@settings(max_examples=60)
@given(WEIGHTS, st.integers(1, 8))
def test_inclusion_probabilities(weights: np.ndarray, count: int) -> None:
    share = inclusion_probabilities(weights, count)
    assert share.sum() == pytest.approx(count)
    assert (share <= 1 + 1e-12).all()
    # In proportion to the weights wherever they are not capped.
    free = share < 1 - 1e-9
    if free.any():
        np.testing.assert_allclose((share / weights)[free], (share / weights)[free][0])
        assert (weights[~free] >= weights[free].max() - 1e-12).all()


def test_without_replacement_has_no_bias() -> None:
    rng = np.random.default_rng(1)
    weights = np.array([5.0, 1.0, 0.5, 0.5, 0.3, 0.2, 0.1, 0.1])
    runs = 20_000
    draws = np.concatenate([systematic_without_replacement(weights, 4, rng) for _ in range(runs)])
    share = np.bincount(draws, minlength=len(weights)) / runs
    np.testing.assert_allclose(share, inclusion_probabilities(weights, 4), atol=5 * 0.5 / np.sqrt(runs))


def test_capped_by_hand() -> None:
    # 3 of (10, 1, 1, 1, 1): the first is certain, the rest share two draws.
    np.testing.assert_allclose(inclusion_probabilities(np.array([10.0, 1, 1, 1, 1]), 3), [1, 0.5, 0.5, 0.5, 0.5])


SCORES = np.array([0.05, 0.95, 0.55, 0.45, 0.30, 0.70])


def test_hmm_takes_the_highest() -> None:
    rng = np.random.default_rng(0)
    assert select(SCORES, MiningConfig("hmm", 3, 6), rng).tolist() == [1, 5, 2]


def test_grdy_takes_the_most_uncertain() -> None:
    rng = np.random.default_rng(0)
    assert set(select(SCORES, MiningConfig("grdy", 2, 6), rng).tolist()) == {2, 3}


def test_rand_does_not_look_at_scores() -> None:
    rng = np.random.default_rng(0)
    share = np.bincount(np.concatenate([select(SCORES, MiningConfig("rand", 2, 6), rng) for _ in range(6000)])) / 6000
    np.testing.assert_allclose(share, 1 / 3, atol=0.04)


@pytest.mark.parametrize("rule", ["rand", "grdy", "hmm", "sunm", "sunm-repeat"])
def test_pools_smaller_than_the_minibatch(rule: str) -> None:
    rng = np.random.default_rng(0)
    config = MiningConfig(rule, 96, 1024)  # type: ignore[arg-type]
    pool = pool_indices(10, config, rng)
    assert pool.max() < 10
    if rule != "rand":
        assert len(select(np.full(10, 0.2), config, rng)) == 10


def test_scores_of_zero_are_drawn_evenly() -> None:
    rng = np.random.default_rng(0)
    assert len(select(np.zeros(200), MiningConfig(), rng)) == 96


def test_pool_is_a_random_part() -> None:
    rng = np.random.default_rng(0)
    pool = pool_indices(5000, MiningConfig(), rng)
    assert len(set(pool.tolist())) == 1024
    assert len(pool_indices(5000, MiningConfig("grdy"), rng)) == 5000


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="1 <= count <= pool"):
        MiningConfig(count=2000)
    with pytest.raises(ConfigError, match="interval"):
        MiningConfig(interval=0)
