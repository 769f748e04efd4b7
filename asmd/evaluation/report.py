"""`Report`: figures of any number of trackers on a data set, by a named protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asmd.errors import DatasetError, ResultsError
from asmd.evaluation.absence import AbsenceScore, absence_score
from asmd.evaluation.loading import Loaded, Repeats, Source, load, sources, unpacked
from asmd.evaluation.protocols import Protocol, default_protocol
from asmd.evaluation.protocols import protocol as find_protocol
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.scoring import MEASURES, Counts, Curves, each, measure_name, pool, score_sequence
from asmd.evaluation.tables import Cell, Column, Table
from asmd.sequence import Sequence


@dataclass(frozen=True, eq=False)
class TrackerReport:
    """One tracker on one data set. Figures are in 0..1 and means over the repeats.

    Attributes:
        name: its label.
        repeats: how often it was run.
        measures: each of `asmd.evaluation.scoring.MEASURES` over the whole data set.
        spread: standard deviation of each over the repeats; NaN where there is one repeat.
        curves: over the whole data set.
        sequences: the measures of each sequence alone.
        attributes: the measures over the sequences with each attribute.
        fps: frames a second, first frames aside; NaN where no times are known.
        absence: how well it tells frames without the target; None where there are none.
        facts: what its `run.json` says.
    """

    name: str
    repeats: int
    measures: Mapping[str, float]
    spread: Mapping[str, float]
    curves: Curves
    sequences: Mapping[str, Mapping[str, float]]
    attributes: Mapping[str, Mapping[str, float]]
    fps: float
    absence: AbsenceScore | None
    facts: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Report:
    """Trackers side by side, best first.

    Attributes:
        dataset: name of the data set.
        protocol: by which they were scored.
        sequences: the annotation that they were scored on.
        trackers: one entry each, best first by the protocol's first measure.
        attributes: how many sequences have each attribute.
        warnings: what a reader of the figures should know.
        runs: the raw results.
    """

    dataset: str
    protocol: Protocol
    sequences: tuple[Sequence, ...]
    trackers: tuple[TrackerReport, ...]
    attributes: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    runs: Mapping[str, Repeats] = field(default_factory=dict, repr=False)

    @classmethod
    def from_results(
        cls,
        results: str | Path | ResultsFolder | Mapping[str, Repeats],
        dataset: Iterable[Sequence],
        protocol: str | Protocol | None = None,
        *,
        name: str = "",
        trackers: Iterable[str] | None = None,
        also: Mapping[str, str | Path] | None = None,
        one_based: Iterable[str] = (),
        common: bool = False,
    ) -> Report:
        """Read raw results and score them.

        Args:
            results: a folder with a subfolder for each tracker, a zip of one, or runs in memory: for each tracker its
                repeats, each of them the run of every sequence by its name.
            dataset: the annotation; frames are needed only by protocols that clip boxes and by filmstrips.
            protocol: a protocol or its name; the data set's own where None.
            name: what to call the data set; its own name where empty.
            trackers: only these.
            also: further trackers by name, and the folders that their boxes files are in.
            one_based: trackers whose boxes count pixels from 1.
            common: score the sequences that every tracker has, instead of refusing a tracker that lacks one.

        Raises:
            ResultsError: if results are missing, malformed or of another data set; the text names the file and the row.
            DatasetError: if the data set has no annotation to score against.
            ConfigError: if there is no such protocol.
        """
        name = name or str(getattr(dataset, "name", ""))
        rules = default_protocol(name) if protocol is None else find_protocol(protocol)
        sequences = _scorable(dataset)
        if isinstance(results, Mapping):
            loaded = Loaded(sequences, runs=dict(results))
        else:
            with unpacked(results.root if isinstance(results, ResultsFolder) else results) as root:
                found = sources(root, also, one_based)
                if trackers is not None:
                    found = _chosen(found, list(trackers), root)
                loaded = load(found, sequences, rules, common=common)
        return cls.from_runs(loaded, rules, name)

    @classmethod
    def from_runs(cls, loaded: Loaded, protocol: Protocol, name: str) -> Report:
        """Score what was read."""
        sequences, runs = loaded.sequences, loaded.runs
        rows = [(tracker, repeat) for tracker, repeats in runs.items() for repeat in range(len(repeats))]
        parts = [
            score_sequence(protocol, s, [runs[tracker][repeat][s.name].boxes for tracker, repeat in rows])
            for s in sequences
        ]
        counts = Counts.stack(parts, axis=1)
        attributes: dict[str, int] = {}
        for sequence in sequences:
            for attribute in sequence.attributes:
                attributes[attribute] = attributes.get(attribute, 0) + 1
        reports = []
        for tracker, repeats in runs.items():
            mine = np.array([label == tracker for label, _ in rows])
            reports.append(_summary(protocol, tracker, counts[mine], sequences, repeats, sorted(attributes), loaded))
        first = protocol.measures[0]
        reports.sort(key=lambda r: (-r.measures[first], r.name))
        ordered = dict(sorted(attributes.items()))
        return cls(name, protocol, tuple(sequences), tuple(reports), ordered, tuple(loaded.warnings), runs)

    @property
    def title(self) -> str:
        """Data set, number of sequences and protocol."""
        return f"{self.dataset or 'results'} ({len(self.sequences)} sequences), protocol {self.protocol.name}"

    def tracker(self, name: str) -> TrackerReport:
        """The entry of a tracker.

        Raises:
            ResultsError: if it has none.
        """
        for entry in self.trackers:
            if entry.name == name:
                return entry
        raise ResultsError(f"no results of {name!r}; there are {', '.join(t.name for t in self.trackers)}")

    def table(self) -> Table:
        """Trackers and their figures; `print` shows it."""
        shown = [(m, self._column(m)) for m in self.protocol.measures]
        first = shown[0][1]
        columns = [Column("tracker"), *(column for _, column in shown)]
        repeated = any(t.repeats > 1 for t in self.trackers)
        if repeated:
            columns[2:2] = [Column(f"± {first.name}", first.digits, scale=first.scale), Column("runs")]
        timed = any(not math.isnan(t.fps) for t in self.trackers)
        if timed:
            columns.append(Column("fps", 1, "highest"))
        rows: list[tuple[Cell, ...]] = []
        for entry in self.trackers:
            row: list[Cell] = [entry.name, *(entry.measures[m] for m, _ in shown)]
            if repeated:
                row[2:2] = [entry.spread[shown[0][0]], entry.repeats]
            rows.append((*row, entry.fps) if timed else tuple(row))
        return Table(self.title, tuple(columns), tuple(rows), self.protocol.summary)

    def attribute_table(self) -> Table:
        """The first measure over the sequences with each attribute."""
        first = self.protocol.measures[0]
        column = self._column(first)
        columns = [Column(f"{a} ({n})", column.digits, "highest", column.scale) for a, n in self.attributes.items()]
        rows = [tuple[Cell, ...]([t.name, *(t.attributes[a][first] for a in self.attributes)]) for t in self.trackers]
        return Table(f"{column.name} by attribute (number of sequences)", (Column("tracker"), *columns), tuple(rows))

    def sequence_table(self, focus: str | None = None, limit: int | None = None) -> Table:
        """Sequences, those worst for one tracker first.

        Args:
            focus: the tracker; the best one where None.
            limit: how many sequences; all where None.
        """
        first = self.protocol.measures[0]
        column, chosen = self._column(first), self.tracker(focus) if focus else self.trackers[0]
        others = [t for t in self.trackers if t is not chosen]
        columns = [Column("sequence"), Column("frames"), _plainly(column, chosen.name)]
        if others:
            columns += [_plainly(column, "best other"), Column("which")]
        rows: list[tuple[Cell, ...]] = []
        for sequence in sorted(self.sequences, key=lambda s: chosen.sequences[s.name][first])[:limit]:
            row: list[Cell] = [sequence.name, len(sequence), chosen.sequences[sequence.name][first]]
            if others:
                best = max(others, key=lambda t: t.sequences[sequence.name][first])
                row += [best.sequences[sequence.name][first], best.name]
            rows.append(tuple(row))
        return Table(f"{column.name} by sequence, worst of {chosen.name} first", tuple(columns), tuple(rows))

    def absence_table(self) -> Table | None:
        """How well trackers tell frames without the target; None where there are none."""
        known = [(t.name, t.absence) for t in self.trackers if t.absence is not None]
        if not known:
            return None
        columns = [Column("tracker"), Column("AUROC score", best="highest"), Column("AUROC status", best="highest")]
        columns += [Column("lost | absent"), Column("lost | present")]
        rows = [(n, a.score_auroc, a.status_auroc, a.lost_when_absent, a.lost_when_present) for n, a in known]
        about = known[0][1]
        note = f"{about.sequences} sequences, {about.absent} frames without the target, {about.present} with it"
        return Table("Does it know that the target is absent?", tuple(columns), tuple(rows), note)

    def to_json(self) -> list[dict[str, Any]]:
        """One object a tracker, best first; figures in 0..1, null where not known."""
        return [
            {
                "tracker": t.name,
                "dataset": self.dataset,
                "protocol": self.protocol.name,
                "repeats": t.repeats,
                **{m: _number(t.measures[m]) for m in MEASURES},
                "spread": {m: _number(t.spread[m]) for m in MEASURES},
                "fps": _number(t.fps),
                "sequences": {name: _number(measures["auc"]) for name, measures in t.sequences.items()},
                "attributes": {a: _number(measures["auc"]) for a, measures in t.attributes.items()},
                "absence": None if t.absence is None else {k: _number(v) for k, v in vars(t.absence).items()},
            }
            for t in self.trackers
        ]

    def json(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=1) + "\n"

    def _column(self, measure: str) -> Column:
        scale = self.protocol.scale
        return Column(measure_name(self.protocol, measure), 3 if scale == 1 else 2, "highest", scale)


def _chosen(found: list[Source], names: list[str], root: Path) -> list[Source]:
    labels = [source.label for source in found]
    if unknown := [name for name in names if name not in labels]:
        raise ResultsError(f"{root}: no results of {unknown[0]!r}; there are {', '.join(labels)}")
    return [source for source in found if source.label in names]


def _plainly(column: Column, name: str) -> Column:
    return Column(name, column.digits, None, column.scale)


def _number(value: float | int) -> float | int | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def _scorable(dataset: Iterable[Sequence]) -> list[Sequence]:
    """The sequences, if each has boxes beyond its first frame.

    Raises:
        DatasetError: if there is none, or the boxes of one are withheld.
    """
    sequences = list(dataset)
    if not sequences:
        raise DatasetError("no sequence to score")
    for sequence in sequences:
        if len(sequence) < 2 or not sequence.valid[1:].any():
            raise DatasetError(
                f"{sequence.name}: no box after the first frame to score against; the test sets of GOT-10k and "
                "TrackingNet are scored by their servers (asmd submit)"
            )
    return sequences


def _summary(
    protocol: Protocol,
    tracker: str,
    counts: Counts,
    sequences: Rows[Sequence],
    repeats: Repeats,
    attributes: Rows[str],
    loaded: Loaded,
) -> TrackerReport:
    """Means over the repeats of one tracker, whose counts are (repeats, sequences, ...)."""
    classes = [s.meta.get("object_class", "") for s in sequences]
    curves = pool(protocol, counts, classes)
    measures = curves.measures(protocol)
    alone = {m: v.mean(axis=0) for m, v in each(counts).measures(protocol).items()}
    by_attribute = {}
    for attribute in attributes:
        chosen = np.array([attribute in s.attributes for s in sequences])
        part = pool(protocol, counts[:, chosen], [c for c, yes in zip(classes, chosen, strict=True) if yes])
        by_attribute[attribute] = _means(part.measures(protocol))
    seconds = np.concatenate([run.seconds[1:] for repeat in repeats for run in repeat.values()])
    known = seconds[np.isfinite(seconds)]
    many = len(repeats) > 1
    return TrackerReport(
        name=tracker,
        repeats=len(repeats),
        measures=_means(measures),
        spread={m: float(v.std(ddof=1)) if many else float("nan") for m, v in measures.items()},
        curves=Curves(*(np.asarray(c.mean(axis=0)) for c in vars(curves).values())),
        sequences={s.name: {m: float(v[i]) for m, v in alone.items()} for i, s in enumerate(sequences)},
        attributes=by_attribute,
        fps=float(len(known) / known.sum()) if known.sum() > 0 else float("nan"),
        absence=absence_score((s, repeat[s.name]) for repeat in repeats for s in sequences),
        facts=loaded.facts.get(tracker, {}),
    )


def _means(measures: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    return {m: float(v.mean()) for m, v in measures.items()}
