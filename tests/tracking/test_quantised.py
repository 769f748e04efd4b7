"""The network in int8: made from footage, kept with the weights, near to what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moving_scene import Scene
from torch.nn.functional import cosine_similarity
from training.small_run import videos

from asmd import checkpoints
from asmd.cli import main
from asmd.errors import ConfigError, WeightsError
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking import network as networks
from asmd.tracking.features import FeatureConfig, build_extractor
from asmd.tracking.network import FeatureNetwork, choose_precision, fold_batch_norm
from asmd.tracking.openvino_network import QuantisedGraph
from asmd.tracking.quantised import quantise

CPU = torch.device("cpu")

NOTHING = QuantisedGraph((2, 3), torch.zeros(1, dtype=torch.uint8), torch.zeros(1, dtype=torch.uint8))


@pytest.fixture(scope="module")
def graph(network: SpatiotemporalResNet, scene: Scene) -> QuantisedGraph:
    pytest.importorskip("nncf")
    return quantise(fold_batch_norm(network), [scene.frame(n) for n in range(0, 40, 5)], (2, 3))


def test_maps_are_near_to_those_of_the_network_that_it_was_made_from(
    network: SpatiotemporalResNet, scene: Scene, graph: QuantisedGraph
) -> None:
    rgb = scene.frame(3)[None, :129, :161]
    exact = FeatureNetwork(network, CPU, torch.float32, "torch").maps(rgb, None, (2, 3), True)
    int8 = FeatureNetwork(network, CPU, None, "openvino", "int8", graph)
    assert int8.precision == "int8"
    for stage, maps in int8.maps(rgb, None, (2, 3), True).items():
        likeness = cosine_similarity(maps.appearance.float(), exact[stage].appearance, dim=1)
        # Not the same, else it would not have run.
        assert 0.97 < float(likeness.mean()) < 1 - 1e-6


def test_what_it_was_not_made_for_runs_in_float(network: SpatiotemporalResNet, scene: Scene) -> None:
    pytest.importorskip("openvino")
    runner = FeatureNetwork(network, CPU, torch.float32, "openvino", "int8", NOTHING)
    wanted = FeatureNetwork(network, CPU, torch.float32, "torch").maps(scene.frame(0)[None], None, (3,), True)
    got = runner.maps(scene.frame(0)[None], None, (3,), True)
    assert torch.allclose(got[3].appearance, wanted[3].appearance, atol=1e-4)


def test_choice_of_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "multiplies_bytes", lambda: True)
    assert choose_precision("auto", "openvino", NOTHING) == "int8"
    assert choose_precision("auto", "openvino", None) == "float"
    assert choose_precision("auto", "torch", NOTHING) == "float"
    assert choose_precision("float", "openvino", NOTHING) == "float"
    monkeypatch.setattr(networks, "multiplies_bytes", lambda: False)
    assert choose_precision("auto", "openvino", NOTHING) == "float"
    assert choose_precision("int8", "openvino", NOTHING) == "int8"
    with pytest.raises(ConfigError, match="needs the backend openvino"):
        choose_precision("int8", "torch", NOTHING)
    with pytest.raises(ConfigError, match="asmd quantise makes"):
        choose_precision("int8", "openvino", None)


@pytest.mark.parametrize(
    ("config", "motion"),
    [
        (FeatureConfig(precision="int8", stages=(3,)), False),
        (FeatureConfig(precision="int8"), True),
        (FeatureConfig(precision="int8", extractor="crop"), False),
    ],
)
def test_int8_of_other_maps_is_refused(network: SpatiotemporalResNet, config: FeatureConfig, motion: bool) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(ConfigError, match="asmd quantise makes"):
        build_extractor(network, config, motion, CPU, NOTHING)


def test_graph_lies_in_the_same_file(tmp_path: Path) -> None:
    whole = checkpoints.Weights("here", SpatiotemporalResNet().state_dict(), {"format": checkpoints.FORMAT})
    assert checkpoints.quantised_graph(whole) is None
    both = checkpoints.with_quantised(whole, NOTHING, {"cuts": 3})
    checkpoints.save(tmp_path / "w.safetensors", both.tensors, both.metadata)
    loaded = checkpoints.load(tmp_path / "w.safetensors")
    found = checkpoints.quantised_graph(loaded)
    assert found is not None and found.stages == (2, 3) and torch.equal(found.constants, NOTHING.constants)
    assert checkpoints.build_network(loaded)[1] == []
    loaded.tensors.pop("int8.constants")
    with pytest.raises(WeightsError, match="int8 graph is not whole"):
        checkpoints.quantised_graph(loaded)
    loaded.metadata["int8"] = "{}"
    with pytest.raises(WeightsError, match="header does not say what its int8 graph gives"):
        checkpoints.quantised_graph(loaded)


def test_packaged_graph_is_that_of_the_packaged_weights(scene: Scene) -> None:
    pytest.importorskip("openvino")
    loaded = checkpoints.load("asmd-r18")
    found = checkpoints.quantised_graph(loaded)
    assert found is not None
    network, _ = checkpoints.build_network(loaded)
    rgb = scene.frame(3)[None]
    exact = FeatureNetwork(network, CPU, torch.float32, "torch").maps(rgb, None, found.stages, True)
    int8 = FeatureNetwork(network, CPU, None, "openvino", "int8", found).maps(rgb, None, found.stages, True)
    for stage in found.stages:
        assert cosine_similarity(int8[stage].appearance.float(), exact[stage].appearance, dim=1).mean() > 0.97


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("nncf")
    videos(tmp_path / "data")
    monkeypatch.setattr(checkpoints, "build_network", lambda *_: (SpatiotemporalResNet().eval(), []))
    plain = checkpoints.Weights("here", {"a": torch.zeros(2)}, {"who": "me"})
    plain = checkpoints.with_refinement(plain, BoxRefinement(RefinementConfig(projected=4, grid=4, width=8, hidden=16)))
    checkpoints.save(tmp_path / "plain.safetensors", plain.tensors, plain.metadata)
    output = tmp_path / "both.safetensors"
    arguments = ["quantise", "--data", str(tmp_path), "--output", str(output), "--cuts", "4", "--videos.held-out"]
    arguments += ["--videos.sources.0.folder", "data", "--videos.sources.1.folder", "data"]
    arguments += ["--weights", str(tmp_path / "plain.safetensors")]
    assert main(arguments) == 0, capfd.readouterr().err
    made = checkpoints.load(output)
    assert made.metadata["who"] == "me" and '"cuts": 4' in made.metadata["int8"]
    found = checkpoints.quantised_graph(made)
    assert found is not None and found.stages == (2, 3) and len(found.constants) > 1_000_000
    assert {s: tuple(c.shape) for s, c in checkpoints.components(made).items()} == {2: (128, 64), 3: (256, 64)}
    head = checkpoints.build_refinement(made)
    assert head is not None and head.limits is not None and min(head.limits) > 0
    assert main([*arguments, "--cuts", "0"]) == 1
    assert "at least one cut" in capfd.readouterr().err
