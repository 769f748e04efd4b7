"""Our trackers, run by the GOT-10k toolkit itself."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("got10k.experiments", reason="the GOT-10k toolkit (got10k 0.1.3, six) is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

from fake_trackers import Drawing, Nothing
from got10k.experiments import ExperimentGOT10k, ExperimentOTB

from asmd.datasets import load
from asmd.evaluation.runner import evaluate
from asmd.integrations.got10k import Got10kTracker


def _film(folder: Path, pattern: str, frames: int = 12) -> np.ndarray:
    """A patch that moves over noise; the boxes, 0-based."""
    random = np.random.default_rng(frames)
    background = cv2.GaussianBlur(random.integers(0, 255, (90, 120, 3), dtype=np.uint8), (0, 0), 3)
    patch = random.integers(0, 255, (24, 30, 3), dtype=np.uint8)
    boxes = np.array([[20.0 + 3 * i, 15.0 + 2 * i, 30.0, 24.0] for i in range(frames)])
    folder.mkdir(parents=True)
    for i, (x, y, w, h) in enumerate(boxes.astype(int)):
        frame = background.copy()
        frame[y : y + h, x : x + w] = patch
        cv2.imwrite(str(folder / (pattern % (i + 1))), frame)
    return boxes


def _got10k(root: Path) -> None:
    for name, frames in (("GOT-10k_Val_000001", 12), ("GOT-10k_Val_000002", 9)):
        folder = root / "val" / name
        boxes = _film(folder, "%08d.jpg", frames)
        np.savetxt(folder / "groundtruth.txt", boxes, fmt="%.4f", delimiter=",")
        for label in ("absence", "cut_by_image", "cover"):
            (folder / f"{label}.label").write_text(("8\n" if label == "cover" else "0\n") * frames)
        meta = {
            "url": "u",
            "begin": "0",
            "end": "1",
            "anno_fps": "10Hz",
            "object_class": "patch",
            "motion_class": "slide",
        }
        meta |= {"major_class": "patch", "root_class": "object", "motion_adverb": "no", "resolution": "(120, 90)"}
        text = "[METAINFO]\n" + "".join(f"{key}: {value}\n" for key, value in meta.items())
        (folder / "meta_info.ini").write_text(text)
    (root / "val" / "list.txt").write_text("GOT-10k_Val_000001\nGOT-10k_Val_000002\n")


def _results(folder: Path, tracker: str) -> dict[str, np.ndarray]:
    return {p.stem: np.loadtxt(p, delimiter=",") for p in sorted((folder / tracker).rglob("*_00?.txt"))}


def test_kcf_runs_in_the_got10k_experiment_as_it_runs_here(tmp_path, capsys):
    _got10k(tmp_path / "data")
    tracker = Got10kTracker("kcf", is_deterministic=True)
    experiment = ExperimentGOT10k(
        str(tmp_path / "data"), subset="val", result_dir=str(tmp_path / "r"), report_dir=str(tmp_path / "p")
    )
    experiment.run(tracker)
    theirs = _results(tmp_path / "r" / "GOT-10k", "kcf")
    dataset = load("got10k:val", tmp_path / "data").select(["GOT-10k_Val_000001", "GOT-10k_Val_000002"])
    run = evaluate("kcf", dataset)
    for sequence in dataset:
        ours = run.results.read("kcf", sequence.name).boxes
        np.testing.assert_allclose(theirs[f"{sequence.name}_001"], ours, atol=1e-3)
        assert np.abs(ours[-1] - sequence.boxes[-1]).max() < 8, "it did not track at all"


def test_repeats_differ_and_are_the_same_another_time(tmp_path, capsys):
    _got10k(tmp_path / "data")
    runs = []
    for attempt in ("a", "b"):
        tracker = Got10kTracker(Drawing, seed=3)
        ExperimentGOT10k(
            str(tmp_path / "data"), subset="val", result_dir=str(tmp_path / attempt), report_dir=str(tmp_path / "p")
        ).run(tracker)
        runs.append(_results(tmp_path / attempt / "GOT-10k", "Drawing"))
    assert len(runs[0]) == 6
    first, second = (runs[0][f"GOT-10k_Val_000001_00{n}"] for n in (1, 2))
    assert not np.array_equal(first, second)
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_it_runs_and_reports_in_the_otb_experiment(tmp_path, capsys):
    root = tmp_path / "data"
    for name in ("Basketball", "Biker"):
        boxes = _film(root / name / "img", "%04d.jpg")
        np.savetxt(root / name / "groundtruth_rect.txt", boxes + np.array([1, 1, 0, 0]), fmt="%d", delimiter="\t")
    places = {"result_dir": str(tmp_path / "r"), "report_dir": str(tmp_path / "p")}
    experiment = ExperimentOTB.__new__(ExperimentOTB)  # its constructor wants all the sequences and would download them
    from got10k.datasets import OTB

    dataset = OTB.__new__(OTB)
    dataset.anno_files = [str(root / name / "groundtruth_rect.txt") for name in ("Basketball", "Biker")]
    dataset.seq_dirs, dataset.seq_names = [str(root / n) for n in ("Basketball", "Biker")], ["Basketball", "Biker"]
    experiment.dataset, experiment.nbins_iou, experiment.nbins_ce = dataset, 21, 51
    experiment.result_dir, experiment.report_dir = places["result_dir"], places["report_dir"]
    experiment.run(Got10kTracker("kcf", name="ours"))
    performance = experiment.report(["ours"])
    assert performance["ours"]["overall"]["success_score"] > 0.5


def test_a_frame_without_a_box_repeats_the_last_one():
    from PIL import Image

    tracker = Got10kTracker(Nothing)
    image = Image.new("L", (40, 30))
    tracker.init(image, [1, 2, 10, 8])
    np.testing.assert_array_equal(tracker.update(image), [1, 2, 10, 8])
