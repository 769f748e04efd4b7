"""What came of an experiment: figures beside the paper's, in a table, a file for programs, a plot and a page."""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from collections.abc import Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asmd.errors import ResultsError
from asmd.evaluation import provenance
from asmd.evaluation.protocols import PROTOCOLS
from asmd.evaluation.report import Report
from asmd.evaluation.results import ResultsFolder, SequenceRun, write_atomic
from asmd.evaluation.scoring import measure_name
from asmd.evaluation.tables import Cell as Entry
from asmd.evaluation.tables import Column, Table
from asmd.experiments.plan import Cell, Experiment, Row, Scale
from asmd.experiments.running import done_mark, is_done, results_of, sequences_of
from asmd.sequence import Sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Outcome:
    """One row's figures.

    Attributes:
        row: which.
        repeats: finished seeds, times runs.
        measures: means, in 0..1.
        spread: standard deviations over the repeats; NaN for one.
        attributes: the first measure over the sequences with each attribute.
    """

    row: Row
    repeats: int
    measures: dict[str, float]
    spread: dict[str, float]
    attributes: dict[str, float]


@dataclass(frozen=True, eq=False)
class Summary:
    """An experiment's figures and where they come from.

    Attributes:
        experiment: which.
        scale: at which scale.
        outcomes: of the rows of which a seed is finished, in the paper's order.
        report: all raw results, for curves; None where nothing can be scored here.
        facts: provenance.
    """

    experiment: Experiment
    scale: Scale
    outcomes: tuple[Outcome, ...]
    report: Report | None
    facts: dict[str, Any]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of the table: those of the experiment, finished or not, and published results."""
        own = {row.name for row in self.experiment.rows}
        return (*self.experiment.rows, *(one.row for one in self.outcomes if one.row.name not in own))

    def outcome(self, name: str) -> Outcome | None:
        """Of the row of that name."""
        return next((one for one in self.outcomes if one.row.name == name), None)

    def table(self) -> Table:
        """Measured figures with their spread, and the paper's."""
        experiment = self.experiment
        first = experiment.measures[0]
        named = {m: heading(experiment, m) for m in experiment.measures}
        columns = [Column("")]
        for measure, name in named.items():
            columns += [Column(name, 3, "lowest" if measure == "robustness" else "highest")]
            columns += [Column("±")] if measure == first else []
        columns += [Column("runs"), *(Column(f"paper: {name}") for name in named.values())]
        rows: list[tuple[Entry, ...]] = []
        for row in self.rows:
            one = self.outcome(row.name)
            line: list[Entry] = [row.name]
            for measure in named:
                line += [one.measures[measure] if one else None]
                line += [one.spread[measure] if one else None] if measure == first else []
            rows.append((*line, one.repeats if one else 0, *(row.printed.get(m) for m in named)))
        blank: tuple[Entry, ...] = (None,) * (len(named) + 2)
        rows += [(name, *blank, *(p.get(m) for m in named)) for name, p in experiment.others.items()]
        return Table(f"{experiment.heading}, scale {self.scale}", tuple(columns), tuple(rows))

    @property
    def noise(self) -> float:
        """Standard deviation of one run, pooled over the rows: two or three runs of a row say little of its own."""
        first = self.experiment.measures[0]
        repeated = [(one.repeats - 1, one.spread[first]) for one in self.outcomes if not math.isnan(one.spread[first])]
        freedom = sum(count for count, _ in repeated)
        return math.sqrt(sum(count * spread**2 for count, spread in repeated) / freedom) if freedom else math.nan

    def reading(self) -> list[str]:
        """Which of the paper's orders show, a line each; a difference of up to two standard errors is none."""
        first, noise, lines = self.experiment.measures[0], self.noise, []
        for worse, better in self.experiment.pairs:
            one, other = self.outcome(worse), self.outcome(better)
            if one is None or other is None:
                continue
            difference = other.measures[first] - one.measures[first]
            error = noise * math.sqrt(1 / one.repeats + 1 / other.repeats)
            text = f"{worse} < {better}: {difference:+.3f}"
            if math.isnan(error):
                lines.append(f"{text} from one run, which says nothing of the spread")
            elif abs(difference) <= 2 * error:
                lines.append(f"{text}, standard error {error:.3f}: cannot be told from so many runs")
            else:
                verdict = "as in the paper" if difference > 0 else "the other way round"
                lines.append(f"{text}, standard error {error:.3f}: {verdict}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For programs; null where not known."""
        experiment = self.experiment
        return {
            "experiment": experiment.name,
            "title": experiment.title,
            "scale": self.scale,
            "about": experiment.about,
            "protocol": experiment.protocol,
            "rows": [
                {
                    "name": one.row.name,
                    "repeats": one.repeats,
                    **{m: known(one.measures[m]) for m in experiment.measures},
                    "spread": {m: known(one.spread[m]) for m in experiment.measures},
                    "attributes": {a: known(v) for a, v in one.attributes.items()},
                    "paper": dict(one.row.printed),
                }
                for one in self.outcomes
            ],
            "orders": self.reading(),
            "sequences": {t.name: {n: m["auc"] for n, m in t.sequences.items()} for t in self.report.trackers}
            if self.report
            else {},
            "provenance": self.facts,
        }

    def plot(self) -> Figure:
        """The first measure of each row with its spread, and the paper's number beside it."""
        from asmd.evaluation.plots import COLOURS, GREY, figure_of

        first = self.experiment.measures[0]
        figure, axes = figure_of(1.6 + 0.9 * len(self.rows), 3.6)
        for place, row in enumerate(self.rows):
            one, paper = self.outcome(row.name), row.printed.get(first)
            if paper is not None:
                axes.plot(place + 0.15, paper, "D", color=GREY, label="paper")
            if one is not None:
                spread = 0.0 if math.isnan(one.spread[first]) else one.spread[first]
                axes.errorbar(
                    place - 0.15, one.measures[first], spread, fmt="o", capsize=4, color=COLOURS[0], label="measured"
                )
        axes.set_xticks(range(len(self.rows)), [textwrap.fill(row.name, 12) for row in self.rows])
        axes.set_xlim(-0.6, len(self.rows) - 0.4)
        axes.set(ylabel=heading(self.experiment, first), title=f"{self.experiment.title}, scale {self.scale}")
        axes.grid(True, axis="y", color="#E6E6E6")
        labels = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        if labels:
            axes.legend(labels.values(), labels.keys(), frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return figure


def heading(experiment: Experiment, measure: str) -> str:
    """Of a column."""
    rules = PROTOCOLS.get(experiment.protocol)
    return measure_name(rules, measure) if rules else {"eao": "EAO"}.get(measure, measure)


def known(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return None if math.isnan(value) else round(value, 6)


def summarise(experiment: Experiment, scale: Scale, data: Path, output: Path) -> Summary:
    """Reads what is finished.

    Raises:
        ResultsError: if nothing is.
    """
    finished = {row.name: [seed for seed in range(experiment.seeds) if _whole(experiment, row, seed, output)]
                for row in experiment.rows}  # fmt: skip
    if not any(finished.values()):
        raise ResultsError(f"{output}: no row of {experiment.name} is finished")
    sequences = {s.name: s for part in experiment.rows[0].parts for s in sequences_of(part.test, data)}
    facts = _facts(experiment, finished, list(sequences.values()), output)
    if experiment.experiment == "server":
        from asmd.experiments.server import pack

        facts["submissions"] = [path.name for path in pack(experiment, finished, list(sequences.values()), output)]
        return Summary(experiment, scale, (), None, facts)
    if experiment.experiment == "supervised":
        from asmd.experiments.supervised import outcomes

        return Summary(experiment, scale, outcomes(experiment, finished, list(sequences.values()), output), None, facts)
    runs = {row.name: _repeats(experiment, row, finished[row.name], output) for row in experiment.rows}
    runs = {name: repeats for name, repeats in runs.items() if repeats}
    for name, folder in experiment.published.items():
        from asmd.experiments.published import read

        runs[name] = [read(data / folder, list(sequences.values()), data)]
    report = Report.from_results(runs, sequences.values(), experiment.protocol, name=experiment.title)
    rows = [*experiment.rows, *(Row(name, (), experiment.rows[0].tracker) for name in experiment.published)]
    entries = {entry.name: entry for entry in report.trackers}
    found = [
        Outcome(
            row, entries[row.name].repeats, dict(entries[row.name].measures), dict(entries[row.name].spread),
            {a: m[experiment.measures[0]] for a, m in entries[row.name].attributes.items()},
        )
        for row in rows if row.name in entries
    ]  # fmt: skip
    return Summary(experiment, scale, tuple(found), report, facts)


def _whole(experiment: Experiment, row: Row, seed: int, output: Path) -> bool:
    return all(is_done(experiment, Cell(row, part, seed), output) for part in row.parts)


def _repeats(experiment: Experiment, row: Row, seeds: Rows[int], output: Path) -> list[dict[str, SequenceRun]]:
    """Runs of every sequence, whatever part it is in, for each seed and run."""
    found = []
    for seed in seeds:
        for repeat in range(1, experiment.runs + 1):
            runs: dict[str, SequenceRun] = {}
            for part in row.parts:
                folder = ResultsFolder(results_of(experiment, Cell(row, part, seed), output))
                for name in folder.sequences(part.name, repeat):
                    runs[name] = folder.read(part.name, name, repeat)
            found.append(runs)
    return found


def data_digest(sequences: Iterable[Sequence]) -> str:
    """Of names, lengths and boxes; frames are not read for it."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{sequence.name} {len(sequence)} ".encode())
        digest.update(sequence.boxes.tobytes())
    return digest.hexdigest()[:16]


def _facts(
    experiment: Experiment, finished: dict[str, list[int]], sequences: Rows[Sequence], output: Path
) -> dict[str, Any]:
    marks = [
        done_mark(experiment, Cell(row, part, seed), output)
        for row in experiment.rows for seed in finished[row.name] for part in row.parts
    ]  # fmt: skip
    cells = [json.loads(mark.read_text(encoding="utf-8")) for mark in marks]
    return {
        "tracked": {
            "sequences": len(sequences),
            "frames": sum(map(len, sequences)),
            "sha256": data_digest(sequences),
        },
        "seeds": finished,
        "hours": round(sum(cell["seconds"] for cell in cells) / 3600, 3),
        "commits": sorted({cell.get("commit", "") for cell in cells}),
        "machines": [json.loads(text) for text in sorted({json.dumps(cell["machine"]) for cell in cells})],
        "ended": max(cell["ended"] for cell in cells),
        "summarised": {**provenance.code_version(), "time": provenance.now()},
    }


def write(summary: Summary, folder: Path, command: str) -> list[Path]:
    """Writes `<name>.json`, `<name>.md` and `<name>.png`.

    Args:
        summary: what.
        folder: where; made if missing.
        command: that does the same again, for the page.

    Returns:
        The files.
    """
    from asmd.evaluation.plots import render

    experiment = summary.experiment
    paths = [folder / f"{experiment.name}.{kind}" for kind in ("json", "md", "png")]
    write_atomic(paths[0], json.dumps(summary.to_json(), indent=1) + "\n")
    write_atomic(paths[1], page(summary, command))
    if summary.outcomes:
        write_atomic(paths[2], render(summary.plot(), "png"))
    return paths if summary.outcomes else paths[:2]


def page(summary: Summary, command: str) -> str:
    """The table's page, in Markdown."""
    experiment, facts = summary.experiment, summary.facts
    tracked = facts["tracked"]
    parts = [
        f"# {experiment.heading}\n",
        f"Scale `{summary.scale}`. {experiment.about}\n",
    ]
    parts += [f"```\n{command}\n```\n", summary.table().markdown()]
    if experiment.by_attribute:
        parts.append(attribute_table(summary).markdown())
    if lines := summary.reading():
        about = (
            "The paper's orders by the first column. A difference counts from two standard errors on, with the spread "
            "of a run pooled over the rows."
        )
        parts.append("\n".join([about, "", *(f"- {line}" for line in lines)]) + "\n")
    if summary.outcomes:
        parts.append(f"![measured and printed]({experiment.name}.png)\n")
    commits = ", ".join(c[:12] + c[40:] for c in facts["commits"] if c) or "unknown"
    machine = "; ".join(f"{m['processor']}, torch {m.get('torch', '?')}" for m in facts["machines"])
    parts.append(
        f"{tracked['sequences']} sequences, {tracked['frames']} frames (names and boxes: sha256 {tracked['sha256']}). "
        f"{facts['hours']:.2f} hours of {machine}. Commit {commits}; {facts['ended']}. All figures: "
        f"[{experiment.name}.json]({experiment.name}.json).\n"
    )
    return "\n".join(parts)


def attribute_table(summary: Summary) -> Table:
    """The first measure by attribute; the paper's numbers in the lines that end in (paper)."""
    names = sorted(set(chain.from_iterable(one.attributes for one in summary.outcomes)))
    count = summary.report.attributes if summary.report else {}
    columns = (Column(""), *(Column(f"{name} ({count.get(name, 0)})", 3) for name in names))
    rows: list[tuple[Entry, ...]] = [
        (one.row.name, *(one.attributes.get(n) for n in names)) for one in summary.outcomes
    ]
    for name, printed in summary.experiment.attributes.items():
        rows.append((f"{name} (paper)", *(printed.get(n) for n in names)))
    first = heading(summary.experiment, summary.experiment.measures[0])
    return Table(f"{first} by attribute (number of sequences)", columns, tuple(rows))
