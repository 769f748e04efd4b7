"""`asmd data`: what data sets there are, and whether one is all there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg, subcommand


@dataclass(frozen=True)
class Check:
    """Compare a data set on disk with what it should be; say all that is wrong, with exit status 1 if anything is."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """Its name, for instance otb100, got10k:val or folder; `asmd data list` shows all."""
    root: Annotated[Positional[str], arg(metavar="ROOT")]
    """The folder it lies in."""
    sequences: Annotated[str | None, arg(metavar="A,B")] = None
    """Only these."""
    annotations_only: bool = False
    """Look at the boxes alone, not for frames."""
    unlabeled: bool = False
    """Of a folder: take clips without a text file of boxes, too."""
    decode: bool = False
    """Decode the first and last frame of each sequence, and see that the first box lies in its frame."""


@dataclass(frozen=True)
class List:
    """Show the data sets that can be read."""


@dataclass(frozen=True)
class Options:
    """Data sets: which can be read, and whether one is all there."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Check, subcommand("check")] | Annotated[List, subcommand("list")]
    ]


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    command = options.command
    return _check(command) if isinstance(command, Check) else _list()


def _check(options: Check) -> int:
    from rich.console import Console
    from rich.markup import escape

    from asmd.datasets import check, load

    extra: dict[str, Any] = {"frames": False} if options.annotations_only else {}
    if options.unlabeled:
        extra["unlabeled"] = True
    dataset = load(options.name, options.root, **extra)
    if options.sequences is not None:
        dataset = dataset.select(n.strip() for n in options.sequences.split(",") if n.strip())
    with Console(stderr=True).status("looking") as status:
        report = check(dataset, decode=options.decode, progress=lambda name: status.update(f"reading {escape(name)}"))
    for line in report.lines():
        print(line)
    return 0 if report.ok else 1


def _list() -> int:
    from asmd.datasets import DATASETS

    width = max(map(len, DATASETS))
    for name, known in DATASETS.items():
        print(f"{name:<{width}}  {known.about}")
    return 0
