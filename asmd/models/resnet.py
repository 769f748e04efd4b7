"""ResNet-18 without its classifier, with a residual branch that can be fed from elsewhere.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Parameter names are torchvision's, so that weights
in that layout load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)
"""Channels that layer1 to layer4 give."""

BLOCKS_PER_STAGE = 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: `relu(shortcut(x) + branch(x))`."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor, branch_input: Tensor | None = None) -> Tensor:
        """Maps (B, in_channels, H, W) to (B, channels, H / stride, W / stride).

        Args:
            x: the input, which the shortcut always sees.
            branch_input: what the residual branch sees instead of `x`, of the shape of `x`; this is where the other
                stream is linked in.
        """
        shortcut = x if self.downsample is None else self.downsample(x)
        out = torch.relu_(self.bn1(self.conv1(x if branch_input is None else branch_input)))
        return torch.relu_(self.bn2(self.conv2(out)) + shortcut)


class ResNet18(nn.Module):
    """The convolutional part of ResNet-18: stem and four stages at strides 4, 8, 16 and 32.

    Args:
        in_channels: 3 for RGB, twice the number of flows for motion.
        dilate_layer4: keep layer4 at stride 16 and dilate it instead, for a finer map.
    """

    def __init__(self, in_channels: int = 3, dilate_layer4: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        previous = 64
        for stage, channels in enumerate(STAGE_CHANNELS, start=1):
            dilated = dilate_layer4 and stage == 4
            stride = 1 if stage == 1 or dilated else 2
            first = BasicBlock(previous, channels, stride)
            second = BasicBlock(channels, channels, dilation=2 if dilated else 1)
            self.add_module(f"layer{stage}", nn.Sequential(first, second))
            previous = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stem(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 64, H / 4, W / 4)."""
        out = torch.relu_(self.bn1(self.conv1(x)))
        return nn.functional.max_pool2d(out, 3, 2, padding=1)

    def blocks(self, stage: int) -> tuple[BasicBlock, BasicBlock]:
        """The two blocks of stage 1 to 4."""
        first, second = self.get_submodule(f"layer{stage}").children()
        assert isinstance(first, BasicBlock) and isinstance(second, BasicBlock)
        return first, second
