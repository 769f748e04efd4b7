"""CVAT video XML 1.1 ("CVAT for video"): a track for each target, a box for each frame.

Where a target goes, CVAT wants its last box once more with `outside="1"`. Every box is a key frame, so that CVAT draws
no lines between them; who drew a box is an attribute, as are score and status. A box of a lost frame is `occluded`.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from asmd.convert.annotation import Annotation, Target, interpolated
from asmd.errors import ResultsError
from asmd.evaluation.results import write_atomic
from asmd.tracking.result import Status

_ATTRIBUTES = {"score": "text", "status": "select", "drawn": "checkbox"}


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the file.

    Raises:
        OutputError: if it cannot be written.
    """
    root = ET.Element("annotations")
    _add(root, "version", "1.1")
    _add_meta(root, annotation)
    for number, target in enumerate(annotation.targets):
        track = ET.SubElement(root, "track", id=str(number), label=target.name, source="manual")
        for frame, shown in _frames(target):
            _add_box(track, target, frame, shown)
    ET.indent(root)
    write_atomic(path, ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
    return [path]


def _frames(target: Target) -> Iterator[tuple[int, bool]]:
    """Frames to list, and whether the target is seen on them."""
    before = False
    for frame, there in enumerate(target.there.tolist()):
        if there or before:
            yield frame, there
        before = there


def _add_box(track: ET.Element, target: Target, frame: int, shown: bool) -> None:
    at = frame if shown else frame - 1
    x, y, w, h = target.boxes[at].tolist()
    box = ET.SubElement(
        track,
        "box",
        frame=str(frame),
        outside=str(int(not shown)),
        occluded=str(int(target.status[at] == Status.LOST)),
        keyframe="1",
        xtl=repr(x),
        ytl=repr(y),
        xbr=repr(x + w),
        ybr=repr(y + h),
        z_order="0",
    )
    score = float(target.scores[at])
    values = {
        "score": "" if math.isnan(score) else repr(score),
        "status": target.status[at] or "unknown",
        "drawn": "true" if shown and target.drawn[at] else "false",
    }
    for name, value in values.items():
        ET.SubElement(box, "attribute", name=name).text = value


def _add_meta(root: ET.Element, annotation: Annotation) -> None:
    assert annotation.size is not None
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    _add(task, "name", annotation.name)
    _add(task, "size", str(annotation.frames))
    _add(task, "mode", "interpolation")
    _add(task, "overlap", "0")
    _add(task, "start_frame", "0")
    _add(task, "stop_frame", str(max(0, annotation.frames - 1)))
    labels = ET.SubElement(task, "labels")
    for target in annotation.targets:
        label = ET.SubElement(labels, "label")
        _add(label, "name", target.name)
        _add(label, "color", target.colour)
        _add(label, "type", "rectangle")
        attributes = ET.SubElement(label, "attributes")
        for name, kind in _ATTRIBUTES.items():
            attribute = ET.SubElement(attributes, "attribute")
            choices = {"status": "\n".join(["unknown", *(s.value for s in Status)]), "drawn": "false"}
            default = {"status": "unknown", "drawn": "false"}.get(name, "")
            for key, value in (
                ("name", name),
                ("mutable", "True"),
                ("input_type", kind),
                ("default_value", default),
                ("values", choices.get(name, "")),
            ):
                _add(attribute, key, value)
    size = ET.SubElement(task, "original_size")
    _add(size, "width", str(annotation.size[0]))
    _add(size, "height", str(annotation.size[1]))


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read a file; boxes between key frames are interpolated, as CVAT does.

    Args:
        path: the file.
        size: (width, height), where the file does not say.
        fps: frames a second; CVAT's files do not say.

    Raises:
        ResultsError: if it is malformed.
    """
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text[:4096] or b"<!ENTITY" in text:
            raise ResultsError(f"{path}: a document type or entity, which CVAT does not write, is refused")
        return _read(ET.fromstring(text), size, fps, path)
    except (ET.ParseError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{path}: no CVAT annotation of a video ({error})") from error


def _read(root: ET.Element, size: tuple[int, int] | None, fps: float | None, path: Path) -> Annotation:
    if root.tag != "annotations" or root.find("image") is not None:
        raise ResultsError(f"{path}: no CVAT annotation of a video; one of images cannot be read")
    task = root.find("meta/task") if root.find("meta/task") is not None else root.find("meta/job")
    said = ET.Element("task") if task is None else task
    colours = {label.findtext("name"): label.findtext("color") or "" for label in said.iterfind("labels/label")}
    width, height = said.findtext("original_size/width"), said.findtext("original_size/height")
    if width and height:
        size = (int(width), int(height))
    tracks = root.findall("track")
    last = max((int(box.attrib["frame"]) for track in tracks for box in track.iterfind("box")), default=-1)
    frames = max(last + 1, int(said.findtext("size") or 0))
    targets: list[Target] = []
    for track in tracks:
        label = name = track.attrib["label"]
        if any(t.name == name for t in targets):
            name = f"{label} {track.attrib['id']}"
        targets.append(_target(name, (colours.get(label) or "").lower(), track, frames))
    return Annotation(tuple(targets), frames, size, fps, said.findtext("name") or path.stem)


def _target(name: str, colour: str, track: ET.Element, frames: int) -> Target:
    listed: dict[int, tuple[list[float], bool]] = {}
    scores, drawn, status = np.full(frames, np.nan), np.zeros(frames, dtype=bool), [""] * frames
    for box in track.iterfind("box"):
        frame, outside = int(box.attrib["frame"]), box.attrib["outside"] == "1"
        x1, y1, x2, y2 = (float(box.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
        listed[frame] = ([math.nan] * 4 if outside else [x1, y1, x2 - x1, y2 - y1], not outside)
        said = {a.attrib["name"]: a.text or "" for a in box.iterfind("attribute")}
        if outside:
            continue
        scores[frame] = float(said.get("score") or "nan")
        status[frame] = said.get("status", "").replace("unknown", "")
        own = box.attrib.get("keyframe") == "1" if "drawn" not in said else said["drawn"] == "true"
        drawn[frame] = own
    _stop_before_gaps(listed)
    return Target(name, interpolated(listed, frames), scores, tuple(status), drawn, colour=colour)


def _stop_before_gaps(listed: dict[int, tuple[list[float], bool]]) -> None:
    """A box is held, not moved, up to the frame on which its target goes."""
    numbers = sorted(listed)
    for number, following in pairwise(numbers):
        box, stays = listed[number]
        if stays and math.isnan(listed[following][0][0]):
            for between in range(number + 1, following):
                listed[between] = (box, False)
            listed[number] = (box, False)
