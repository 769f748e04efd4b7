"""The private-shared network: its variants, whose samples go where, and what learns from which loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from models.narrow_networks import images, narrow_trunk
from torch import Tensor

from asmd.errors import ConfigError
from asmd.models.private_bank import BankConfig
from asmd.models.private_branches import BinaryHead, BranchConfig, BranchFactory, NarrowSTResNet
from asmd.models.private_shared import (
    VARIANTS,
    PrivateSharedConfig,
    PrivateSharedNetwork,
    VariantName,
    Views,
)
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig

DOMAINS = 4
LABELS = torch.tensor([1, 0, 1, 0, 1, 0])


def network(variant: VariantName = "ASPS", form: str = "adapter", **config: object) -> PrivateSharedNetwork:
    settings = PrivateSharedConfig(variant, **config)  # type: ignore[arg-type]
    branches = BranchConfig(form, width=4, rank=4)  # type: ignore[arg-type]
    return PrivateSharedNetwork.build(narrow_trunk(), DOMAINS, settings, branches)


def crops(seed: int = 0) -> Views:
    return Views(*images(6, seed), torch.tensor([2, 0, 2, 3, 0, 2]))


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_what_each_variant_has() -> None:
    """Tables 1 and 4: private features, adversarial, difference, arrow."""
    parts = {name: (v.private, v.adversarial, v.difference, v.arrow) for name, v in VARIANTS.items()}
    assert parts == {
        "FS": (False, False, False, False),
        "PS": (True, False, False, False),
        "PS+dif": (True, False, True, False),
        "APS-": (True, True, False, False),
        "APS": (True, True, True, False),
        "ASPS": (True, True, True, True),
    }


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_terms_of_each_variant(variant: VariantName) -> None:
    net = network(variant)
    described = net(crops())
    terms = net.terms(described, LABELS)
    parts = VARIANTS[variant]
    assert described.logits.shape == (6, 2)
    assert (described.private is not None) is parts.private
    assert terms.domain is not None
    assert (terms.adversarial is not None) is parts.adversarial
    assert (terms.difference is not None) is parts.difference
    if not parts.arrow:
        with pytest.raises(ConfigError, match="does not learn the arrow"):
            net.arrow(torch.zeros(1, 2, 3, 33, 33), torch.zeros(1, 2, 4, 33, 33))
    terms.total().backward()
    assert all(p.grad is not None for p in net.shared.parameters())


def test_unsupervised_step_has_the_arrow_alone() -> None:
    net = network()
    rgb, flow = images(4)
    logits = net.arrow(rgb.reshape(2, 2, *rgb.shape[1:]), flow.reshape(2, 2, *flow.shape[1:]))
    terms = net.terms(arrow_logits=logits, played_forward=torch.tensor([True, False]))
    assert [t is None for t in terms] == [True, True, True, False]
    assert torch.allclose(terms.total(), 0.6 * terms.arrow)


@torch.no_grad()
@pytest.mark.parametrize("form", ["small", "adapter"])
def test_samples_keep_their_order_and_see_their_own_branch(form: str) -> None:
    net = network(form=form).eval()
    views = crops()
    described = net(views)
    assert described.private is not None
    for row, domain in enumerate(views.domains.tolist()):
        alone = net(Views(views.rgb[row : row + 1], views.flow[row : row + 1], views.domains[row : row + 1]))
        for field in ("logits", "shared", "private"):
            assert torch.allclose(getattr(described, field)[row], getattr(alone, field)[0], atol=1e-5), field
        branch = net.bank.acquire([domain])[domain]
        joint = torch.cat([described.shared[row], described.private[row]])
        assert torch.allclose(branch.head(joint), described.logits[row], atol=1e-5)


def test_a_domain_learns_from_its_own_samples_only() -> None:
    net = network("PS")
    described = net(crops())
    described.logits[torch.tensor([0, 2, 5])].sum().backward()
    branches = net.bank.acquire([0, 2, 3])
    trained = {k: any(p.grad is not None and bool(p.grad.any()) for p in b.parameters()) for k, b in branches.items()}
    assert trained == {0: False, 2: True, 3: False}


@torch.no_grad()
def test_regions_pool_each_sample_from_its_own_view() -> None:
    """Mixed order of views; a box over the whole map describes it as a crop of that view does."""
    net = network("PS", form="small").eval()
    rgb, flow = images(3, side=64)
    domains = torch.tensor([1, 3, 1])
    # A 64-pixel input has a map of 2 x 2 cells at stride 32; these corners reach from cell -0.5 to 1.5.
    whole = torch.tensor([-15.5, -15.5, 48.5, 48.5])
    view = torch.tensor([2, 0, 1, 0])
    described = net(Views(rgb, flow, domains, whole.expand(4, 4), view))
    as_crops = net(Views(rgb, flow, domains))
    assert described.domains.tolist() == [1, 1, 3, 1]
    assert described.private is not None and as_crops.private is not None
    assert torch.allclose(described.shared, as_crops.shared[view], atol=1e-5)
    assert torch.allclose(described.private, as_crops.private[view], atol=1e-5)
    assert torch.allclose(described.logits, as_crops.logits[view], atol=1e-5)


@torch.no_grad()
def test_sizes_with_stages_bins_and_unit_cells() -> None:
    net = network("APS", stages=(2, 3), bins=3, unit_cells=True).eval()
    described = net(crops())
    assert described.shared.shape == (6, (8 + 16) * 2 * 9)
    cells = described.shared[:, : 8 * 9].reshape(6, 9, 8).norm(dim=2)
    assert (cells <= 8**0.5 + 1e-5).all()


def test_head_and_branch_sizes_as_in_the_paper() -> None:
    """2048 -> 128 -> 128 -> 2 on [shared, private]; a narrow branch is a small part of the 22.37 M of a full one."""
    assert count(BinaryHead(2048)) == 2048 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2
    shared = SpatiotemporalResNet()
    factory = BranchFactory(BranchConfig("small"), shared)
    branch = factory(0)
    assert (factory.shared_size, factory.private_size) == (1024, 128)
    assert branch.private is not None and count(branch.private) < 22.4e6 / 50
    adapter = BranchFactory(BranchConfig("adapter", rank=32), shared)
    assert adapter.private_size == 1024
    private = adapter(0).private
    assert private is not None and count(private) == 2 * (2 * 512 * 32 + 32 + 512)


def test_a_narrow_network_of_full_width_is_the_full_one() -> None:
    narrow, full = NarrowSTResNet(64, STResNetConfig(flows=2)), SpatiotemporalResNet(STResNetConfig(flows=2))
    convolutions = [{n: p.shape for n, p in net.named_parameters() if p.ndim == 4} for net in (narrow, full)]
    assert convolutions[0] == convolutions[1]
    assert narrow.feature_size == 1024


@torch.no_grad()
def test_full_branches_start_as_the_shared_network_started() -> None:
    shared = narrow_trunk()
    factory = BranchFactory(BranchConfig("full"), shared)
    start = shared.motion.conv1.weight.clone()
    shared.motion.conv1.weight.add_(1)
    private = factory(1).private
    assert private is not None
    assert torch.equal(dict(private.named_parameters())["network.motion.conv1.weight"], start)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_batch_norm(frozen: bool) -> None:
    settings = PrivateSharedConfig("FS", stages=(1,), frozen_batch_norm=frozen)
    net = PrivateSharedNetwork.build(SpatiotemporalResNet(STResNetConfig(flows=2)), DOMAINS, settings).train()
    norm = net.shared.appearance.bn1
    before = norm.running_mean.clone() if norm.running_mean is not None else None
    net(crops()).logits.sum().backward()
    assert norm.running_mean is not None and before is not None
    assert torch.equal(norm.running_mean, before) is frozen
    assert (norm.weight.grad is None) is frozen
    assert net.shared.appearance.conv1.weight.grad is not None


def test_adversary_pushes_the_shared_network_the_other_way() -> None:
    grads: list[Tensor] = []
    for reversal in (1.0, -1.0):
        net = network("APS-", cap_adversary=False)
        terms = net.terms(net(crops(), reversal), LABELS)
        assert terms.adversarial is not None
        terms.adversarial.backward()
        assert net.shared.motion.conv1.weight.grad is not None and net.discriminator is not None
        grads += [net.shared.motion.conv1.weight.grad, next(net.discriminator.parameters()).grad]  # type: ignore[list-item]
    assert grads[0].any() and torch.allclose(grads[0], -grads[2])
    assert torch.allclose(grads[1], grads[3])


def test_learns_with_two_of_four_branches_in_memory(tmp_path: Path) -> None:
    """Labels that are the opposite in each other domain: only heads of their own can tell."""
    net = PrivateSharedNetwork.build(
        narrow_trunk(),
        DOMAINS,
        PrivateSharedConfig("ASPS"),
        BranchConfig("adapter", rank=4),
        BankConfig(2),
        folder=tmp_path,
    )
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    rgb, flow = images(4)
    bright = torch.tensor([1, 0, 1, 0])
    rgb = rgb + 3 * bright[:, None, None, None]
    last = {}
    for step in range(32):
        pair = (0, 1) if step % 2 else (2, 3)
        domains = torch.tensor([pair[0], pair[0], pair[1], pair[1]])
        labels = torch.where(domains % 2 == 0, bright, 1 - bright)
        terms = net.terms(net(Views(rgb, flow, domains)), labels)
        optimiser.zero_grad()
        terms.total().backward()
        optimiser.step()
        net.bank.step(0.01, 0.02)
        assert terms.domain is not None
        last[pair] = terms.domain.item()
    assert max(last.values()) < 0.1
    assert net.bank.residency.resident == 2 and net.bank.residency.reads > 10


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="no such variant: 'APS\\+'"):
        PrivateSharedConfig("APS+")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="width"):
        BranchConfig(width=6)
    with pytest.raises(ConfigError, match="both corners and the view"):
        Views(*images(1), torch.tensor([0]), corners=torch.zeros(1, 4))
    with pytest.raises(ConfigError, match="no such domain: 9 of 4"):
        network("FS")(Views(*images(1), torch.tensor([9])))
