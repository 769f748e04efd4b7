"""MOTChallenge: `frame,id,x,y,w,h,confidence,-1,-1,-1`, counted from 1; the confidence is -1 where it is not known.

PATH/gt/gt.txt, PATH/seqinfo.ini            and gt/labels.txt, whose row n names the target with id n (as CVAT's)
PATH.txt                                    or the rows alone; the ids are then the names
"""

from __future__ import annotations

import configparser
from pathlib import Path

import numpy as np

from asmd.convert.annotation import Annotation, Target
from asmd.datasets._rows import read_lines, read_rows
from asmd.datasets.mot import ORIGIN, WIDTHS, video_name
from asmd.errors import DatasetError
from asmd.evaluation.results import write_atomic

UNKNOWN = -1.0


def write(annotation: Annotation, path: Path) -> list[Path]:
    """Write the folder, or the rows alone where the path ends in `.txt`.

    Raises:
        OutputError: if a file cannot be written.
    """
    rows = []
    for number, target in enumerate(annotation.targets, 1):
        for frame in np.flatnonzero(target.there):
            box = ",".join(f"{v:.6f}".rstrip("0").rstrip(".") for v in target.boxes[frame] + ORIGIN)
            score = UNKNOWN if np.isnan(target.scores[frame]) else float(target.scores[frame])
            rows.append((int(frame), number, f"{frame + 1},{number},{box},{score:.12g},-1,-1,-1\n"))
    text = "".join(row for _, _, row in sorted(rows))
    if path.suffix.lower() == ".txt":
        write_atomic(path, text)
        return [path]
    files = {
        path / "gt" / "gt.txt": text,
        path / "gt" / "labels.txt": "".join(f"{' '.join(t.name.split())}\n" for t in annotation.targets),
        path / "seqinfo.ini": _information(annotation, path.name),
    }
    for file, content in files.items():
        write_atomic(file, content)
    return list(files)


def read(path: Path, *, size: tuple[int, int] | None = None, fps: float | None = None) -> Annotation:
    """Read the folder, or rows alone.

    Args:
        path: the folder of `seqinfo.ini`, or a file of rows.
        size: (width, height), where the files do not say.
        fps: frames a second, where the files do not say.

    Raises:
        DatasetError: if a file is malformed; the text names it.
    """
    annotation = path / "gt" / "gt.txt" if path.is_dir() else path
    rows = read_rows(annotation, WIDTHS)
    numbers, ids = rows[:, 0].astype(int) - 1, rows[:, 1].astype(int)
    if (numbers < 0).any():
        raise DatasetError(f"{annotation}: row {int(np.argmax(numbers < 0)) + 1}: frames are counted from 1")
    said = _said(path / "seqinfo.ini")
    frames = max(int(numbers.max()) + 1, int(said.get("seqlength", 0)))
    names = _names(annotation)
    targets = []
    for number in sorted({*names, *ids.tolist()}):
        own = ids == number
        if len(np.unique(numbers[own])) < own.sum():
            raise DatasetError(f"{annotation}: track {number} has two boxes in one frame")
        boxes, scores = np.full((frames, 4), np.nan), np.full(frames, np.nan)
        boxes[numbers[own]] = rows[own, 2:6] - ORIGIN
        scores[numbers[own]] = np.where(rows[own, 6] == UNKNOWN, np.nan, rows[own, 6])
        targets.append(Target(names.get(number, str(number)), boxes, scores))
    if "imwidth" in said and "imheight" in said:
        size = (int(said["imwidth"]), int(said["imheight"]))
    fps = float(said["framerate"]) if "framerate" in said else fps
    return Annotation(tuple(targets), frames, size, fps, said.get("name") or video_name(annotation))


def _names(annotation: Path) -> dict[int, str]:
    path = annotation.parent / "labels.txt"
    return dict(enumerate(map(str.strip, read_lines(path)), 1)) if path.is_file() else {}


def _information(annotation: Annotation, folder: str) -> str:
    lines = ["[Sequence]", f"name={' '.join(annotation.name.split()) or folder}", "imDir=img1", "imExt=.jpg"]
    lines.append(f"seqLength={annotation.frames}")
    if annotation.fps is not None:
        lines.append(f"frameRate={annotation.fps!r}")
    if annotation.size is not None:
        lines += [f"imWidth={annotation.size[0]}", f"imHeight={annotation.size[1]}"]
    return "\n".join(lines) + "\n"


def _said(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("\n".join(read_lines(path)))
        return dict(parser["Sequence"])
    except (configparser.Error, KeyError) as error:
        raise DatasetError(f"{path}: no section [Sequence] with key=value rows") from error
