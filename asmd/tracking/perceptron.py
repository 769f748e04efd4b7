"""Arithmetic of the per-video classifier: M perceptrons of three layers side by side, with the gradient written out.

The layers are so small that deriving them by autograd costs more than computing them; and some runtimes that graphs are
exported to cannot derive. `Parameters` are the weights (M, out, in) and biases (M, out) of the layers in turn.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

POSITIVE = 1
"""Index of the target's class in the logits."""

Parameters: TypeAlias = list[Tensor]


def _first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, D) through the first layers of all members at once -> (M, N, H), in the type of x."""
    wide = torch.addmm(bias.flatten().to(x.dtype), x, weight.flatten(0, 1).T.to(x.dtype))
    return wide.view(x.shape[0], *weight.shape[:2]).transpose(0, 1)


def log_odds(x: Tensor, parameters: Parameters) -> Tensor:
    """Standardised descriptors (N, D) -> (N,) the target's logit less the background's, mean of the members.

    The first layer runs in the type of the descriptors, the others in that of their weights.
    """
    weight1, bias1, weight2, bias2, weight3, bias3 = parameters
    hidden = torch.relu(_first(x, weight1, bias1).to(weight2.dtype))
    hidden = torch.relu(hidden @ weight2.mT + bias2[:, None])
    # What is linear needs computing only once: the difference of two logits is one.
    weight = weight3[:, POSITIVE] - weight3[:, 1 - POSITIVE]
    bias = bias3[:, POSITIVE] - bias3[:, 1 - POSITIVE]
    return (hidden @ weight[:, :, None]).squeeze(2).mean(0) + bias.mean()


def gradients(
    x: Tensor, labels: Tensor, keep: tuple[Tensor, Tensor], parameters: Parameters, smoothing: float, clip: float
) -> tuple[Tensor, Parameters]:
    """Loss and gradient of the cross-entropy of each member.

    Args:
        x: (N, D) standardised descriptors. Products with them, which are most of the arithmetic, run in their type.
        labels: (N,) float, 1 for the target and 0 for background.
        keep: dropout as factors (M, N, H) of both hidden layers, 1 for none.
        parameters: of the layers.
        smoothing: share of a label that goes to the other class.
        clip: greatest norm of each member's gradient; 0 leaves it as it is.

    Returns:
        The mean loss, and the gradients of each member's own loss in the parameters' order.
    """
    weight1, bias1, weight2, bias2, weight3, bias3 = parameters
    before1 = _first(x, weight1, bias1).to(weight1.dtype)
    hidden1 = torch.relu(before1) * keep[0]
    before2 = hidden1 @ weight2.mT + bias2[:, None]
    hidden2 = torch.relu(before2) * keep[1]
    logits = hidden2 @ weight3.mT + bias3[:, None]
    target = smoothing + (1 - 2 * smoothing) * torch.stack([1 - labels, labels], dim=1)
    log_likelihood = torch.log_softmax(logits, dim=2)
    loss = -(target * log_likelihood).sum(2).mean()
    # d loss / d logits of a cross-entropy is the softmax less the target.
    d3 = (torch.exp(log_likelihood) - target) / x.shape[0]
    d2 = (d3 @ weight3) * keep[1] * (before2 > 0)
    d1 = (d2 @ weight2) * keep[0] * (before1 > 0)
    own1 = (d1.transpose(0, 1).flatten(1).T.to(x.dtype) @ x).to(weight1.dtype).view(weight1.shape)
    own = [own1, d1.sum(1), d2.mT @ hidden1, d2.sum(1), d3.mT @ hidden2, d3.sum(1)]
    if clip:
        norms = torch.sqrt(torch.stack([(g * g).flatten(1).sum(1) for g in own]).sum(0))
        shrink = torch.clamp(clip / (norms + 1e-6), max=1.0)
        own = [g * shrink.view(-1, *[1] * (g.ndim - 1)) for g in own]
    return loss, own
