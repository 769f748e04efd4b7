"""The arrow-of-time head: what it joins, in which order."""

from __future__ import annotations

import pytest
import torch
from models.narrow_networks import images, narrow_trunk

from asmd.losses import arrow_loss
from asmd.models.arrow_of_time import ArrowOfTimeHead, arrow_accuracy
from asmd.models.private_branches import NarrowSTResNet


@pytest.fixture(scope="module")
def trunk() -> NarrowSTResNet:
    return narrow_trunk()


def clips(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rgb, flow = images(2 * count, seed)
    return rgb.reshape(count, 2, *rgb.shape[1:]), flow.reshape(count, 2, *flow.shape[1:])


def test_parameters() -> None:
    """1024 channels a stack: 2048 weights and a bias, or half of that where stacks are averaged."""
    assert sum(p.numel() for p in ArrowOfTimeHead(1024).parameters()) == 2049
    assert sum(p.numel() for p in ArrowOfTimeHead(1024, "average").parameters()) == 1025


@torch.no_grad()
def test_stacks_in_temporal_order_appearance_before_motion(trunk: NarrowSTResNet) -> None:
    rgb, flow = clips(3)
    head = ArrowOfTimeHead(trunk.feature_size)
    first, second = trunk(rgb[:, 0], flow[:, 0]), trunk(rgb[:, 1], flow[:, 1])
    expected = torch.cat([first, second], 1) @ head.output.weight[0] + head.output.bias
    logits = head(trunk, rgb, flow)
    assert logits.shape == (3,)
    assert torch.allclose(logits, expected, atol=1e-5)


@torch.no_grad()
def test_order_counts_only_where_stacks_are_concatenated(trunk: NarrowSTResNet) -> None:
    rgb, flow = clips(2)
    for join, same in (("average", True), ("concatenate", False)):
        head = ArrowOfTimeHead(trunk.feature_size, join)  # type: ignore[arg-type]
        swapped = head(trunk, rgb.flip(1), flow.flip(1))
        assert torch.allclose(head(trunk, rgb, flow), swapped, atol=1e-6) is same


def test_learns_the_direction_and_teaches_both_streams() -> None:
    """Clips whose second stack is a brightened first one, or the other way round."""
    torch.manual_seed(0)
    trunk = narrow_trunk()
    head = ArrowOfTimeHead(trunk.feature_size)
    optimiser = torch.optim.SGD([*trunk.parameters(), *head.parameters()], 0.02, momentum=0.9)
    rgb, flow = clips(8)
    rgb[:, 1], flow[:, 1] = rgb[:, 0] + 1, flow[:, 0] + 1
    rgb, flow = torch.cat([rgb, rgb.flip(1)]), torch.cat([flow, flow.flip(1)])
    forward = torch.arange(16) < 8
    for _ in range(12):
        optimiser.zero_grad()
        loss = arrow_loss(head(trunk, rgb, flow), forward)
        loss.backward()
        for stream in (trunk.appearance, trunk.motion):
            assert stream.conv1.weight.grad is not None and stream.conv1.weight.grad.any()
        optimiser.step()
    with torch.no_grad():
        assert arrow_accuracy(head(trunk, rgb, flow), forward) > 0.9


def test_accuracy() -> None:
    assert arrow_accuracy(torch.tensor([1.0, -1, 2, 0]), torch.tensor([True, False, False, False])) == 0.75
