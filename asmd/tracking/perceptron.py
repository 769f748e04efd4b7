"""Arithmetic of the per-video classifier: M perceptrons of three layers side by side, with the gradient written out.

The layers are so small that deriving them by autograd costs more than computing them; and some runtimes that graphs are
exported to cannot derive. `Parameters` are the weights (M, out, in) and biases (M, out) of the layers in turn.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

POSITIVE = 1
"""Index of the target's class in the logits."""

Parameters: TypeAlias = list[Tensor]


def preactivations(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, D) through the first layers of all members at once -> (N, M * H), in the type of x."""
    return torch.addmm(bias.flatten().to(x.dtype), x, weight.flatten(0, 1).T.to(x.dtype))


def _first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same -> (M, N, H)."""
    return preactivations(x, weight, bias).view(x.shape[0], *weight.shape[:2]).transpose(0, 1)


def _differences(weight3: Tensor, bias3: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (M, H) and bias (M,) of the target's logit less the background's."""
    weight, bias = (p[:, POSITIVE] - p[:, 1 - POSITIVE] for p in (weight3, bias3))
    return weight, bias


class Scorer(NamedTuple):
    """Parameters laid out for `scored`, so that no frame has to.

    Attributes:
        weight1: (D, M * H) of the first layers, in the type of the descriptors.
        bias1: (M * H,) likewise.
        weight2: (M, H, H), inputs before outputs.
        bias2: (M, 1, H).
        weight3: (M, H, 1) of the target's logit less the background's.
        bias3: () its mean over the members.
    """

    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor
    weight3: Tensor
    bias3: Tensor


def scorer(parameters: Parameters, dtype: torch.dtype) -> Scorer:
    """Parameters laid out for descriptors of a type."""
    weight1, bias1, weight2, bias2, weight3, bias3 = parameters
    weight, bias = _differences(weight3, bias3)
    first = weight1.flatten(0, 1).T.to(dtype), bias1.flatten().to(dtype)
    return Scorer(*first, weight2.mT, bias2[:, None], weight[:, :, None], bias.mean())


def scored(x: Tensor, by: Scorer) -> Tensor:
    """Standardised descriptors (N, D) -> (N,) the target's logit less the background's, mean of the members.

    The first layer runs in the type of the descriptors, the others in that of their weights.
    """
    members, _, units = by.bias2.shape
    wide = torch.addmm(by.bias1, x, by.weight1).view(x.shape[0], members, units).transpose(0, 1)
    hidden = torch.relu(wide.to(by.weight2.dtype))
    hidden = torch.relu(hidden @ by.weight2 + by.bias2)
    return (hidden @ by.weight3).squeeze(2).mean(0) + by.bias3


def log_odds(x: Tensor, parameters: Parameters) -> Tensor:
    """As `scored`, by parameters as they are."""
    return scored(x, scorer(parameters, x.dtype))


def gradients(
    x: Tensor,
    labels: Tensor,
    keep: Tensor | tuple[Tensor, Tensor],
    parameters: Parameters,
    smoothing: float,
    clip: float,
) -> tuple[Tensor, Parameters]:
    """Loss and gradient of the cross-entropy of each member.

    Args:
        x: (N, D) standardised descriptors. Products with them, which are most of the arithmetic, run in their type.
        labels: (N,) float, 1 for the target and 0 for background.
        keep: dropout as factors (M, N, H) of each of both hidden layers, 1 for none.
        parameters: of the layers.
        smoothing: share of a label that goes to the other class.
        clip: greatest norm of each member's gradient; 0 leaves it as it is.

    Returns:
        The mean loss, and the gradients of each member's own loss in the parameters' order.
    """
    weight1, bias1, weight2, bias2, weight3, bias3 = parameters
    hidden1 = torch.relu(_first(x, weight1, bias1).to(weight1.dtype)) * keep[0]
    hidden2 = torch.relu(hidden1 @ weight2.mT + bias2[:, None]) * keep[1]
    # Of two classes only the difference of the logits counts: their softmax is its logistic function.
    weight, bias = _differences(weight3, bias3)
    odds = (hidden2 @ weight[:, :, None]).squeeze(2) + bias[:, None]
    target = smoothing + (1 - 2 * smoothing) * labels
    loss = (nn.functional.softplus(odds) - target * odds).mean()
    d3 = (torch.sigmoid(odds) - target) / x.shape[0]
    # What was dropped or is off passes nothing back: those are the units that put out nothing.
    d2 = d3[:, :, None] * weight[:, None] * keep[1] * (hidden2 > 0)
    d1 = (d2 @ weight2) * keep[0] * (hidden1 > 0)
    own1 = (d1.transpose(0, 1).flatten(1).T.to(x.dtype) @ x).to(weight1.dtype).view(weight1.shape)
    own3, own_bias3 = (d3[:, None] @ hidden2).squeeze(1), d3.sum(1)
    signs = [-1 if index != POSITIVE else 1 for index in range(2)]
    own = [own1, d1.sum(1), d2.mT @ hidden1, d2.sum(1)]
    own += [torch.stack([sign * g for sign in signs], 1) for g in (own3, own_bias3)]
    if clip:
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in own]).norm(dim=0)
        shrink = torch.clamp(clip / (norms + 1e-6), max=1.0)
        own = [g * shrink.view(-1, *[1] * (g.ndim - 1)) for g in own]
    return loss, own
