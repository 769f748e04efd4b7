from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from asmd.errors import ConfigError
from asmd.tracking.overlap import OverlapConfig, OverlapRegressor


def frame(rng: np.random.Generator, count: int, weights: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    samples = rng.standard_normal((count, len(weights))) * 0.2 + 3
    return torch.from_numpy(samples.astype(np.float32)), 0.5 + (samples - 3) @ weights


def exact(regressor: OverlapRegressor) -> torch.Tensor:
    return torch.linalg.solve(regressor._gram, regressor._moment)


def test_first_frame_is_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    samples, overlaps = frame(rng, 300, rng.standard_normal(12))
    ours = OverlapRegressor(OverlapConfig(ridge=0.1), samples, overlaps)
    scaled = (samples - samples.mean(0)) / (samples - samples.mean(0)).square().mean().sqrt()
    # The sums are means over samples, and the constant is penalised like any other weight.
    theirs = Ridge(alpha=0.1 * 300, fit_intercept=False)
    theirs.fit(np.hstack([scaled.numpy(), np.ones((300, 1))]), overlaps)
    expected = theirs.predict(np.hstack([scaled.numpy(), np.ones((300, 1))]))
    np.testing.assert_allclose(ours.predict(samples), expected, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scale_of_the_features_does_not_matter(factor: float) -> None:
    rng = np.random.default_rng(1)
    samples, overlaps = frame(rng, 200, rng.standard_normal(8))
    plain, scaled = (OverlapRegressor(OverlapConfig(), f * samples, overlaps) for f in (1.0, factor))
    np.testing.assert_allclose(plain.predict(samples), scaled.predict(factor * samples), atol=1e-4)


def test_sums_weigh_the_first_frame_and_the_later_ones() -> None:
    """After frames A and B the sums are f F + (1 - f) ((1 - r)^2 F + r (1 - r) A + r B)."""
    rng = np.random.default_rng(2)
    first, a, b = (frame(rng, n, np.ones(4)) for n in (50, 20, 30))
    config = OverlapConfig(rate=0.25, first=0.4, ridge=0.5)
    regressor = OverlapRegressor(config, *first)
    parts = [regressor._sums(*part) for part in (first, a, b)]
    regressor.learn(*a)
    regressor.learn(*b)
    shares = (0.4 + 0.6 * 0.75**2, 0.6 * 0.25 * 0.75, 0.6 * 0.25)
    gram = sum(s * part[0] for s, part in zip(shares, parts, strict=True)) + 0.5 * torch.eye(5)
    torch.testing.assert_close(regressor._gram, gram)
    torch.testing.assert_close(
        regressor._moment, torch.stack([s * part[1] for s, part in zip(shares, parts, strict=True)]).sum(0)
    )


def test_a_few_steps_bring_the_solution_up_to_date() -> None:
    rng = np.random.default_rng(3)
    old, new = rng.standard_normal((2, 12))
    regressor = OverlapRegressor(OverlapConfig(ridge=0.1), *frame(rng, 300, old))
    before = regressor._weights
    for _ in range(10):
        regressor.learn(*frame(rng, 64, new))
    solution = exact(regressor)
    assert (regressor._weights - solution).norm() < 0.02 * (before - solution).norm()


def test_a_changed_look_is_learnt() -> None:
    rng = np.random.default_rng(4)
    old, new = rng.standard_normal((2, 12))
    regressor = OverlapRegressor(OverlapConfig(first=0.0, ridge=0.01), *frame(rng, 300, old))
    samples, overlaps = frame(rng, 100, new)
    before = np.abs(regressor.predict(samples) - overlaps).mean()
    for _ in range(40):
        regressor.learn(*frame(rng, 64, new))
    assert np.abs(regressor.predict(samples) - overlaps).mean() < 0.3 * before


def test_no_boxes_change_nothing() -> None:
    rng = np.random.default_rng(5)
    regressor = OverlapRegressor(OverlapConfig(), *frame(rng, 50, np.ones(3)))
    before = regressor._weights.clone()
    regressor.learn(torch.empty(0, 3), np.empty(0))
    assert torch.equal(before, regressor._weights)
    assert regressor.predict(torch.empty(0, 3)).shape == (0,)


@pytest.mark.parametrize("change", [{"best": 65}, {"rate": 1.5}, {"first": -0.1}, {"ridge": 0.0}, {"interval": 0}])
def test_bad_settings(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="overlap needs"):
        replace(OverlapConfig(), **change)
