"""The exported graphs against torch: by their own runtimes, and the training step against autograd."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asmd.cli import main
from asmd.errors import OutputError
from asmd.integrations import export as exporting
from asmd.integrations.export import ClassifierGraph, StepGraph, build, export
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.classifier import Classifier, ClassifierConfig
from asmd.tracking.config import TrackerConfig
from asmd.tracking.mining import MiningConfig
from asmd.tracking.openvino_network import core

SMALL = replace(
    TrackerConfig.realtime(), features=replace(TrackerConfig.realtime().features, region_size=65, stages=(2, 3))
)


def classifier(config: ClassifierConfig) -> Classifier:
    made = Classifier(20, config, MiningConfig(), np.random.default_rng(0), torch.device("cpu"))
    made.standardise(torch.randn(50, 20, generator=torch.Generator().manual_seed(1)) * 3 + 1)
    return made


def parameters(made: Classifier) -> list[torch.Tensor]:
    return [p.clone() for p in made.parameters]


def test_the_classifier_graph_is_the_classifier() -> None:
    made = classifier(ClassifierConfig(members=3))
    samples = torch.randn(9, 20)
    got = ClassifierGraph()(samples, made._mean, torch.tensor(made._gain), *parameters(made))
    torch.testing.assert_close(got, made.margins(samples).clone())


def test_the_steps_are_those_of_training() -> None:
    """Three steps, so that momentum counts."""
    config = ClassifierConfig(members=2, dropout=0.0, positives=4, smoothing=0.1)
    made = classifier(config)
    made.mining = MiningConfig("rand", count=8, pool=8)
    draw = torch.Generator().manual_seed(0)
    positives, negatives = torch.randn(4, 20, generator=draw), torch.randn(8, 20, generator=draw)
    samples, labels = torch.cat([positives, negatives]), (torch.arange(12) < 4).float()
    state = parameters(made)
    state += [torch.zeros_like(p) for p in state]
    step, ones = StepGraph(config), torch.ones(2, 12, config.hidden)
    loss = torch.tensor(0.0)
    for _ in range(3):
        loss, *state = step(
            samples, labels, ones, ones, made._mean, torch.tensor(made._gain), torch.tensor(0.01), *state
        )
    assert made.train(positives, negatives, 3, 0.01) == pytest.approx(float(loss), rel=1e-4)
    for got, wanted in zip(state[:6], parameters(made), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_graphs_are_written_and_run(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    module = pytest.importorskip("onnxruntime" if runtime == "onnx" else "openvino", reason=f"no {runtime} here")
    written = export(runtime, tmp_path, weights="random", preset=SMALL, motion=runtime == "onnx")  # type: ignore[arg-type]
    suffix = ".onnx" if runtime == "onnx" else ".xml"
    assert [w.path.name for w in written] == [f"{n}{suffix}" for n in ("features", "classifier", "classifier_step")]
    assert all(w.path.is_file() and 0 <= w.difference < 1e-4 for w in written)
    about = json.loads((tmp_path / "export.json").read_text())["graphs"]
    assert about["classifier"]["inputs"]["samples"] == ["N", 384]
    # Another number of samples than that which it was traced with.
    made = ClassifierGraph()
    graph = build(SpatiotemporalResNet().eval(), SMALL, motion=False)[1]
    inputs = {**graph.inputs, "samples": torch.randn(7, 384)}
    wanted = made(*inputs.values()).numpy()
    given = {name: value.numpy() for name, value in inputs.items()}
    if runtime == "onnx":
        [got] = module.InferenceSession(str(written[1].path)).run(None, given)
    else:
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core().compile_model(str(written[1].path), "CPU", hint)
        got = compiled([given[port.any_name] for port in compiled.inputs])[compiled.outputs[0]]
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


def test_a_graph_that_differs_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    monkeypatch.setattr(exporting, "_run_onnx", lambda path, inputs: [np.zeros(24, np.float32)])
    graph = build(SpatiotemporalResNet().eval(), SMALL, motion=False)[1]
    with pytest.raises(OutputError, match="onnx differs from torch"):
        exporting._write(graph, "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "onnx", str(tmp_path), "--weights", "nowhere.safetensors"]) == 1
    assert "no such weights" in capfd.readouterr().err
