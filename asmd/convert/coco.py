"""COCO with videos and tracks: the images of `videos`, and annotations that name their image and their track.

The plain COCO tools read it as images; those for video (TAO, MMTracking) by `video_id`, `frame_index` and `track_id`.
Scores, status and who drew a box are further keys of an annotation, which such tools leave alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from asmd.convert.annotation import Annotation, Target, finite_or_none
from asmd.errors import ResultsError
from asmd.evaluation.results import write_atomic


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the file.

    Raises:
        OutputError: if it cannot be written.
    """
    assert annotation.size is not None
    width, height = annotation.size
    video = {"id": 1, "name": annotation.name, "width": width, "height": height, "fps": annotation.fps}
    images = [
        {
            "id": frame + 1,
            "video_id": 1,
            "frame_index": frame,
            "frame_id": frame,
            "file_name": f"{frame + 1:08d}.jpg",
            "width": width,
            "height": height,
        }
        for frame in range(annotation.frames)
    ]
    tracks, categories, annotations = [], [], list[dict[str, Any]]()
    for number, target in enumerate(annotation.targets, 1):
        categories.append({"id": number, "name": target.name, "supercategory": "object"})
        tracks.append({"id": number, "category_id": number, "video_id": 1, "colour": target.colour})
        annotations += [
            _annotation(target, int(frame), number, len(annotations) + n)
            for n, frame in enumerate(np.flatnonzero(target.there), 1)
        ]
    content = {
        "info": {"description": f"{annotation.name}, {len(tracks)} targets", "version": "1.0"},
        "videos": [{**video, "length": annotation.frames}],
        "images": images,
        "tracks": tracks,
        "categories": categories,
        "annotations": annotations,
    }
    write_atomic(path, json.dumps(content, indent=1) + "\n")
    return [path]


def _annotation(target: Target, frame: int, number: int, identity: int) -> dict[str, Any]:
    box = [float(v) for v in target.boxes[frame]]
    return {
        "id": identity,
        "image_id": frame + 1,
        "video_id": 1,
        "track_id": number,
        "instance_id": number,
        "category_id": number,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
        "score": finite_or_none(target.scores[frame]),
        "status": target.status[frame],
        "drawn": bool(target.drawn[frame]),
        "seconds": finite_or_none(target.seconds[frame]),
    }


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read a file of one video. A track is one target; an annotation without a track is one by its category.

    Args:
        path: the file.
        size: (width, height), where the file does not say.
        fps: frames a second, where the file does not say.

    Raises:
        ResultsError: if it is malformed, or holds several videos.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _read(content, size, fps, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{path}: no COCO annotation of a video ({type(error).__name__}: {error})") from error


def _read(content: Any, size: tuple[int, int] | None, fps: float | None, path: Path) -> Annotation:
    videos = content.get("videos") or [{}]
    if len(videos) > 1:
        raise ResultsError(f"{path}: {len(videos)} videos; one can be read")
    video, images = videos[0], content["images"]
    order = sorted(images, key=lambda i: (i.get("frame_index", i.get("frame_id", 0)), i["id"]))
    frame_of = {image["id"]: image.get("frame_index", image.get("frame_id", n)) for n, image in enumerate(order)}
    frames = max([int(video.get("length") or 0), *(f + 1 for f in frame_of.values())])
    names = {c["id"]: str(c["name"]) for c in content["categories"]}
    tracks = {t["id"]: t for t in content.get("tracks", [])}
    members: dict[tuple[str, int], list[Any]] = {("track", identity): [] for identity in tracks}
    for item in content["annotations"]:
        track = item.get("track_id", item.get("instance_id"))
        key = ("category", item["category_id"]) if track is None else ("track", track)
        members.setdefault(key, []).append(item)
    targets: list[Target] = []
    for (kind, identity), items in members.items():
        about = tracks.get(identity, {}) if kind == "track" else {}
        category = about.get("category_id", items[0]["category_id"] if items else identity)
        name = names.get(category, str(identity))
        if any(t.name == name for t in targets):
            name = f"{name} {identity}"
        targets.append(_target(name, about.get("colour") or "", items, frame_of, frames))
    shape = video if "width" in video else (images[0] if images else {})
    if shape.get("width") and shape.get("height"):
        size = (int(shape["width"]), int(shape["height"]))
    rate = video.get("fps")
    return Annotation(tuple(targets), frames, size, float(rate) if rate else fps, str(video.get("name") or path.stem))


def _target(name: str, colour: str, items: list[Any], frame_of: dict[int, int], frames: int) -> Target:
    boxes, scores = np.full((frames, 4), np.nan), np.full(frames, np.nan)
    drawn, seconds, status = np.zeros(frames, dtype=bool), np.full(frames, np.nan), [""] * frames
    for item in items:
        frame = frame_of[item["image_id"]]
        boxes[frame] = item["bbox"]
        scores[frame] = np.nan if item.get("score") is None else item["score"]
        seconds[frame] = np.nan if item.get("seconds") is None else item["seconds"]
        status[frame], drawn[frame] = str(item.get("status") or ""), bool(item.get("drawn", False))
    return Target(name, boxes, scores, tuple(status), drawn, seconds, colour)
