"""The figures of `docs/speed.md`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from asmd.evaluation.plots import COLOURS, GREY, MARKERS, figure_of, render
from asmd.evaluation.results import write_atomic

Rows = list[dict[str, Any]]

ORDER = ("decoding", "flow", "cut", "network", "cells", "pooling", "candidates", "classifier scores")
"""Stages in the order of a frame; those that are not here follow."""


def draw(record: dict[str, Any], folder: Path) -> list[Path]:
    """Draws each part that the record has.

    Returns:
        The files, `speed-<part>.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part, make in FIGURES.items():
        if part in record:
            path = folder / f"speed-{part}.png"
            write_atomic(path, render(make(record[part]["rows"]), "png"))
            written.append(path)
    return written


def _stages(rows: Rows) -> Figure:
    presets = list(dict.fromkeys(r["preset"] for r in rows if r["preset"] != "paper"))
    rows = [r for r in rows if not r["stage"].endswith(", beside")]
    known = [*ORDER, *sorted({r["stage"] for r in rows} - {*ORDER, "all"})]
    figure, axes = figure_of(8.0, 1.6 + 0.7 * len(presets))
    left = dict.fromkeys(presets, 0.0)
    shown = [s for s in known if any(r["stage"] == s and r["mean"] > 0.02 for r in rows)]
    for index, stage in enumerate(shown):
        means = [sum(r["mean"] for r in rows if r["preset"] == p and r["stage"] == stage) for p in presets]
        colour, hatch = COLOURS[index % len(COLOURS)], ("", "///", "...")[index // len(COLOURS) % 3]
        axes.barh(presets, means, left=list(left.values()), color=colour, hatch=hatch, edgecolor="white", label=stage)
        left = {p: left[p] + m for p, m in zip(presets, means, strict=True)}
    axes.set_xlabel("mean time of a frame (ms), without what goes on beside")
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _rates(rows: Rows) -> Figure:
    total = sorted((r for r in rows if r["sequence"] == "all"), key=lambda r: r["fps"])
    figure, axes = figure_of(7.4, 0.8 + 0.36 * len(total))
    names = [r["tracker"] for r in total]
    ours = [COLOURS[0] if r["tracker"] in ("realtime", "accurate", "paper") else GREY for r in total]
    spread = [[r["fps"] - r["slowest"] for r in total], [r["fastest"] - r["fps"] for r in total]]
    axes.barh(names, [r["fps"] for r in total], color=ours, xerr=spread, error_kw={"linewidth": 1, "capsize": 2})
    axes.set_xscale("log")
    axes.set_xlabel("frames a second: median, slowest and fastest sequence")
    return figure


def _lines(rows: Rows, x: str, label: str) -> Figure:
    figure, axes = figure_of(5.6, 3.6)
    places = [r[x] for r in rows]
    axes.plot(places, [r["median"] for r in rows], color=COLOURS[0], marker="o")
    axes.fill_between(places, [r["low"] for r in rows], [r["high"] for r in rows], color=COLOURS[0], alpha=0.2)
    axes.set_ylim(bottom=0)
    axes.set_xticks(places)
    axes.set_xlabel(label)
    axes.set_ylabel("time of a frame (ms)")
    return figure


def _sizes(rows: Rows) -> Figure:
    figure, axes = figure_of(5.6, 3.6)
    bottom = [0.0] * len(rows)
    names = [r["size"] for r in rows]
    for index, part in enumerate(("rest", "flow", "decoding")):
        heights = [r[part] for r in rows]
        label = "everything else" if part == "rest" else part
        axes.bar(names, heights, bottom=bottom, color=COLOURS[index], label=label)
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    axes.set_xlabel("size of the frame")
    axes.set_ylabel("median time of a frame (ms)")
    axes.legend(frameon=False)
    return figure


def _targets(rows: Rows) -> Figure:
    figure, axes = figure_of(7.4, 4.2)
    ways = list(dict.fromkeys((r["layout"], r["way"]) for r in rows))
    layouts = list(dict.fromkeys(layout for layout, _ in ways))
    dashes = {"shared": "-", "not shared": "--", "separate": ":"}
    for layout, way in ways:
        own = [r for r in rows if (r["layout"], r["way"]) == (layout, way)]
        index = layouts.index(layout)
        style = {"color": COLOURS[index], "marker": MARKERS[index], "linestyle": dashes[way]}
        axes.plot([r["targets"] for r in own], [r["times_one"] for r in own], label=f"{layout}, {way}", **style)
    axes.set_xticks(sorted({r["targets"] for r in rows}))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("targets in one video")
    axes.set_ylabel("time of a frame, in those of one target")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _length(rows: Rows) -> Figure:
    figure, axes = figure_of(7.4, 3.4)
    frames = [r["frames"] for r in rows]
    axes.plot(frames, [r["median"] for r in rows], color=COLOURS[0], marker="o", markersize=3)
    axes.fill_between(frames, [r["low"] for r in rows], [r["high"] for r in rows], color=COLOURS[0], alpha=0.2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frames tracked")
    axes.set_ylabel("time of a frame (ms)", color=COLOURS[0])
    other = axes.twinx()
    other.plot(frames, [r["megabytes"] for r in rows], color=COLOURS[1], marker="s", markersize=3)
    other.set_ylim(0, 1.15 * max(r["megabytes"] for r in rows))
    other.set_ylabel("resident memory (MB)", color=COLOURS[1])
    other.spines["top"].set_visible(False)
    return figure


FIGURES: dict[str, Callable[[Rows], Figure]] = {
    "stages": _stages,
    "rates": _rates,
    "candidates": lambda rows: _lines(rows, "candidates", "candidates of the first look"),
    "regions": lambda rows: _lines(rows, "region", "side of the search region (network pixels)"),
    "sizes": _sizes,
    "targets": _targets,
    "length": _length,
}
