"""Run by the Python that has the other tools: reads a file with a tool's own reader, and prints what it holds as JSON.

Usage: python foreign_readers.py TOOL PATH      (TOOL is cvat, labelstudio, vot or mot)

Prints {target: {frame: [x, y, w, h]}}, frames and boxes counted from 0.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

Boxes = dict[str, dict[int, list[float]]]


def cvat(path: Path) -> Boxes:
    """Datumaro's importer of CVAT's format."""
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(path.parent), "cvat")
    labels = dataset.categories()[next(iter(dataset.categories()))]
    found: Boxes = defaultdict(dict)
    for item in dataset:
        for box in item.annotations:
            if not box.attributes.get("outside"):
                found[labels[box.label].name][int(item.attributes["frame"])] = list(box.get_bbox())
    return found


def labelstudio(path: Path) -> Boxes:
    """The SDK's check of a task against its labelling set-up."""
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(path.with_suffix(".config.xml").read_text())
    [task] = json.loads(path.read_text())
    interface.validate()
    for annotation in task["annotations"]:
        if not interface.validate_annotation(annotation):
            raise SystemExit(f"not valid: {interface.validate_prediction(annotation, return_errors=True)}")
    if not interface.validate_task({"data": task["data"]}):
        raise SystemExit("not a task of this set-up")
    width, height = task["data"]["width"], task["data"]["height"]
    found: Boxes = {}
    for region in task["annotations"][0]["result"]:
        found[region["value"]["labels"][0]] = {
            item["frame"] - 1: [
                item["x"] * width / 100,
                item["y"] * height / 100,
                item["width"] * width / 100,
                item["height"] * height / 100,
            ]
            for item in region["value"]["sequence"]
        }
    return found


def vot(path: Path) -> Boxes:
    """The toolkit's own reader of trajectories."""
    from vot.region import Rectangle
    from vot.region.io import read_trajectory

    found: Boxes = {}
    for folder in sorted(p.parent for p in path.glob("*/groundtruth.txt")):
        regions = read_trajectory(str(folder / "groundtruth.txt"))
        found[folder.name] = {
            n: [r.x, r.y, r.width, r.height] for n, r in enumerate(regions) if isinstance(r, Rectangle) and r.x == r.x
        }
    return found


def mot(path: Path) -> Boxes:
    """TrackEval's own reader of a sequence."""
    import trackeval

    names = (path / "gt" / "labels.txt").read_text().splitlines()
    config = {
        "GT_FOLDER": str(path.parent),
        "TRACKERS_FOLDER": str(path.parent),
        "TRACKERS_TO_EVAL": [],
        "BENCHMARK": "MOT15",
        "SKIP_SPLIT_FOL": True,
        "SEQ_INFO": {path.name: None},
        "DO_PREPROC": False,
        "PRINT_CONFIG": False,
    }
    dataset = trackeval.datasets.MotChallenge2DBox(config)
    raw = dataset._load_raw_file(None, path.name, is_gt=True)
    found: Boxes = defaultdict(dict)
    for frame, (ids, boxes) in enumerate(zip(raw["gt_ids"], raw["gt_dets"], strict=True)):
        for number, box in zip(ids, boxes, strict=True):
            found[names[int(number) - 1]][frame] = [box[0] - 1, box[1] - 1, box[2], box[3]]
    return found


if __name__ == "__main__":
    reader = {"cvat": cvat, "labelstudio": labelstudio, "vot": vot, "mot": mot}[sys.argv[1]]
    plain = {
        n: {int(f): [float(v) for v in b] for f, b in boxes.items()} for n, boxes in reader(Path(sys.argv[2])).items()
    }
    sys.stdout.write("READ " + json.dumps(plain) + "\n")
