from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from moving_scene import Scene
from torch.nn.functional import cosine_similarity

from asmd.boxes import enlarge
from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.features import FeatureConfig, RegionExtractor, RegionView, build_extractor
from asmd.tracking.inputs import cut
from asmd.tracking.network import FeatureNetwork, fold_batch_norm
from asmd.tracking.readout import Readout

CPU = torch.device("cpu")


def flow_of(scene: Scene, frames: int = 3) -> FlowStack:
    stack = FlowStack()
    for t in range(frames):
        stack.push(scene.frame(t))
    return stack


def test_cut_inside_is_a_plain_slice() -> None:
    image = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    assert (cut(image, np.array([5, 2, 15, 12]), (10, 10), replicate=True) == image[2:12, 5:15]).all()


@pytest.mark.parametrize("corners", [[-5, -4, 5, 6], [25, 15, 35, 25], [-10, -10, 40, 40], [28, -8, 38, 2]])
def test_cut_pads_beyond_the_image(corners: list[int]) -> None:
    image = np.random.default_rng(0).integers(1, 255, (20, 30, 3), dtype=np.uint8)
    x1, y1, x2, y2 = corners
    size = (y2 - y1, x2 - x1)
    for replicate, mode in ((True, "edge"), (False, "constant")):
        padded = np.pad(image, ((50, 50), (50, 50), (0, 0)), mode=mode)  # type: ignore[call-overload]
        assert (cut(image, np.array(corners), size, replicate) == padded[50 + y1 : 50 + y2, 50 + x1 : 50 + x2]).all()


@torch.no_grad()
def test_folded_network_computes_the_same(network: SpatiotemporalResNet) -> None:
    torch.manual_seed(1)
    trained = SpatiotemporalResNet()
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
    trained.eval()
    rgb, flow = torch.randn(1, 3, 65, 65), torch.randn(1, 10, 65, 65)
    assert torch.allclose(fold_batch_norm(trained)(rgb, flow), trained(rgb, flow), rtol=1e-3, atol=1e-4)


def test_network_takes_images(network: SpatiotemporalResNet, scene: Scene) -> None:
    runner = FeatureNetwork(network, CPU, torch.float32)
    frame = scene.frame(0)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    by_hand = torch.from_numpy(((frame / 255 - mean) / std).transpose(2, 0, 1)[None]).float()
    expected = network.stages(by_hand, None, (2,))[2].appearance
    got = runner.maps(frame[None], None, (2,))[2]
    assert got.motion is None
    assert torch.allclose(got.appearance, expected, atol=1e-3)


@pytest.mark.parametrize("motion", [False, True])
def test_crop_and_region_agree_on_a_candidate_that_fills_the_region(
    network: SpatiotemporalResNet, scene: Scene, motion: bool
) -> None:
    """One box, enlarged, is the whole region: both see the same pixels, so the same map, and average it.

    They part in two ways that theory names. A region cell stands where its receptive field is centred, which is before
    the middle of its share of the pixels and so moves weight from the first row and column to the last; and its cells
    have unit length in each stream. So the plain average of the region's map is the crop's exactly, the pooled one
    nearly.
    """
    flow = flow_of(scene) if motion else None
    box = np.array([50.0, 30.0, 40.0, 40.0])
    context = 1.4
    crop = FeatureConfig(extractor="crop", context=context)
    region = FeatureConfig(stages=(4,), bins=1, region_scale=context, region_size=224, context=context)
    frame = scene.frame(2)
    by_crop = build_extractor(network, crop, motion, CPU).look(frame, flow, box).describe(box[None]).identity[0]
    view = build_extractor(network, region, motion, CPU).look(frame, flow, box)
    runner = FeatureNetwork(network, CPU)
    inputs = RegionExtractor(runner, region, motion)._inputs
    corners = np.array([42, 22, 98, 78])
    np.testing.assert_allclose(view.bounds, [42, 22, 56, 56])
    np.testing.assert_allclose(view.bounds, enlarge(box, context))
    rgb, stack = inputs.streams(frame, flow, corners, (224, 224))
    maps = runner.maps(rgb[None], None if stack is None else stack[None], (4,))[4]
    direct = torch.cat([m.float().mean((2, 3))[0] for m in maps if m is not None])
    assert torch.equal(direct, by_crop)
    pooled = view.describe(box[None]).identity[0]
    assert pooled.shape == by_crop.shape == ((1024,) if motion else (512,))
    streams = (2, 512) if motion else (1, 512)
    assert (cosine_similarity(pooled.reshape(streams), by_crop.reshape(streams)) > 0.95).all()


@pytest.mark.parametrize("extractor", ["region", "crop"])
def test_descriptors_follow_the_target(network: SpatiotemporalResNet, scene: Scene, extractor: str) -> None:
    """A box on the target looks more like the first frame's target than a box beside it."""
    config = FeatureConfig(extractor=extractor, region_size=225)  # type: ignore[arg-type]
    look = build_extractor(network, config, False, CPU).look
    first = look(scene.frame(0), None, scene.box(0)).describe(scene.box(0)[None]).identity
    beside = scene.box(8) + np.array([40, 10, 0, 0])
    later = look(scene.frame(8), None, scene.box(8)).describe(np.stack([scene.box(8), beside])).identity
    similar = cosine_similarity(first, later)
    assert similar[0] > 0.95
    assert similar[0] > similar[1]


def test_region_bounds_and_sizes(network: SpatiotemporalResNet, scene: Scene) -> None:
    config = FeatureConfig(region_scale=4, region_size=129, stages=(2, 3), bins=3)
    extractor = build_extractor(network, config, False, CPU)
    view = extractor.look(scene.frame(0), None, scene.box(0))
    assert view.bounds[2] == view.bounds[3] == pytest.approx(4 * 28, abs=1)
    assert view.describe(scene.box(0)[None]).identity.shape == (1, (128 + 256) * 9)
    assert view.describe(np.empty((0, 4))).identity.shape == (0, (128 + 256) * 9)
    whole = extractor.look_everywhere(scene.frame(0), None, scene.box(0))
    np.testing.assert_allclose(whole.bounds, [0, 0, 160, 120])


@pytest.mark.parametrize("size", [129, 200, 257])
def test_a_view_has_maps_of_the_shape_that_is_foretold(network: SpatiotemporalResNet, scene: Scene, size: int) -> None:
    readout = Readout(encoders={2: torch.ones(128, 3), 3: torch.ones(256, 3)})
    extractor = build_extractor(network, FeatureConfig(region_size=size), False, CPU, readout=readout)
    assert isinstance(extractor, RegionExtractor)
    view = extractor.look(scene.frame(0), None, scene.box(0))
    assert set(view.encoded) == {2, 3}
    for stage, (cells, _) in view.encoded.items():
        # Otherwise the head's graph would suit no view, and everything be judged in torch without a word.
        assert tuple(cells.shape) == (*extractor.size(stage), 3)


def test_principal_components_shorten_descriptors(network: SpatiotemporalResNet, scene: Scene) -> None:
    config = FeatureConfig(region_size=129, channels=32)
    extractor = build_extractor(network, config, False, CPU)
    extractor.start(scene.frame(0), None, scene.box(0))
    described = extractor.look(scene.frame(0), None, scene.box(0)).describe(scene.box(0)[None])
    assert described.identity.shape == (1, 2 * 32 * 9)


def test_components_of_the_weights_take_the_place_of_the_video_s(network: SpatiotemporalResNet, scene: Scene) -> None:
    """As long as there are enough of them, the settings want them, and no motion changes what they are of."""
    readout = Readout({stage: torch.eye(channels)[:, :40] for stage, channels in ((2, 128), (3, 256))})
    frame, box = scene.frame(0), scene.box(0)

    def view(motion: bool = False, **settings: Any) -> RegionView:
        config = FeatureConfig(**{"region_size": 129, "channels": 40, **settings})
        extractor = build_extractor(network, config, motion, CPU, readout=readout)
        assert isinstance(extractor, RegionExtractor)
        return extractor.start(frame, None, box)[0]

    whole, given, fewer = view(channels=0), view(), view(channels=24)
    assert torch.allclose(given.maps[0], whole.maps[0][..., :40], atol=0.01)
    assert torch.allclose(fewer.maps[1], whole.maps[1][..., :24], atol=0.01)
    own = view(components="video").maps[0]
    assert own.shape == given.maps[0].shape and not torch.allclose(own, given.maps[0], atol=0.1)
    assert view(channels=48).maps[0].shape[2] == 48
    assert view(stages=(1, 2)).maps[0].shape[2] == 40
    assert torch.equal(view(stages=(1, 2)).maps[1], view(stages=(1, 2), components="video").maps[1])
    assert not torch.allclose(view(motion=True).maps[0], given.maps[0], atol=0.1)


def test_crops_do_not_depend_on_the_batch(network: SpatiotemporalResNet, scene: Scene) -> None:
    boxes = np.stack([scene.box(t) for t in range(5)])
    results = [
        build_extractor(network, FeatureConfig(extractor="crop", crop_size=96, batch=batch), False, CPU)
        .look(scene.frame(0), None, boxes[0])
        .describe(boxes)
        .identity
        for batch in (2, 5)
    ]
    assert torch.allclose(*results, rtol=0.02, atol=0.02)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="stages must be some of"):
        FeatureConfig(stages=(5,))
    with pytest.raises(ConfigError, match="region_scale above 1"):
        FeatureConfig(region_scale=0.5)
    with pytest.raises(ConfigError, match="precision is one of auto, float, int8, not 'half'"):
        FeatureConfig(precision="half")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="components is one of auto, video, not 'none'"):
        FeatureConfig(components="none")  # type: ignore[arg-type]
