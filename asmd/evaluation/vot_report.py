"""`VotReport`: trackers side by side on a VOT challenge, as `Report` is for one-pass runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asmd.errors import ResultsError
from asmd.evaluation import trajectories
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.tables import Cell, Column, Table
from asmd.evaluation.vot import VotProtocol, VotScore, score, vot_protocol
from asmd.sequence import Sequence


@dataclass(frozen=True, eq=False)
class VotReport:
    """Trackers side by side, best first.

    Attributes:
        dataset: name of the data set.
        protocol: by which they were scored.
        sequences: the annotation that they were scored on.
        scores: of each tracker, the highest EAO first (or accuracy, where sequences are too short for EAO).
    """

    dataset: str
    protocol: VotProtocol
    sequences: tuple[Sequence, ...]
    scores: Mapping[str, VotScore]

    @classmethod
    def from_results(
        cls,
        results: str | Path | ResultsFolder,
        dataset: Iterable[Sequence],
        protocol: str | VotProtocol = "vot2018",
        *,
        name: str = "",
        trackers: Iterable[str] | None = None,
    ) -> VotReport:
        """Read supervised results and score them.

        Args:
            results: a folder with a subfolder for each tracker; `results` of a workspace of the VOT toolkit will do.
            dataset: the annotation, with frames or with their size in `meta["resolution"]`.
            protocol: a protocol or its name.
            name: what to call the data set; its own name where empty.
            trackers: only these.

        Raises:
            ResultsError: if results are missing, malformed or of another data set.
            DatasetError: if the size of a sequence's frames is not known.
            ConfigError: if there is no such protocol.
        """
        folder = results if isinstance(results, ResultsFolder) else ResultsFolder(results)
        rules, sequences, there = vot_protocol(protocol), tuple(dataset), trajectories.trackers(folder)
        chosen = there if trackers is None else list(trackers)
        if missing := [tracker for tracker in chosen if tracker not in there]:
            raise ResultsError(f"{folder.root}: no supervised results of {missing[0]!r}; there are {', '.join(there)}")
        if not chosen:
            raise ResultsError(f"{folder.root}: no <tracker>/{trajectories.FOLDER}/<sequence>/<sequence>_001.txt in it")
        scores = {tracker: score(folder, tracker, sequences, rules) for tracker in chosen}
        best_first = sorted(scores, key=lambda t: (-_or_zero(scores[t].eao), -scores[t].accuracy, t))
        named = name or str(getattr(dataset, "name", ""))
        return cls(named, rules, sequences, {tracker: scores[tracker] for tracker in best_first})

    @property
    def title(self) -> str:
        """Data set, number of sequences and protocol."""
        return f"{self.dataset or 'results'}: {len(self.sequences)} sequences, protocol {self.protocol.name}"

    def table(self) -> Table:
        """Trackers and their figures; `print` shows it."""
        columns = [Column("tracker"), Column("EAO", 3, "highest"), Column("accuracy", 3, "highest")]
        columns += [Column("robustness", 3, "lowest"), Column("failures", 2, "lowest"), Column("repeats")]
        columns += [Column("fps", 1, "highest")]
        rows: list[tuple[Cell, ...]] = [
            (t, s.eao, s.accuracy, s.robustness, s.failures, s.repeats, s.fps) for t, s in self.scores.items()
        ]
        return Table(self.title, tuple(columns), tuple(rows), self.protocol.summary)

    def sequence_table(self, focus: str | None = None, limit: int | None = None) -> Table:
        """Sequences, those with most failures of one tracker first.

        Args:
            focus: the tracker; the best one where None.
            limit: how many sequences; all where None.

        Raises:
            ResultsError: if there is no such tracker.
        """
        tracker = focus or next(iter(self.scores))
        if tracker not in self.scores:
            raise ResultsError(f"no results of {tracker!r}; there are {', '.join(self.scores)}")
        worst = sorted(self.scores[tracker].sequences, key=lambda s: (-s.failures / s.frames, s.accuracy))
        columns = (Column("sequence"), Column("frames"), Column("accuracy"), Column("failures", 2))
        rows: list[tuple[Cell, ...]] = [(s.sequence, s.frames, s.accuracy, s.failures) for s in worst[:limit]]
        return Table(f"Sequences, worst of {tracker} first", columns, tuple(rows))

    def to_json(self) -> list[dict[str, Any]]:
        """One object a tracker, best first; null where not known."""
        return [
            {
                "tracker": tracker,
                "dataset": self.dataset,
                "protocol": self.protocol.name,
                "repeats": s.repeats,
                "eao": _or_none(s.eao),
                "accuracy": s.accuracy,
                "robustness": s.robustness,
                "failures": s.failures,
                "fps": _or_none(s.fps),
                "sequences": {one.sequence: one.accuracy for one in s.sequences},
                "sequence_failures": {one.sequence: one.failures for one in s.sequences},
            }
            for tracker, s in self.scores.items()
        ]

    def json(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=1) + "\n"


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
