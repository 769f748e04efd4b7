from __future__ import annotations

import math

import pytest
import torch

from asmd.models.box_refinement import BoxRefinement, RefinementConfig, moved, moves_between
from asmd.models.resnet import STAGE_CHANNELS

SMALL = RefinementConfig(projected=4, grid=4, width=8, hidden=16)


def maps(seed: int = 0, side: int = 12) -> list[torch.Tensor]:
    """Cells of unit length of stages 2 and 3, twice as many of the former a side."""
    generator = torch.Generator().manual_seed(seed)
    sizes = zip((2 * side, side), STAGE_CHANNELS[1:3], strict=True)
    return [torch.nn.functional.normalize(torch.randn(n, n, c, generator=generator), dim=2) for n, c in sizes]


def test_moves_by_hand() -> None:
    own, goal = torch.tensor([[10.0, 20.0, 40.0, 20.0]]), torch.tensor([[20.0, 15.0, 80.0, 10.0]])
    # Centres (30, 30) and (60, 20); widths double, heights halve.
    expected = torch.tensor([[30 / 40, -10 / 20, math.log(2), -math.log(2)]])
    torch.testing.assert_close(moves_between(own, goal), expected)
    torch.testing.assert_close(moved(own, expected), goal)


def test_moving_is_the_inverse_of_what_moves_between_says() -> None:
    generator = torch.Generator().manual_seed(1)
    own, goal = (torch.rand(50, 4, generator=generator) * 50 + 5 for _ in range(2))
    torch.testing.assert_close(moved(own, moves_between(own, goal)), goal)


def test_a_new_head_moves_nothing() -> None:
    head = BoxRefinement(SMALL)
    pooled = head.pool(head.encode(maps()), torch.tensor([[20.0, 20.0, 80.0, 90.0], [0.0, 0.0, 50.0, 50.0]]), [8, 16])
    assert pooled.shape == (2, 2, 16, 4)
    out = head(pooled, pooled[:1])
    assert (out.moves == 0).all() and out.quality.shape == (2,)


def test_the_targets_own_box_is_never_moved() -> None:
    torch.manual_seed(0)
    head = BoxRefinement(SMALL)
    torch.nn.init.normal_(head.out.weight)
    corners = torch.tensor([[20.0, 20.0, 80.0, 90.0], [40.0, 10.0, 120.0, 90.0]])
    pooled = head.pool(head.encode(maps()), corners, [8, 16])
    moves = head(pooled, pooled[:1]).moves
    torch.testing.assert_close(moves[0], torch.zeros(4))
    assert moves[1].abs().max() > 1e-3


def test_each_target_has_its_own_run_of_boxes() -> None:
    torch.manual_seed(0)
    head = BoxRefinement(SMALL)
    torch.nn.init.normal_(head.out.weight)
    corners = torch.tensor([[20.0, 20.0, 80.0, 90.0], [40.0, 10.0, 120.0, 90.0], [5.0, 5.0, 60.0, 40.0]])
    boxes = head.pool(head.encode(maps(0)), corners, [8, 16])
    targets = head.pool(head.encode(maps(1)), corners[:2], [8, 16])
    together = head(boxes.repeat(2, 1, 1, 1), targets).moves
    torch.testing.assert_close(together, torch.cat([head(boxes, targets[:1]).moves, head(boxes, targets[1:]).moves]))


def test_the_grid_reaches_beyond_the_box() -> None:
    head = BoxRefinement(RefinementConfig(stages=(2,), projected=1, grid=4, context=2.0))
    torch.nn.init.ones_(head.project[0].weight)
    # Cells count the columns; a box of 32 px about column 8 (8 px a cell) is seen from column 4 to column 12.
    encoded = [torch.arange(17.0).repeat(17, 1)[..., None]]
    row = head.pool(encoded, torch.tensor([[48.5, 48.5, 80.5, 80.5]]), [8])[0, 0, :4, 0]
    torch.testing.assert_close(row, torch.tensor([5.0, 7.0, 9.0, 11.0]))


@pytest.mark.parametrize("raw", [True, False])
def test_the_head_is_small(raw: bool) -> None:
    assert sum(p.numel() for p in BoxRefinement(RefinementConfig(raw=raw)).parameters()) < 1_000_000
