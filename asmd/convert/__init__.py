"""The way out to other tools, and back: one module a format, all by way of `Annotation`.

    annotation = asmd.convert.read("boxes.csv")
    asmd.convert.write(annotation, "annotations.xml", "cvat")

What a format has no room for is named by `lost`; all that it has room for comes back as it was.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asmd.convert.annotation import Annotation, Target, file_names
from asmd.errors import ConfigError, ResultsError
from asmd.files import make_folder

__all__ = ["FORMATS", "Annotation", "Format", "Target", "guess", "lost", "read", "write"]

ALL = frozenset({"names", "colours", "scores", "status", "drawn", "seconds", "frames", "size", "fps"})
"""What there is to keep beside the boxes: `frames` is the video's length, `drawn` which boxes a person drew."""


@dataclass(frozen=True)
class Format:
    """A format of annotation.

    Attributes:
        module: in `asmd.convert`, with `write(annotation, path)` and `read(path)`; where `each`, with
            `write_one(target, annotation, path)` and `read_one(path)`.
        about: a line about it.
        holds: what it has room for, beside the boxes.
        suffix: ending of its file; "" for a folder.
        each: one file for each target, in a folder where there are several.
        needs_size: whether the size of the video has to be known.
    """

    module: str
    about: str
    holds: frozenset[str]
    suffix: str
    each: bool = False
    needs_size: bool = False


def _holds(*names: str) -> frozenset[str]:
    return frozenset(names)


FORMATS: dict[str, Format] = {
    "txt": Format("boxes", "x,y,w,h a frame, counted from 0", _holds("names", "frames"), ".txt", each=True),
    "csv": Format(
        "boxes",
        "a table with score, status and seconds",
        _holds("names", "scores", "status", "seconds"),
        ".csv",
        each=True,
    ),
    "json": Format("boxes", "the table as JSON, and all about the video", ALL, ".json", each=True),
    "otb": Format("otb", "OTB: x,y,w,h a frame, counted from 1", _holds("names", "frames"), ".txt", each=True),
    "got10k": Format("got10k", "GOT-10k: a folder a target", _holds("names", "frames", "size", "fps"), ""),
    "vot": Format(
        "vot",
        "VOT: a folder a target, with tags and scores",
        _holds("names", "scores", "status", "drawn", "frames", "size", "fps"),
        "",
    ),
    "mot": Format(
        "mot", "MOTChallenge: gt.txt and seqinfo.ini", _holds("names", "scores", "frames", "size", "fps"), ""
    ),
    "coco": Format("coco", "COCO with videos and tracks", ALL, ".json", needs_size=True),
    "cvat": Format(
        "cvat",
        "CVAT video XML 1.1",
        _holds("names", "colours", "scores", "status", "drawn", "frames", "size"),
        ".xml",
        needs_size=True,
    ),
    "labelstudio": Format("labelstudio", "Label Studio video JSON", ALL, ".json", needs_size=True),
}
"""Every format that can be read and written, by the name that the command line takes."""


def read(path: str | Path, format: str | None = None, **options: Any) -> Annotation:
    """Read annotation.

    Args:
        path: the file or folder.
        format: one of `FORMATS`; by the look of it where None.
        **options: what the format's own `read` takes; `size` and `fps` of the video where the file does not say.

    Raises:
        ResultsError, DatasetError: if it is missing or malformed; the text names the file.
        ConfigError: if there is no such format, or it cannot be told.
    """
    place = Path(path)
    if not place.exists():
        raise ResultsError(f"{place}: no such file or folder")
    known = format or guess(place)
    module = _module(known)
    if not FORMATS[known].each:
        annotation: Annotation = module.read(place, **options)
        return annotation
    files = sorted(place.glob(f"*{FORMATS[known].suffix}")) if place.is_dir() else [place]
    if not files:
        raise ResultsError(f"{place}: no file *{FORMATS[known].suffix} in it")
    parts = [module.read_one(file) for file in files]
    given = {name: options.get(name) or next((getattr(p, name) for p in parts), None) for name in ("size", "fps")}
    frames = max(p.frames for p in parts)
    return Annotation.of([t for p in parts for t in p.targets], frames, name=parts[0].name, **given)


def write(annotation: Annotation, path: str | Path, format: str) -> list[Path]:
    """Write annotation.

    Args:
        annotation: what to write.
        path: the file or, for formats that are one (and for several targets in a format of one file each), the folder.
        format: one of `FORMATS`.

    Returns:
        The files written.

    Raises:
        ConfigError: if there is no such format, or it needs the video's size and that is not known.
        OutputError: if a file cannot be written.
    """
    module = _module(format)
    if FORMATS[format].needs_size and annotation.size is None:
        raise ConfigError(f"{format} needs the size of the video: name the video, or its width and height")
    place = Path(path)
    if not FORMATS[format].each:
        written: list[Path] = module.write(annotation, place)
        return written
    if place.suffix.lower() != FORMATS[format].suffix:
        files = [place / (name + FORMATS[format].suffix) for name in file_names(annotation.targets)]
    elif len(annotation.targets) == 1:
        files = [place]
    else:
        raise ConfigError(
            f"{format} has a file for each of {len(annotation.targets)} targets: name a folder, not {place}"
        )
    for target, file in zip(annotation.targets, files, strict=True):
        make_folder(file.parent)
        module.write_one(target, annotation, file)
    return files


def lost(annotation: Annotation, format: str) -> list[str]:
    """What of an annotation a format has no room for, in words of `ALL`, sorted."""
    targets = annotation.targets
    by_file = FORMATS[format].each and FORMATS[format].suffix != ".json"
    present = {
        "names": by_file and file_names(targets) != [t.name for t in targets],
        "colours": any(t.colour for t in targets),
        "scores": any((t.scores == t.scores).any() for t in targets),
        "status": any(any(t.status) for t in targets),
        "drawn": any(t.drawn.any() for t in targets),
        "seconds": any((t.seconds == t.seconds).any() for t in targets),
        "size": annotation.size is not None,
        "fps": annotation.fps is not None,
    }
    holds = FORMATS[format].holds - ({"names"} if present["names"] else set())
    return sorted(name for name, there in present.items() if there and name not in holds)


def guess(path: Path) -> str:
    """The format of a file or folder, by its look.

    Raises:
        ConfigError: if it cannot be told.
    """
    if path.is_dir():
        return _guess_folder(path)
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".xml":
            return "cvat"
        case ".json":
            return _guess_json(path)
        case ".txt":
            from asmd.datasets.mot import is_tracks

            return "mot" if is_tracks(path) else "txt"
    raise ConfigError(f"{path}: its format cannot be told by its name; name it, one of {', '.join(FORMATS)}")


def _guess_folder(path: Path) -> str:
    if (path / "gt" / "gt.txt").is_file():
        return "mot"
    if next(path.glob("**/absence.label"), None) is not None:
        return "got10k"
    if next(path.glob("*/groundtruth.txt"), None) is not None:
        return "vot"
    for name in ("json", "csv", "txt"):
        if next(path.glob(f"*.{name}"), None) is not None:
            return name
    raise ConfigError(f"{path}: its format cannot be told; name it, one of {', '.join(FORMATS)}")


def _guess_json(path: Path) -> str:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not JSON ({error})") from error
    if isinstance(content, list):
        return "labelstudio"
    return "coco" if isinstance(content, dict) and "annotations" in content else "json"


def _module(format: str) -> Any:
    if format not in FORMATS:
        raise ConfigError(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    return importlib.import_module(f"asmd.convert.{FORMATS[format].module}")
