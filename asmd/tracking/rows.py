"""Descriptors in many blocks, read as one table without being put together: of thousands, a minibatch needs a few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def picked(table: Tensor, numbers: NDArray[np.intp]) -> Tensor:
    """Rows (M, D) of a table (N, D) of those numbers (M,), a copy: as `table[numbers]`, but a row at a time."""
    return table.index_select(0, torch.from_numpy(numbers).to(table.device))


class Rows:
    """Blocks (n, D) one below the other.

    Args:
        blocks: at least one, all of one D and type; they are referred to, not copied.
    """

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self._blocks = [b for b in blocks if len(b)] or list(blocks[:1])
        self._ends = np.cumsum([len(b) for b in self._blocks])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, indices: NDArray[np.intp]) -> Tensor:
        """Rows (M, D) of those numbers (M,), in that order, a copy."""
        if len(self._blocks) == 1:
            return picked(self._blocks[0], indices)
        which = np.searchsorted(self._ends, indices, side="right")
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(len(self._blocks)), side="right")
        starts = self._ends - [len(b) for b in self._blocks]
        parts, begin = [], 0
        for block, first, end in zip(self._blocks, starts, ends, strict=True):
            if end > begin:
                parts.append(picked(block, indices[order[begin:end]] - first))
                begin = end
        back = np.empty(len(order), dtype=np.intp)
        back[order] = np.arange(len(order))
        return picked(torch.cat(parts), back)

    def all(self) -> Tensor:
        """Every row, (N, D)."""
        return self._blocks[0] if len(self._blocks) == 1 else torch.cat(self._blocks)
