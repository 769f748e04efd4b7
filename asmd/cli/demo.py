"""`asmd demo`: the tracker on a real clip that is already on this machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Track a cyclist whom passing traffic hides for a second; write the annotated video and the boxes."""

    output: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("outputs")
    """Folder for demo.mp4, demo.txt and demo.csv; made where it is missing."""
    preset: Literal["paper", "accurate", "realtime"] = "realtime"
    """Settings: every constant of the paper (slow), or what works best, or what works at the speed of video."""
    weights: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """A packaged name or a safetensors file; by default the best that are at hand."""
    seed: int = 0
    """Decides every random draw: same seed, same boxes."""
    quiet: bool = False
    """Say nothing but warnings and errors."""
    json: bool = False
    """Say what happens as one JSON object a line on stdout."""


def run(options: Options) -> int:
    """Track the sample."""
    from asmd.cli._reporting import reporter
    from asmd.cli._tracking import Job, run_job
    from asmd.errors import OutputError
    from asmd.samples import cyclist

    sample = cyclist()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {options.output} cannot be made ({error.strerror})") from error
    job = Job(
        source=str(sample.path),
        box=sample.box,
        preset=options.preset,
        weights=options.weights or _at_hand(),
        seed=options.seed,
        start=sample.start,
        frames=sample.frames,
        output=options.output / "demo.mp4",
        save=(options.output / "demo.txt", options.output / "demo.csv"),
    )
    told = reporter(options.quiet, options.json)
    told.end(run_job(job, told))
    return 0


def _at_hand() -> str | None:
    """None for the default weights, or random features where there are none, so that the demo runs on any machine."""
    from asmd import checkpoints
    from asmd.errors import WeightsError

    try:
        checkpoints.find()
    except WeightsError as error:
        log.warning("%s; the demo goes on with random features, which nobody trained", error)
        return checkpoints.RANDOM
    return None
