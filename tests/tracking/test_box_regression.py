from __future__ import annotations

import numpy as np
import pytest
import torch

from asmd.boxes import iou, to_center
from asmd.tracking import candidates
from asmd.tracking.box_regression import BoxRegressionConfig, BoxRegressor

TARGET = np.array([100.0, 80.0, 40.0, 60.0])


def described(boxes: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Descriptors that tell, linearly and with some noise, where a box lies relative to the target."""
    own, goal = to_center(boxes), to_center(TARGET)
    truth = np.concatenate([(goal[:2] - own[:, :2]) / own[:, 2:], np.log(goal[2:] / own[:, 2:])], axis=1)
    rng = np.random.default_rng(seed)
    mixed = truth @ np.random.default_rng(9).normal(size=(4, 50)) + 0.01 * rng.normal(size=(len(boxes), 50))
    return torch.from_numpy(mixed.astype(np.float32))


def samples(seed: int) -> np.ndarray:
    wanted = candidates.SampleConfig("aspect", 0.3, 10, 400, min_iou=0.5)
    return candidates.samples(TARGET, (240, 320), wanted, np.random.default_rng(seed))


def test_boxes_become_tighter() -> None:
    regressor = BoxRegressor(BoxRegressionConfig(ridge=1.0))
    train, test = samples(0), samples(1)
    regressor.fit(described(train), train, TARGET)
    before, after = iou(test, TARGET), iou(regressor.predict(described(test, 2), test), TARGET)
    assert before.mean() < 0.7
    assert after.mean() > 0.95


def test_parity_with_scikit_learn() -> None:
    ridge = pytest.importorskip("sklearn.linear_model").Ridge
    train, test = samples(0), samples(1)
    config = BoxRegressionConfig(ridge=10.0, limit=100.0)
    regressor = BoxRegressor(config)
    regressor.fit(described(train), train, TARGET)
    own, goal = to_center(train), to_center(TARGET)
    moves = np.concatenate([(goal[:2] - own[:, :2]) / own[:, 2:], np.log(goal[2:] / own[:, 2:])], axis=1)
    reference = ridge(alpha=10.0).fit(described(train).numpy(), moves / moves.std(0, ddof=1))
    predicted = reference.predict(described(test).numpy()) * moves.std(0, ddof=1)
    expected = to_center(test)
    expected[:, :2] += predicted[:, :2] * expected[:, 2:]
    expected[:, 2:] *= np.exp(predicted[:, 2:])
    np.testing.assert_allclose(to_center(regressor.predict(described(test), test)), expected, rtol=2e-3, atol=0.05)


def test_too_few_samples_change_nothing() -> None:
    regressor = BoxRegressor(BoxRegressionConfig())
    boxes = samples(0)[:5]
    regressor.fit(described(boxes), boxes, TARGET)
    assert (regressor.predict(described(boxes), boxes) == boxes).all()


def test_wild_predictions_are_limited() -> None:
    regressor = BoxRegressor(BoxRegressionConfig(ridge=1e-3, limit=1.5))
    train = samples(0)
    regressor.fit(described(train), train, TARGET)
    box = TARGET[None]
    moved = regressor.predict(torch.full((1, 50), 1e6), box)
    assert np.isfinite(moved).all()
    assert (moved[0, 2:] / box[0, 2:] <= 1.5 + 1e-9).all() and (moved[0, 2:] / box[0, 2:] >= 1 / 1.5 - 1e-9).all()
