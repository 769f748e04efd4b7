from __future__ import annotations

import numpy as np
import pytest
import torch

from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.tracking.openvino_head import OpenVINOHead, Sizes

pytest.importorskip("openvino")

SHAPES = ((9, 9, 128), (5, 5, 256))
SIZES: Sizes = ((9, 9), (5, 5))
STRIDES = [8, 16]


def a_head(config: RefinementConfig) -> BoxRefinement:
    torch.manual_seed(0)
    head = BoxRefinement(config).eval().requires_grad_(False)
    torch.nn.init.normal_(head.out.weight)
    torch.nn.init.normal_(head.out.bias)
    return head


@pytest.mark.parametrize("config", [RefinementConfig(), RefinementConfig(grid=5, projected=8, context=1.5, raw=False)])
@pytest.mark.parametrize(
    ("dtype", "sharpness", "close"), [(torch.float32, 8, 1e-4), (torch.float32, 500, 1e-4), (torch.bfloat16, 8, 0.02)]
)
def test_the_same_as_in_torch(config: RefinementConfig, dtype: torch.dtype, sharpness: float, close: float) -> None:
    """To rounding: the largest move here is of 0.04, the largest logit of 1.2."""
    head = a_head(config)
    torch.nn.init.constant_(head.sharpness, sharpness)
    draw = torch.Generator().manual_seed(1)
    maps = [torch.nn.functional.normalize(torch.randn(shape, generator=draw), dim=2) for shape in SHAPES]
    # Inside, over two edges, all of the map and more, and thinner than a cell.
    corners = torch.tensor([[16.0, 8, 48, 56], [-30, 20, 25, 90], [-40, -40, 110, 120], [30, 30, 31.5, 33]])
    encoded = head.encode(maps)
    pooled = head.pool(encoded, corners, STRIDES)
    target = head.pool(encoded, torch.tensor([[20.0, 12, 50, 60]]), STRIDES)
    bias = head.bias(target)
    expected = head(pooled, target, bias)
    graph = OpenVINOHead(head, {1, 4}, SIZES, STRIDES, dtype)
    said = head.told(graph.read(encoded, corners, target), bias)
    np.testing.assert_allclose(said.moves, expected.moves, atol=close)
    np.testing.assert_allclose(said.quality, expected.quality, atol=close)
    alone = head.told(graph.read(encoded, corners[2:3], target), bias)
    np.testing.assert_allclose(alone.moves[0], expected.moves[2], atol=close)


def test_it_says_what_it_was_made_for() -> None:
    graph = OpenVINOHead(a_head(RefinementConfig()), {2}, SIZES, STRIDES, torch.float32)
    maps = [torch.zeros(*size, 32) for size in SIZES]
    assert graph.suits(maps, torch.zeros(2, 4))
    assert not graph.suits(maps, torch.zeros(3, 4))
    assert not graph.suits([maps[0][:8], maps[1]], torch.zeros(2, 4))


def test_in_int8_it_says_nearly_the_same() -> None:
    """Inner layers are multiplied in 256 steps up to their limits; beyond those nothing is told apart."""
    head = a_head(RefinementConfig())
    draw = torch.Generator().manual_seed(1)
    maps = [torch.nn.functional.normalize(torch.randn(shape, generator=draw), dim=2) for shape in SHAPES]
    encoded = head.encode(maps)
    corners = torch.tensor([[16.0, 8, 48, 56], [20, 14, 50, 60], [10, 10, 60, 40]])
    target = head.pool(encoded, torch.tensor([[20.0, 12, 50, 60]]), STRIDES)
    exact = OpenVINOHead(head, {3}, SIZES, STRIDES, torch.float32).read(encoded, corners, target)

    def differs(limits: tuple[float, ...]) -> float:
        head.limits = limits
        said = OpenVINOHead(head, {3}, SIZES, STRIDES, torch.float32, int8=True).read(encoded, corners, target)
        return float((said - exact).abs().max() / exact.abs().max())

    inputs: list[float] = []
    for layer in head.inner:
        layer.register_forward_pre_hook(lambda _, given: inputs.append(float(given[0].max())))
    head(head.pool(encoded, corners, STRIDES), target, torch.zeros(1, 4))
    assert len(inputs) == len(head.inner) == 3
    assert 0 < differs(tuple(inputs)) < 0.02
    assert differs(tuple(limit / 10 for limit in inputs)) > 0.05
