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


def test_frames_weigh_the_same_whatever_their_samples() -> None:
    rng = np.random.default_rng(2)
    first, second = frame(rng, 400, np.ones(4)), frame(rng, 100, -np.ones(4))
    regressor = OverlapRegressor(OverlapConfig(), *first)
    regressor.learn(*second)
    # The same as ridge regression on the small frame's samples taken four times.
    x = regressor._prepared(torch.cat([first[0], *4 * [second[0]]]))
    y = torch.from_numpy(np.concatenate([first[1], *4 * [second[1]]]).astype(np.float32))
    expected = torch.linalg.solve(x.T @ x / 800 + torch.eye(5), x.T @ y / 800)
    torch.testing.assert_close(regressor._weights, expected, atol=1e-4, rtol=1e-3)


def test_a_corrected_look_is_learnt() -> None:
    rng = np.random.default_rng(4)
    old, new = rng.standard_normal((2, 12))
    regressor = OverlapRegressor(OverlapConfig(ridge=0.01), *frame(rng, 300, old))
    samples, overlaps = frame(rng, 100, new)
    before = np.abs(regressor.predict(samples) - overlaps).mean()
    regressor.learn(*frame(rng, 300, new))
    assert np.abs(regressor.predict(samples) - overlaps).mean() < 0.7 * before


def test_no_boxes_change_nothing() -> None:
    rng = np.random.default_rng(5)
    regressor = OverlapRegressor(OverlapConfig(), *frame(rng, 50, np.ones(3)))
    before = regressor._weights.clone()
    regressor.learn(torch.empty(0, 3), np.empty(0))
    assert torch.equal(before, regressor._weights)
    assert regressor.predict(torch.empty(0, 3)).shape == (0,)


@pytest.mark.parametrize("change", [{"best": 65}, {"ridge": 0.0}, {"samples": 1}])
def test_bad_settings(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="overlap needs"):
        replace(OverlapConfig(), **change)
