"""Frames a second of the tracker with everything counted: decoding, flow, features, classifier updates.

    python benchmarks/frame_rate.py --root DIR --presets realtime accurate

Each sequence is tracked from its video file as a user would, from its first box to its last frame (or the first
`--frames`). The time of the first frame, in which the classifier is trained, is shown apart; the rate is that of all
frames after it. The line at the end is the median over sequences.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import tyro

from asmd.datasets import load
from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.sequence import Sequence
from asmd.tracking.tracker import Tracker


@dataclass(frozen=True)
class Options:
    """Measure frames a second over a data set."""

    root: Path
    """The data set's folder."""
    dataset: str = "folder"
    """Its name."""
    presets: tuple[str, ...] = ("realtime", "accurate")
    """Presets to measure, in turn on each sequence, so that a machine whose speed drifts is fair to all."""
    frames: int = 300
    """Of each sequence, at most."""
    threads: int = 2
    """To compute with."""
    sequences: str | None = None
    """Only these, separated by commas."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there as well."""


@dataclass(frozen=True)
class Measurement:
    """One sequence: seconds of the first frame, then of the slowest, the typical and all others."""

    sequence: str
    frames: int
    first: float
    fps: float
    median: float
    p95: float


def measure(tracker: Tracker, sequence: Sequence, frames: int) -> Measurement:
    """Tracks a sequence from its source; times are between frames, so that decoding is in them."""
    marks = [time.perf_counter()]
    for index, frame in zip(range(min(frames, len(sequence))), sequence.frames, strict=False):
        if index == 0:
            tracker.init(frame, sequence.init_box)
        else:
            tracker.update(frame)
        marks.append(time.perf_counter())
    seconds = [b - a for a, b in pairwise(marks)]
    rest = sorted(seconds[1:])
    return Measurement(
        sequence.name,
        len(seconds),
        seconds[0],
        len(rest) / sum(rest),
        statistics.median(rest),
        rest[int(0.95 * (len(rest) - 1))],
    )


def main(options: Options) -> None:
    """Measures, prints and writes."""
    limit_threads(options.threads)
    dataset = load(options.dataset, options.root)
    wanted = options.sequences.split(",") if options.sequences else None
    chosen = [s for s in dataset if wanted is None or s.name in wanted]
    trackers = {preset: Tracker.from_pretrained(preset=preset) for preset in options.presets}
    found: dict[str, list[Measurement]] = {preset: [] for preset in options.presets}
    for sequence in chosen:
        for preset, tracker in trackers.items():
            result = measure(tracker, sequence, options.frames)
            found[preset].append(result)
            print(
                f"{sequence.name:16} {preset:9} {result.fps:6.1f} fps  median {1e3 * result.median:5.0f} ms  "
                f"95th percentile {1e3 * result.p95:5.0f} ms  first frame {result.first:5.2f} s",
                flush=True,
            )
    for preset, results in found.items():
        rates = sorted(r.fps for r in results)
        print(
            f"{preset}: median over {len(results)} sequences {statistics.median(rates):.1f} fps, "
            f"{rates[0]:.1f} to {rates[-1]:.1f}; first frame {statistics.median(r.first for r in results):.2f} s"
        )
    if options.json:
        record = {
            "machine": provenance.machine(),
            "code": provenance.code_version(),
            "threads": options.threads,
            "weights": next(iter(trackers.values())).weights_name,
            "presets": {preset: [asdict(r) for r in results] for preset, results in found.items()},
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
