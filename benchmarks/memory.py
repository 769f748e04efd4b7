"""Resident memory of the tracker over a long video.

    python benchmarks/memory.py VIDEO --box X,Y,W,H --frames 5000

Plays a clip forward and backward, over and over, so that the object never jumps, and prints the resident memory on the
way. It has to stay flat.
"""

from __future__ import annotations

import itertools
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from asmd.evaluation._workers import limit_threads
from asmd.online import parse_box
from asmd.sequence import Frame
from asmd.tracking.tracker import Tracker
from asmd.video import VideoFrames


@dataclass(frozen=True)
class Options:
    """Measure memory and speed over a long video."""

    video: tyro.conf.Positional[Path]
    """The clip."""
    box: str
    """The object on its first frame, X,Y,W,H."""
    frames: int = 5000
    """To track."""
    clip: int = 60
    """Frames of the clip that are used."""
    preset: str = "realtime"
    """Settings."""
    threads: int = 2
    """To compute with."""


def to_and_fro(video: Path, count: int) -> Iterator[Frame]:
    """The first `count` frames of a video forward and backward, for ever."""
    frames = list(itertools.islice(VideoFrames(video), count))
    yield from itertools.cycle(frames + frames[-2:0:-1])


def resident_megabytes() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main(options: Options) -> None:
    """Tracks and prints."""
    limit_threads(options.threads)
    tracker = Tracker.from_pretrained(preset=options.preset)
    every = max(1, options.frames // 10)
    seconds: list[float] = []
    for index, frame in zip(range(options.frames), to_and_fro(options.video, options.clip), strict=False):
        started = time.perf_counter()
        result = tracker.update(frame) if index else tracker.init(frame, parse_box(options.box))
        seconds.append(time.perf_counter() - started)
        if index % every == every - 1:
            speed = 1 / statistics.median(seconds[-every:])
            print(
                f"{index + 1:6} frames  {resident_megabytes():6.0f} MB  {speed:5.1f} fps  {result.status}", flush=True
            )
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(tyro.cli(Options))
