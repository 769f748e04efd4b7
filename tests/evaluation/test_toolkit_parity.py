"""The same boxes through the GOT-10k toolkit's own experiments: equal to 1e-6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asmd.evaluation.protocols import PROTOCOLS
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.scoring import Counts, each, pool, score_sequence
from asmd.sequence import Sequence

got10k = pytest.importorskip("got10k.experiments", reason="the GOT-10k toolkit (got10k 0.1.3, six) is not installed")

NAMES = [f"seq-{i}" for i in range(6)]


class ToolkitDataset(list[Any]):
    """What the toolkit's experiments ask of its data sets."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.seq_names = NAMES
        self.return_meta = True

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(NAMES.index(key) if isinstance(key, str) else key)


def make_sequences(kind: str) -> list[Sequence]:
    rng = np.random.default_rng(7)
    sequences = []
    for name in NAMES:
        length = int(rng.integers(20, 90))
        centre = np.cumsum(rng.normal(0, 4, (length, 2)), axis=0) + 60
        boxes = np.column_stack([centre, rng.uniform(15, 60, (length, 2))])
        boxes[::3] = boxes[::3].round()  # whole pixels make ties at the thresholds
        if kind == "uav":
            boxes[rng.random(length) < 0.2] = np.nan
            boxes[0] = [50, 50, 30, 30]
        cover = rng.integers(0, 9, length)
        sequences.append(Sequence(name, (), boxes, cover=cover, meta={"resolution": "(140, 110)"}))
    return sequences


def make_runs(sequences: list[Sequence], folder: Path, repeats: int) -> dict[str, list[np.ndarray]]:
    """Boxes that drift from the annotation, some exactly on it, written as the toolkit writes them."""
    rng = np.random.default_rng(11)
    runs: dict[str, list[np.ndarray]] = {}
    for sequence in sequences:
        runs[sequence.name] = []
        for repeat in range(repeats):
            drift = np.cumsum(rng.normal(0, 2, (len(sequence), 4)), axis=0)
            boxes = np.nan_to_num(sequence.boxes, nan=40.0) + np.where(rng.random((len(sequence), 1)) < 0.2, 0, drift)
            boxes[:, 2:] = np.maximum(boxes[:, 2:], 1.0)
            boxes[::3] = boxes[::3].round()
            path = folder / (
                f"{sequence.name}/{sequence.name}_{repeat + 1:03d}.txt" if repeats > 1 else f"{sequence.name}.txt"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(path, boxes, fmt="%.3f", delimiter=",")
            runs[sequence.name].append(boxes)
    return runs


@pytest.mark.parametrize(
    ("experiment", "name", "kind"), [("OTB", "otb@got10k", "otb"), ("UAV123", "uav123@got10k", "uav")]
)
def test_otb_style_experiments(tmp_path: Path, experiment: str, name: str, kind: str) -> None:
    sequences = make_sequences(kind)
    make_runs(sequences, tmp_path / "results/noisy", 1)
    toolkit = object.__new__(getattr(got10k, f"Experiment{experiment}"))
    toolkit.dataset = ToolkitDataset([([], s.boxes.copy()) for s in sequences])
    toolkit.result_dir, toolkit.report_dir = str(tmp_path / "results"), str(tmp_path / "reports")
    toolkit.nbins_iou, toolkit.nbins_ce = 21, 51
    toolkit.plot_curves = lambda names: None
    theirs = toolkit.report(["noisy"])["noisy"]

    rules, folder = PROTOCOLS[name], ResultsFolder(tmp_path / "results")
    counts = Counts.stack([score_sequence(rules, s, [folder.read("noisy", s.name).boxes]) for s in sequences], axis=1)
    overall = pool(rules, counts)
    np.testing.assert_allclose(overall.success[0], theirs["overall"]["success_curve"], atol=1e-6)
    np.testing.assert_allclose(overall.precision[0], theirs["overall"]["precision_curve"], atol=1e-6)
    ours = overall.measures(rules)
    assert ours["auc"][0] == pytest.approx(theirs["overall"]["success_score"], abs=1e-6)
    assert ours["precision"][0] == pytest.approx(theirs["overall"]["precision_score"], abs=1e-6)
    assert ours["sr50"][0] == pytest.approx(theirs["overall"]["success_rate"], abs=1e-6)
    for index, sequence in enumerate(sequences):
        per_sequence = each(counts[:, index]).measures(rules)
        assert per_sequence["auc"][0] == pytest.approx(theirs["seq_wise"][sequence.name]["success_score"], abs=1e-6)
        assert per_sequence["precision"][0] == pytest.approx(
            theirs["seq_wise"][sequence.name]["precision_score"], abs=1e-6
        )


def test_got10k_experiment(tmp_path: Path) -> None:
    sequences = make_sequences("got10k")
    make_runs(sequences, tmp_path / "results/noisy", 3)
    for sequence in sequences:  # without times 0.1.3 stops on a variable that it never set
        times = tmp_path / "results/noisy" / sequence.name / f"{sequence.name}_time.txt"
        np.savetxt(times, np.full((len(sequence), 3), 0.1), fmt="%.8f", delimiter=",")
    toolkit = object.__new__(got10k.ExperimentGOT10k)
    toolkit.subset, toolkit.nbins_iou = "val", 101
    meta = [{"resolution": "(140, 110)", "cover": s.cover} for s in sequences]
    toolkit.dataset = ToolkitDataset([([], s.boxes.copy(), m) for s, m in zip(sequences, meta, strict=True)])
    toolkit.result_dir, toolkit.report_dir = str(tmp_path / "results"), str(tmp_path / "reports")
    toolkit.plot_curves = lambda files, names: None
    theirs = toolkit.report(["noisy"])["noisy"]

    rules, folder = PROTOCOLS["got10k"], ResultsFolder(tmp_path / "results")
    counts = Counts.stack(
        [score_sequence(rules, s, [folder.read("noisy", s.name, r).boxes for r in (1, 2, 3)]) for s in sequences],
        axis=1,
    )
    # The toolkit pools the frames of all repeats; they have as many each, so the mean over repeats is the same.
    overall = pool(rules, counts)
    assert overall.overlap.mean() == pytest.approx(theirs["overall"]["ao"], abs=1e-6)
    assert overall.measures(rules)["sr50"].mean() == pytest.approx(theirs["overall"]["sr"], abs=1e-6)
    np.testing.assert_allclose(overall.success.mean(axis=0), theirs["overall"]["succ_curve"], atol=1e-6)
    for index, sequence in enumerate(sequences):
        per_sequence = each(counts[:, index]).overlap.mean()
        assert per_sequence == pytest.approx(theirs["seq_wise"][sequence.name]["ao"], abs=1e-6)
