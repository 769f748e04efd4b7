"""Our trackers behind TraX, and in the VOT toolkit itself where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

import vot_sample
from test_supervised import toolkit, toolkit_measures, toolkit_workspace

from asmd.datasets import load
from asmd.errors import ConfigError, OutputError
from asmd.evaluation import trajectories
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.runner import evaluate
from asmd.evaluation.spec import TrackerSpec
from asmd.evaluation.supervised import Supervised
from asmd.evaluation.vot import score
from asmd.integrations.vot import write_workspace


def test_over_trax_a_tracker_starts_on_polygons_starts_again_and_answers_as_it_does_here(tmp_path):
    trax = pytest.importorskip("trax", reason="vot-trax is not installed (the extra `vot`)")
    from trax.client import Client

    vot_sample.write(tmp_path, images=True)
    sequence = load("vot", tmp_path)["drift"]
    images = [str(tmp_path / "drift" / "color" / f"{i + 1:08d}.jpg") for i in range(30)]
    command = [sys.executable, "-c", "from asmd.integrations.vot import serve; serve('kcf')"]
    answers = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        client = Client(stream=(process.stdin.fileno(), process.stdout.fileno()), timeout=60, log=lambda _: None)
        assert client.tracker_name == "kcf"
        for start in (0, 20):
            corners = sequence.polygons[start].reshape(4, 2)
            region = trax.Polygon.create([tuple(map(float, corner)) for corner in corners])
            client.initialize({"color": trax.FileImage.create(images[start])}, [(region, {})], {})
            for index in range(start + 1, start + 5):
                objects, _ = client.frame({"color": trax.FileImage.create(images[index])}, {}, [])
                answers.append((objects[0][0].bounds(), objects[0][1]))
        client.quit()
        assert process.wait(timeout=30) == 0
    expected, here = [], TrackerSpec("kcf").build(0)
    for start in (0, 20):
        here.init(sequence.frames[start], sequence.boxes[start])
        expected += [here.update(sequence.frames[index]).box for index in range(start + 1, start + 5)]
    np.testing.assert_allclose([box for box, _ in answers], expected, atol=1e-3)
    assert answers[0][1]["confidence"] == "1.0"


def test_init_adds_a_tracker_and_leaves_others_alone(tmp_path):
    other = "[other]\nlabel = Other\ncommand = x = [1]; run(x)\n# theirs"
    (tmp_path / "trackers.ini").write_text(f"# my trackers\n\n{other}\n")
    write_workspace(tmp_path, TrackerSpec("kcf"))
    weights = tmp_path / "w.bin"
    weights.touch()
    write_workspace(tmp_path, TrackerSpec("kcf", label="quick"), seed=3)
    write_workspace(tmp_path, TrackerSpec("kcf"), seed=4)
    text = (tmp_path / "trackers.ini").read_text()
    assert text.startswith(f"# my trackers\n\n{other}\n")
    assert text.count("[kcf]") == 1 and text.count("[quick]") == 1
    assert "serve('kcf', seed=3)" in text and "serve('kcf', seed=4)" in text
    assert f"python = {sys.executable}" in text


def test_init_sets_up_a_workspace_but_not_over_another(tmp_path):
    write_workspace(tmp_path / "ws", TrackerSpec("kcf"), stack="vot2018/shortterm", sequences=tmp_path / "data")
    config = (tmp_path / "ws" / "config.yaml").read_text()
    assert config == f"registry:\n- ./trackers.ini\nstack: vot2018/shortterm\nsequences: {tmp_path / 'data'}\n"
    with pytest.raises(OutputError, match=r"config\.yaml is there already"):
        write_workspace(tmp_path / "ws", TrackerSpec("kcf"), stack="vot2019/shortterm")


def test_init_refuses_what_the_toolkit_could_not_run(tmp_path):
    with pytest.raises(ConfigError, match="no tracker is called"):
        write_workspace(tmp_path, TrackerSpec("ksf"))
    with pytest.raises(ConfigError, match="cannot be a tracker of the VOT toolkit"):
        write_workspace(tmp_path, TrackerSpec("kcf", label="a.b"))
    assert not list(tmp_path.iterdir())


def test_the_toolkit_tests_and_evaluates_it_as_we_do(tmp_path):
    vot = str(toolkit())
    toolkit_workspace(tmp_path, images=True)
    write_workspace(tmp_path, TrackerSpec("kcf"))
    test = subprocess.run([vot, "test", "kcf"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "Test concluded successfuly" in test.stdout + test.stderr
    subprocess.run([vot, "evaluate", "kcf"], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    theirs, dataset = ResultsFolder(tmp_path / "results"), load("vot", tmp_path / "sequences")
    ours = evaluate("kcf", dataset, results=tmp_path / "ours", experiment=Supervised())
    failures = 0
    for sequence in dataset:
        there, here = (trajectories.read_all(f, "kcf", sequence.name)[0] for f in (theirs, ours.results))
        assert there.same_as(here)
        failures += len(here.where(trajectories.FAILED))
    assert failures > 5
    result = score(ours.results, "kcf", dataset)
    assert (result.accuracy, result.failures, result.eao) == pytest.approx(toolkit_measures(tmp_path, "kcf"), abs=1e-4)
