"""The figures of a report, as matplotlib draws them into files, never to a screen.

Colours are Okabe and Ito's, which people with any colour vision can tell apart; after seven trackers the dashes change.
A tracker has one look in all figures of a report.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ConfigError
from asmd.evaluation.protocols import Curve
from asmd.evaluation.report import Report, TrackerReport
from asmd.evaluation.results import write_atomic
from asmd.evaluation.scoring import measure_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
MARKERS = "osD^vPX"  # as many as there are colours
GREY = "#B8B8B8"

SHOWN = 12
"""Trackers drawn in colour with their names, best first; the others are grey lines."""

RADAR_SHOWN = 6
FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Look:
    """How a tracker is drawn."""

    colour: str
    dash: Any
    marker: str
    fill: Literal["full", "none"]

    @classmethod
    def of(cls, rank: int) -> Look:
        """The look of the tracker of that rank, 0 for the best: first the colours, then the dashes go round."""
        count = len(COLOURS)
        fill: Literal["full", "none"] = "none" if rank // count % 2 else "full"
        return cls(COLOURS[rank % count], DASHES[rank // count % len(DASHES)], MARKERS[rank % count], fill)


def success_plot(report: Report) -> Figure:
    """Success over the overlap threshold."""
    return _curves(report, report.protocol.success, "success", "auc", "Success", "overlap threshold", "share of frames")


def precision_plot(report: Report) -> Figure:
    """Precision over the centre error."""
    label = "centre error threshold (px)"
    return _curves(report, report.protocol.precision, "precision", "precision", "Precision", label, "share of frames")


def normalised_plot(report: Report) -> Figure:
    """Precision over the centre error in sides of the annotated box."""
    label = "centre error threshold (sides of the box)"
    key = "normalised_precision"
    return _curves(
        report, report.protocol.normalised, "normalised", key, "Normalised precision", label, "share of frames"
    )


def attribute_plot(report: Report) -> Figure | None:
    """A radar of the first measure by attribute; None where there are fewer than three attributes."""
    attributes = list(report.attributes)
    if len(attributes) < 3:
        return None
    first = report.protocol.measures[0]
    figure, axes = figure_of(6.6, 6.0, polar=True)
    angles = np.linspace(0, 2 * np.pi, len(attributes), endpoint=False)
    closed = np.append(angles, angles[0])
    highest = 0.0
    for rank, entry in enumerate(report.trackers[:RADAR_SHOWN]):
        look = Look.of(rank)
        values = [entry.attributes[a][first] for a in attributes]
        highest = max(highest, *values)
        label = f"[{entry.measures[first]:.3f}] {entry.name}"
        axes.plot(closed, [*values, values[0]], color=look.colour, linestyle=look.dash, linewidth=1.8, label=label)
    axes.set_theta_offset(np.pi / 2)  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    axes.set_xticks(angles, [f"{a}\n({n})" for a, n in report.attributes.items()])
    axes.set_ylim(0, min(1.0, math.ceil(highest * 10 + 0.5) / 10))
    axes.tick_params(axis="y", labelsize=8, labelcolor="#555555")
    axes.grid(True, color="#DDDDDD")
    axes.spines["polar"].set_color("#999999")
    axes.set_title(f"{measure_name(report.protocol, first)} by attribute (number of sequences)", pad=26)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def speed_plot(report: Report) -> Figure | None:
    """The first measure over the frame rate; None where no tracker has times."""
    timed = [(rank, t) for rank, t in enumerate(report.trackers) if not math.isnan(t.fps)]
    if not timed:
        return None
    first = report.protocol.measures[0]
    figure, axes = figure_of(7.4, 4.4)
    for rank, entry in timed:
        look = Look.of(rank) if rank < SHOWN else Look(GREY, "-", "o", "full")
        label = f"[{entry.measures[first]:.3f}, {entry.fps:.3g} fps] {entry.name}" if rank < SHOWN else None
        style: dict[str, Any] = {"color": look.colour, "markersize": 9, "linestyle": "none", "fillstyle": look.fill}
        axes.plot(entry.fps, entry.measures[first], look.marker, label=label, zorder=3 if label else 2, **style)
    axes.set_xscale("log")
    slowest, fastest = min(t.fps for _, t in timed), max(t.fps for _, t in timed)
    margin = max(1.5, math.sqrt(10 * slowest / fastest))  # never less than a decade in all
    slowest, fastest = slowest / margin, fastest * margin
    steps = (1, 2, 5) if fastest / slowest < 300 else (1,)
    ticks = [step * 10.0**power for power in range(-3, 5) for step in steps]
    axes.set_xticks([t for t in ticks if slowest <= t <= fastest], minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(slowest, fastest)
    axes.set_ylim(0, 1)
    axes.axvline(25, color=GREY, linewidth=1, linestyle=":", zorder=1)
    axes.set(xlabel="frames a second (log; dotted: 25)", ylabel=measure_name(report.protocol, first))
    axes.set_title("Speed and accuracy")
    axes.grid(True, which="major", color="#E6E6E6")
    _legend_beside(axes, len(report.trackers))
    return figure


def repeats_plot(report: Report) -> Figure | None:
    """Mean and spread of the first measure over repeats; None where every tracker was run once."""
    if all(t.repeats < 2 for t in report.trackers):
        return None
    first = report.protocol.measures[0]
    entries = report.trackers[:SHOWN][::-1]
    figure, axes = figure_of(7.4, 1.4 + 0.34 * len(entries))
    for row, entry in enumerate(entries):
        look = Look.of(len(entries) - 1 - row)
        spread = entry.spread[first]
        style: dict[str, Any] = {"fmt": look.marker, "color": look.colour, "capsize": 4, "markersize": 7}
        style["fillstyle"] = look.fill
        axes.errorbar(entry.measures[first], row, xerr=None if math.isnan(spread) else spread, **style)
    labels = [f"{t.name} ({t.repeats}) [{t.measures[first]:.3f}{_plus_minus(t, first)}]" for t in entries]
    axes.set_yticks(range(len(entries)), labels)
    axes.set_ylim(-0.6, len(entries) - 0.4)
    axes.set_xlabel(f"{measure_name(report.protocol, first)}, mean and standard deviation over repeats")
    axes.grid(True, axis="x", color="#E6E6E6")
    return figure


PLOTS: Mapping[str, Callable[[Report], Figure | None]] = {
    "success": success_plot,
    "precision": precision_plot,
    "normalised_precision": normalised_plot,
    "attributes": attribute_plot,
    "speed_accuracy": speed_plot,
    "repeats": repeats_plot,
}
"""Every figure of a report by the name of its file."""


def save_plots(report: Report, folder: Path, kind: str = "png") -> list[Path]:
    """Write all figures that the results have the data for.

    Args:
        report: what to draw.
        folder: made if need be.
        kind: one of `FORMATS`.

    Returns:
        The files.

    Raises:
        ConfigError: for another format.
        OutputError: if a file cannot be written.
    """
    if kind not in FORMATS:
        raise ConfigError(f"plots are written as {', '.join(FORMATS)}, not {kind!r}")
    written = []
    for name, draw in PLOTS.items():
        figure = draw(report)
        if figure is not None:
            path = folder / f"{name}.{kind}"
            write_atomic(path, render(figure, kind))
            written.append(path)
    return written


def render(figure: Figure, kind: str) -> bytes:
    """A figure as the contents of a file."""
    stream = io.BytesIO()
    # Neither date nor version, so that the same results give the same file.
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def _plus_minus(entry: TrackerReport, measure: str) -> str:
    spread = entry.spread[measure]
    return "" if math.isnan(spread) else f" ± {spread:.3f}"


def figure_of(width: float, height: float, *, polar: bool = False) -> tuple[Figure, Axes]:
    """An empty figure of a size in inches, in the style of all of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot(projection="polar" if polar else None)
    if not polar:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curves(report: Report, curve: Curve, field: str, measure: str, title: str, x_label: str, y_label: str) -> Figure:
    """One line a tracker, best by the figure of this curve first, which stands before its name."""
    figure, axes = figure_of(7.4, 4.4)
    looks = {t.name: Look.of(rank) for rank, t in enumerate(report.trackers)}
    ordered = sorted(report.trackers, key=lambda t: -t.measures[measure])
    named = {t.name for t in report.trackers[:SHOWN]}
    for entry in ordered:
        heights: NDArray[np.float64] = getattr(entry.curves, field)
        if entry.name not in named:
            axes.plot(curve.thresholds, heights, color=GREY, linewidth=0.8, zorder=1)
            continue
        look = looks[entry.name]
        label = f"[{entry.measures[measure]:.3f}] {entry.name}"
        style: dict[str, Any] = {"color": look.colour, "linestyle": look.dash, "linewidth": 2, "zorder": 2}
        axes.plot(curve.thresholds, heights, label=label, **style)
    if not isinstance(curve.figure, str):
        axes.axvline(curve.figure, color="#888888", linewidth=1, linestyle=":", zorder=0)
    axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, curve.stop), ylim=(0, 1))
    axes.set_title(f"{title} on {report.title}", fontsize=10)
    axes.grid(True, color="#E6E6E6")
    _legend_beside(axes, len(report.trackers))
    return figure


def _legend_beside(axes: Axes, count: int) -> None:
    title = None if count <= SHOWN else f"best {SHOWN} of {count}; others grey"
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, title=title, handlelength=2.6)
