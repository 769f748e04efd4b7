"""Networks small enough to train in a test."""

from __future__ import annotations

import torch
from torch import Tensor

from asmd.models.private_branches import NarrowSTResNet
from asmd.models.st_resnet import STResNetConfig

SIDE = 33
FLOWS = 2


def narrow_trunk(seed: int = 0) -> NarrowSTResNet:
    """A shared network whose last maps have 32 + 32 channels; it has no batch norms."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NarrowSTResNet(4, STResNetConfig(flows=FLOWS))


def images(count: int, seed: int = 0, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """RGB and flow of noise."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, 3, side, side, generator=generator),
        torch.randn(count, 2 * FLOWS, side, side, generator=generator),
    )
