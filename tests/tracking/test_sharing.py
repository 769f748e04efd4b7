from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_scene import Scene

from asmd.boxes import Boxes
from asmd.errors import ConfigError
from asmd.flow import FlowConfig, FlowStack
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame
from asmd.tracking.features import Extractor, FeatureConfig, RegionExtractor, RegionView, View
from asmd.tracking.inputs import region_corners
from asmd.tracking.network import FeatureNetwork
from asmd.tracking.readout import Readout
from asmd.tracking.sharing import SharingConfig, _window, aim, plan

SIDE = 257
NEVER = SharingConfig(tolerance=0.0)


def views_of(
    frame: Frame,
    flow: FlowStack | None,
    extractors: Sequence[Extractor],
    boxes: Sequence[Boxes],
    config: SharingConfig,
) -> list[View]:
    return [look() for look in aim(extractors, boxes, config).look(frame, flow)]


def square(x: int, y: int, side: int) -> np.ndarray:
    return np.array([x, y, x + side, y + side])


def members(regions: list[np.ndarray], config: SharingConfig | None = None) -> list[tuple[int, ...]]:
    return sorted(p.members for p in plan(regions, SIDE, config or SharingConfig()))


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        (square(40, 0, 200), True),
        (square(40, 20, 190), True),
        (square(260, 0, 200), False),  # apart
        (square(150, 150, 200), False),  # a corner in common: the rectangle about both is larger than the two
        (square(20, 20, 100), False),  # the same place at half the size
    ],
)
def test_what_is_joined(other: np.ndarray, joined: bool) -> None:
    assert (members([square(0, 0, 200), other]) == [(0, 1)]) == joined


def test_nothing_is_joined_below_a_tolerance_of_one() -> None:
    assert members([square(0, 0, 200), square(0, 0, 200)], NEVER) == [(0,), (1,)]
    assert members([square(0, 0, 200), square(0, 0, 200)], SharingConfig(tolerance=1.0)) == [(0, 1)]


def test_tolerance_holds_for_a_chain() -> None:
    """A neighbour's neighbour may be too far off in scale even where each step is not."""
    chain = [square(0, 0, 200), square(0, 0, 236), square(0, 0, 278)]
    assert len(members(chain)) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 400), st.integers(-50, 300), st.integers(60, 240)), max_size=7))
def test_every_plan_holds_each_target_once_and_costs_no_more(squares: list[tuple[int, int, int]]) -> None:
    config = SharingConfig()
    regions = [square(*s) for s in squares]
    passes = plan(regions, SIDE, config)
    assert sorted(i for p in passes for i in p.members) == list(range(len(regions)))
    assert sum(p.area for p in passes) <= len(regions) * SIDE**2
    for p in passes:
        height, width = p.pixels
        if len(p.members) == 1:
            assert p.pixels == (SIDE, SIDE)
            continue
        assert height % config.step == width % config.step == 1
        scale = np.array([width, height]) / (p.corners[2:] - p.corners[:2])
        np.testing.assert_allclose(scale[0], scale[1], rtol=0.02)
        for i in p.members:
            # A pixel of the frame may be lost to rounding.
            assert (p.corners[:2] <= regions[i][:2] + 1).all() and (p.corners[2:] >= regions[i][2:] - 1).all()
            own = SIDE / (regions[i][2] - regions[i][0])
            assert max(scale.max() / own, own / scale.min()) <= config.tolerance**0.5 * 1.02


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="multiple of 16"):
        SharingConfig(step=24)


@pytest.fixture(scope="module")
def extractors(network: SpatiotemporalResNet, scene: Scene) -> list[RegionExtractor]:
    readout = Readout(encoders={stage: torch.ones(channels, 5) for stage, channels in ((2, 128), (3, 256))})
    runner = FeatureNetwork(network, torch.device("cpu"), torch.float32, readout=readout)
    config = FeatureConfig(region_size=SIDE, channels=8)
    made = [RegionExtractor(runner, config, motion=False) for _ in range(2)]
    for extractor, box in zip(made, BOXES, strict=True):
        extractor.start(scene.frame(0), None, box)
    return made


BOXES = [np.array([40.0, 40, 28, 28]), np.array([52.0, 44, 26, 30])]


def test_a_view_of_a_joined_pass_describes_boxes_as_one_of_its_own(
    extractors: list[RegionExtractor], scene: Scene
) -> None:
    """At a scale a few percent off, and with other ground about it, descriptors stay close, each in its own basis."""
    frame = scene.frame(0)
    assert len(plan([region_corners(b, 4.5) for b in BOXES], SIDE, SharingConfig())) == 1
    shared = views_of(frame, None, extractors, BOXES, SharingConfig())
    alone = views_of(frame, None, extractors, BOXES, NEVER)

    def near(view: object, box: Boxes) -> torch.Tensor:
        assert isinstance(view, RegionView)
        boxes = box + np.array([[0, 0, 0, 0], [3, 0, 0, 0], [0, -4, 0, 0], [0, 0, 5, 5]])
        return torch.nn.functional.normalize(view.describe(boxes).identity, dim=1)

    for one, other, box in zip(shared, alone, BOXES, strict=True):
        same = (near(one, box) * near(other, box)).sum(1)
        moved = (near(one, box) * near(other, box + np.array([14, 14, 0, 0]))).sum(1)
        assert (same > 0.97).all()
        assert (same > moved).all()


def test_a_view_of_a_joined_pass_has_the_form_of_one_of_its_own(
    extractors: list[RegionExtractor], scene: Scene
) -> None:
    """Else neither the head's graph nor what was foreseen would suit it."""
    aims = aim(extractors, BOXES, SharingConfig())
    assert [one.members for one in aims.passes] == [(0, 1)]
    frame = scene.frame(0)
    for look, region, extractor, box in zip(aims.look(frame, None), aims.regions, extractors, BOXES, strict=True):
        view, own = look(), extractor.look(frame, None, box)
        assert isinstance(view, RegionView) and region is not None
        assert [m.shape for m in view.maps] == [m.shape for m in own.maps]
        assert {s: cells.shape for s, (cells, _) in view.encoded.items()} == {
            s: (*extractor.size(s), 5) for s in own.encoded
        }
        near = box + np.random.default_rng(0).normal(0, 2, (20, 4))
        assert torch.equal(view.describe(near).identity, view.describe(near, region.poolings(near)).identity)


def test_beyond_a_joined_pass_there_are_more_cells_like_the_outermost() -> None:
    cells = torch.arange(12.0).view(1, 1, 3, 4)
    inside = _window(cells, 1, 1, (2, 3))
    assert inside.tolist() == [[[[5, 6, 7], [9, 10, 11]]]]
    over = _window(cells, -1, 2, (3, 3))
    assert over.tolist() == [[[[2, 3, 3], [2, 3, 3], [6, 7, 7]]]]


def test_views_of_a_batch_are_those_of_single_looks(extractors: list[RegionExtractor], scene: Scene) -> None:
    frame = scene.frame(0)
    views = views_of(frame, None, extractors, BOXES, NEVER)
    for extractor, view, box in zip(extractors, views, BOXES, strict=True):
        assert isinstance(view, RegionView)
        own = extractor.look(frame, None, box)
        np.testing.assert_array_equal(view.bounds, own.bounds)
        torch.testing.assert_close(view.describe(box[None]).identity, own.describe(box[None]).identity)


def test_flow_is_cut_with_the_frame(network: SpatiotemporalResNet, scene: Scene) -> None:
    runner = FeatureNetwork(network, torch.device("cpu"), torch.float32)
    flow = FlowStack(FlowConfig())
    for t in range(3):
        flow.push(scene.frame(t))
    made = [RegionExtractor(runner, FeatureConfig(region_size=SIDE, channels=0), motion=True) for _ in range(2)]
    shared = views_of(scene.frame(2), flow, made, BOXES, SharingConfig())
    alone = views_of(scene.frame(2), flow, made, BOXES, NEVER)
    for one, other, box in zip(shared, alone, BOXES, strict=True):
        a, b = (v.describe(box[None]).identity for v in (one, other))
        assert a.shape == b.shape
        assert torch.nn.functional.cosine_similarity(a, b).item() > 0.95


def test_a_lone_target_has_the_view_of_a_single_look(extractors: list[RegionExtractor], scene: Scene) -> None:
    (only,) = views_of(scene.frame(0), None, extractors[:1], BOXES[:1], SharingConfig())
    own = extractors[0].look(scene.frame(0), None, BOXES[0])
    assert isinstance(only, RegionView)
    assert torch.equal(only.describe(BOXES[0][None]).identity, own.describe(BOXES[0][None]).identity)
