from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_scene import Scene

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.features import FeatureConfig, RegionExtractor, build_extractor
from asmd.tracking.regions import POOLED_AT_ONCE, in_parts


@pytest.mark.parametrize("channels", [0, 8], ids=["all channels", "components"])
def test_what_is_foreseen_pools_as_the_view_itself_does(
    network: SpatiotemporalResNet, scene: Scene, channels: int
) -> None:
    config = FeatureConfig(region_size=129, channels=channels)
    extractor = build_extractor(network, config, False, torch.device("cpu"))
    assert isinstance(extractor, RegionExtractor)
    extractor.start(scene.frame(0), None, scene.box(0))
    boxes = scene.box(1) + np.random.default_rng(0).normal(0, 3, (40, 4))
    poolings = extractor.aim(scene.box(0)).poolings(boxes)
    # Of all channels the stages have different numbers, and are pooled one after the other.
    assert len(poolings) == (1 if channels else 2)
    view = extractor.look(scene.frame(1), None, scene.box(0))
    own, foreseen = view.describe(boxes).identity, view.describe(boxes, poolings).identity
    assert torch.equal(own, foreseen)


def test_pixels_are_those_of_the_network_s_input(network: SpatiotemporalResNet, scene: Scene) -> None:
    extractor = build_extractor(network, FeatureConfig(region_size=129, region_scale=4), False, torch.device("cpu"))
    region = extractor.aim(np.array([100.0, 50, 20, 20]))
    assert region is not None
    # The region is 80 px wide about (110, 60).
    np.testing.assert_allclose(region.pixels(np.array([[70.0, 20, 150, 100]])), [[0, 0, 129, 129]])
    crops = build_extractor(network, FeatureConfig(extractor="crop"), False, torch.device("cpu"))
    assert crops.aim(scene.box(0)) is None


def test_many_boxes_come_in_parts() -> None:
    boxes = np.arange(4.0 * (2 * POOLED_AT_ONCE + 1)).reshape(-1, 4)
    parts = list(in_parts(boxes))
    assert [len(part) for part in parts] == [POOLED_AT_ONCE, POOLED_AT_ONCE, 1]
    np.testing.assert_array_equal(np.concatenate(parts), boxes)
    assert [len(part) for part in in_parts(boxes[:0])] == [0]
