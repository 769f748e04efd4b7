"""Rows whose boxes only a benchmark's server can score."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from pathlib import Path

from asmd.evaluation.submissions import submit
from asmd.experiments.plan import Cell, Experiment
from asmd.experiments.running import results_of
from asmd.sequence import Sequence


def pack(experiment: Experiment, seeds: Mapping[str, Rows[int]], sequences: Rows[Sequence], output: Path) -> list[Path]:
    """A zip for TrackingNet's server of each finished seed of each row.

    Raises:
        ResultsError: if the server would refuse it.
    """
    found = []
    for row in experiment.rows:
        for seed in seeds[row.name]:
            (part,) = row.parts
            path = output / experiment.name / f"{row.slug}-seed-{seed}.zip"
            results = results_of(experiment, Cell(row, part, seed), output)
            found.append(submit("trackingnet", results, path, tracker=part.name, dataset=sequences).path)
    return found
