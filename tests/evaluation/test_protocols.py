"""The registry: every benchmark and toolkit by name, and what a perfect tracker gets from each."""

from __future__ import annotations

import numpy as np
import pytest

from asmd.errors import ConfigError
from asmd.evaluation.protocols import PROTOCOLS, Curve, default_protocol, protocol
from asmd.evaluation.scoring import MEASURES, Counts, pool, score_sequence
from asmd.sequence import Sequence

TRUTH = np.column_stack([np.linspace(10, 60, 40), np.linspace(20, 30, 40), np.full(40, 30.0), np.full(40, 20.0)])

PERFECT = {
    "otb": (20 / 21, 1.0, 1.0),
    "lasot": (20 / 21, 1.0, 1.0),
    "uav123": (20 / 21, 1.0, 1.0),
    "got10k": (100 / 101, 1.0, 1.0),
    "trackingnet": (1.0, 1.0, 1.0),
}


def test_names_are_benchmark_at_toolkit() -> None:
    assert set(PERFECT) <= set(PROTOCOLS)
    for name, entry in PROTOCOLS.items():
        assert entry.name == name
        assert name.split("@")[0] in PERFECT
        assert set(entry.measures) <= set(MEASURES)
        assert entry.summary and "\n" not in entry.summary


def test_no_two_protocols_are_the_same_rules() -> None:
    rules = {name: str({**vars(p), "name": "", "summary": ""}) for name, p in PROTOCOLS.items()}
    same = [(a, b) for a in rules for b in rules if a < b and rules[a] == rules[b]]
    assert not same


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_annotation_against_itself(name: str) -> None:
    rules = PROTOCOLS[name]
    sequence = Sequence("s", (), TRUTH, meta={"resolution": "(640, 480)"})
    counts = score_sequence(rules, sequence, [TRUTH])
    measures = pool(rules, Counts.stack([counts], axis=1), ["thing"]).measures(rules)
    auc, precision, normalised = PERFECT[name.split("@")[0]]
    assert measures["auc"][0] == pytest.approx(auc)
    assert measures["precision"][0] == pytest.approx(precision)
    assert measures["normalised_precision"][0] == pytest.approx(normalised)
    assert measures["ao"][0] == pytest.approx(1.0)


def test_an_unknown_name_suggests_the_nearest() -> None:
    assert protocol("otb@pysot") is PROTOCOLS["otb@pysot"]
    assert protocol(PROTOCOLS["lasot"]) is PROTOCOLS["lasot"]
    with pytest.raises(ConfigError, match=r"no protocol 'lasott'; did you mean 'lasot'\?"):
        protocol("lasott")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("otb50", "otb"),
        ("lasot", "lasot"),
        ("uav123_10fps", "uav123"),
        ("uav20l", "uav123"),
        ("trackingnet", "trackingnet"),
        ("got10k", "got10k"),
        ("GOT-10k", "got10k"),
        ("folder", "otb"),
    ],
)
def test_a_data_set_has_its_own_protocol(dataset: str, expected: str) -> None:
    assert default_protocol(dataset).name == expected


def test_curves() -> None:
    curve = Curve(1.0, 5, strict=True, figure="mean")
    np.testing.assert_allclose(curve.thresholds, [0, 0.25, 0.5, 0.75, 1])
    heights = np.array([1.0, 1.0, 0.5, 0.5, 0.0])
    assert curve.read(heights) == pytest.approx(0.6)
    assert Curve(1.0, 5, True, "area").read(heights) == pytest.approx((1 + 0.75 + 0.5 + 0.25) / 4)
    assert Curve(1.0, 5, True, 0.75).read(heights) == pytest.approx(0.5)
    assert Curve(50.0, 51, False, 20.0).index(20.0) == 20
