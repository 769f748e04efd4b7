"""What `asmd evaluate` adds to the tracker's own time.

    python benchmarks/evaluation_overhead.py --root DIR --sequences A,B

Runs a tracker with the runner, in this process, over sequences whose frames have been decoded into memory before, and
takes from the wall-clock time what was spent inside the tracker (`init` and `update`, as the result files have it). The
rest is the evaluation's: checks, seeds, copies, files, the record of code and machine. What decoding costs, which a
tracker pays wherever it runs, is measured on its own. One run warms up; of the others median and spread are shown. The
aim is under 5 % of the tracker's time.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import tyro

from asmd.datasets import Dataset, load
from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.evaluation.runner import evaluate
from asmd.evaluation.spec import TrackerSpec
from asmd.sequence import Frame, Sequence

AIM = 5.0
"""Percent of the tracker's time."""


@dataclass(frozen=True)
class Options:
    """Measure what the evaluation adds to the tracker's own time."""

    root: Path
    """The data set's folder."""
    dataset: str = "folder"
    """Its name."""
    sequences: str | None = None
    """Only these, separated by commas."""
    tracker: str = "asmd"
    """As for `asmd evaluate`."""
    preset: str | None = None
    """As for `asmd evaluate`."""
    weights: str | None = None
    """As for `asmd evaluate`."""
    frames: int = 300
    """Of each sequence, at most."""
    threads: int = 1
    """To compute with; more than the machine has free make the figures worthless."""
    runs: int = 3
    """How often to measure, after one run to warm up."""
    json: Path | None = None
    """Write the figures there as well."""


class Decoded(list[Frame]):
    """Frames in memory, as a `FrameSource`."""


def decoded(dataset: Dataset, most: int) -> tuple[list[Sequence], float]:
    """The first frames of each sequence in memory, and the seconds a frame that it took to get at them."""
    sequences, seconds = [], 0.0
    for sequence in dataset:
        count = min(len(sequence), most)
        begun = time.perf_counter()
        frames = Decoded(islice(sequence.frames, count))
        seconds += time.perf_counter() - begun
        sequences.append(replace(sequence, frames=frames, boxes=sequence.boxes[:count], absent=None))
    return sequences, seconds / sum(map(len, sequences))


def measure(spec: TrackerSpec, sequences: list[Sequence]) -> tuple[float, float]:
    """Run once: seconds of wall clock, seconds inside the tracker."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run = evaluate(spec, sequences, results=folder)
        total = time.perf_counter() - begun
        if run.failures:
            raise SystemExit(f"failed: {run.failures[0]}")
        return total, sum(float(run.results.read(run.tracker, s.name).seconds.sum()) for s in run.sequences)


def main(options: Options) -> int:
    """Measure and print; the answer is 0 where the aim is met."""
    dataset = load(options.dataset, options.root)
    if options.sequences:
        dataset = dataset.select(options.sequences.split(","))
    limit_threads(options.threads)
    spec = TrackerSpec(options.tracker, options.preset, options.weights)
    sequences, decoding = decoded(dataset, options.frames)
    frames = sum(map(len, sequences))
    building = min(timed(spec) for _ in range(2))
    limit_threads(options.threads)  # again, now that the tracker's libraries are loaded
    measure(spec, sequences)
    times = [measure(spec, sequences) for _ in range(options.runs)]
    added = sorted(1000 * (total - building - inside) / frames for total, inside in times)
    own = sorted(1000 * inside / frames for _, inside in times)
    percent = 100 * statistics.median(added) / statistics.median(own)
    print(f"{options.tracker}, {len(sequences)} sequences, {frames} frames, {options.runs} runs; milliseconds a frame:")
    print(f"  tracker    {statistics.median(own):9.3f}   ({own[0]:.3f} to {own[-1]:.3f})")
    print(f"  evaluation {statistics.median(added):9.3f}   ({added[0]:.3f} to {added[-1]:.3f})")
    print(f"  decoding   {1000 * decoding:9.3f}   (not counted; nor is building the tracker, once, {building:.2f} s)")
    print(f"the evaluation adds {percent:.2f} % to the tracker's own time; the aim is under {AIM:g} %")
    if options.json:
        facts = {"tracker": options.tracker, "frames": frames, "tracker_ms": own, "evaluation_ms": added}
        facts |= {"decoding_ms": 1000 * decoding, "percent": percent, "machine": provenance.machine()}
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    return 0 if percent < AIM else 1


def timed(spec: TrackerSpec) -> float:
    """Seconds that building the tracker takes."""
    begun = time.perf_counter()
    spec.build(0)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
