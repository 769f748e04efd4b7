"""Equations 1 and 3 to 6 against values worked out by hand, and their gradients against differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asmd.errors import ConfigError
from asmd.losses import (
    LossWeights,
    adversarial_loss,
    arrow_loss,
    chance_loss,
    difference_loss,
    domain_loss,
    shared_private_correlation,
    total_loss,
    tracking_loss,
    tracking_losses,
)

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)
# Softmax scores of the target: 3/4, 1/4, 1/2.
LOGITS = torch.tensor([[0.0, LN3], [LN3, 0.0], [1.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([1, 0, 1])
DOMAINS = torch.tensor([5, 5, 2])


def noise(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.requires_grad_(grad)


def test_tracking_loss_by_hand() -> None:
    assert tracking_losses(LOGITS, LABELS).tolist() == pytest.approx([LN4 - LN3, LN4 - LN3, LN2])
    assert tracking_loss(LOGITS, LABELS).item() == pytest.approx((2 * (LN4 - LN3) + LN2) / 3)


def test_printed_tracking_loss_ignores_background() -> None:
    """Equation 6 as printed: only y log(score), so that calling everything the target costs nothing."""
    assert tracking_loss(LOGITS, LABELS, "literal").item() == pytest.approx((LN4 - LN3 + LN2) / 3)
    everything_is_target = torch.tensor([[-50.0, 50.0]] * 2)
    assert tracking_loss(everything_is_target, torch.tensor([1, 0]), "literal").item() == 0
    assert tracking_loss(everything_is_target, torch.tensor([1, 0])).item() > 10


def test_domains_weigh_alike_however_many_samples_they_bring() -> None:
    first, second = LN4 - LN3, LN2
    assert domain_loss(LOGITS, LABELS, DOMAINS).item() == pytest.approx((first + second) / 2)
    alpha = torch.tensor([9.0, 9.0, 0.25, 9.0, 9.0, 0.5])
    assert domain_loss(LOGITS, LABELS, DOMAINS, weights=alpha).item() == pytest.approx(0.5 * first + 0.25 * second)
    literal = domain_loss(LOGITS, LABELS, DOMAINS, form="literal").item()
    assert literal == pytest.approx((first / 2 + second) / 2)


def test_one_domain_is_the_tracking_loss() -> None:
    one = torch.zeros(3, dtype=torch.long)
    assert domain_loss(LOGITS, LABELS, one).item() == pytest.approx(tracking_loss(LOGITS, LABELS).item())


def test_no_samples_no_loss() -> None:
    nothing, none = torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)
    assert tracking_loss(nothing, none).item() == 0
    assert domain_loss(nothing, none, none).item() == 0
    assert difference_loss(torch.zeros(0, 4), torch.zeros(0, 4), none).item() == 0


def test_adversarial_loss_by_hand_and_at_chance() -> None:
    logits = torch.tensor([[0.0, LN3, 0.0], [0.0, 0.0, 0.0]])
    assert adversarial_loss(logits, torch.tensor([1, 2])).item() == pytest.approx((math.log(5 / 3) + LN3) / 2)
    for domains in (2, 7, 9335):
        guess = torch.zeros(4, domains)
        assert adversarial_loss(guess, torch.arange(4) % domains).item() == pytest.approx(chance_loss(domains))


S = torch.tensor([[3.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
P = torch.tensor([[0.0, 2.0], [0.0, 4.0]], dtype=torch.float64)
ONE = torch.zeros(2, dtype=torch.long)


def test_difference_loss_by_hand() -> None:
    """S^T P = [[0, 10], [0, 0]]; centred and scaled S is [[1, 0], [-1, 0]] and P is [[0, -1], [0, 1]]."""
    assert difference_loss(S, P, ONE, "frobenius").item() == pytest.approx(100)
    assert difference_loss(S, P, ONE).item() == pytest.approx(4 / 4)
    assert difference_loss(S, P, ONE, "diagonal").item() == 0
    assert difference_loss(S, P, ONE, "literal").item() == 0
    assert difference_loss(S, S, ONE, "diagonal").item() == pytest.approx((2**2 + 0) / 2)
    assert difference_loss(S, S, ONE, "literal").item() == pytest.approx((9**2 + 1**2) / 2)


def test_difference_loss_adds_up_as_printed_or_averages() -> None:
    """Two domains that are alike: the printed sum doubles, the normalised mean stays."""
    shared, private, domains = torch.cat([S, S]), torch.cat([P, P]), torch.tensor([4, 4, 1, 1])
    assert difference_loss(shared, private, domains, "frobenius").item() == pytest.approx(200)
    assert difference_loss(shared, private, domains).item() == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_difference_loss_is_the_textbook_product(n: int, wide: int, narrow: int, seed: int) -> None:
    shared, private = noise(n, wide, seed=seed), noise(n, narrow, seed=seed + 1)
    same = torch.zeros(n, dtype=torch.long)
    product = shared.T @ private
    assert difference_loss(shared, private, same, "frobenius").item() == pytest.approx(product.square().sum().item())
    rows = [(x - x.mean(0)) / (x - x.mean(0)).norm(dim=1, keepdim=True) for x in (shared, private)]
    assert difference_loss(shared, private, same).item() == pytest.approx((rows[0].T @ rows[1]).square().mean().item())


def test_only_the_normalised_loss_withstands_shrinking() -> None:
    shared, private = noise(8, 5), noise(8, 5, seed=1)
    same = torch.zeros(8, dtype=torch.long)
    whole, small = (difference_loss(f * shared, f * private, same).item() for f in (1.0, 0.1))
    assert small == pytest.approx(whole)
    shrunk = difference_loss(0.1 * shared, 0.1 * private, same, "frobenius").item()
    assert shrunk == pytest.approx(1e-4 * difference_loss(shared, private, same, "frobenius").item())


def test_comparing_neurons_needs_equal_widths() -> None:
    with pytest.raises(ConfigError, match="5 shared, 3 private"):
        difference_loss(noise(4, 5), noise(4, 3), torch.zeros(4, dtype=torch.long), "diagonal")


def test_a_domain_with_one_sample_has_no_difference_and_a_finite_gradient() -> None:
    shared, private = noise(3, 4, grad=True), noise(3, 4, seed=1, grad=True)
    loss = difference_loss(shared, private, torch.tensor([0, 0, 1]))
    loss.backward()
    assert shared.grad is not None and torch.isfinite(shared.grad).all()
    assert not shared.grad[2].any()


def test_difference_loss_is_precise_under_autocast() -> None:
    shared, private, same = noise(8, 5).float(), noise(8, 5, seed=1).float(), torch.zeros(8, dtype=torch.long)
    exact = difference_loss(shared, private, same)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(difference_loss(shared, private, same), exact)


def test_correlation() -> None:
    x = noise(20, 4)
    rotation, _ = torch.linalg.qr(noise(4, 4, seed=1))
    assert shared_private_correlation(x, 3 * x @ rotation + 1).item() == pytest.approx(1)
    basis, _ = torch.linalg.qr(torch.cat([torch.ones(20, 1, dtype=torch.float64), noise(20, 6, seed=2)], 1))
    assert shared_private_correlation(basis[:, 1:4], basis[:, 4:7]).item() == pytest.approx(0, abs=1e-9)


def test_arrow_loss_by_hand() -> None:
    logits = torch.tensor([LN3, LN3, 0.0])
    expected = (LN4 - LN3 + LN4 + LN2) / 3
    assert arrow_loss(logits, torch.tensor([True, False, True])).item() == pytest.approx(expected)


def test_total_by_hand() -> None:
    one, two, three, four = (torch.tensor(float(v)) for v in (1, 2, 3, 4))
    assert total_loss(one, two, three, four).item() == pytest.approx(1 + 0.08 * 2 + 0.01 * 3 + 0.6 * 4)
    assert total_loss(one).item() == 1
    assert total_loss(None, arrow=four, weights=LossWeights(arrow=0.06)).item() == pytest.approx(0.24)
    with pytest.raises(ConfigError):
        total_loss(None)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_weights_that_cannot_be(value: float) -> None:
    with pytest.raises(ConfigError):
        LossWeights(difference=value)


TWO = torch.tensor([0, 1, 0, 1, 1])
HALF = torch.tensor([1, 0, 0, 1, 0])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: tracking_loss(x, HALF), [(5, 2)]),
        (lambda x: tracking_loss(x, HALF, "literal"), [(5, 2)]),
        (lambda x: domain_loss(x, HALF, TWO), [(5, 2)]),
        (lambda x: domain_loss(x, HALF, TWO, weights=torch.tensor([0.3, 0.9])), [(5, 2)]),
        (lambda x: adversarial_loss(x, TWO), [(5, 3)]),
        (lambda s, p: difference_loss(s, p, TWO), [(5, 4), (5, 3)]),
        (lambda s, p: difference_loss(s, p, TWO, "diagonal"), [(5, 4), (5, 4)]),
        (lambda s, p: difference_loss(s, p, TWO, "frobenius"), [(5, 4), (5, 3)]),
        (lambda s, p: difference_loss(s, p, TWO, "literal"), [(5, 4), (5, 4)]),
        (lambda x: arrow_loss(x, HALF), [(5,)]),
        (lambda a, b: total_loss(a.sum(), b.square().sum()), [(2,), (3,)]),
    ],
)
def test_gradients(function: Callable[..., Tensor], shapes: list[tuple[int, ...]]) -> None:
    inputs = tuple(noise(*shape, seed=seed, grad=True) for seed, shape in enumerate(shapes))
    assert torch.autograd.gradcheck(function, inputs)
