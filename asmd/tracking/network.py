"""The frozen network as the tracker runs it: folded, in the fastest type of the device, from images to maps.

Two runtimes stand behind one interface: torch, and OpenVINO (`asmd.tracking.openvino_network`), faster on a CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from asmd.errors import ConfigError
from asmd.models.resnet import BasicBlock, ResNet18
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.inputs import Image, scaling
from asmd.tracking.openvino_network import OpenVINORunner, QuantisedGraph, installed, load_openvino
from asmd.tracking.readout import Readout, StageMaps
from asmd.tracking.threads import computing_threads


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def multiplies_bytes() -> bool:
    """Whether this CPU multiplies bytes natively, which int8 needs both to be fast and to be exact."""
    return bool(torch.cpu._is_vnni_supported())


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
    if not isinstance(batch_norm, nn.BatchNorm2d):  # a narrow network's group norm depends on its input
        return
    assert isinstance(conv, nn.Conv2d)
    setattr(parent, convolution, fuse_conv_bn_eval(conv, batch_norm))
    setattr(parent, norm, nn.Identity())


Backend = Literal["auto", "torch", "openvino"]

Precision = Literal["auto", "float", "int8"]


def choose_backend(
    wanted: Backend, device: torch.device, form: type[SpatiotemporalResNet] = SpatiotemporalResNet
) -> Literal["torch", "openvino"]:
    """What a network of that form runs in; "auto" is OpenVINO where that is installed and runs it on the device.

    Raises:
        ConfigError: if OpenVINO is asked for and is not installed, or does not run it.
    """
    known = form is SpatiotemporalResNet
    if wanted == "auto":
        return "openvino" if device.type == "cpu" and known and installed() else "torch"
    if wanted == "openvino":
        if device.type != "cpu":
            raise ConfigError(f"the backend openvino runs on the CPU, not on {device.type}")
        if not known:
            raise ConfigError(f"the backend openvino runs two-stream ResNets, not {form.name}")
        load_openvino()
    return wanted


def choose_precision(
    wanted: Precision, backend: Literal["torch", "openvino"], quantised: QuantisedGraph | None
) -> Literal["float", "int8"]:
    """What a network computes in; "auto" is int8 where its weights have that, in OpenVINO on a CPU made for it.

    Raises:
        ConfigError: if int8 is asked for and cannot be had.
    """
    if wanted == "auto":
        return "int8" if quantised is not None and backend == "openvino" and multiplies_bytes() else "float"
    if wanted == "int8" and backend != "openvino":
        raise ConfigError("the precision int8 needs the backend openvino: pip install 'asmd[openvino]'")
    if wanted == "int8" and quantised is None:
        raise ConfigError("the precision int8 needs weights that have it, which asmd quantise makes")
    return wanted


class Runner(Protocol):
    """A runtime with a network in it."""

    def prepare(self, stages: tuple[int, ...], motion: bool, unit: bool, side: int | None = None) -> None:
        """See `FeatureNetwork.prepare`."""
        ...

    def maps(self, rgb: Image, flow: Image | None, stages: tuple[int, ...], unit: bool) -> dict[int, StageMaps]:
        """See `FeatureNetwork.maps`."""
        ...


class TorchRunner:
    """Runs a network in torch, in as many threads as torch had when it was made.

    Args:
        network: with its batch norms folded; it is moved to the device.
        device: where it runs.
        dtype: of the arithmetic.
        readout: see `FeatureNetwork`.
    """

    def __init__(
        self, network: SpatiotemporalResNet, device: torch.device, dtype: torch.dtype, readout: Readout
    ) -> None:
        self._network = network.to(device, dtype)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._dtype = device, dtype
        self._components = {s: m.to(device, dtype) for s, m in readout.components.items()}
        self._encoders = {s: m.to(device) for s, m in readout.encoders.items()}
        self._threads = torch.get_num_threads()
        self._scale, self._shift = scaling(device)

    def prepare(self, stages: tuple[int, ...], motion: bool, unit: bool, side: int | None = None) -> None:
        """Nothing to prepare."""

    def maps(self, rgb: Image, flow: Image | None, stages: tuple[int, ...], unit: bool) -> dict[int, StageMaps]:
        """See `FeatureNetwork.maps`."""
        with computing_threads(self._threads):
            return self._maps(rgb, flow, stages, unit)

    def _maps(self, rgb: Image, flow: Image | None, stages: tuple[int, ...], unit: bool) -> dict[int, StageMaps]:
        # Height-width-channel memory is torch's channels_last once the axes are permuted: nothing is copied.
        image = torch.from_numpy(rgb).to(self._device).permute(0, 3, 1, 2).float()
        image = torch.addcmul(self._shift, image, self._scale).to(self._dtype)
        motion = None
        if flow is not None:
            motion = torch.from_numpy(flow).to(self._device).permute(0, 3, 1, 2).to(self._dtype)
        maps = self._network.stages(image, motion, stages)
        if not unit:
            return {n: StageMaps(*both, None) for n, both in maps.items()}
        return {n: self._read(n, _unit(a), None if m is None else _unit(m)) for n, (a, m) in maps.items()}

    def _read(self, stage: int, appearance: Tensor, motion: Tensor | None) -> StageMaps:
        components, encoder = self._components.get(stage), self._encoders.get(stage)
        encoded = None if encoder is None else _times(appearance.float(), encoder)
        return StageMaps(appearance if components is None else _times(appearance, components), motion, encoded)


def _unit(maps: Tensor) -> Tensor:
    return nn.functional.normalize(maps, dim=1)


def _times(maps: Tensor, matrix: Tensor) -> Tensor:
    """Every cell of maps (B, C, h, w) times (C, c)."""
    return (maps.permute(0, 2, 3, 1) @ matrix).permute(0, 3, 1, 2)


class FeatureNetwork:
    """Runs a `SpatiotemporalResNet` on images.

    Args:
        network: in evaluation mode; copied.
        device: where it runs.
        dtype: of the arithmetic; the fastest that the device has where not given.
        backend: the runtime.
        precision: of the arithmetic.
        quantised: the same network in int8, if there is one.
        readout: what is read of maps of unit length.

    Attributes:
        backend: the runtime that was chosen.
        precision: the precision that was chosen.
        readout: what is read.

    Raises:
        ConfigError: if the runtime or the precision is not there.
    """

    def __init__(
        self,
        network: SpatiotemporalResNet,
        device: torch.device,
        dtype: torch.dtype | None = None,
        backend: Backend = "auto",
        precision: Precision = "float",
        quantised: QuantisedGraph | None = None,
        readout: Readout | None = None,
    ) -> None:
        self.device = device
        self.dtype = dtype or fast_dtype(device)
        self.readout = readout = readout or Readout()
        self.backend = choose_backend(backend, device, type(network))
        self.precision = choose_precision(precision, self.backend, quantised)
        folded = fold_batch_norm(network)
        for parameter in folded.parameters():
            parameter.requires_grad_(False)
        self._runner: Runner
        if self.backend == "openvino":
            int8 = quantised if self.precision == "int8" else None
            self._runner = OpenVINORunner(folded.to(device, torch.float32), self.dtype, int8, readout)
        else:
            self._runner = TorchRunner(folded, device, self.dtype, readout)
        self.stride = network.stride

    def prepare(self, stages: Iterable[int], motion: bool, unit: bool = False, side: int | None = None) -> None:
        """Does now what the first call of `maps` with such arguments would have to wait for.

        Args:
            stages: see `maps`.
            motion: whether there will be flow.
            unit: see `maps`.
            side: of most images, which come one at a time and are square.
        """
        self._runner.prepare(tuple(stages), motion, unit, side)

    @torch.inference_mode()
    def maps(self, rgb: Image, flow: Image | None, stages: Iterable[int], unit: bool = False) -> dict[int, StageMaps]:
        """Feature maps of images.

        Args:
            rgb: (B, H, W, 3) uint8.
            flow: (B, H, W, 2L) float32 as `asmd.flow.network_input` gives it, or None to leave the motion stream out.
            stages: wanted stages.
            unit: whether each cell of each map is scaled to unit length over its channels.

        Returns:
            stage -> maps, in the network's type but for what a head reads.
        """
        return self._runner.maps(rgb, flow, tuple(stages), unit)
