"""Label Studio video JSON: a list of tasks, of which one is read and written; a `videorectangle` for each target.

Boxes are in percent of the video's size, frames are counted from 1, and `enabled` says whether a box stays until the
next frame listed. The labelling set-up that the file needs in Label Studio is written beside it, under the same name
with `.config.xml`. What Label Studio has no key for is under keys of our own, which it leaves alone.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np

from asmd.convert.annotation import Annotation, Target, finite_or_none, interpolated
from asmd.errors import ResultsError
from asmd.evaluation.results import write_atomic


def label_config(annotation: Annotation) -> str:
    """The labelling set-up: a video, its rectangles, and a label for each target."""
    view = ET.Element("View")
    labels = ET.SubElement(view, "Labels", name="labels", toName="video")
    for target in annotation.targets:
        label = ET.SubElement(labels, "Label", value=target.name)
        if target.colour:
            label.set("background", target.colour)
    video = ET.SubElement(view, "Video", name="video", value="$video")
    if annotation.fps:
        video.set("frameRate", repr(annotation.fps))
    ET.SubElement(view, "VideoRectangle", name="box", toName="video")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the file, and its labelling set-up beside it.

    Raises:
        OutputError: if they cannot be written.
    """
    assert annotation.size is not None
    result = [_region(annotation, target, n) for n, target in enumerate(annotation.targets, 1)]
    data = {"video": annotation.name, "width": annotation.size[0], "height": annotation.size[1], "fps": annotation.fps}
    task = {"id": 1, "data": data, "annotations": [{"result": result}]}
    config = path.with_suffix(".config.xml")
    write_atomic(config, label_config(annotation))
    write_atomic(path, json.dumps([task], indent=1) + "\n")
    return [path, config]


def _region(annotation: Annotation, target: Target, number: int) -> dict[str, Any]:
    assert annotation.size is not None
    percent = target.boxes / np.tile(annotation.size, 2) * 100
    there = target.there
    sequence = []
    for frame in np.flatnonzero(there).tolist():
        x, y, width, height = percent[frame].tolist()
        item = {
            "frame": frame + 1,
            "enabled": bool(frame + 1 < annotation.frames and there[frame + 1]),
            "rotation": 0,
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "time": frame / annotation.fps if annotation.fps else 0.0,
            "score": finite_or_none(target.scores[frame]),
            "status": target.status[frame],
            "drawn": bool(target.drawn[frame]),
            "seconds": finite_or_none(target.seconds[frame]),
        }
        sequence.append(item)
    value = {
        "framesCount": annotation.frames,
        "duration": annotation.frames / annotation.fps if annotation.fps else 0.0,
        "sequence": sequence,
        "labels": [target.name],
        "colour": target.colour,
    }
    return {
        "id": f"target-{number}",
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "origin": "manual",
        "value": value,
    }


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read a file of one task; boxes between the frames listed are interpolated, as Label Studio does.

    Args:
        path: the file.
        size: (width, height) of the video, where the file does not say: Label Studio's own do not.
        fps: frames a second, where the file does not say.

    Raises:
        ResultsError: if it is malformed, holds several tasks, or the size is not known.
    """
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")), size, fps, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{path}: no Label Studio video task ({type(error).__name__}: {error})") from error


def _read(tasks: Any, size: tuple[int, int] | None, fps: float | None, path: Path) -> Annotation:
    if not isinstance(tasks, list) or len(tasks) != 1:
        raise ResultsError(f"{path}: a list of one task is read, and this is none")
    data = tasks[0]["data"]
    if data.get("width") and data.get("height"):
        size = (int(data["width"]), int(data["height"]))
    if size is None:
        raise ResultsError(f"{path}: boxes are in percent of the video's size, which it does not say; name the size")
    done = [a for a in tasks[0].get("annotations") or tasks[0].get("predictions") or [] if not a.get("was_cancelled")]
    regions = [r for r in (done[0]["result"] if done else []) if r["type"] == "videorectangle"]
    frames = max(
        (
            int(n)
            for r in regions
            for n in (r["value"].get("framesCount") or 0, *(i["frame"] for i in r["value"]["sequence"]))
        ),
        default=0,
    )
    targets: list[Target] = []
    for region in regions:
        label = name = str((region["value"].get("labels") or [region["id"]])[0])
        if any(t.name == name for t in targets):
            name = f"{label} {region['id']}"
        targets.append(_target(name, region["value"], size, frames))
    name = str(data.get("video") or path.stem)
    return Annotation(tuple(targets), frames, size, data.get("fps") or fps, name)


def _target(name: str, value: Any, size: tuple[int, int], frames: int) -> Target:
    listed: dict[int, tuple[Any, bool]] = {}
    scores, drawn, status = np.full(frames, np.nan), np.zeros(frames, dtype=bool), [""] * frames
    seconds = np.full(frames, np.nan)
    for item in value["sequence"]:
        frame = int(item["frame"]) - 1
        percent = np.array([item["x"], item["y"], item["width"], item["height"]], dtype=np.float64)
        listed[frame] = (percent / 100 * np.tile(size, 2), bool(item.get("enabled", True)))
        scores[frame] = np.nan if item.get("score") is None else item["score"]
        seconds[frame] = np.nan if item.get("seconds") is None else item["seconds"]
        status[frame], drawn[frame] = str(item.get("status") or ""), bool(item.get("drawn", True))
    boxes = interpolated(listed, frames)
    last = max(listed, default=0)
    if listed and listed[last][1]:
        boxes[last:] = boxes[last]  # a box that stays does so to the end
    return Target(name, boxes, scores, tuple(status), drawn, seconds, str(value.get("colour") or ""))
