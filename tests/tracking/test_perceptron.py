"""The written-out gradient against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asmd.tracking.perceptron import gradients, log_odds


def made(members: int, features: int = 7, hidden: int = 5) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    sizes = ((hidden, features), (hidden,), (hidden, hidden), (hidden,), (2, hidden), (2,))
    return [torch.randn(members, *size, generator=draw, dtype=torch.float64) for size in sizes]


def logits(x: Tensor, parameters: list[Tensor], keep: tuple[Tensor, Tensor], member: int) -> Tensor:
    weight1, bias1, weight2, bias2, weight3, bias3 = (p[member] for p in parameters)
    x = torch.relu(x @ weight1.T + bias1) * keep[0][member]
    x = torch.relu(x @ weight2.T + bias2) * keep[1][member]
    return x @ weight3.T + bias3


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("clip", [0.0, 0.05, 100.0])
def test_gradients_are_those_of_autograd(members: int, smoothing: float, clip: float) -> None:
    parameters = [p.requires_grad_() for p in made(members)]
    x, labels = torch.randn(6, 7, dtype=torch.float64), (torch.arange(6) % 3 == 0).double()
    keep = tuple((torch.rand(members, 6, 5, dtype=torch.float64) < 0.5).double() * 2 for _ in range(2))
    losses = [
        torch.nn.functional.cross_entropy(logits(x, parameters, keep, m), labels.long(), label_smoothing=2 * smoothing)
        for m in range(members)
    ]
    torch.stack(losses).sum().backward()
    with torch.no_grad():
        loss, found = gradients(x, labels, keep, parameters, smoothing, clip)
    torch.testing.assert_close(loss, torch.stack(losses).mean().detach())
    for member in range(members):
        expected = [p.grad[member].clone() for p in parameters]
        norm = torch.sqrt(sum((g * g).sum() for g in expected))
        shrink = min(1.0, clip / float(norm)) if clip else 1.0
        for got, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(got[member], wanted * shrink, rtol=1e-4, atol=1e-9)


def test_log_odds_are_the_mean_of_the_members() -> None:
    parameters, x = made(3), torch.randn(6, 7, dtype=torch.float64)
    all_kept = (torch.ones(3, 6, 5), torch.ones(3, 6, 5))
    each = [logits(x, parameters, all_kept, m) for m in range(3)]
    expected = torch.stack([one[:, 1] - one[:, 0] for one in each]).mean(0)
    torch.testing.assert_close(log_odds(x, parameters), expected)
