"""`asmd submit`: results on a test set as the zip that its server takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Options:
    """Make the zip that the server of GOT-10k or TrackingNet takes, after checking names, numbers and rows."""

    server: Annotated[Positional[Literal["got10k", "trackingnet"]], arg(metavar="got10k|trackingnet")]
    """Whose test set the results are of."""
    results: Annotated[Positional[Path], arg(metavar="RESULTS")]
    """The folder of results, as `asmd evaluate` writes it, or that of one tracker in it."""
    output: Annotated[Positional[Path], arg(metavar="OUT.zip")]
    """The zip to write."""
    tracker: Annotated[str | None, arg(metavar="NAME")] = None
    """Which tracker, where RESULTS holds several."""
    root: Annotated[Path | None, arg(metavar="DIR")] = None
    """The folder of the data set. With it the rows are counted against the frames of each sequence."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.datasets import load
    from asmd.evaluation.submissions import submit

    dataset = None if options.root is None else load(f"{options.server}:test", options.root)
    made = submit(options.server, options.results, options.output, tracker=options.tracker, dataset=dataset)
    if not made.rows_checked:
        logging.getLogger(__name__).warning("without --root the numbers of rows were not compared with those of frames")
    print(f"{made.path}: {made.tracker}, {made.sequences} sequences, {made.repeats} run(s) of each")
    return 0
