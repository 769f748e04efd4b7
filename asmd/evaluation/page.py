"""The report as one HTML page that needs nothing beside it: tables, plots, filmstrips and provenance."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from asmd.errors import ResultsError
from asmd.evaluation.filmstrip import Filmstrip, filmstrip, most_parted
from asmd.evaluation.plots import PLOTS, SHOWN, Look, render
from asmd.evaluation.report import Report

GRID_SHOWN = 10
"""Trackers with a column of their own in the table of sequences, best first."""


@dataclass(frozen=True)
class Tinted:
    """A cell on a coloured ground."""

    text: str
    tint: str = ""


@dataclass(frozen=True)
class Grid:
    """Figures of every sequence and the best trackers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Tinted, ...], ...]


def html_page(report: Report, *, focus: str | None = None, strips: Iterable[str] | int = 3) -> str:
    """Put everything that a report has on one page.

    Args:
        report: what to show.
        focus: the tracker whose worst sequences come first; the best one where None.
        strips: names of the sequences to show filmstrips of, or of how many: those on which trackers differ most.

    Raises:
        ResultsError: if there is no such tracker or sequence.
    """
    from jinja2 import Environment, PackageLoader

    chosen = report.tracker(focus) if focus else report.trackers[0]
    films = _filmstrips(report, strips)
    plots = {name: figure for name, draw in PLOTS.items() if (figure := draw(report)) is not None}
    absence, attributes = report.absence_table(), report.attribute_table() if report.attributes else None
    sections = [("overall", "Overall")]
    sections += [("attributes", "Attributes")] if attributes else []
    sections += [("absence", "Absence")] if absence else []
    sections += [("sequences", "Sequences")]
    sections += [("filmstrips", "Where trackers part")] if films else []
    template = Environment(
        loader=PackageLoader("asmd.evaluation"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html")
    return template.render(
        report=report,
        frames=sum(map(len, report.sequences)),
        sections=[*sections, ("provenance", "Provenance")],
        overall=replace(report.table(), note=""),  # the page says it above
        colours={t.name: Look.of(rank).colour for rank, t in enumerate(report.trackers[:SHOWN])},
        plots={name: _uri(render(figure, "svg"), "svg+xml") for name, figure in plots.items()},
        attributes=attributes,
        absence=absence,
        focus=chosen.name,
        grid=_grid(report, chosen.name),
        strips=films,
        rules=_rules(report),
        uri=_uri,
        version=_version(),
    )


def _filmstrips(report: Report, strips: Iterable[str] | int) -> list[Filmstrip]:
    by_name = {s.name: s for s in report.sequences}
    names = most_parted(report, strips) if isinstance(strips, int) else list(strips)
    if unknown := [name for name in names if name not in by_name]:
        raise ResultsError(f"no sequence {unknown[0]!r} in this report to make a filmstrip of")
    return [filmstrip(report, by_name[name]) for name in names]


def _grid(report: Report, focus: str) -> Grid:
    """Sequences, worst of the focus first, and the best trackers, the focus before them."""
    first = report.protocol.measures[0]
    scale, digits = report.protocol.scale, 3 if report.protocol.scale == 1 else 1
    shown = [report.tracker(focus), *(t for t in report.trackers if t.name != focus)][:GRID_SHOWN]
    rows = []
    for sequence in sorted(report.sequences, key=lambda s: report.tracker(focus).sequences[s.name][first]):
        values = [t.sequences[sequence.name][first] for t in shown]
        labels = [Tinted(" ".join(sequence.attributes))] if report.attributes else []
        cells = [Tinted(sequence.name), *labels, Tinted(str(len(sequence)))]
        rows.append((*cells, *(Tinted(f"{v * scale:.{digits}f}", _tint(v)) for v in values)))
    headings = ("sequence", "attributes", "frames") if report.attributes else ("sequence", "frames")
    return Grid((*headings, *(t.name for t in shown)), tuple(rows))


def _tint(value: float) -> str:
    """White for 0, a blue that black text can still be read on for 1."""
    low, high = np.array([255, 255, 255]), np.array([120, 180, 225])
    red, green, blue = (low + (high - low) * float(np.clip(value, 0, 1))).round().astype(int)
    return f"rgb({red},{green},{blue})"


def _rules(report: Report) -> list[tuple[str, str]]:
    rules: dict[str, Any] = asdict(report.protocol)
    texts = {
        name: ", ".join(sorted(value)) or "nothing" if isinstance(value, frozenset) else str(value)
        for name, value in rules.items()
        if name not in ("name", "summary", "measures")
    }
    for name in ("success", "precision", "normalised"):
        curve = rules[name]
        texts[name] = (
            f"{curve['points']} thresholds from 0 to {curve['stop']:g}, {'strict' if curve['strict'] else 'not strict'}"
        )
        texts[name] += f"; figure: {curve['figure']}"
    return [(name.replace("_", " "), text) for name, text in texts.items()]


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _version() -> str:
    try:
        return version("asmd")
    except PackageNotFoundError:
        return "from a source tree"
