"""The frozen network in OpenVINO, about a quarter faster on a CPU than torch and better spread over two cores.

The graph takes images as they are cut from a frame and gives maps; scaling, and unit length where it is asked for, are
part of it. It is put together operation by operation rather than converted from torch: that takes a tenth of a second
where tracing takes several, so that nothing has to be kept on disk. One compiled graph takes every size of image,
another that of nearly every frame, a little faster.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import util
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.models.resnet import BasicBlock, ResNet18
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.inputs import Image, scaling
from asmd.tracking.readout import Readout, StageMaps

_LOADING = threading.Lock()


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return "openvino" in sys.modules or util.find_spec("openvino") is not None


def load_openvino() -> ModuleType:
    """OpenVINO, without the package by which it reports each import to its makers.

    Raises:
        ConfigError: if it is not installed.
    """
    with _LOADING:
        if "openvino" not in sys.modules:
            # It does without where that package is missing, and None in this table is how Python says so.
            sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except ImportError as error:
            raise ConfigError("the backend openvino needs it: pip install 'asmd[openvino]'") from error
        # The first to ask for a type of NumPy's lets go of Python's lock while it holds one of its own. Another thread
        # that asks at that moment waits for the second with the first in its hands: for ever, both.
        openvino.Type.f32.to_dtype()
        module: ModuleType = openvino
    return module


@cache
def core() -> Any:
    """OpenVINO, ready to compile; never let go.

    It gives the thread that asks first an alternative stack for signal handlers. Let go by another thread, it would
    take the stack's memory along and leave the first thread with the address: the next signal (a child process has
    ended, say) would be the end of this process.
    """
    return load_openvino().Core()


@dataclass(frozen=True, eq=False)
class QuantisedGraph:
    """A network's appearance stream in int8, from an image to the maps of some stages, of cells of unit length.

    Attributes:
        stages: whose maps it gives.
        topology: (n,) uint8, OpenVINO's XML.
        constants: (m,) uint8, the constants that it refers to.
    """

    stages: tuple[int, ...]
    topology: Tensor
    constants: Tensor

    def model(self) -> Any:
        """As an OpenVINO model, of inputs and outputs as those of `build`."""
        return core().read_model(self.topology.numpy().tobytes(), self.constants.numpy().tobytes())


class CompiledGraph:
    """A graph that is ready to run on a CPU, in any number of threads.

    Args:
        model: an `openvino.Model`.
        threads: to compute with.
        dtype: of the arithmetic: float32 or bfloat16.
    """

    def __init__(self, model: Any, threads: int, dtype: torch.dtype) -> None:
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": threads,
            # With more, the thread that waits for a run would have no part in it.
            "NUM_STREAMS": 1,
            # Workers of one evaluation would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core().compile_model(model, "CPU", options)
        self._local = threading.local()

    def run(self, *given: Tensor) -> list[NDArray[np.float32]]:
        """Outputs for inputs, both in the model's order; the next run in the same thread writes where this one has."""
        # The calling thread's own request, as one bears one run at a time.
        request = self._local.__dict__.get("request")
        if request is None:
            request = self._local.request = _Request(self._compiled)
        request.take(given)
        return request.run()


class _Request:
    """One of a graph's requests, with inputs of its own: to hand over others costs more than to copy into these."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._inputs: list[Tensor | None] = [None] * len(compiled.inputs)
        # Outputs of its own, where their sizes are known: to ask for those of the request takes longer.
        self._outputs: list[NDArray[np.float32]] = []
        if all(output.partial_shape.is_static for output in compiled.outputs):
            self._outputs = [np.empty(tuple(output.shape), np.float32) for output in compiled.outputs]
            for index, array in enumerate(self._outputs):
                self._request.set_output_tensor(index, load_openvino().Tensor(array, shared_memory=True))

    @torch.inference_mode()  # else what was made in it could not be written to outside it
    def take(self, given: Sequence[Tensor]) -> None:
        """Copies inputs, in whatever type they are, to where the graph reads them in its own."""
        for index, value in enumerate(given):
            own = self._inputs[index]
            if own is None or own.shape != value.shape:
                array = np.empty(tuple(value.shape), self._request.get_input_tensor(index).data.dtype)
                self._request.set_input_tensor(index, load_openvino().Tensor(array, shared_memory=True))
                own = self._inputs[index] = torch.from_numpy(array)
            own.copy_(value)

    def run(self) -> list[NDArray[np.float32]]:
        """Outputs, which the next run writes over."""
        self._request.infer(share_outputs=True)
        return self._outputs or [tensor.data for tensor in self._request.output_tensors]


class OpenVINORunner:
    """Runs a network on a CPU; see `asmd.tracking.network.Runner`.

    Any number of threads may call it; it computes with as many as torch did when it was made.

    Args:
        network: with its batch norms folded, in float32 on the CPU.
        dtype: of the arithmetic: float32 or bfloat16. Maps are given in it.
        quantised: runs instead where it gives what is asked for.
        readout: what is read of maps of unit length.
    """

    def __init__(
        self,
        network: SpatiotemporalResNet,
        dtype: torch.dtype,
        quantised: QuantisedGraph | None = None,
        readout: Readout | None = None,
    ) -> None:
        self._network, self.dtype, self._quantised = network, dtype, quantised
        self._readout = readout or Readout()
        self._threads = torch.get_num_threads()
        self._graphs: dict[tuple[tuple[int, ...], bool, bool, tuple[int, ...] | None], CompiledGraph] = {}
        self._side = 0
        self._lock = threading.Lock()

    def prepare(self, stages: tuple[int, ...], motion: bool, unit: bool, side: int | None = None) -> None:
        """Compiles the graph of these stages, so that the first frame need not wait for it; see `FeatureNetwork`."""
        self._graph(stages, motion, unit)
        if side is not None:
            self._side = side
            self._graph(stages, motion, unit, (1, side, side))

    def maps(self, rgb: Image, flow: Image | None, stages: tuple[int, ...], unit: bool) -> dict[int, StageMaps]:
        """See `asmd.tracking.network.FeatureNetwork.maps`."""
        given = [torch.from_numpy(np.ascontiguousarray(i)) for i in (rgb, flow) if i is not None]
        size = rgb.shape[:3] if rgb.shape[:3] == (1, self._side, self._side) else None
        outputs = iter(self._graph(stages, flow is not None, unit, size).run(*given))

        def kept(dtype: torch.dtype) -> Tensor:
            # A copy, since the next run writes where this one has; it is the step to another type, too.
            return torch.from_numpy(next(outputs)).to(dtype, copy=True).permute(0, 3, 1, 2)

        maps: dict[int, StageMaps] = {}
        for stage in stages:
            appearance, motion = kept(self.dtype), None if flow is None else kept(self.dtype)
            encoded = kept(torch.float32) if unit and stage in self._readout.encoders else None
            maps[stage] = StageMaps(appearance, motion, encoded)
        return maps

    def _graph(
        self, stages: tuple[int, ...], motion: bool, unit: bool, size: tuple[int, ...] | None = None
    ) -> CompiledGraph:
        """That for images (B, H, W) of one size, or of any."""
        key = (stages, motion, unit, size)
        with self._lock:
            if key not in self._graphs:
                int8 = self._quantised
                exact = int8 is None or (int8.stages, False, True) != key[:3]
                model = build(self._network, *key[:3]) if int8 is None or exact else int8.model()
                if unit:
                    model = read_out(model, stages, motion, self._readout)
                if size is not None:
                    model.reshape({i: [*size, i.get_partial_shape()[3].get_length()] for i in model.inputs})
                self._graphs[key] = CompiledGraph(model, self._threads, self.dtype)
        return self._graphs[key]


def build(network: SpatiotemporalResNet, stages: tuple[int, ...], motion: bool, unit: bool) -> Any:
    """A network as an OpenVINO model.

    Args:
        network: in float32 on the CPU, its batch norms folded (`asmd.tracking.network.fold_batch_norm`).
        stages: wanted stages.
        motion: whether the motion stream runs.
        unit: whether each cell is scaled to unit length.

    Returns:
        `openvino.Model` from images (B, H, W, 3) uint8, and flow (B, H, W, 2L) float32, to maps (B, h, w, C) float32,
        appearance before motion, by stage.
    """
    ov = load_openvino()
    draw = _Drawing(ov.opset13)
    rgb = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="rgb")
    inputs, streams = [rgb], [network.appearance]
    scale, shift = (t.numpy() for t in scaling(torch.device("cpu")))
    x = [draw.plus(draw.times(draw.channels_first(draw.floating(rgb)), scale), shift)]
    if motion:
        inputs.append(ov.opset13.parameter([-1, -1, -1, 2 * network.config.flows], np.float32, name="flow"))
        streams.append(network.motion)
        x.append(draw.channels_first(inputs[1]))
    x = [draw.stem(stream, given) for stream, given in zip(streams, x, strict=True)]
    maps = {}
    for stage in range(1, max(stages) + 1):
        for index in range(len(network.appearance.blocks(stage))):
            fed = list(x)
            if motion and network.linked(index):
                fed[0] = draw.plus(*x) if network.config.fusion == "add" else draw.times(*x)
            x = [draw.block(s.blocks(stage)[index], own, f) for s, own, f in zip(streams, x, fed, strict=True)]
        maps[stage] = x
    outputs = [draw.unit(m) if unit else m for stage in stages for m in maps[stage]]
    return ov.Model([draw.channels_last(m) for m in outputs], inputs, "features")


def read_out(model: Any, stages: tuple[int, ...], motion: bool, readout: Readout) -> Any:
    """A model as from `build`, of cells of unit length, that ends in a readout.

    Returns:
        `openvino.Model` to maps (B, h, w, c) float32: by stage appearance, motion, and what a head reads, where there
        are such.
    """
    ov = load_openvino()
    maps = iter([result.input_value(0) for result in model.get_results()])

    def times(cells: Any, matrix: Tensor | None) -> list[Any]:
        return [] if matrix is None else [ov.opset13.matmul(cells, matrix.numpy(), False, False).output(0)]

    outputs: list[Any] = []
    for stage in stages:
        appearance = next(maps)
        outputs += times(appearance, readout.components.get(stage)) or [appearance]
        outputs += [next(maps)] if motion else []
        outputs += times(appearance, readout.encoders.get(stage))
    return ov.Model(outputs, model.get_parameters(), model.get_friendly_name())


def convolution(operations: Any, layer: nn.Module, x: Any, weight: Any = None) -> Any:
    """A convolution with its bias, as a node of a graph that is put together of `operations`; `weight` for its own."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None and not isinstance(layer.padding, str)
    padding = list(layer.padding)
    stride, dilation = list(layer.stride), list(layer.dilation)
    weight = layer.weight.detach().numpy() if weight is None else weight
    out = operations.convolution(x, weight, stride, padding, padding, dilation)
    return operations.add(out, layer.bias.detach().numpy().reshape(1, -1, 1, 1))


class _Drawing:
    """Puts operations of a ResNet together; each method takes and gives nodes of a graph."""

    def __init__(self, operations: Any) -> None:
        self._op = operations

    def floating(self, x: Any) -> Any:
        return self._op.convert(x, np.float32)

    def channels_first(self, x: Any) -> Any:
        return self._op.transpose(x, np.array([0, 3, 1, 2]))

    def channels_last(self, x: Any) -> Any:
        return self._op.transpose(x, np.array([0, 2, 3, 1]))

    def plus(self, a: Any, b: Any) -> Any:
        return self._op.add(a, b)

    def times(self, a: Any, b: Any) -> Any:
        return self._op.multiply(a, b)

    def unit(self, x: Any) -> Any:
        return self._op.normalize_l2(x, np.array([1]), 1e-24, "max")

    def stem(self, stream: ResNet18, x: Any) -> Any:
        """As `ResNet18.stem`."""
        x = self._op.relu(convolution(self._op, stream.conv1, x))
        return self._op.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)

    def block(self, block: BasicBlock, x: Any, branch: Any) -> Any:
        """As `BasicBlock.forward`."""
        shortcut = x
        if block.downsample is not None:
            (first, *_) = block.downsample
            shortcut = convolution(self._op, first, x)
        out = self._op.relu(convolution(self._op, block.conv1, branch))
        return self._op.relu(self.plus(convolution(self._op, block.conv2, out), shortcut))
