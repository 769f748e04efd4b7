"""What is measured on training footage for a head in int8."""

from __future__ import annotations

import pytest
import torch
from training.test_refinement import growing

from asmd.errors import ConfigError
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.training.calibration import head_limits


@pytest.fixture(scope="module")
def network() -> SpatiotemporalResNet:
    torch.manual_seed(0)
    return SpatiotemporalResNet().eval()


def a_head() -> BoxRefinement:
    torch.manual_seed(0)
    return BoxRefinement(RefinementConfig(projected=8, grid=6, width=16, hidden=32)).eval()


def test_limits_are_the_greatest_inputs_of_the_inner_layers(network: SpatiotemporalResNet) -> None:
    head, seen = a_head(), [0.0, 0.0, 0.0]
    for number, layer in enumerate(head.inner):

        def watch(_: torch.nn.Module, given: tuple[torch.Tensor, ...], number: int = number) -> None:
            seen[number] = max(seen[number], float(given[0].max()))

        layer.register_forward_pre_hook(watch)
    limits = head_limits(head, network, [growing(), growing("again")], seed=0)
    assert limits == tuple(seen) and min(limits) > 0
    assert len(head.inner[0]._forward_pre_hooks) == 1, "it leaves none of its own behind"
    assert head_limits(a_head(), network, [growing(), growing("again")], seed=0) == limits
    assert head_limits(a_head(), network, [growing(), growing("again")], seed=1) != limits


def test_limits_grow_with_the_layers_before_them(network: SpatiotemporalResNet) -> None:
    head = a_head()
    before = head_limits(head, network, [growing()], seed=0)
    with torch.no_grad():
        head.inner[0].weight *= 2  # type: ignore[operator]
        head.inner[0].bias *= 2  # type: ignore[operator]
    after = head_limits(head, network, [growing()], seed=0)
    assert after[0] == before[0]
    assert after[1] == pytest.approx(2 * before[1], rel=1e-5)


def test_two_frames_are_needed(network: SpatiotemporalResNet) -> None:
    with pytest.raises(ConfigError, match="no two annotated frames"):
        head_limits(a_head(), network, [growing(count=1)], seed=0)
