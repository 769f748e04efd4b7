"""Steps of SGD: by hand, and compiled as in torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asmd import compiled
from asmd.tracking.descent import CompiledDescent, Descent, DescentConfig, descent

needs_numba = pytest.mark.skipif(not compiled.available(), reason="Numba is not installed")


def made(members: int, features: int, hidden: int, draw: torch.Generator) -> list[Tensor]:
    sizes = ((hidden, features), (hidden,), (hidden, hidden), (hidden,), (2, hidden), (2,))
    return [torch.randn(members, *size, generator=draw) for size in sizes]


def settings(momentum: float = 0.9, smoothing: float = 0.1, clip: float = 1.0) -> DescentConfig:
    return DescentConfig(
        [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [0.3, 0.0, 0.2, 0.0, 0.1, 0.0], momentum, smoothing, clip
    )


@pytest.mark.parametrize("made_of", [Descent, pytest.param(CompiledDescent, marks=needs_numba)])
def test_two_steps_by_hand(made_of: type[Descent]) -> None:
    """Of one unit a layer, all on: odds 2 of a lone background, so that the last bias' gradient is their logistic."""
    ones = [torch.ones(1, 1, 1), torch.zeros(1, 1), torch.ones(1, 1, 1), torch.zeros(1, 1)]
    parameters = [*ones, torch.tensor([[[-1.0], [1.0]]]), torch.zeros(1, 2)]
    config = DescentConfig([0.0] * 5 + [0.1], [0.0] * 6, 0.5, 0.0, 0.0)
    steps, x, label = made_of(parameters, config), torch.ones(1, 1), torch.zeros(1)
    keep = torch.ones(2, 1, 1, 1)
    first = torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(steps.step(x, label, keep), torch.nn.functional.softplus(torch.tensor(2.0)))
    torch.testing.assert_close(parameters[5], torch.stack([0.1 * first, -0.1 * first])[None])
    second = (2 - 2 * 0.1 * first).sigmoid() + 0.5 * first
    steps.step(x, label, keep)
    torch.testing.assert_close(parameters[5], torch.stack([first + second, -first - second])[None] * 0.1)
    torch.testing.assert_close(parameters[0], torch.ones(1, 1, 1))


@needs_numba
@given(
    members=st.integers(1, 3),
    count=st.integers(1, 9),
    hidden=st.integers(1, 20),
    momentum=st.sampled_from([0.0, 0.9]),
    smoothing=st.sampled_from([0.0, 0.1]),
    clip=st.sampled_from([0.0, 0.05, 100.0]),
    dropped=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_compiled_steps_are_those_in_torch(
    members: int, count: int, hidden: int, momentum: float, smoothing: float, clip: float, dropped: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    parameters = made(members, 7, hidden, draw)
    ways = [
        kind([p.clone() for p in parameters], settings(momentum, smoothing, clip))
        for kind in (Descent, CompiledDescent)
    ]
    for _ in range(3):
        x = torch.randn(count, 7, generator=draw)
        labels = (torch.rand(count, generator=draw) < 0.3).float()
        keep = torch.ones(2, 1, 1, 1)
        if dropped:
            keep = (torch.rand(2, members, count, hidden, generator=draw) < dropped).float() * 2
        losses = [way.step(x, labels, keep) for way in ways]
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    for one, other in zip(*(way._parameters for way in ways), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@needs_numba
def test_huge_odds_have_a_finite_loss() -> None:
    parameters = made(1, 3, 4, torch.Generator().manual_seed(0))
    parameters[5] = torch.tensor([[-500.0, 500.0]])
    loss = CompiledDescent(parameters, settings()).step(
        torch.ones(2, 3), torch.tensor([0.0, 1.0]), torch.ones(2, 1, 1, 1)
    )
    assert loss.isfinite() and all(p.isfinite().all() for p in parameters)


def test_other_types_than_float32_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = made(1, 3, 4, torch.Generator().manual_seed(0))
    assert type(descent([p.double() for p in parameters], settings())) is Descent
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert type(descent(parameters, settings())) is Descent
