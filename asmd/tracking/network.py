"""The frozen network as the tracker runs it: folded, in the fastest type of the device, from images to maps."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from asmd.models.resnet import BasicBlock, ResNet18
from asmd.models.st_resnet import SpatiotemporalResNet, StreamMaps

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def fold_batch_norm(network: SpatiotemporalResNet) -> SpatiotemporalResNet:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, ResNet18 | BasicBlock):
            _fold(module, "conv1", "bn1")
        if isinstance(module, BasicBlock):
            _fold(module, "conv2", "bn2")
            if module.downsample is not None:
                _fold(module.downsample, "0", "1")
    return folded


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    conv, batch_norm = parent.get_submodule(convolution), parent.get_submodule(norm)
    assert isinstance(conv, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d)
    setattr(parent, convolution, fuse_conv_bn_eval(conv, batch_norm))
    setattr(parent, norm, nn.Identity())


class FeatureNetwork:
    """Runs a `SpatiotemporalResNet` on images.

    Args:
        network: in evaluation mode; copied.
        device: where it runs.
        dtype: of the arithmetic; the fastest that the device has where not given.
    """

    def __init__(self, network: SpatiotemporalResNet, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self.device = device
        self.dtype = dtype or fast_dtype(device)
        self._network = fold_batch_norm(network).to(device, self.dtype)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for parameter in self._network.parameters():
            parameter.requires_grad_(False)
        self.stride = network.stride
        self._scale = torch.tensor([1 / (255 * s) for s in IMAGENET_STD], device=device).view(1, 3, 1, 1)
        self._shift = torch.tensor([-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)], device=device)
        self._shift = self._shift.view(1, 3, 1, 1)

    @torch.inference_mode()
    def maps(
        self,
        rgb: NDArray[np.integer | np.floating],
        flow: NDArray[np.integer | np.floating] | None,
        stages: Iterable[int],
    ) -> dict[int, StreamMaps]:
        """Feature maps of images.

        Args:
            rgb: (B, H, W, 3) uint8.
            flow: (B, H, W, 2L) float32 as `asmd.flow.network_input` gives it, or None to leave the motion stream out.
            stages: wanted stages.

        Returns:
            stage -> maps (B, C, h, w) in the network's type.
        """
        # Height-width-channel memory is torch's channels_last once the axes are permuted: nothing is copied.
        image = torch.from_numpy(rgb).to(self.device).permute(0, 3, 1, 2).float()
        image = torch.addcmul(self._shift, image, self._scale).to(self.dtype)
        motion = None
        if flow is not None:
            motion = torch.from_numpy(flow).to(self.device).permute(0, 3, 1, 2).to(self.dtype)
        maps: dict[int, StreamMaps] = self._network.stages(image, motion, stages)
        return maps
