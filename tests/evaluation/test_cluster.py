"""The runner on a Ray cluster of this machine."""

from __future__ import annotations

import pytest
from fake_trackers import Drawing, blank_sequence

from asmd.errors import ConfigError
from asmd.evaluation.runner import evaluate

pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)")

SEQUENCES = [blank_sequence(f"s{i}", frames=5) for i in range(6)]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # says a FutureWarning otherwise


def test_two_workers_one_killed_in_mid_run_and_every_sequence_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("DYING", str(tmp_path))
    bad = blank_sequence("bad", frames=5, width=13)
    sequences = [*SEQUENCES[:3], bad, *SEQUENCES[3:]]
    run = evaluate("fake_trackers:Dying", sequences, results=tmp_path / "results", cluster="local", workers=2)
    assert run.failures == ()
    assert run.results.sequences("Dying") == sorted(s.name for s in sequences)
    assert (tmp_path / "try-1").exists(), "no worker was killed: the target was not tracked a second time"


def test_the_boxes_are_those_of_a_run_without_a_cluster_and_what_raises_is_named(tmp_path):
    evaluate(Drawing, SEQUENCES, results=tmp_path / "here")
    evaluate(Drawing, SEQUENCES, results=tmp_path / "ray", cluster="local", workers=2)
    for sequence in SEQUENCES:
        here, there = (tmp_path / where / "Drawing" / f"{sequence.name}.txt" for where in ("here", "ray"))
        assert here.read_text() == there.read_text()


def test_an_address_without_a_cluster_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"--cluster 127\.0\.0\.1:1: "):
        evaluate(Drawing, SEQUENCES, results=tmp_path, cluster="127.0.0.1:1")
