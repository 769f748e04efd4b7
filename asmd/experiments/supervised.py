"""VOT's supervised runs as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from pathlib import Path

import numpy as np

from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.vot import score, vot_protocol
from asmd.experiments.plan import Cell, Experiment
from asmd.experiments.running import results_of
from asmd.experiments.summary import Outcome
from asmd.sequence import Sequence

MEASURES = ("eao", "accuracy", "robustness")


def outcomes(
    experiment: Experiment, seeds: Mapping[str, Rows[int]], sequences: Rows[Sequence], output: Path
) -> tuple[Outcome, ...]:
    """EAO, accuracy and failures per 100 frames of each row, over its seeds; each seed's runs are VOT's repeats."""
    rules, found = vot_protocol(experiment.protocol), []
    for row in experiment.rows:
        scores = []
        for seed in seeds[row.name]:
            (part,) = row.parts
            folder = ResultsFolder(results_of(experiment, Cell(row, part, seed), output))
            scores.append(score(folder, part.name, sequences, rules))
        if scores:
            values = {m: np.array([getattr(s, m) for s in scores], dtype=np.float64) for m in MEASURES}
            spread = {m: float(v.std(ddof=1)) if len(v) > 1 else float("nan") for m, v in values.items()}
            found.append(Outcome(row, len(scores), {m: float(v.mean()) for m, v in values.items()}, spread, {}))
    return tuple(found)
