"""What a domain (a training video) has of its own: private features and a binary head (paper, 3.1 and 3.2).

The paper gives each domain a whole private ST-ResNet, 22 M parameters, which for the 9,335 videos of GOT-10k makes
836 GB. Two lighter forms stand beside it (FACTS 9, row 12).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.models.resnet import STAGE_CHANNELS, ResNet18
from asmd.models.st_resnet import STREAMS, SpatiotemporalResNet, StreamMaps, STResNetConfig

HEAD_UNITS = 128
"""Units of the two hidden layers of a binary head."""

_NORM_GROUPS = 4


@dataclass(frozen=True)
class BranchConfig:
    """The form of private branches.

    Attributes:
        form: "full" is the paper's, a copy of the network that the shared one started as. "small" is a narrow ST-ResNet
            from scratch. "adapter" re-reads the shared maps through low-rank 1x1 convolutions.
        width: channels of the first stage of "small"; 64 would be a whole ResNet-18.
        rank: channels that "adapter" squeezes a map into.
    """

    form: Literal["full", "small", "adapter"] = "small"
    width: int = 8
    rank: int = 32

    def __post_init__(self) -> None:
        if self.form not in ("full", "small", "adapter"):
            raise ConfigError(f"private branches are full, small or adapter, got {self.form!r}")
        if self.width < _NORM_GROUPS or self.width % _NORM_GROUPS or self.rank < 1:
            raise ConfigError(
                f"private branches need a width that is a multiple of {_NORM_GROUPS} and a rank of at least 1, "
                f"got {self.width} and {self.rank}"
            )


def freeze_batch_norm(module: nn.Module) -> None:
    """Fixes scales and shifts of all batch norms; their statistics stay as they are in evaluation mode alone."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.requires_grad_(False)


def set_training(module: nn.Module, training: bool, frozen_batch_norm: bool) -> None:
    """Training or evaluation mode, with batch norms in evaluation mode in either where they are frozen."""
    nn.Module.train(module, training)
    if frozen_batch_norm:
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.training = False


def stage_channels(network: SpatiotemporalResNet) -> tuple[int, ...]:
    """Channels that each stage of one stream of the network gives."""
    return network.channels


class NarrowResNet18(ResNet18):
    """A ResNet-18 with fewer channels and group norm.

    A domain brings a few samples to a batch, so its batch statistics would be noise, and a network from scratch has no
    others to fall back on; group norm needs none.

    Args:
        in_channels: of the input.
        width: channels of the first stage.
        dilate_layer4: as in `ResNet18`.
    """

    def __init__(self, in_channels: int, width: int, dilate_layer4: bool = False) -> None:
        with torch.device("meta"):
            super().__init__(in_channels, dilate_layer4)
        for parent in list(self.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, nn.GroupNorm(_NORM_GROUPS, _scaled(child.num_features, width)))
                elif isinstance(child, nn.Conv2d):
                    first = parent is self
                    setattr(
                        parent,
                        name,
                        _narrowed(child, in_channels if first else _scaled(child.in_channels, width), width),
                    )


def _scaled(channels: int, width: int) -> int:
    return channels * width // STAGE_CHANNELS[0]


def _narrowed(layer: nn.Conv2d, inputs: int, width: int) -> nn.Conv2d:
    """A convolution like this one with fewer channels, drawn anew."""
    narrow = nn.Conv2d(
        inputs,
        _scaled(layer.out_channels, width),
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.dilation,  # type: ignore[arg-type]
        bias=False,
    )
    nn.init.kaiming_normal_(narrow.weight, mode="fan_out", nonlinearity="relu")
    return narrow


class NarrowSTResNet(SpatiotemporalResNet):
    """A `SpatiotemporalResNet` with `width` channels in its first stage, instead of 64; for the form "small".

    Args:
        width: channels of the first stage, a multiple of 4.
        config: everything else.
    """

    name = "narrow-st-resnet"

    def __init__(self, width: int, config: STResNetConfig | None = None) -> None:
        with torch.device("meta"):
            super().__init__(config)
        self.width = width
        self.appearance = NarrowResNet18(3, width, self.config.dilate_layer4)
        self.motion = NarrowResNet18(2 * self.config.flows, width, self.config.dilate_layer4)

    @property
    def feature_size(self) -> int:
        """Length of the pooled feature vector."""
        return len(STREAMS) * STAGE_CHANNELS[-1] * self.width // STAGE_CHANNELS[0]


class _Network(nn.Module):
    """Private maps from a network of the domain's own."""

    def __init__(self, network: SpatiotemporalResNet) -> None:
        super().__init__()
        self.network = network

    def maps(
        self, rgb: Tensor, flow: Tensor | None, shared: Mapping[int, StreamMaps], wanted: Collection[int]
    ) -> dict[int, StreamMaps]:
        """Private maps of views of this domain.

        Args:
            rgb: (B, 3, H, W).
            flow: (B, 2L, H, W), or None where the motion stream is left out.
            shared: the shared network's maps of the same views.
            wanted: stages.

        Returns:
            stage -> maps, of the height and width of the shared ones.
        """
        return self.network.stages(rgb, flow, wanted)


class _Adapters(nn.Module):
    """Private maps squeezed out of the shared ones, each stage and stream for itself.

    No identity is added: the head sees the shared features beside these anyway, and they would only count as redundant.
    The shared maps are taken as they are, with no gradient back, or a domain would write into them by this way what it
    is meant to keep to itself.
    """

    def __init__(self, channels: Mapping[int, int], rank: int) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict()
        for stage, count in channels.items():
            for stream in STREAMS:
                down, up = nn.Conv2d(count, rank, 1), nn.Conv2d(rank, count, 1)
                for layer in (down, up):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)
                self.adapters[f"{stream}{stage}"] = nn.Sequential(down, nn.ReLU(), up, nn.ReLU())

    def maps(
        self, rgb: Tensor, flow: Tensor | None, shared: Mapping[int, StreamMaps], wanted: Collection[int]
    ) -> dict[int, StreamMaps]:
        """See `_Network.maps`; neither views nor flow are looked at."""
        found = {}
        for stage in wanted:
            appearance, motion = shared[stage]
            found[stage] = StreamMaps(
                self.adapters[f"appearance{stage}"](appearance.detach()),
                None if motion is None else self.adapters[f"motion{stage}"](motion.detach()),
            )
        return found


class BinaryHead(nn.Module):
    """Target against background: two layers of 128 with ReLU, then two logits, background first.

    Args:
        features: length of the concatenated shared and private features.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        sizes = (features, HEAD_UNITS, HEAD_UNITS, 2)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            linear = nn.Linear(inputs, outputs)
            # The printed N(0, 0.01) hardly moves at the printed rates (FACTS 0.2).
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, 2)."""
        logits: Tensor = self.layers(features)
        return logits


class DomainBranch(nn.Module):
    """All that belongs to one domain.

    Args:
        private: its features; None for a fully shared network.
        head: its classifier.
    """

    def __init__(self, private: _Network | _Adapters | None, head: BinaryHead) -> None:
        super().__init__()
        self.private = private
        self.head = head


class BranchFactory:
    """Makes the branch of any domain, the same one whenever and in whatever order it is asked for.

    Args:
        config: the form; None for a fully shared network, whose domains have nothing but a head.
        shared: the shared network before any training; "full" branches start as copies of it as it is now.
        stages: stages whose maps describe a sample.
        bins: a sample is pooled in bins x bins parts.
        seed: of the run.
        frozen_batch_norm: fix the batch norms of "full" branches.
    """

    def __init__(
        self,
        config: BranchConfig | None,
        shared: SpatiotemporalResNet,
        stages: Collection[int] = (4,),
        bins: int = 1,
        seed: int = 0,
        frozen_batch_norm: bool = True,
    ) -> None:
        self.config = config
        self._form = shared.config
        self._seed = seed
        per_stage = stage_channels(shared)
        self._channels = {stage: per_stage[stage - 1] for stage in stages}
        self._cells = len(STREAMS) * bins * bins
        self._start = copy.deepcopy(shared) if config is not None and config.form == "full" else None
        if self._start is not None and frozen_batch_norm:
            freeze_batch_norm(self._start)

    @property
    def shared_size(self) -> int:
        """Length of a sample's shared features."""
        return sum(self._channels.values()) * self._cells

    @property
    def private_size(self) -> int:
        """Length of a sample's private features; 0 for a fully shared network."""
        if self.config is None:
            return 0
        if self.config.form == "small":
            return sum(_scaled(STAGE_CHANNELS[stage - 1], self.config.width) for stage in self._channels) * self._cells
        return self.shared_size

    def __call__(self, domain: int) -> DomainBranch:
        """A new branch for this domain, on the CPU; draws nothing from torch's own generator."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self._seed, domain]).generate_state(1, np.uint64)[0] >> 1))
            return DomainBranch(self._private(), BinaryHead(self.shared_size + self.private_size))

    def _private(self) -> _Network | _Adapters | None:
        if self.config is None:
            return None
        if self.config.form == "adapter":
            return _Adapters(self._channels, self.config.rank)
        if self._start is not None:
            return _Network(copy.deepcopy(self._start))
        return _Network(NarrowSTResNet(self.config.width, self._form))
