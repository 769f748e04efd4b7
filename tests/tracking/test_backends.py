"""The network gives the same in every runtime, and says so where one is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from moving_scene import Scene
from torch.nn.functional import cosine_similarity

from asmd import compiled
from asmd.errors import ConfigError
from asmd.models.baselines import BACKBONES
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig
from asmd.tracking import network as networks
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import FeatureConfig
from asmd.tracking.network import FeatureNetwork, choose_backend
from asmd.tracking.openvino_network import CompiledGraph, load_openvino
from asmd.tracking.tracker import Tracker

CPU = torch.device("cpu")


def images(motion: bool, size: tuple[int, int], count: int = 1) -> tuple[np.ndarray, np.ndarray | None]:
    draw = np.random.default_rng(0)
    rgb = draw.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return rgb, draw.normal(size=(count, *size, 10)).astype(np.float32) if motion else None


@pytest.mark.parametrize(
    ("config", "motion", "unit", "stages"),
    [
        (STResNetConfig(), False, True, (2, 3)),
        (STResNetConfig(), True, False, (4,)),
        (STResNetConfig(links="block", fusion="multiply"), True, True, (1, 3)),
        (STResNetConfig(dilate_layer4=True), False, False, (4,)),
    ],
)
def test_openvino_computes_what_torch_does(
    config: STResNetConfig, motion: bool, unit: bool, stages: tuple[int, ...]
) -> None:
    pytest.importorskip("openvino")
    torch.manual_seed(0)
    network = SpatiotemporalResNet(config).eval()
    rgb, flow = images(motion, (81, 97), 2)
    ours, theirs = (
        FeatureNetwork(network, CPU, torch.float32, backend).maps(rgb, flow, stages, unit)
        for backend in ("openvino", "torch")  # type: ignore[arg-type]
    )
    assert list(ours) == list(theirs) == list(stages)
    for stage in stages:
        for got, wanted in zip(ours[stage], theirs[stage], strict=True):
            if got is None or wanted is None:
                assert got is wanted
            else:
                assert torch.allclose(got, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_openvino_keeps_close_in_the_fast_type(network: SpatiotemporalResNet, scene: Scene) -> None:
    pytest.importorskip("openvino")
    rgb = scene.frame(0)[None]
    fast = FeatureNetwork(network, CPU, torch.bfloat16, "openvino").maps(rgb, None, (2, 3), True)
    exact = FeatureNetwork(network, CPU, torch.float32, "torch").maps(rgb, None, (2, 3), True)
    for stage in (2, 3):
        got = fast[stage].appearance
        assert got.dtype == torch.bfloat16
        assert (cosine_similarity(got.float(), exact[stage].appearance, dim=1) > 0.99).all()


def test_one_graph_takes_every_size_and_does_not_write_over_what_it_gave(network: SpatiotemporalResNet) -> None:
    pytest.importorskip("openvino")
    runner = FeatureNetwork(network, CPU, torch.float32, "openvino")
    rgb, _ = images(False, (65, 65))
    first = runner.maps(rgb, None, (2,))[2].appearance
    kept = first.clone()
    other = runner.maps(images(False, (97, 129), 2)[0], None, (2,))[2].appearance
    runner.maps(255 - rgb, None, (2,))
    assert other.shape == (2, 128, 13, 17)
    assert torch.equal(first, kept)
    assert torch.equal(runner.maps(rgb, None, (2,))[2].appearance, kept)


def test_boxes_are_the_same_on_every_run(network: SpatiotemporalResNet, scene: Scene) -> None:
    pytest.importorskip("openvino")
    config = TrackerConfig(features=FeatureConfig(region_size=129, backend="openvino"))
    runs = []
    for _ in range(2):
        tracker = Tracker(network, config, seed=3)
        tracker.init(scene.frame(0), scene.box(0))
        runs.append([tracker.update(scene.frame(t)).box for t in range(1, 6)])
    np.testing.assert_array_equal(*runs)


def test_without_openvino(monkeypatch: pytest.MonkeyPatch, network: SpatiotemporalResNet) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(networks, "installed", lambda: False)
    assert FeatureNetwork(network, CPU).backend == "torch"
    with pytest.raises(ConfigError, match=r"openvino needs it: pip install 'asmd\[openvino\]'"):
        FeatureNetwork(network, CPU, backend="openvino")


def test_without_numba(monkeypatch: pytest.MonkeyPatch, network: SpatiotemporalResNet, scene: Scene) -> None:
    """The same to rounding, in float32 and from one seed; scores tell that another code was run."""
    pytest.importorskip("numba")
    config = TrackerConfig(features=FeatureConfig(region_size=129, backend="torch"))
    monkeypatch.setattr(networks, "fast_dtype", lambda device: torch.float32)
    runs = []
    for there in (True, False):
        monkeypatch.setattr(compiled, "available", lambda there=there: there)
        tracker = Tracker(network, config, seed=3)
        tracker.init(scene.frame(0), scene.box(0))
        runs.append([tracker.update(scene.frame(t)) for t in range(1, 4)])
    boxes, scores = (np.array([[getattr(r, name) for r in run] for run in runs]) for name in ("box", "score"))
    np.testing.assert_allclose(*boxes, atol=0.5)
    np.testing.assert_allclose(*scores, atol=0.02)
    assert not np.array_equal(*scores)


def test_what_openvino_does_not_run() -> None:
    cuda = torch.device("cuda")
    assert choose_backend("auto", cuda) == "torch"
    with pytest.raises(ConfigError, match="runs on the CPU, not on cuda"):
        choose_backend("openvino", cuda)
    form = BACKBONES["vgg-m"]
    assert choose_backend("auto", CPU, form) == "torch"
    pytest.importorskip("openvino")
    assert choose_backend("auto", CPU) == "openvino"
    with pytest.raises(ConfigError, match="not vgg-m"):
        choose_backend("openvino", CPU, form)


def test_openvino_is_loaded_without_its_telemetry() -> None:
    pytest.importorskip("openvino")
    code = "from asmd.tracking.openvino_network import load_openvino as l; l(); import sys; "
    code += "print(sys.modules['openvino_telemetry'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "None"


_LET_GO = """
import signal, subprocess, threading
import torch
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.network import FeatureNetwork
signal.signal(signal.SIGCHLD, lambda *_: None)
kept = [FeatureNetwork(SpatiotemporalResNet().eval(), torch.device("cpu"), torch.float32, "openvino")]
kept[0].prepare((2,), False, True)
thread = threading.Thread(target=kept.clear)
thread.start()
thread.join()
for _ in range(20):
    subprocess.run(["true"], check=True)
print("alive")
"""


def test_a_network_that_another_thread_lets_go_leaves_signals_alone() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", _LET_GO], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


_FIRST_RUNS = """
import builtins, os, threading, time
import torch
from asmd.tracking.openvino_network import CompiledGraph, load_openvino
op = load_openvino().opset13
given = op.parameter([2, 2])
graph = CompiledGraph(load_openvino().Model([op.relu(given)], [given], "relu"), 1, torch.float32)
plain = builtins.__import__

def slowly(name, *rest, **named):  # the other thread comes in between
    if "multiarray" in name:
        time.sleep(0.2)
    return plain(name, *rest, **named)

builtins.__import__ = slowly
threads = [threading.Thread(target=graph.run, args=[torch.zeros(2, 2)]) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("alive")
"""


def test_two_threads_may_run_their_first_graph_at_the_same_time() -> None:
    """OpenVINO's bindings used to lock each other out for good where both asked for a type of NumPy's."""
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", _FIRST_RUNS], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_a_graph_runs_in_inference_mode_and_out_of_it() -> None:
    pytest.importorskip("openvino")
    op = load_openvino().opset13
    given = op.parameter([2, 2])
    graph = CompiledGraph(load_openvino().Model([op.relu(given)], [given], "relu"), 1, torch.float32)
    with torch.inference_mode():
        assert graph.run(torch.tensor([[1.0, -1], [2, -2]]))[0].tolist() == [[1, 0], [2, 0]]
    assert graph.run(torch.full((2, 2), 3, dtype=torch.bfloat16))[0].tolist() == [[3, 3], [3, 3]]
