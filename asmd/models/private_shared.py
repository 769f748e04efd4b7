"""Private-shared multi-domain learning (paper, 3.1 to 3.5): one network for all videos, and a small one for each.

Every domain's samples are described by the shared ST-ResNet and by the domain's own private features; the domain's head
tells target from background on both. A discriminator keeps domains out of the shared features, a difference loss keeps
private and shared features apart, and the arrow of time teaches the shared network motion from videos without labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.losses import (
    DifferenceForm,
    LossWeights,
    TrackingForm,
    adversarial_loss,
    arrow_loss,
    by_domain,
    difference_loss,
    domain_loss,
    permuted,
    total_loss,
)
from asmd.models.adversary import DomainDiscriminator
from asmd.models.arrow_of_time import ArrowOfTimeHead
from asmd.models.pooling import CELL_CENTRE, pool_boxes
from asmd.models.private_bank import BankConfig, PrivateBank
from asmd.models.private_branches import BranchConfig, BranchFactory, freeze_batch_norm, set_training, stage_channels
from asmd.models.st_resnet import SpatiotemporalResNet, StreamMaps

VariantName = Literal["FS", "PS", "PS+dif", "APS-", "APS", "ASPS"]


@dataclass(frozen=True)
class Variant:
    """Which parts of the method are on (paper, tables 1 and 4).

    Attributes:
        private: each domain has private features; else all share everything but the heads.
        adversarial: the shared features are trained against the discriminator.
        difference: private features are trained not to repeat shared ones.
        arrow: the shared network learns the arrow of time, too.
    """

    private: bool
    adversarial: bool = False
    difference: bool = False
    arrow: bool = False


VARIANTS: Mapping[VariantName, Variant] = MappingProxyType(
    {
        "FS": Variant(private=False),
        "PS": Variant(private=True),
        "PS+dif": Variant(private=True, difference=True),
        "APS-": Variant(private=True, adversarial=True),
        "APS": Variant(private=True, adversarial=True, difference=True),
        "ASPS": Variant(private=True, adversarial=True, difference=True, arrow=True),
    }
)
"""The paper's variants by name, from the plainest to the whole method."""


@dataclass(frozen=True)
class PrivateSharedConfig:
    """The network around the shared trunk.

    Attributes:
        variant: a name in `VARIANTS`.
        stages: stages whose maps describe a sample; the paper's is the last.
        bins: a sample is pooled in bins x bins parts; 1 is global average pooling.
        unit_cells: scale every cell of a map to one length over its channels, the root of their number, as region
            tracking does but for that factor.
        frozen_batch_norm: batch norms keep the statistics, scales and shifts that they start with.
        arrow_join: how the arrow-of-time head joins a clip's stacks, see `ArrowOfTimeHead`.
        cap_adversary: nothing is gained by misleading the discriminator beyond a guess, see
            `DomainDiscriminator.against`.
        tracking_form: of equation 6.
        difference_form: of equation 4.
    """

    variant: VariantName = "ASPS"
    stages: tuple[int, ...] = (4,)
    bins: int = 1
    unit_cells: bool = False
    frozen_batch_norm: bool = True
    arrow_join: Literal["concatenate", "average"] = "concatenate"
    cap_adversary: bool = True
    tracking_form: TrackingForm = "softmax"
    difference_form: DifferenceForm = "normalised"

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ConfigError(f"no such variant: {self.variant!r}; there are {', '.join(VARIANTS)}")
        if not self.stages or not set(self.stages) <= {1, 2, 3, 4} or self.bins < 1:
            raise ConfigError(f"stages must be some of 1, 2, 3, 4 and bins at least 1, got {self.stages}, {self.bins}")

    @property
    def parts(self) -> Variant:
        """The parts of the method that the variant has."""
        return VARIANTS[self.variant]


@dataclass(frozen=True)
class Views:
    """What a batch looks at: crops of single samples, or regions with many samples each, of any mix of domains.

    Attributes:
        rgb: (V, 3, H, W), normalised as for ImageNet.
        flow: (V, 2L, H, W), see `asmd.flow.network_input`; None leaves the motion stream out: its features are then 0.
        domains: (V,) int64, the domain of each view.
        corners: (N, 4) float32 `(x1, y1, x2, y2)` of samples, in pixels of their view; None takes each view for one
            sample.
        view: (N,) int64, the view that each sample is in; goes with `corners`.
    """

    rgb: Tensor
    flow: Tensor | None
    domains: Tensor
    corners: Tensor | None = None
    view: Tensor | None = None

    def __post_init__(self) -> None:
        if not len(self.rgb) == len(self.domains) == (len(self.rgb) if self.flow is None else len(self.flow)):
            raise ConfigError("a batch needs as many flow stacks and domains as images")
        if (self.corners is None) != (self.view is None):
            raise ConfigError("samples in regions need both corners and the view that each is in")
        if self.corners is not None and self.view is not None and len(self.corners) != len(self.view):
            raise ConfigError("a batch needs a view for each sample")

    def chosen(self, rows: Tensor) -> Views:
        """The same views with some (n,) of their samples."""
        if self.corners is None or self.view is None:
            raise ConfigError("samples can be chosen in regions alone: a crop is one sample")
        return Views(self.rgb, self.flow, self.domains, self.corners[rows], self.view[rows])

    @property
    def sample_domains(self) -> Tensor:
        """(N,) int64, the domain of each sample."""
        return self.domains if self.view is None else self.domains[self.view]

    def of(self, domain: int) -> tuple[Tensor, Views]:
        """The part of one domain.

        Returns:
            (V',) indices of its views, and these views with their own samples, in the order they have here.
        """
        rows = torch.nonzero(self.domains == domain).squeeze(1)
        corners, view = self.corners, self.view
        if corners is not None and view is not None:
            own = self.sample_domains == domain
            place = torch.zeros_like(self.domains)
            place[rows] = torch.arange(len(rows), device=rows.device)
            corners, view = corners[own], place[view[own]]
        flow = None if self.flow is None else self.flow[rows]
        return rows, Views(self.rgb[rows], flow, self.domains[rows], corners, view)


class Looked(NamedTuple):
    """Maps of a batch's views.

    Attributes:
        shared: stage -> maps of all views.
        private: domain -> stage -> maps of that domain's views, from its own branch.
    """

    shared: dict[int, StreamMaps]
    private: dict[int, dict[int, StreamMaps]]


class Described(NamedTuple):
    """What the network says of N samples, in their order.

    Attributes:
        logits: (N, 2), background first, each from its own domain's head.
        shared: (N, D) shared features.
        private: (N, D') private features; None in a fully shared network.
        domains: (N,) int64.
        domain_logits: (N, K) of the discriminator, behind the reversal; None where there is none.
    """

    logits: Tensor
    shared: Tensor
    private: Tensor | None
    domains: Tensor
    domain_logits: Tensor | None


class Terms(NamedTuple):
    """Terms of equation 5 before their weights; None for those that a variant or a step does not have."""

    domain: Tensor | None = None
    adversarial: Tensor | None = None
    difference: Tensor | None = None
    arrow: Tensor | None = None

    def total(self, weights: LossWeights | None = None) -> Tensor:
        """Equation 5."""
        return total_loss(*self, weights=weights)


class PrivateSharedNetwork(nn.Module):
    """The network that training works on; what tracks afterwards is `shared` alone.

    Private branches and heads live in the bank and are stepped by it; `parameters()` and `state_dict()` hold what all
    domains have in common: the shared network, the discriminator and the arrow-of-time head.

    Args:
        shared: the trunk, trained in place.
        bank: branches that were made for the same variant, stages and bins.
        config: settings.
    """

    def __init__(
        self, shared: SpatiotemporalResNet, bank: PrivateBank, config: PrivateSharedConfig | None = None
    ) -> None:
        super().__init__()
        self.config = config or PrivateSharedConfig()
        parts = self.config.parts
        self.shared = shared
        self.bank = bank
        if self.config.frozen_batch_norm:
            freeze_batch_norm(shared)
        channels = stage_channels(shared)
        size = 2 * self.config.bins**2 * sum(channels[stage - 1] for stage in self.config.stages)
        self.discriminator = DomainDiscriminator(size, bank.domains) if parts.adversarial else None
        self.arrow_head = ArrowOfTimeHead(2 * channels[-1], self.config.arrow_join) if parts.arrow else None
        self.train()

    @classmethod
    def build(
        cls,
        shared: SpatiotemporalResNet,
        domains: int,
        config: PrivateSharedConfig | None = None,
        branches: BranchConfig | None = None,
        bank: BankConfig | None = None,
        *,
        folder: Path | None = None,
        seed: int = 0,
    ) -> PrivateSharedNetwork:
        """A network on the device of its trunk, with the bank that fits it.

        Args:
            shared: the trunk, as it starts.
            domains: K.
            config: settings of the network.
            branches: form of private branches; of no account in a fully shared network.
            bank: memory and optimiser of private branches.
            folder: where branches that are not in memory go, see `PrivateBank`.
            seed: of branches, discriminator and arrow-of-time head.
        """
        config = config or PrivateSharedConfig()
        form = (branches or BranchConfig()) if config.parts.private else None
        factory = BranchFactory(form, shared, config.stages, config.bins, seed, config.frozen_batch_norm)
        device = next(shared.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(shared, PrivateBank(factory, domains, bank, folder, device), config).to(device)

    def train(self, mode: bool = True) -> PrivateSharedNetwork:
        """Sets the mode of all parts; frozen batch norms stay as they are."""
        set_training(self, mode, self.config.frozen_batch_norm)
        return self

    def forward(self, views: Views, reversal: float = 1.0) -> Described:
        """Describes and classifies samples, each by its own domain's branch.

        Args:
            views: what to look at.
            reversal: strength of the gradient reversal, see `asmd.models.adversary.reversal_strength`.

        Raises:
            ConfigError: if a domain does not exist or there are more than the bank can hold.
        """
        return self.describe(self.look(views), views, reversal)

    def look(self, views: Views) -> Looked:
        """Maps of views, from which any samples in them can then be described.

        Raises:
            ConfigError: if a domain does not exist or there are more than the bank can hold.
        """
        shared = self.shared.stages(views.rgb, views.flow, self.config.stages)
        private = {}
        for domain, branch in self.bank.acquire(views.domains.tolist()).items():
            set_training(branch, self.training, self.config.frozen_batch_norm)
            if branch.private is not None:
                rows, own = views.of(domain)
                own_shared = {stage: _rows(maps, rows) for stage, maps in shared.items()}
                private[domain] = branch.private.maps(own.rgb, own.flow, own_shared, self.config.stages)
        return Looked(shared, private)

    def describe(self, looked: Looked, views: Views, reversal: float = 1.0) -> Described:
        """Describes and classifies samples of views that were looked at; see `forward`.

        Args:
            looked: what `look` gave for these views; the bank must not have been asked for others since.
            views: the same views, with any samples.
            reversal: strength of the gradient reversal.
        """
        logits, shared, private = self._classify(looked, views)
        domains = views.sample_domains
        domain_logits = None
        if self.discriminator is not None:
            domain_logits = self.discriminator.against(shared, domains, reversal, self.config.cap_adversary)
        return Described(logits, shared, private, domains, domain_logits)

    def _classify(self, looked: Looked, views: Views) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits, shared and private features of samples, in their order."""
        shared, private = self._pool(looked.shared, views), self._private(looked, views)
        domains = views.sample_domains
        branches = self.bank.acquire(torch.unique(domains).tolist())
        logits = [branches[k].head(features) for k, features in _joined(shared, private, domains)]
        back = domains.argsort(stable=True).argsort()
        return permuted(torch.cat(logits), back), shared, permuted(torch.cat(private), back) if private else None

    def _private(self, looked: Looked, views: Views) -> list[Tensor]:
        """Private features of each domain's samples, in ascending order of domain; none in a fully shared network."""
        return [
            self._pool(looked.private[k], views.of(k)[1])
            for k in torch.unique(views.sample_domains).tolist()
            if k in looked.private
        ]

    def practise(self, looked: Looked, views: Views, labels: Tensor, steps: int, rate: float) -> None:
        """Trains the domains' heads alone, by some steps on samples whose features stay as they are.

        A domain is seen once in many iterations. A head that is far from fitting its domain sends noise back into the
        shared features.

        Args:
            looked: what `look` gave for these views.
            views: the same views, with the samples to learn from.
            labels: (N,), 1 for the target.
            steps: of SGD.
            rate: learning rate.
        """
        domains = views.sample_domains
        with torch.no_grad():
            shared, private = self._pool(looked.shared, views), self._private(looked, views)
        parts = _joined(shared, private, domains)
        for (domain, features), own in zip(parts, by_domain(labels, domains), strict=True):
            self.bank.practise(domain, features, own, steps, rate)

    @torch.no_grad()
    def margins(self, looked: Looked, views: Views) -> Tensor:
        """(N,) log-odds of samples being their domain's target, without gradients: what hard ones are chosen by."""
        logits = self._classify(looked, views)[0].float()
        return logits[:, 1] - logits[:, 0]

    def arrow(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Direction of clips, see `ArrowOfTimeHead.forward`.

        Raises:
            ConfigError: if the variant does not learn it.
        """
        if self.arrow_head is None:
            raise ConfigError(f"variant {self.config.variant} does not learn the arrow of time")
        logits: Tensor = self.arrow_head(self.shared, rgb, flow)
        return logits

    def terms(
        self,
        described: Described | None = None,
        labels: Tensor | None = None,
        arrow_logits: Tensor | None = None,
        played_forward: Tensor | None = None,
        domain_weights: Tensor | None = None,
    ) -> Terms:
        """The losses that the variant has, of a step's samples, of its clips, or of both.

        Args:
            described: what `forward` gave; None in an unsupervised step.
            labels: (N,), 1 for the target; goes with `described`.
            arrow_logits: (B,), what `arrow` gave; None in a step without clips.
            played_forward: (B,) boolean; goes with `arrow_logits`.
            domain_weights: (K,), see `asmd.losses.domain_loss`.
        """
        domain = adversarial = difference = arrow = None
        if described is not None and labels is not None:
            form = self.config.tracking_form
            domain = domain_loss(described.logits, labels, described.domains, weights=domain_weights, form=form)
            if described.domain_logits is not None:
                adversarial = adversarial_loss(described.domain_logits, described.domains)
            if described.private is not None and self.config.parts.difference:
                difference = difference_loss(
                    described.shared, described.private, described.domains, self.config.difference_form
                )
        if arrow_logits is not None and played_forward is not None:
            arrow = arrow_loss(arrow_logits, played_forward)
        return Terms(domain, adversarial, difference, arrow)

    def _pool(self, maps: Mapping[int, StreamMaps], views: Views) -> Tensor:
        """Features (N, D) of the views' samples: by stage, then stream, then bin, then channel."""
        columns = []
        for stage in self.config.stages:
            appearance, motion = maps[stage]
            for features in (appearance, torch.zeros_like(appearance) if motion is None else motion):
                if self.config.unit_cells:
                    # Times the root of the channels: entries of about 1, which fully connected layers are made for.
                    features = nn.functional.normalize(features, dim=1) * features.shape[1] ** 0.5
                if views.corners is None or views.view is None:
                    cells = nn.functional.adaptive_avg_pool2d(features, self.config.bins)
                    columns.append(cells.permute(0, 2, 3, 1).flatten(1))
                else:
                    corners = (views.corners - CELL_CENTRE) / self.shared.stride(stage)
                    columns.append(_pool_views(features, corners, views.view, self.config.bins))
        return torch.cat(columns, 1)


def _joined(shared: Tensor, private: list[Tensor], domains: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each domain that occurs with its samples' shared and private features side by side."""
    parts = by_domain(shared, domains)
    for index, domain in enumerate(torch.unique(domains).tolist()):
        yield domain, torch.cat([parts[index], private[index]], 1) if private else parts[index]


def _rows(maps: StreamMaps, rows: Tensor) -> StreamMaps:
    return StreamMaps(maps.appearance[rows], None if maps.motion is None else maps.motion[rows])


def _pool_views(maps: Tensor, corners: Tensor, view: Tensor, bins: int) -> Tensor:
    """Pools each sample from its own view's map: (V, C, h, w) and (N, 4) in cells -> (N, bins * bins * C)."""
    groups = [torch.nonzero(view == index).squeeze(1) for index in range(len(maps))]
    pooled = [
        pool_boxes([one.permute(1, 2, 0)], corners[rows][None], bins) for one, rows in zip(maps, groups, strict=True)
    ]
    return permuted(torch.cat(pooled).flatten(1), torch.cat(groups).argsort())
