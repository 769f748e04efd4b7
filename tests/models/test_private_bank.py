"""Paging must not change a bit, must bound memory, and must leave checkpoints alone."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from models.narrow_networks import images, narrow_trunk
from torch import Tensor

from asmd.errors import ConfigError, WeightsError
from asmd.models.private_bank import BankConfig, PrivateBank
from asmd.models.private_branches import BranchConfig, BranchFactory, NarrowSTResNet

DOMAINS = 5
BATCHES = ((0, 3), (1,), (3, 4), (2, 0), (0, 1), (4, 2), (3,), (0, 4), (1, 2), (0, 3))


@pytest.fixture(scope="module")
def trunk() -> NarrowSTResNet:
    return narrow_trunk()


def bank(trunk: NarrowSTResNet, resident: int, folder: Path | None, form: str = "adapter") -> PrivateBank:
    factory = BranchFactory(BranchConfig(form, width=4, rank=4), trunk, seed=3)  # type: ignore[arg-type]
    return PrivateBank(factory, DOMAINS, BankConfig(resident=resident), folder)


def step(bank: PrivateBank, domains: tuple[int, ...], seed: int, trunk: NarrowSTResNet) -> None:
    rgb, flow = images(2, seed)
    with torch.no_grad():
        shared = trunk.stages(rgb, flow)
    loss = torch.zeros(())
    for branch in bank.acquire(domains).values():
        assert branch.private is not None
        maps = branch.private.maps(rgb, flow, shared, (4,))[4]
        assert maps.motion is not None
        features = [m.mean((2, 3)) for m in (*shared[4], *maps) if m is not None]
        loss = loss + branch.head(torch.cat(features, 1)).square().mean()
    loss.backward()
    bank.step(0.01 / (seed + 1), 0.02)


def everything(bank: PrivateBank) -> dict[str, Tensor]:
    """Weights of all domains, looked at one at a time."""
    return {
        f"{domain}.{name}": tensor.clone()
        for domain in range(DOMAINS)
        for name, tensor in bank.acquire([domain])[domain].state_dict().items()
    }


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("form", ["adapter", "small", "full"])
def test_paging_is_exact(tmp_path: Path, form: str) -> None:
    # As trainings have it; a page knows nothing of the order in which a tensor's elements lie in memory.
    trunk = narrow_trunk().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    together, paged = bank(trunk, 0, None, form), bank(trunk, 2, tmp_path, form)
    start = everything(together)
    for seed, domains in enumerate(BATCHES):
        for one in (together, paged):
            step(one, domains, seed, trunk)
        assert paged.residency.resident <= 2
    assert paged.residency.reads > 5 and paged.residency.writes > 5
    assert together.residency == (DOMAINS, 0, 0)
    trained = everything(together)
    assert same(everything(paged), trained)
    heads = [f"{domain}.head.layers.0.weight" for domain in range(DOMAINS)]
    assert not any(torch.equal(start[name], trained[name]) for name in heads)


def test_practice_is_gradient_descent_on_the_head_alone_in_either_precision(trunk: NarrowSTResNet) -> None:
    features, labels = torch.randn(6, 128, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    found = {}
    for precise in (True, False):
        own = bank(trunk, 0, None)
        branch = own.acquire([1])[1]
        before = {name: tensor.clone() for name, tensor in branch.state_dict().items()}
        reference = copy.deepcopy(branch.head)
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            own.practise(1, features, labels, 3, 0.05)
        changed = {name for name, tensor in branch.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed == {name for name in before if name.startswith("head.")}
        found[precise] = branch.head
    start = copy.deepcopy(reference)
    weights = [p for p in reference.parameters() if p.ndim > 1]
    vectors = [p for p in reference.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": BankConfig().weight_decay}, {"params": vectors}]
    sgd = torch.optim.SGD(groups, 0.05, momentum=BankConfig().momentum)
    for _ in range(3):
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(reference(features), labels).backward()
        sgd.step()
    for one, two, expected, before_ in zip(
        *(head.parameters() for head in (found[True], found[False], reference, start)), strict=True
    ):
        torch.testing.assert_close(one, expected)
        moved, wanted = ((x - before_).flatten() for x in (two, expected))
        assert torch.nn.functional.cosine_similarity(moved, wanted, 0) > 0.95
        assert 0.8 < moved.norm() / wanted.norm() < 1.25


def test_first_use_may_come_in_any_order(trunk: NarrowSTResNet) -> None:
    forward, backward = bank(trunk, 0, None), bank(trunk, 0, None)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    backward.acquire([4])
    backward.acquire([2])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(everything(forward), everything(backward))
    values = everything(forward)
    assert not torch.equal(values["0.head.layers.0.weight"], values["1.head.layers.0.weight"])


def test_least_recently_used_makes_room_and_untouched_branches_are_not_written(
    trunk: NarrowSTResNet, tmp_path: Path
) -> None:
    paged = bank(trunk, 2, tmp_path)
    branches = {k: paged.acquire([k])[k] for k in (0, 1)}
    assert paged.acquire([0])[0] is branches[0]
    paged.acquire([2])
    assert paged.acquire([0])[0] is branches[0]
    assert paged.acquire([1])[1] is not branches[1]
    assert paged.residency.writes == 0 and not list(tmp_path.iterdir())


def test_pages_do_not_pile_up(trunk: NarrowSTResNet, tmp_path: Path) -> None:
    paged = bank(trunk, 1, tmp_path)
    for seed in range(6):
        step(paged, (seed % 2,), seed, trunk)
    assert paged.residency.writes == 5
    assert len(list(tmp_path.iterdir())) == 2


def test_back_to_a_checkpoint_as_if_nothing_had_come_after(trunk: NarrowSTResNet, tmp_path: Path) -> None:
    straight = bank(trunk, 2, tmp_path)
    for seed, domains in enumerate(BATCHES[:5]):
        step(straight, domains, seed, trunk)
    pages = straight.checkpoint()
    straight.keep([pages])
    for seed, domains in enumerate(BATCHES[5:], start=5):
        step(straight, domains, seed, trunk)
    after = everything(straight)

    # As after a crash: pages newer than the checkpoint lie about.
    again = bank(trunk, 2, tmp_path)
    again.restore(pages)
    for seed, domains in enumerate(BATCHES[5:], start=5):
        step(again, domains, seed, trunk)
    assert same(everything(again), after)
    newest = again.checkpoint()
    again.keep([newest])
    assert {path.name for path in tmp_path.iterdir()} == set(newest.values())


def test_more_domains_than_fit(trunk: NarrowSTResNet, tmp_path: Path) -> None:
    paged = bank(trunk, 2, tmp_path)
    with pytest.raises(ConfigError, match="3 domains between two steps, but only 2"):
        paged.acquire([0, 1, 2])
    paged.acquire([0])[0].head.layers[0].weight.grad = torch.zeros(128, 128)
    paged.acquire([1])[1].head.layers[0].weight.grad = torch.zeros(128, 128)
    with pytest.raises(ConfigError, match="between two steps"):
        paged.acquire([2])
    paged.zero_grad()
    assert list(paged.acquire([2])) == [2]


def test_bad_requests(trunk: NarrowSTResNet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a folder"):
        bank(trunk, 2, None)
    with pytest.raises(ConfigError, match="no such domain: 5 of 5"):
        bank(trunk, 2, tmp_path).acquire([1, 5])
    with pytest.raises(WeightsError, match="page of domain 3 is missing"):
        bank(trunk, 2, tmp_path).restore({3: "domain-000003-000000001.safetensors"})


def test_damaged_and_foreign_pages(trunk: NarrowSTResNet, tmp_path: Path) -> None:
    paged = bank(trunk, 1, tmp_path)
    step(paged, (0,), 0, trunk)
    pages = paged.checkpoint()
    other_form = bank(trunk, 1, tmp_path, "small")
    other_form.restore(pages)
    with pytest.raises(WeightsError, match="another form"):
        other_form.acquire([0])
    other_domain = bank(trunk, 1, tmp_path)
    other_domain.restore({1: pages[0]})
    with pytest.raises(WeightsError, match="not the page of domain 1"):
        other_domain.acquire([1])
    (tmp_path / pages[0]).write_bytes(b"half of a pa")
    damaged = bank(trunk, 1, tmp_path)
    damaged.restore(pages)
    with pytest.raises(WeightsError, match="is damaged"):
        damaged.acquire([0])


def test_only_weights_decay_and_heads_have_their_own_rate(trunk: NarrowSTResNet) -> None:
    """With zero gradients a step is the decay alone: w - rate * 5e-4 * w; biases stay."""
    together = bank(trunk, 0, None)
    branch = together.acquire([0])[0]
    before = {name: p.detach().clone() for name, p in branch.named_parameters()}
    for p in branch.parameters():
        p.grad = torch.zeros_like(p)
    together.step(trunk_rate=1.0, head_rate=10.0)
    for name, p in branch.named_parameters():
        rate = (10.0 if name.startswith("head") else 1.0) if p.ndim > 1 else 0.0
        assert torch.allclose(p, before[name] * (1 - rate * 5e-4), atol=1e-7)
        assert p.grad is None


def test_all_parameters_are_stepped_once(trunk: NarrowSTResNet) -> None:
    together = bank(trunk, 0, None, "small")
    branch = together.acquire([0])[0]
    entry = together._entries[0]
    groups = [p for group in entry.optimiser.param_groups for p in group["params"]]
    assert len(groups) == len(set(groups)) == len(list(branch.parameters()))
    rates = [group["weight_decay"] > 0 for group in entry.optimiser.param_groups]
    assert all(a != b for a, b in pairwise(rates))
