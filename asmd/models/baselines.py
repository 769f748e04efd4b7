"""Networks that the paper compares its shared network with (Table 2), each where a `SpatiotemporalResNet` could stand.

Layers are those of the references' tables; every convolution is padded to keep the size that its stride leaves, so that
cells lie where the tracker pools them (cell i of a map of stride s is centred on pixel s * i). The fully connected
layers of the references are not part of them: here each video has its own (paper, 3.2 and 4).

    vgg-m             MDNet's three convolutions of VGG-M (Nam and Han, CVPR 2016; Chatfield et al., BMVC 2014)
    two-stream-conv   two VGG-M streams, fused by a convolution (Feichtenhofer et al., CVPR 2016)
    spatiotemporal-conv   slow fusion over time (Karpathy et al., CVPR 2014)

Two-stream ResNets with late fusion are `STResNetConfig(links="none")`. None has weights to start from in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from asmd.models.private_branches import NarrowSTResNet
from asmd.models.st_resnet import SpatiotemporalResNet, StreamMaps, STResNetConfig

VGG_M = ((96, 7, 2), (256, 5, 2), (512, 3, 1), (512, 3, 1), (512, 3, 1))
"""VGG-M's convolutions: filters, kernel, stride. The first two are normalised and pooled by half (BMVC 2014, table 1);
the last three stay at stride 16."""

SLOW_FUSION = ((96, 11, 4), (256, 5, 1), (384, 3, 1), (384, 3, 1), (256, 3, 1))
"""Karpathy et al., 3.1, in the same form. Their first stride is 3; here it is AlexNet's, for strides of 8 and 16."""

SLOW_FUSION_TIME = ((3, 1), (2, 1), (2, 1), (1, 1), (1, 1))
"""Extent and stride in time. The reference sees ten frames and has (4, 2), (2, 2), (2, 1); over five flows the third
convolution sees all of them, too."""


NARROW = 8
"""Channels of the first stage of "narrow-st-resnet", which is for trying things out: 64 times fewer parameters."""


class Baseline(SpatiotemporalResNet):
    """What training and tracking ask of a shared network: maps of stages, their strides and channels.

    Attributes:
        described: stages that describe a sample best, those at strides 8 and 16.
    """

    described: ClassVar[tuple[int, ...]] = (2, 3)
    _strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 16)
    _channels: ClassVar[tuple[int, int, int, int]] = (96, 256, 512, 512)

    def __init__(self, config: STResNetConfig | None = None) -> None:
        nn.Module.__init__(self)
        self.config = config or STResNetConfig()

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of one stream at each stage."""
        return self._channels

    @property
    def feature_size(self) -> int:
        """Length of the pooled feature vector; a stream that a network does not have counts as zeros."""
        return 2 * self._channels[-1]

    def stride(self, stage: int) -> int:
        """Pixels between neighbouring cells of the map of stage 1 to 4."""
        return self._strides[stage - 1]


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class _ResponseNorm(nn.Module):
    """Local response normalisation over five channels with AlexNet's constants (Krizhevsky et al., NIPS 2012, 3.3).

    The sum over neighbouring channels is a 1x1 convolution with a band of ones, which every type and device has.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        band = torch.ones(channels, channels).triu(-2).tril(2)
        self.register_buffer("band", band, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, ...) of the same shape."""
        band = self.get_buffer("band").to(x.dtype).reshape(x.shape[1], x.shape[1], *[1] * (x.ndim - 2))
        convolution = nn.functional.conv3d if x.ndim == 5 else nn.functional.conv2d
        return x / (2 + 1e-4 * convolution(x * x, band)) ** 0.75


def _drawn(layer: nn.Conv2d) -> nn.Conv2d:
    """The same layer with weights by He et al.'s rule."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(_bias(layer))
    return layer


def _halved(x: Tensor) -> Tensor:
    """Maps (B, C, H, W), or (B, C, T, H, W), pooled by half in space."""
    if x.ndim == 5:
        return nn.functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    return nn.functional.max_pool2d(x, 3, 2, padding=1)


class _SpaceTime(nn.Module):
    """A convolution in space and time.

    Its weights lie as those of a convolution of the steps side by side, since "channels last" wants four axes.
    """

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int, extent: int, pace: int) -> None:
        super().__init__()
        self.flat = _drawn(nn.Conv2d(inputs * extent, filters, kernel))
        self._shape = (filters, inputs, extent, kernel, kernel)
        self._stride, self._padding = (pace, stride, stride), (0, kernel // 2, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, filters, T', H', W')."""
        return nn.functional.conv3d(
            x, self.flat.weight.reshape(self._shape), self.flat.bias, self._stride, self._padding
        )


class _VggM(nn.Module):
    """The first convolutions of VGG-M.

    Args:
        inputs: channels of the input.
        count: of convolutions; 3 is MDNet's, 5 all.
    """

    def __init__(self, inputs: int, count: int) -> None:
        super().__init__()
        layers = []
        for filters, kernel, stride in VGG_M[:count]:
            layers.append(_drawn(nn.Conv2d(inputs, filters, kernel, stride, kernel // 2)))
            inputs = filters
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(_ResponseNorm(size) for size in (96, 256))

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Maps at strides 4, 8 and 16, and, where there are five convolutions, that of the last."""
        first, second, third, *rest = self.layers
        norm, other_norm = self.norms
        x = _halved(norm(torch.relu(first(x))))
        yield x
        x = other_norm(torch.relu(second(x)))
        yield x
        x = torch.relu(third(_halved(x)))
        if rest:
            x = torch.relu(rest[0](x))
        yield x
        if rest:
            yield torch.relu(rest[1](x))


class VggM(Baseline):
    """MDNet's single stream: three convolutions of VGG-M on the image alone; flow is not looked at."""

    name = "vgg-m"

    def __init__(self, config: STResNetConfig | None = None) -> None:
        super().__init__(config)
        self.image_stream = _VggM(3, 3)

    def stages(self, rgb: Tensor, flow: Tensor | None, wanted: Iterable[int] = (4,)) -> dict[int, StreamMaps]:
        """See `SpatiotemporalResNet.stages`; stage 4 is stage 3, the last there is."""
        maps = dict(enumerate(self.image_stream.maps(rgb), 1))
        return {stage: StreamMaps(maps[min(stage, 3)], None) for stage in set(wanted)}


class TwoStreamConv(Baseline):
    """Two VGG-M streams with convolutional fusion after the last convolution, where the reference found it best.

    The fused map takes the place of the appearance map and the motion stream is kept beside it, as in the reference's
    final architecture. Its pooling over time is left out: there is one image.
    """

    name = "two-stream-conv"
    described = (2, 4)

    def __init__(self, config: STResNetConfig | None = None) -> None:
        super().__init__(config)
        self.image_stream, self.motion_stream = _VggM(3, 5), _VggM(2 * self.config.flows, 5)
        last = self.channels[-1]
        self.fusion = nn.Conv2d(2 * last, last, 1)
        # Begins as the sum of both streams' corresponding channels, as in the reference.
        nn.init.zeros_(_bias(self.fusion))
        with torch.no_grad():
            self.fusion.weight.copy_(torch.eye(last).repeat(1, 2)[..., None, None])

    def stages(self, rgb: Tensor, flow: Tensor | None, wanted: Iterable[int] = (4,)) -> dict[int, StreamMaps]:
        """See `SpatiotemporalResNet.stages`; without flow stage 4 is the image's own map."""
        image = dict(enumerate(self.image_stream.maps(rgb), 1))
        motion = {} if flow is None else dict(enumerate(self.motion_stream.maps(flow), 1))
        if motion:
            image[4] = torch.relu(self.fusion(torch.cat([image[4], motion[4]], 1)))
        return {stage: StreamMaps(image[stage], motion.get(stage)) for stage in set(wanted)}


class SpatiotemporalConv(Baseline):
    """Slow fusion: convolutions in space and time over the stack of flows, each step of it with the image beside it.

    The reference reads RGB frames; what is learnt from here is one image and the flows that led to it, so that a step
    in time has five channels: the image's three and one flow's two. Without flow the steps stand still.
    """

    name = "spatiotemporal-conv"
    _channels = (96, 256, 384, 256)

    def __init__(self, config: STResNetConfig | None = None) -> None:
        super().__init__(config)
        layers, inputs = [], 3 + 2
        for (filters, kernel, stride), (extent, pace) in zip(SLOW_FUSION, SLOW_FUSION_TIME, strict=True):
            layers.append(_SpaceTime(inputs, filters, kernel, stride, extent, pace))
            inputs = filters
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(_ResponseNorm(size) for size in (96, 256))

    def stages(self, rgb: Tensor, flow: Tensor | None, wanted: Iterable[int] = (4,)) -> dict[int, StreamMaps]:
        """See `SpatiotemporalResNet.stages`; the streams are one, maps are means over what is left of time."""
        steps = self.config.flows
        if flow is None:
            flow = rgb.new_zeros(len(rgb), 2 * steps, *rgb.shape[2:])
        still = rgb[:, :, None].expand(-1, -1, steps, -1, -1)
        x = torch.cat([still, flow.reshape(len(flow), steps, 2, *flow.shape[2:]).transpose(1, 2)], 1)
        first, second, third, fourth, fifth = self.layers
        norm, other_norm = self.norms
        one = norm(torch.relu(first(x)))
        two = other_norm(torch.relu(second(_halved(one))))
        three = torch.relu(fourth(torch.relu(third(_halved(two)))))
        four = torch.relu(fifth(three))
        maps = dict(enumerate((one, two, three, four), 1))
        return {stage: StreamMaps(maps[stage].mean(2), None) for stage in set(wanted)}


BACKBONES: Mapping[str, Callable[[STResNetConfig | None], SpatiotemporalResNet]] = MappingProxyType(
    {
        **{kind.name: kind for kind in (SpatiotemporalResNet, VggM, TwoStreamConv, SpatiotemporalConv)},
        NarrowSTResNet.name: partial(NarrowSTResNet, NARROW),
    }
)
"""Shared networks by the name that is in the header of their weights."""
