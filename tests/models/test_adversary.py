"""The reversal's sign and strength, and what adversarial training does to shared features."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.losses import adversarial_loss, chance_loss, tracking_loss
from asmd.models.adversary import (
    DomainDiscriminator,
    domain_accuracy,
    reversal_strength,
    reverse_gradient,
)


def test_forward_is_the_identity_and_backward_minus_strength_times() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 3, dtype=torch.float64)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (weights * y.square()).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, -0.25 * 2 * weights * x.detach())


def test_strength_for_each_row() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    reverse_gradient(x, torch.tensor([0.0, 1.0, 2.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0, 0], [-1, -1], [-2, -2]]


def test_reversing_twice_is_a_plain_gradient() -> None:
    """gradcheck cannot pass for one reversal, by design; for two of strengths a and 1 / a it must."""
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: reverse_gradient(reverse_gradient(v.sin(), 0.5), 2.0).square(), (x,))
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(lambda v: reverse_gradient(v.sin()).square(), (x,))


def test_schedule() -> None:
    assert reversal_strength(0) == 0
    assert reversal_strength(0.1) == pytest.approx((math.e - 1) / (math.e + 1))
    assert reversal_strength(1) == pytest.approx(0.99990920)
    steps = [reversal_strength(p / 10) for p in range(11)]
    assert steps == sorted(steps)


def test_layers_and_parameters() -> None:
    """1024 -> 512 -> 512 -> 512 -> K."""
    network = DomainDiscriminator(1024, 7)
    count = 1024 * 512 + 512 + 2 * (512 * 512 + 512) + 512 * 7 + 7
    assert sum(p.numel() for p in network.parameters()) == count
    assert sum(isinstance(m, nn.ReLU) for m in network.layers) == 3
    assert network(torch.zeros(3, 1024)).shape == (3, 7)
    with pytest.raises(ConfigError, match="at least 2"):
        DomainDiscriminator(8, 1)


def test_against_reverses_the_features_gradient_and_not_its_own() -> None:
    torch.manual_seed(0)
    network = DomainDiscriminator(6, 3, hidden=8)
    domains = torch.tensor([0, 1, 2, 0])
    plain, reversed_ = (torch.randn(4, 6, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in "ab")
    adversarial_loss(network(plain), domains).backward()
    own = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    adversarial_loss(network.against(reversed_, domains, 0.5, cap=False), domains).backward()
    assert plain.grad is not None and reversed_.grad is not None
    assert torch.allclose(reversed_.grad, -0.5 * plain.grad)
    again = [p.grad for p in network.parameters()]
    assert all(torch.allclose(a, b) for a, b in zip(own, again, strict=True) if b is not None)


def test_cap_lets_through_only_what_is_better_than_a_guess() -> None:
    torch.manual_seed(0)
    network = DomainDiscriminator(6, 3, hidden=8)
    x = torch.randn(32, 6).requires_grad_()
    domains = torch.arange(32) % 3
    losses = nn.functional.cross_entropy(network(x), domains, reduction="none")
    adversarial_loss(network.against(x, domains), domains).backward()
    assert x.grad is not None
    told = losses < chance_loss(3)
    assert 0 < told.sum() < 32
    assert torch.equal(x.grad.abs().sum(1) > 0, told)
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_accuracy_against_chance() -> None:
    logits = torch.tensor([[2.0, 1, 0, 0], [0, 0, 3, 0]])
    assert domain_accuracy(logits, torch.tensor([0, 1])) == (0.5, 0.25)


DOMAINS = 4


def toy(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (count, 6) whose first two entries tell the label and whose other four are the domain, one-hot."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    domains = torch.randint(DOMAINS, (count,), generator=generator)
    x = torch.zeros(count, 2 + DOMAINS)
    x[torch.arange(count), labels] = 1
    x[torch.arange(count), 2 + domains] = 1
    return x + 0.1 * torch.randn(x.shape, generator=generator), labels, domains


class NoisyShared(nn.Module):
    """Two layers whose output carries noise, so that a domain's trace below the noise is lost, not merely small."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 + DOMAINS, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features + 0.1 * torch.randn_like(features)


def train_shared(weight: float) -> tuple[nn.Module, nn.Module]:
    """Shared layers and a head trained as equation 5 says, with lambda 1 = `weight`."""
    torch.manual_seed(0)
    shared, head, discriminator = NoisyShared(), nn.Linear(8, 2), DomainDiscriminator(8, DOMAINS, hidden=32)
    main = [*shared.parameters(), *head.parameters()]
    groups = [{"params": main, "lr": 0.05}, {"params": [*discriminator.parameters()], "lr": 0.1}]
    optimiser = torch.optim.SGD(groups, momentum=0.9)
    steps = 800
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        x, labels, domains = toy(128, step)
        features = shared(x)
        logits = discriminator.against(features, domains, reversal_strength(step / steps))
        loss = tracking_loss(head(features), labels) + weight * adversarial_loss(logits, domains)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return shared, head


def told_afresh(shared: nn.Module) -> float:
    """Accuracy, on new inputs, of a discriminator that learns anew from what the shared layers give now."""
    torch.manual_seed(1)
    fresh = DomainDiscriminator(8, DOMAINS, hidden=32)
    optimiser = torch.optim.Adam(fresh.parameters(), 3e-3)
    for step in range(200):
        x, _, domains = toy(128, 10_000 + step)
        with torch.no_grad():
            features = shared(x)
        optimiser.zero_grad()
        adversarial_loss(fresh(features), domains).backward()
        optimiser.step()
    with torch.no_grad():
        x, _, domains = toy(2000, 99_999)
        return domain_accuracy(fresh(shared(x)), domains).accuracy


@torch.no_grad()
def solved(shared: nn.Module, head: nn.Module) -> float:
    x, labels, _ = toy(2000, 88_888)
    return float((head(shared(x)).argmax(1) == labels).float().mean())


def test_shared_features_lose_the_domain_and_keep_the_task() -> None:
    shared, head = train_shared(weight=1.0)
    assert solved(shared, head) > 0.98
    assert told_afresh(shared) < 1 / DOMAINS + 0.15


def test_without_the_term_shared_features_keep_the_domain() -> None:
    shared, head = train_shared(weight=0.0)
    assert solved(shared, head) > 0.98
    assert told_afresh(shared) > 0.6
