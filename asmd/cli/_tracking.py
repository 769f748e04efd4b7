"""What `asmd track` and `asmd demo` share: one run of the tracker, from source to files."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asmd.cli._reporting import Report, Reporter
from asmd.errors import OutputError

if TYPE_CHECKING:
    from asmd.tracking.tracker import Tracker
    from asmd.video.sources import Source


@dataclass(frozen=True)
class Job:
    """One object to track, and where the track goes."""

    source: str
    box: tuple[float, float, float, float]
    preset: str = "realtime"
    weights: str | None = None
    device: str = "auto"
    seed: int = 0
    start: int = 0
    frames: int | None = None
    output: Path | None = None
    save: tuple[Path, ...] = ()


def build_tracker(job: Job) -> Tracker:
    """The tracker that a job asks for."""
    from asmd.tracking.tracker import Tracker

    return Tracker.from_pretrained(job.weights, preset=job.preset, device=job.device, seed=job.seed)


def run_job(job: Job, reporter: Reporter) -> Report:
    """Track, write the files, and say how it went.

    Raises:
        AsmdError: as the source, the tracker and the files may; then no file is left behind.
    """
    from asmd.boxfiles import write_boxes
    from asmd.online import follow, last_frame
    from asmd.video.annotate import Annotator
    from asmd.video.sinks import write_video
    from asmd.video.sources import open_source

    stop = last_frame(job.start, job.frames)
    source = open_source(job.source)
    _refuse_to_overwrite(job)
    statuses: Counter[str] = Counter()
    learning = tracking = 0.0
    with ExitStack() as stack:
        # Files first: a place that cannot be written to is to be known before the weights are read and a frame is seen.
        about = _about(job, source)
        savers = [stack.enter_context(write_boxes(path, about)) for path in job.save]
        video = stack.enter_context(write_video(job.output, source.fps)) if job.output else None
        tracker = build_tracker(job)
        about["weights"] = tracker.weights_name
        reporter.start(about, _expected(source, job))
        annotator = Annotator()
        began = time.perf_counter()
        with reporter, source.frames(job.start, stop) as numbered:
            try:
                for frame, result in follow(numbered, tracker, job.box):
                    if statuses:
                        tracking += result.seconds
                    else:
                        learning = result.seconds
                    statuses[str(result.status)] += 1
                    for save in savers:
                        save(result)
                    if video is not None:
                        video.write(annotator.draw(frame, result))
                    reporter.frame(result)
            except KeyboardInterrupt:
                # That is how a camera's track ends; of a file's, half is not what was asked for.
                if not source.live or not statuses:
                    raise
        seconds = time.perf_counter() - began
    written = tuple(p for p in (job.output, *job.save) if p is not None)
    return Report(sum(statuses.values()), learning, tracking, seconds, dict(statuses), tracker.weights_name, written)


def _about(job: Job, source: Source) -> dict[str, Any]:
    from asmd import __version__

    return {
        "asmd": __version__,
        "source": source.name,
        "fps": source.fps,
        "box": list(job.box),
        "preset": job.preset,
        "seed": job.seed,
        "start": job.start,
    }


def _expected(source: Source, job: Job) -> int | None:
    left = None if source.count is None else max(0, source.count - job.start)
    if left is None or job.frames is None:
        return job.frames if left is None else left
    return min(left, job.frames)


def _refuse_to_overwrite(job: Job) -> None:
    named = [p for p in (job.output, *job.save) if p is not None]
    if len({p.absolute() for p in named}) < len(named):
        raise OutputError(f"{named[0]} is named for two outputs")
    for path in named:
        if path.exists() and Path(job.source).exists() and path.samefile(job.source):
            raise OutputError(f"{path} is the source itself")
