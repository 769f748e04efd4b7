"""`asmd report`: figures of raw results, by the rules of a benchmark or of another toolkit."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from asmd.datasets import Dataset
    from asmd.evaluation.report import Report
    from asmd.evaluation.tables import Table
    from asmd.evaluation.vot_report import VotReport

_WARNINGS_SHOWN = 8


@dataclass(frozen=True)
class Options:
    """Score raw results and show trackers side by side.

    RESULTS holds a folder for each tracker, with one file of x,y,w,h a sequence in it; results that others published
    take part as further such folders. Boxes are 0-based.
    """

    results: Annotated[Positional[Path], arg(metavar="RESULTS")]
    """The folder of results."""
    dataset: Annotated[str, arg(metavar="NAME")]
    """The data set, such as otb100, got10k:val or folder; `asmd data list` shows all."""
    root: Annotated[Path | None, arg(metavar="DIR")] = None
    """The folder it lies in, with frames, which filmstrips are made of."""
    annotations: Annotated[Path | None, arg(metavar="DIR")] = None
    """In place of --root: the folder of its boxes; frames are not needed."""
    protocol: Annotated[str | None, arg(metavar="otb|lasot|otb@pysot|...")] = None
    """The rules to score by; the data set's own where not given."""
    sequences: Annotated[str | None, arg(metavar="A,B")] = None
    """Only these."""
    trackers: Annotated[str | None, arg(metavar="A,B")] = None
    """Only these."""
    also: Annotated[tuple[str, ...], arg(metavar="NAME=DIR")] = ()
    """Further trackers, and the folders of their boxes files."""
    one_based: Annotated[str | None, arg(metavar="A,B")] = None
    """Trackers whose boxes count pixels from 1, as results from MATLAB do."""
    common: bool = False
    """Score the sequences that all trackers have, where one lacks some."""
    focus: Annotated[str | None, arg(metavar="TRACKER")] = None
    """Whose worst sequences to show; the best tracker's where not given."""
    worst: Annotated[int, arg(metavar="N")] = 10
    """How many of them to show."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write a list of {tracker, auc, precision, sr50, fps, sequences: {name: auc}, ...}; - writes it to stdout."""
    csv: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the table as comma-separated values, in full precision."""
    markdown: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the tables in Markdown."""
    latex: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the table in LaTeX, for the package booktabs."""
    html: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write one page with all tables, plots and filmstrips, which needs nothing beside it."""
    filmstrips: Annotated[str, arg(metavar="N|A,B")] = "3"
    """For the page: sequences to show frames of, or of how many; then those on which the trackers differ most."""
    plots: Annotated[Path | None, arg(metavar="DIR")] = None
    """Write the plots into this folder."""
    plot_format: Literal["png", "pdf", "svg"] = "png"
    """Format of these."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.evaluation.vot_report import VotReport

    report = _report(options)
    if not isinstance(report, VotReport):
        _warn(report.warnings)
    _write(options, report)
    if str(options.json) == "-":
        print(report.json(), end="")
    else:
        _show(_tables(options, report))
    return 0


def _report(options: Options) -> Report | VotReport:
    from asmd.evaluation.report import Report
    from asmd.evaluation.vot_report import VotReport

    dataset, trackers = _dataset(options), _names(options.trackers)
    if (options.protocol or dataset.name).startswith("vot"):
        return VotReport.from_results(options.results, dataset, options.protocol or "vot2018", trackers=trackers)
    return Report.from_results(
        options.results,
        dataset,
        options.protocol,
        trackers=trackers,
        also=_pairs(options.also),
        one_based=_names(options.one_based) or (),
        common=options.common,
    )


def _dataset(options: Options) -> Dataset:
    from asmd.datasets import load
    from asmd.errors import ConfigError

    if (options.root is None) == (options.annotations is None):
        raise ConfigError("give either --root (the data set) or --annotations (its boxes alone)")
    if options.root is not None:
        dataset = load(options.dataset, options.root)
    else:
        dataset = load(options.dataset, options.annotations or "", frames=False)
    chosen = _names(options.sequences)
    if chosen is not None:
        return dataset.select(chosen)
    if dataset.missing:
        first, path = next(iter(dataset.missing.items()))
        _warn([f"{len(dataset.missing)} sequences of {dataset.name} are not there, such as {first} ({path})"])
    return dataset


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    from asmd.errors import ConfigError

    pairs = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise ConfigError(f"--also {text}: write it as NAME=DIR")
        pairs[name] = folder
    return pairs


def _warn(warnings: tuple[str, ...] | list[str]) -> None:
    logger = logging.getLogger(__name__)
    for warning in warnings[:_WARNINGS_SHOWN]:
        logger.warning("%s", warning)
    if len(warnings) > _WARNINGS_SHOWN:
        logger.warning("and %d more like these", len(warnings) - _WARNINGS_SHOWN)


def _tables(options: Options, report: Report | VotReport) -> list[Table]:
    from asmd.evaluation.vot_report import VotReport

    tables = [report.table()]
    if not isinstance(report, VotReport):
        tables += [report.attribute_table()] if report.attributes else []
        tables += [absence] if (absence := report.absence_table()) else []
    return [*tables, report.sequence_table(options.focus, options.worst)] if options.worst else tables


def _show(tables: list[Table]) -> None:
    import sys

    from rich.console import Console

    if sys.stdout.isatty():
        console = Console(highlight=False)
        for table in tables:
            console.print(table.rich())
    else:
        print("\n\n".join(map(str, tables)))


def _write(options: Options, report: Report | VotReport) -> None:
    from asmd.errors import ConfigError
    from asmd.evaluation.results import write_atomic
    from asmd.evaluation.vot_report import VotReport

    if isinstance(report, VotReport) and (options.html or options.plots):
        raise ConfigError("there are no plots and no page for VOT's supervised experiment")
    texts: dict[Path, str] = {}
    if options.json and str(options.json) != "-":
        texts[options.json] = report.json()
    if options.csv:
        texts[options.csv] = report.table().csv()
    if options.latex:
        texts[options.latex] = report.table().latex()
    if options.markdown:
        texts[options.markdown] = "\n".join(table.markdown() for table in _tables(options, report))
    if options.html and not isinstance(report, VotReport):
        from asmd.evaluation.page import html_page

        strips = int(options.filmstrips) if options.filmstrips.isdecimal() else _names(options.filmstrips) or ()
        texts[options.html] = html_page(report, focus=options.focus, strips=strips)
    for path, text in texts.items():  # only now, when nothing can go wrong any more but the disk
        write_atomic(path, text)
    if options.plots and not isinstance(report, VotReport):
        from asmd.evaluation.plots import save_plots

        save_plots(report, options.plots, options.plot_format)
