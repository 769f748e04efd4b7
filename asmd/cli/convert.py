"""`asmd convert`: annotation and tracks to and from other tools."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from asmd.convert import Annotation

log = logging.getLogger(__name__)

PICTURES = ("mp4", "crops")
"""What can be written, and not read."""


@dataclass(frozen=True)
class Options:
    """Turn boxes into another tool's format, draw them, or cut the targets out.

    Formats: txt, csv, json, otb, got10k, vot, mot, coco, cvat, labelstudio; and to write only, mp4 and crops.
    docs/converting.md says what each has room for.
    """

    input: Annotated[Positional[Path], arg(metavar="INPUT")]
    """The file or folder to read."""
    output: Annotated[Positional[Path], arg(metavar="OUTPUT")]
    """The file or folder to write."""
    source_format: Annotated[str | None, arg(name="from", metavar="FORMAT")] = None
    """Format of the input; by its look where not given."""
    to: Annotated[str | None, arg(metavar="FORMAT")] = None
    """Format of the output; by the ending of its name where not given (.csv, .xml, .mp4, ...)."""
    video: Annotated[str | None, arg(metavar="FILE")] = None
    """The video or folder of images that the boxes are of: its size and rate, and what is drawn on."""
    size: Annotated[str | None, arg(metavar="W,H")] = None
    """Width and height of the video, where neither the input nor --video says."""
    fps: Annotated[float | None, arg(metavar="N")] = None
    """Frames a second, where neither the input nor --video says."""
    margin: float = 0.0
    """Of crops: enlarge boxes by this share of their sides."""


def run(options: Options) -> int:
    """Convert; names the files on stdout, and on stderr what the format had no room for."""
    from asmd import convert
    from asmd.errors import ConfigError

    form = options.to or _by_ending(options.output)
    if form not in (*convert.FORMATS, *PICTURES):
        raise ConfigError(f"there is no format {form!r}; there are {', '.join((*convert.FORMATS, *PICTURES))}")
    annotation = convert.read(options.input, options.source_format, **_about_the_video(options))
    if form in PICTURES:
        written = _draw(annotation, form, options)
    else:
        if missing := convert.lost(annotation, form):
            log.warning("%s has no room for %s", form, ", ".join(missing))
        written = convert.write(annotation, options.output, form)
    targets = len(annotation.targets)
    print(f"{targets} target{'s' * (targets != 1)}, {annotation.frames} frames", file=sys.stderr)
    for path in written if len(written) <= 20 else [options.output]:
        print(path)
    return 0


def _by_ending(output: Path) -> str:
    from asmd.errors import ConfigError
    from asmd.video.sinks import FORMATS as VIDEOS

    suffix = output.suffix.lower()
    if suffix in VIDEOS:
        return "mp4"
    if suffix in (".csv", ".json", ".txt"):
        return suffix[1:]
    if suffix == ".xml":
        return "cvat"
    raise ConfigError(f"{output}: which format? Say --to")


def _about_the_video(options: Options) -> dict[str, Any]:
    """Size and rate, as far as they are given."""
    from asmd.errors import ConfigError

    size: tuple[int, int] | None = None
    if options.size is not None:
        try:
            width, height = (int(part) for part in options.size.split(","))
        except ValueError:
            raise ConfigError(f"a size is W,H, two whole numbers, got {options.size!r}") from None
        size = (width, height)
    fps = options.fps
    if options.video is not None:
        from asmd.video.sources import open_source

        source = open_source(options.video)
        fps = fps or source.fps
        if size is None:
            with source.frames(0, 1, prefetch=0) as frames:
                _, frame = next(iter(frames))
                size = (frame.shape[1], frame.shape[0])
    return {"size": size, "fps": fps}


def _draw(annotation: Annotation, form: str, options: Options) -> list[Path]:
    from asmd.convert.pictures import check_length, write_annotated, write_crops
    from asmd.errors import ConfigError, OutputError
    from asmd.video.sources import open_source

    if options.video is None:
        raise ConfigError(f"{form} needs the video: say --video")
    if options.output.exists() and Path(options.video).exists() and options.output.samefile(options.video):
        raise OutputError(f"{options.output} is the video itself")
    source = open_source(options.video)
    check_length(annotation, source)
    if form == "mp4":
        return write_annotated(annotation, source, options.output)
    return write_crops(annotation, source, options.output, margin=options.margin)
