"""The domain discriminator and the gradient reversal it sits behind (paper, 3.3; Ganin & Lempitsky, ICML 2015)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.losses import chance_loss

HIDDEN = 512
"""Units of each of the discriminator's three hidden layers."""


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: Tensor) -> Tensor:
        # Not by save_for_backward: the strength may be decided after the way forward, see `against`.
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength.to(gradients[0]) * gradients[0], None


def reverse_gradient(x: Tensor, strength: float | Tensor = 1.0) -> Tensor:
    """The identity on the way forward, minus `strength` times the gradient on the way back.

    Args:
        x: (N, D).
        strength: a number, or (N,) one for each row.
    """
    factors = torch.as_tensor(strength, dtype=torch.float32, device=x.device)
    reversed_: Tensor = _Reversal.apply(x, factors[:, None] if factors.ndim else factors)  # type: ignore[no-untyped-call]
    return reversed_


def reversal_strength(progress: float) -> float:
    """The schedule 2 / (1 + exp(-10 p)) - 1: nothing at the start, all but 1 from half-way on.

    Args:
        progress: p, share of the training done, in 0..1.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DomainDiscriminator(nn.Module):
    """Guesses a sample's domain from its shared features: three layers of 512 with ReLU, then K logits.

    The paper's E(x), "shared representation followed by 2 layers", and D, "three layers and a softmax", overlap; all
    layers here belong to the discriminator, and only what comes before the reversal is trained against it.

    Args:
        features: D, length of the shared features.
        domains: K, at least 2.
        hidden: units of a hidden layer.

    Raises:
        ConfigError: if there are fewer than two domains to tell apart.
    """

    def __init__(self, features: int, domains: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        if domains < 2:
            raise ConfigError(f"adversarial training needs at least 2 domains, got {domains}")
        self.domains = domains
        layers: list[nn.Module] = []
        for size in (features, hidden, hidden):
            linear = nn.Linear(size, hidden)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, domains))

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, K) logits; trains whatever `features` come from *for* the discriminator."""
        logits: Tensor = self.layers(features)
        return logits

    def against(self, features: Tensor, domains: Tensor, strength: float = 1.0, cap: bool = True) -> Tensor:
        """Logits whose cross-entropy trains the discriminator, and what `features` come from against it.

        Args:
            features: (N, D) shared features.
            domains: (N,) int64, the true domains.
            strength: of the reversal.
            cap: samples whose cross-entropy is at ln K or above send no gradient back: they carry no more than a guess
                does, and beyond it the features would only be driven to mislead. Decided sample by sample, so that it
                comes out the same however a batch is spread over machines.

        Returns:
            (N, K) logits.
        """
        factors = torch.full((len(features),), strength, device=features.device)
        logits: Tensor = self(reverse_gradient(features, factors))
        if cap:
            # The way back reads the factors, so that one way forward serves both.
            losses = nn.functional.cross_entropy(logits.detach(), domains, reduction="none")
            factors *= losses < chance_loss(self.domains)
        return logits


class DomainAccuracy(NamedTuple):
    """How often the discriminator is right, and how often a guess would be (1 / K), both in 0..1."""

    accuracy: float
    chance: float


@torch.no_grad()
def domain_accuracy(logits: Tensor, domains: Tensor) -> DomainAccuracy:
    """The discriminator's accuracy on logits (N, K) with true domains (N,); NaN where N is 0."""
    return DomainAccuracy(float((logits.argmax(1) == domains).float().mean()), 1 / logits.shape[1])
