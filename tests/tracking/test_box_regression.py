from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import Scene

from asmd.boxes import iou, to_center
from asmd.errors import ConfigError
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking import candidates
from asmd.tracking.box_regression import BoxRegressionConfig, BoxRegressor, LearnedRegressor
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import FeatureConfig, View, build_extractor
from asmd.tracking.readout import Readout
from asmd.tracking.tracker import Tracker

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


def a_view(network: SpatiotemporalResNet, config: FeatureConfig) -> View:
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    readout = Readout(encoders=a_head(0, 0, 0, 0).encoders())
    extractor = build_extractor(network, config, False, torch.device("cpu"), readout=readout)
    extractor.start(frame, None, TARGET)
    return extractor.look(frame, None, TARGET)


def a_head(*moves: float) -> BoxRefinement:
    """A head that would move every box but the target's own by the same."""
    head = BoxRefinement(RefinementConfig(projected=4, grid=4, width=8, hidden=16)).eval()
    scale = torch.tensor([0.1, 0.1, 0.2, 0.2])

    def read(boxes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        own = torch.tensor([*moves, 0.0]) / torch.cat([scale, torch.ones(1)])
        return torch.zeros(len(boxes), 5) if boxes is targets else own.repeat(len(boxes), 1)

    head._read = read  # type: ignore[method-assign]
    return head


REGION = FeatureConfig(region_size=129)


def test_the_head_and_the_ridge_share_a_move(network: SpatiotemporalResNet) -> None:
    view = a_view(network, REGION)
    config = BoxRegressionConfig(learnt=0.25, iterations=2, damping=0.5)
    ridge = BoxRegressor(config)
    ridge.fit(view.describe(samples(0)).layout, samples(0), TARGET)
    # A ridge that says the same of every box.
    ridge.moves = lambda layouts: torch.tensor([[0.2, 0.0, 0.0, np.log(1.2)]])  # type: ignore[method-assign]
    learned = LearnedRegressor(a_head(0.0, 0.4, np.log(1.4), 0.0), config)
    assert learned.suits(view)
    learned.fit(view, TARGET, ridge)
    boxes = np.array([[100.0, 80, 40, 60], [104.0, 80, 40, 60]])
    moved = to_center(learned.predict(view, boxes, view.describe(boxes).layout))
    # Centres (120, 110) and (124, 110) at first; the mean is moved on by half as much.
    width, height = 40 * 1.4**0.25, 60 * 1.2**0.75
    centre = np.array([122 + 0.15 * 40 + 0.5 * 0.15 * width, 110 + 0.1 * 60 + 0.5 * 0.1 * height])
    np.testing.assert_allclose(moved, [*centre, 40 * 1.4**0.375, 60 * 1.2**1.125], rtol=1e-5)


def test_the_head_alone_where_the_ridge_has_learnt_nothing(network: SpatiotemporalResNet) -> None:
    view = a_view(network, REGION)
    config = BoxRegressionConfig(iterations=1)
    ridge = BoxRegressor(config)
    ridge.fit(view.describe(samples(0)[:5]).layout, samples(0)[:5], TARGET)
    learned = LearnedRegressor(a_head(0.1, 0.0, 9.0, 0.0), config)
    learned.fit(view, TARGET, ridge)
    # The change of a side is limited.
    moved = learned.predict(view, TARGET[None], view.describe(TARGET[None]).layout)
    np.testing.assert_allclose(to_center(moved), [124, 110, 60, 60], rtol=1e-5)


def test_the_head_needs_maps_of_a_region(network: SpatiotemporalResNet) -> None:
    learned = LearnedRegressor(a_head(0, 0, 0, 0), BoxRegressionConfig())
    assert not learned.suits(a_view(network, FeatureConfig(extractor="crop")))
    assert not learned.suits(a_view(network, FeatureConfig(region_size=129, stages=(3,))))


def test_the_tracker_uses_the_head_where_it_may(network: SpatiotemporalResNet, scene: Scene) -> None:
    preset = TrackerConfig.realtime()
    few = SampleConfig("uniform", 1, 10, 100, max_iou=0.5)
    sampling = replace(preset.sampling, initial_near=few, initial_whole=50, augmentations=())
    # In torch, since the head below is one in its Python alone.
    features = replace(preset.features, region_size=129, backend="torch")
    small = replace(preset, features=features, sampling=sampling)

    def second_box(config: BoxRegressionConfig, head: BoxRefinement | None) -> np.ndarray:
        tracker = Tracker(network, replace(small, regression=config), refinement=head)
        tracker.init(scene.frame(0), scene.box(0))
        return tracker.update(scene.frame(1)).box

    alone, ridge = BoxRegressionConfig(learnt=1.0, iterations=1), BoxRegressionConfig(kind="ridge")
    still, wider = a_head(0, 0, 0, 0), a_head(0, 0, np.log(1.25), 0)
    plain = second_box(alone, still)
    np.testing.assert_allclose(second_box(alone, wider)[2:], plain[2:] * [1.25, 1.0], rtol=1e-4)
    without = second_box(ridge, None)
    assert (second_box(ridge, wider) == without).all() and (without != plain).any()
    assert (second_box(alone, None) == without).all()


@pytest.mark.parametrize(
    "wrong", [{"kind": "none"}, {"iterations": 0}, {"learnt": 0.0}, {"damping": 1.5}, {"precision": "int8"}]
)
def test_impossible_settings(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ConfigError, match="box regression"):
        BoxRegressionConfig(**wrong)  # type: ignore[arg-type]
