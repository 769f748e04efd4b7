"""VOT: a folder for each target, in the layout of its data sets.

PATH/list.txt
PATH/<target>/sequence                      what is known of the video
PATH/<target>/groundtruth.txt               x,y,w,h a frame, NaN where there is no box
PATH/<target>/found.tag, uncertain.tag, lost.tag, drawn.tag, and score.value
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asmd.convert.annotation import Annotation, Target, file_names
from asmd.convert.otb import rows_of
from asmd.datasets import vot
from asmd.datasets._rows import read_lines, read_rows
from asmd.evaluation.results import write_atomic
from asmd.sequence import Sequence
from asmd.tracking.result import Status


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the folder.

    Raises:
        OutputError: if a file cannot be written.
    """
    names = file_names(annotation.targets)
    written = []
    for target, name in zip(annotation.targets, names, strict=True):
        files = {
            "groundtruth.txt": rows_of(target.boxes),
            "sequence": _properties(target, annotation),
            "drawn.tag": _tag(target.drawn),
        }
        if any(target.status):
            files |= {f"{s}.tag": _tag(np.array([v == s for v in target.status])) for s in Status}
        if np.isfinite(target.scores).any():
            files["score.value"] = "".join(f"{float(v)!r}\n" for v in target.scores)
        for file, text in files.items():
            write_atomic(path / name / file, text)
            written.append(path / name / file)
    write_atomic(path / "list.txt", "".join(f"{name}\n" for name in names))
    return [*written, path / "list.txt"]


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read the folder, with the reader of the data set.

    Args:
        path: the folder of `list.txt`.
        size: (width, height), where the files do not say.
        fps: frames a second, where the files do not say.

    Raises:
        DatasetError: if it is incomplete or malformed.
    """
    targets = []
    for sequence in vot.load(path, frames=False):
        said = _said(path / sequence.name / "sequence")
        if "width" in said and "height" in said:
            size = (int(said["width"]), int(said["height"]))
        fps = float(said["fps"]) if "fps" in said else fps
        targets.append(_target(path / sequence.name, sequence, said.get("target") or sequence.name))
    return Annotation.of(targets, 0, size, fps, path.name)


def _target(folder: Path, sequence: Sequence, name: str) -> Target:
    count = len(sequence)

    def flags(tag: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        text = sequence.meta.get(f"frames of {tag}", "0" * count)
        return np.array([c == "1" for c in text], dtype=bool)

    status = np.full(count, "", dtype=object)
    for value in Status:
        status[flags(value)] = str(value)
    values = folder / "score.value"
    scores = read_rows(values, {1}, nan_rows=True)[:, 0] if values.is_file() else np.full(count, np.nan)
    return Target(name, sequence.boxes, scores, tuple(map(str, status)), flags("drawn"))


def _tag(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    return "".join(f"{int(v)}\n" for v in flags)


def _properties(target: Target, annotation: Annotation) -> str:
    said: dict[str, object] = {
        "name": " ".join(annotation.name.split()),
        "target": " ".join(target.name.split()),
        "length": annotation.frames,
        "format": "default",
        "channels.color": "color/%08d.jpg",
    }
    if annotation.fps is not None:
        said["fps"] = repr(annotation.fps)
    if annotation.size is not None:
        said |= {"width": annotation.size[0], "height": annotation.size[1]}
    return "".join(f"{key}={value}\n" for key, value in said.items())


def _said(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in read_lines(path))}
