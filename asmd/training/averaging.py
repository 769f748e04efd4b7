"""Weights between those that training started from and those that it came to.

Features that were trained on few videos gain on what resembles these and lose elsewhere; their mean with the general
ones that they started from keeps most of both (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from asmd.models.st_resnet import SpatiotemporalResNet


@torch.no_grad()
def averaged(network: SpatiotemporalResNet, start: Mapping[str, Tensor], share: float) -> SpatiotemporalResNet:
    """A copy whose weights are `share` of the network's and the rest of those it started from.

    Args:
        network: as trained.
        start: its tensors by name before training.
        share: of the trained weights, in 0..1.
    """
    result = copy.deepcopy(network)
    for name, tensor in result.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.lerp(start[name], tensor, share))
    return result
