"""Stochastic gradient descent on the per-video classifier: a step in torch, or compiled where that can be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asmd import compiled
from asmd.tracking.perceptron import Parameters, gradients, preactivations


@dataclass(frozen=True)
class DescentConfig:
    """How steps are made.

    Attributes:
        rates: learning rate of each parameter.
        decays: weight decay of each.
        momentum: share of a momentum that is kept.
        smoothing: share of a label that goes to the other class.
        clip: greatest norm of each member's gradient; 0 leaves it as it is.
    """

    rates: Sequence[float]
    decays: Sequence[float]
    momentum: float
    smoothing: float
    clip: float


class Descent:
    """Steps of SGD with momentum, from none.

    Args:
        parameters: of perceptrons, which change in place.
        config: settings.
    """

    def __init__(self, parameters: Parameters, config: DescentConfig) -> None:
        self._parameters, self._config = parameters, config
        self._momenta = [torch.zeros_like(p) for p in parameters]

    def step(self, x: Tensor, labels: Tensor, keep: Tensor) -> Tensor:
        """Makes a step; arguments as for `asmd.tracking.perceptron.gradients`. The loss before it."""
        config = self._config
        loss, found = gradients(x, labels, keep, self._parameters, config.smoothing, config.clip)
        ways = zip(self._parameters, self._momenta, found, config.rates, config.decays, strict=True)
        for value, momentum, gradient, rate, decay in ways:
            momentum.mul_(config.momentum).add_(gradient).add_(value, alpha=decay)
            value.add_(momentum, alpha=-rate)
        return loss


class CompiledDescent(Descent):
    """The same, compiled but for the products with descriptors."""

    def __init__(self, parameters: Parameters, config: DescentConfig) -> None:
        super().__init__(parameters, config)
        self._own = [torch.empty_like(p) for p in parameters]
        # Arrays share the tensors' memory; here with a row for each member.
        self._flat = [
            tuple(p.flatten(1).numpy() for p in tensors) for tensors in (parameters, self._momenta, self._own)
        ]
        self._layers = tuple(p.numpy() for p in parameters[2:])
        # Where the gradients are written, of the first layer's bias and of the other layers.
        self._own_bias, self._own_layers = self._own[1].numpy(), tuple(p.numpy() for p in self._own[2:])
        self._rates, self._decays = (np.array(given, np.float32) for given in (config.rates, config.decays))

    def step(self, x: Tensor, labels: Tensor, keep: Tensor) -> Tensor:
        """See `Descent`."""
        from asmd.tracking.perceptron_compiled import descend, loss_and_gradients

        config, (weight, bias, *_) = self._config, self._parameters
        wide = preactivations(x, weight, bias).to(weight.dtype).view(-1, *bias.shape)
        back = torch.empty_like(wide)
        kept = keep.expand(2, len(weight), len(x), weight.shape[1]).contiguous().numpy()
        found = (back.numpy(), self._own_bias, self._own_layers)
        loss = loss_and_gradients(wide.numpy(), labels.numpy(), kept, self._layers, config.smoothing, *found)
        self._own[0].copy_((back.flatten(1).T.to(x.dtype) @ x).view(weight.shape))
        values, momenta, own = self._flat
        descend(values, momenta, own, self._rates, self._decays, config.momentum, config.clip)
        return torch.tensor(loss)


def descent(parameters: Parameters, config: DescentConfig) -> Descent:
    """Steps on parameters, compiled where they can be."""
    return (CompiledDescent if compiled.serves(*parameters) else Descent)(parameters, config)
