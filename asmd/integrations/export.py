"""The tracker's arithmetic for other runtimes: ONNX and OpenVINO, checked against torch when it is written.

Three graphs, each a file:

- `features`: an RGB image, 0 to 255, to feature maps; normalisation included, batch norm folded.
- `classifier`: descriptors and the parameters of a per-video classifier to log-odds of being the target.
- `classifier_step`: one step of its training (eq. 6 by SGD with momentum): samples, labels and parameters in, new
  parameters out. Parameters are inputs, since they are learnt anew for every video.

Drawing candidates, pooling, memory and mining stay with the program around it.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from asmd import checkpoints
from asmd.errors import ConfigError, OutputError
from asmd.evaluation.results import write_atomic
from asmd.files import make_folder
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.classifier import ClassifierConfig
from asmd.tracking.config import TrackerConfig
from asmd.tracking.inputs import IMAGENET_MEAN, IMAGENET_STD
from asmd.tracking.network import fold_batch_norm
from asmd.tracking.openvino_network import core, load_openvino
from asmd.tracking.perceptron import gradients, log_odds

Runtime = Literal["onnx", "openvino"]

TOLERANCE = 1e-3
"""Greatest difference from torch, relative to the largest entry, with which a graph is accepted."""

LAYERS = ("weight1", "bias1", "weight2", "bias2", "weight3", "bias3")


class FeatureGraph(nn.Module):
    """Image (1, 3, H, W), and flow (1, 2L, H, W) with the motion stream, to the maps of some stages.

    Args:
        network: with its weights.
        stages: whose maps are wanted.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: SpatiotemporalResNet, stages: Sequence[int]) -> None:
        super().__init__()
        self.network, self.wanted = fold_batch_norm(network).float(), tuple(stages)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255)

    def forward(self, image: Tensor, flow: Tensor | None = None) -> tuple[Tensor, ...]:
        """Maps (1, C, h, w) of each stage, appearance before motion."""
        maps = self.network.stages((image - self.mean) / self.deviation, flow, self.wanted)
        return tuple(m for stage in self.wanted for m in maps[stage] if m is not None)


class ClassifierGraph(nn.Module):
    """Descriptors (N, D), their standardisation and the layers' parameters to log-odds (N,)."""

    def forward(
        self, samples: Tensor, mean: Tensor, gain: Tensor,
        weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, weight3: Tensor, bias3: Tensor,
    ) -> Tensor:  # fmt: skip
        """Equation (6)'s classifier; weights (M, out, in), biases (M, out) of M members, whose answers are averaged."""
        return log_odds((samples - mean) * gain, [weight1, bias1, weight2, bias2, weight3, bias3])


class StepGraph(nn.Module):
    """One step of `Classifier.train`.

    Args:
        config: rates of the layers relative to each other, momentum, decay and the gradient's greatest norm.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, samples: Tensor, labels: Tensor, keep1: Tensor, keep2: Tensor, mean: Tensor, gain: Tensor, rate: Tensor,
        weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, weight3: Tensor, bias3: Tensor,
        moved1: Tensor, moved2: Tensor, moved3: Tensor, moved4: Tensor, moved5: Tensor, moved6: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Samples (N, D), labels (N,) of 1 for the target and 0; dropout as factors (M, N, hidden), 1 for none.

        The momenta are those of the six parameters, in their order, zeros at first. Gives the loss, and parameters and
        momenta after the step.
        """
        config, values = self.config, [weight1, bias1, weight2, bias2, weight3, bias3]
        x = (samples - mean) * gain
        loss, found = gradients(x, labels, (keep1, keep2), values, config.smoothing, config.clip)
        after, moved = [], []
        momenta = (moved1, moved2, moved3, moved4, moved5, moved6)
        for index, (value, momentum, gradient) in enumerate(zip(values, momenta, found, strict=True)):
            factor, decay = config.factors(index)
            momentum = config.momentum * momentum + gradient + decay * value
            moved.append(momentum)
            after.append(value - rate * factor * momentum)
        return loss, *after, *moved


@dataclass(frozen=True)
class Graph:
    """A graph to write: its module, named inputs, names of outputs, and the axis along which an input may vary."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    free: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A graph that was written: its file, and its greatest relative difference from torch."""

    path: Path
    difference: float


def export(
    runtime: Runtime,
    folder: str | Path,
    *,
    weights: str | Path | None = None,
    preset: str | TrackerConfig = "realtime",
    motion: bool | None = None,
) -> list[Written]:
    """Write the three graphs, and `export.json`, which describes their inputs and outputs.

    Args:
        runtime: "onnx" or "openvino".
        folder: to write in; made where it is missing.
        weights: a packaged name, a file, or None for the best that are at hand.
        preset: whose sizes and stages; of settings with the crop extractor, the crop's size and stage 4.
        motion: with the motion stream; None where the weights say that it was trained.

    Raises:
        ConfigError: if a package of the runtime is missing.
        OutputError: if a file cannot be written, or the runtime's answer differs from torch's.
        WeightsError: if there are no such weights.
    """
    config = preset if isinstance(preset, TrackerConfig) else TrackerConfig.preset(preset)
    loaded = checkpoints.load(weights)
    network, _ = checkpoints.build_network(loaded, config.network)
    with_motion = loaded.motion_trained if motion is None else motion
    target = make_folder(folder)
    graphs = build(network, config, with_motion)
    with _quiet():
        written = [_write(graph, runtime, target) for graph in graphs]
    described = {
        "weights": loaded.name,
        "runtime": runtime,
        "graphs": {
            graph.name: {
                "inputs": {
                    n: ["N" if graph.free.get(n) == i else s for i, s in enumerate(t.shape)]
                    for n, t in graph.inputs.items()
                },
                "outputs": list(graph.outputs),
                "difference from torch": done.difference,
            }
            for graph, done in zip(graphs, written, strict=True)
        },
    }
    write_atomic(target / "export.json", json.dumps(described, indent=1) + "\n")
    return written


def build(network: SpatiotemporalResNet, config: TrackerConfig, motion: bool) -> list[Graph]:
    """The three graphs, with inputs to try them on, drawn at random from a fixed seed."""
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw)

    features = config.features
    region = features.extractor == "region"
    side, stages = (features.region_size, features.stages) if region else (features.crop_size, (4,))
    images = {"image": torch.rand(1, 3, side, side, generator=draw) * 255}
    if motion:
        images["flow"] = normal(1, 2 * network.config.flows, side, side)
    streams = ("appearance", "motion") if motion else ("appearance",)
    maps = tuple(f"{stream}{stage}" for stage in stages for stream in streams)
    depth, hidden, members, count = 384, config.classifier.hidden, config.classifier.members, 24
    sizes = ((hidden, depth), (hidden,), (hidden, hidden), (hidden,), (2, hidden), (2,))
    parameters = {n: normal(members, *s) * 0.1 for n, s in zip(LAYERS, sizes, strict=True)}
    momenta = {f"momentum_{n}": normal(members, *s) * 0.01 for n, s in zip(LAYERS, sizes, strict=True)}
    samples = {"samples": normal(count, depth)}
    standard = {"mean": normal(depth) * 0.1, "gain": torch.tensor(0.7)}
    labels = (torch.arange(count) % 3 == 0).float()
    keep = {f"keep{n}": (torch.rand(members, count, hidden, generator=draw) < 0.5).float() * 2 for n in (1, 2)}
    varying = {"samples": 0, "labels": 0} | dict.fromkeys(keep, 1)
    step = {**samples, "labels": labels, **keep, **standard, "rate": torch.tensor(1e-3), **parameters, **momenta}
    after = ("loss", *(f"new_{n}" for n in (*parameters, *momenta)))
    return [
        Graph("features", FeatureGraph(network, stages), images, maps),
        Graph("classifier", ClassifierGraph(), {**samples, **standard, **parameters}, ("log_odds",), {"samples": 0}),
        Graph("classifier_step", StepGraph(config.classifier), step, after, varying),
    ]


def _write(graph: Graph, runtime: Runtime, folder: Path) -> Written:
    module, inputs = graph.module.eval(), tuple(graph.inputs.values())
    with torch.no_grad():
        answer = module(*inputs)
    wanted = [t.numpy() for t in (answer if isinstance(answer, tuple) else (answer,))]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        onnx = Path(scratch) / f"{graph.name}.onnx"
        _to_onnx(graph, onnx)
        given = {name: tensor.numpy() for name, tensor in graph.inputs.items()}
        got = _run_onnx(onnx, given) if runtime == "onnx" else _to_openvino(onnx, given)
        difference = max(_difference(a, b) for a, b in zip(got, wanted, strict=True))
        if not difference < TOLERANCE:
            raise OutputError(f"{graph.name}: {runtime} differs from torch by {difference:.1e} of the largest entry")
        for file in sorted(Path(scratch).iterdir()):
            if runtime == "onnx" or file.suffix != ".onnx":
                file.replace(folder / file.name)
    return Written(folder / f"{graph.name}{'.onnx' if runtime == 'onnx' else '.xml'}", difference)


def _difference(got: Any, wanted: Any) -> float:
    return float(np.abs(np.asarray(got) - wanted).max() / max(float(np.abs(wanted).max()), 1e-6))


def _to_onnx(graph: Graph, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise ConfigError("the export needs onnx, onnxscript and onnxruntime: pip install 'asmd[export]'") from error
    count = torch.export.Dim("count", min=2)
    dynamic = tuple(({graph.free[name]: count} if name in graph.free else None) for name in graph.inputs)
    torch.onnx.export(
        graph.module.eval(),
        tuple(graph.inputs.values()),
        str(path),
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=dynamic if graph.free else None,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _run_onnx(path: Path, inputs: dict[str, Any]) -> list[Any]:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("the export needs onnx, onnxscript and onnxruntime: pip install 'asmd[export]'") from error
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers: list[Any] = session.run(None, inputs)
    return answers


def _to_openvino(onnx: Path, inputs: dict[str, Any]) -> list[Any]:
    """Convert beside the ONNX file, in float32, and run what was written."""
    try:
        openvino = load_openvino()
    except ConfigError as error:
        raise ConfigError("the export to OpenVINO needs it: pip install 'asmd[export]'") from error
    path = onnx.with_suffix(".xml")
    openvino.save_model(openvino.convert_model(str(onnx)), str(path), compress_to_fp16=False)
    # In float32, as a CPU may choose a shorter type of its own accord.
    compiled = core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled([inputs[port.any_name] for port in compiled.inputs])
    return [answer[port] for port in compiled.outputs]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
