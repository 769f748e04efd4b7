"""Our files through the readers of the tools that they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from asmd import convert
from asmd.convert import Annotation, Target

READERS = Path(sys.prefix) / "readers"
SCRIPT = Path(__file__).parent / "foreign_readers.py"


@pytest.fixture
def annotation() -> Annotation:
    """A dog that is hidden on frame 3, and a cat that comes on frame 1."""
    rng = np.random.default_rng(0)
    boxes = np.round(rng.uniform(5, 100, (6, 4)), 2)
    dog, cat = boxes.copy(), boxes[::-1].copy()
    dog[3] = cat[0] = np.nan
    targets = (Target("dog", dog, colour="#ff0000"), Target("cat", cat, np.linspace(0.1, 1, 6), colour="#00ff00"))
    return Annotation(targets, 6, (640, 480), 25.0, "clip")


def assert_read(read: dict[str, dict[str, list[float]]], annotation: Annotation, tolerance: float) -> None:
    assert sorted(read) == sorted(t.name for t in annotation.targets)
    for target in annotation.targets:
        assert sorted(map(int, read[target.name])) == np.flatnonzero(target.there).tolist()
        for frame, box in read[target.name].items():
            np.testing.assert_allclose(box, target.boxes[int(frame)], atol=tolerance)


@pytest.mark.parametrize(
    ("tool", "format", "place", "tolerance"),
    [
        ("cvat", "cvat", "annotations.xml", 0.011),  # Datumaro rounds to two decimals
        ("labelstudio", "labelstudio", "tasks.json", 1e-6),
        ("vot", "vot", "vot", 1e-4),
        ("mot", "mot", "clip", 1e-6),
    ],
)
def test_their_readers(
    tool: str, format: str, place: str, tolerance: float, annotation: Annotation, tmp_path: Path
) -> None:
    if not READERS.is_dir():
        pytest.skip("the other tools are not here: `make readers` installs them")
    convert.write(annotation, tmp_path / place, format)
    command = [sys.executable, str(SCRIPT), tool, str(tmp_path / place)]
    environment = {**os.environ, "PYTHONPATH": str(READERS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    line = next((x for x in done.stdout.splitlines() if x.startswith("READ ")), None)
    assert line is not None, done.stderr[-2000:] + done.stdout[-500:]
    assert_read(json.loads(line.removeprefix("READ ")), annotation, tolerance)


def test_pycocotools(annotation: Annotation, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    convert.write(annotation, tmp_path / "a.json", "coco")
    read = coco.COCO(str(tmp_path / "a.json"))
    found: dict[str, dict[str, list[float]]] = {c["name"]: {} for c in read.loadCats(read.getCatIds())}
    for item in read.loadAnns(read.getAnnIds()):
        name, image = read.loadCats(item["category_id"])[0]["name"], read.loadImgs(item["image_id"])[0]
        found[name][str(image["frame_index"])] = item["bbox"]
        assert item["area"] == pytest.approx(item["bbox"][2] * item["bbox"][3])
    assert_read(found, annotation, 1e-9)


def test_got10k_toolkit(annotation: Annotation, tmp_path: Path) -> None:
    datasets = pytest.importorskip("got10k.datasets", reason="the GOT-10k toolkit (got10k 0.1.3, six) is not installed")
    convert.write(annotation, tmp_path, "got10k")
    for name in ("dog", "cat"):
        for number in range(1, 7):
            cv2.imwrite(str(tmp_path / "val" / name / f"{number:08d}.jpg"), np.zeros((8, 8, 3), np.uint8))
    read = datasets.GOT10k(str(tmp_path), subset="val", return_meta=True)
    assert read.seq_names == ["dog", "cat"]
    for target, (images, boxes, meta) in zip(annotation.targets, read, strict=True):
        assert len(images) == 6
        np.testing.assert_allclose(boxes[target.there], target.boxes[target.there], atol=1e-6)
        assert (meta["absence"] == ~target.there).all()
        assert (meta["cover"] == np.where(target.there, 8, 0)).all()
        assert meta["resolution"] == "(640, 480)"


def test_otb_rows_as_toolkits_read_them(annotation: Annotation, tmp_path: Path) -> None:
    """With numpy, comma between values, counted from 1."""
    convert.write(annotation, tmp_path / "otb", "otb")
    for target in annotation.targets:
        rows = np.loadtxt(tmp_path / "otb" / f"{target.name}.txt", delimiter=",")
        np.testing.assert_allclose(rows, target.boxes + np.array([1, 1, 0, 0]), atol=1e-6)
