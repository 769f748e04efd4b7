"""`asmd track`: one object through one source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Options:
    """Track one object through a video, from the box that it has on the first frame."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """A video file, a folder of images, a pattern such as 'frames/*.jpg' (in quotes), a camera's number, or a stream's
    address (rtsp://, http://). A camera or stream is tracked until Ctrl-C."""
    box: Annotated[str, tyro.conf.arg(metavar="X,Y,W,H")]
    """The object on the first frame: left, top, width and height in pixels, counted from 0."""
    preset: Literal["paper", "accurate", "realtime"] = "realtime"
    """Settings: every constant of the paper (slow), or what works best, or what works at the speed of video."""
    weights: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """A packaged name or a safetensors file; by default the best that are at hand."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, ..."""
    seed: int = 0
    """Decides every random draw: same seed, same boxes."""
    start: int = 0
    """Number of the frame that the box is drawn on, counted from 0."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Track so many frames at most."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the video with box, status, score and trail drawn in (.mp4, .m4v, .mov, .mkv)."""
    save: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the boxes: .txt has x,y,w,h a line, .csv and .json have score, status and seconds as well."""
    quiet: bool = False
    """Say nothing but warnings and errors."""
    json: bool = False
    """Say what happens as one JSON object a line on stdout."""


def run(options: Options) -> int:
    """Track, and write what was asked for."""
    from asmd.cli._reporting import reporter
    from asmd.cli._tracking import Job, run_job
    from asmd.online import parse_box

    job = Job(
        source=options.source,
        box=parse_box(options.box),
        preset=options.preset,
        weights=options.weights,
        device=options.device,
        seed=options.seed,
        start=options.start,
        frames=options.frames,
        output=options.output,
        save=(options.save,) if options.save else (),
    )
    told = reporter(options.quiet, options.json)
    told.end(run_job(job, told))
    return 0
