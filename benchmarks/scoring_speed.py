"""How long a report takes: raw results on disk to figures, plots and the HTML page.

    python benchmarks/scoring_speed.py --results DIR --annotations DIR
    python benchmarks/scoring_speed.py --annotations DIR --trackers 100

The first form reports on the results of a folder, for instance those that trackers were published with. The second
makes up trackers by shaking the annotation, writes their results to a temporary folder as `asmd evaluate` does, and
reports on these. Shown are wall-clock and processor time of each step; on a machine with other work the latter is the
one to compare.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from asmd.datasets import Dataset, load
from asmd.evaluation.loading import load as load_results
from asmd.evaluation.loading import sources
from asmd.evaluation.page import html_page
from asmd.evaluation.plots import save_plots
from asmd.evaluation.protocols import protocol
from asmd.evaluation.report import Report
from asmd.evaluation.results import ResultsFolder, SequenceRun


@dataclass(frozen=True)
class Options:
    """Measure how long a report takes."""

    annotations: Path
    """The data set's boxes."""
    dataset: str = "otb100"
    """Its name."""
    results: Path | None = None
    """Results to report on; made up where not given."""
    trackers: int = 100
    """How many to make up."""
    protocol: str = "otb"
    """To score by."""


def main(options: Options) -> None:
    """Measure and print."""
    dataset = load(options.dataset, options.annotations, frames=False)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.results or made_up(dataset, options.trackers, Path(temporary) / "results")
        rules = protocol(options.protocol)
        with timed("read the annotation"):
            sequences = list(dataset)
        with timed("read and check the results"):
            loaded = load_results(sources(folder), sequences, rules)
        with timed("score"):
            report = Report.from_runs(loaded, rules, dataset.name)
        with timed("all plots"):
            save_plots(report, Path(temporary) / "plots")
        with timed("the HTML page"):
            page = html_page(report)
    frames, size = sum(map(len, sequences)), len(page) / 1e6
    print(f"{len(report.trackers)} trackers, {len(sequences)} sequences of {frames} frames; a page of {size:.1f} MB")


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Print how long what is inside took."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    print(
        f"{step:<28}{time.perf_counter() - wall:6.1f} s wall{time.process_time() - processor:7.1f} s processor",
        flush=True,
    )


def made_up(dataset: Dataset, trackers: int, root: Path) -> Path:
    """Results of trackers that shake, each more than the one before."""
    folder, generator = ResultsFolder(root), np.random.default_rng(0)
    for sequence in dataset:
        length = len(sequence)
        for number in range(trackers):
            shake = generator.normal(0, 1 + number / 5, (length, 4)) * [1, 1, 0.5, 0.5]
            times, scores = generator.uniform(0.01, 0.1, length), generator.random(length)
            run = SequenceRun.of(sequence.name, sequence.boxes + shake, times, scores, ["found"] * length)
            folder.write(f"tracker-{number:03d}", run)
    return root


if __name__ == "__main__":
    main(tyro.cli(Options))
