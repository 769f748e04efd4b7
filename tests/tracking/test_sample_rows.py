from __future__ import annotations

import numpy as np
import torch

from asmd.tracking.rows import Rows


def test_rows_are_those_of_the_blocks_put_together() -> None:
    draw = np.random.default_rng(0)
    blocks = [torch.randn(n, 3) for n in (4, 0, 1, 7, 0)]
    rows, whole = Rows(blocks), torch.cat(blocks)
    assert len(rows) == 12
    assert torch.equal(rows.all(), whole)
    for wanted in (draw.integers(0, 12, 30), draw.permutation(12), np.array([3, 4, 5, 11, 0])):
        assert torch.equal(rows.take(wanted), whole[torch.from_numpy(wanted)])


def test_one_block_and_none_with_rows() -> None:
    only = torch.randn(5, 2)
    assert torch.equal(Rows([only]).take(np.array([4, 0])), only[[4, 0]])
    assert len(Rows([torch.empty(0, 2), torch.empty(0, 2)])) == 0
