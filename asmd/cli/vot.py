"""`asmd vot`: our trackers in the VOT toolkit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Options:
    """Make a tracker known to the VOT toolkit: adds it to DIRECTORY/trackers.ini."""

    action: Positional[Literal["init"]]
    """What to do."""
    directory: Annotated[Positional[Path], arg(metavar="DIRECTORY")]
    """The toolkit's workspace."""
    tracker: str = "asmd"
    """asmd, csrt, kcf, mil, mosse, medianflow, tld, boosting, nanotrack, or module:Class."""
    label: str = ""
    """Name of the tracker in the toolkit; its own where empty."""
    preset: Annotated[str | None, arg(metavar="paper|accurate|realtime")] = None
    """Settings of the asmd tracker."""
    weights: Annotated[str | None, arg(metavar="NAME|FILE|DIR")] = None
    """Weights: a name or file for asmd, a folder for nanotrack."""
    device: str = "auto"
    """Where the asmd tracker computes."""
    seed: int = 0
    """Decides every random draw of the tracker."""
    stack: Annotated[str | None, arg(metavar="NAME")] = None
    """Set up the workspace, too, for these experiments, such as vot2018/shortterm; downloads nothing."""
    sequences: Annotated[Path | None, arg(metavar="DIR")] = None
    """With --stack: where the sequences are, if not in DIR/sequences."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.evaluation.spec import TrackerSpec
    from asmd.integrations.vot import write_workspace

    spec = TrackerSpec(options.tracker, options.preset, options.weights, options.device, options.label)
    written = write_workspace(
        options.directory, spec, seed=options.seed, stack=options.stack, sequences=options.sequences
    )
    for path in written:
        print(path)
    print(f"now: vot --registry {options.directory} test {spec.name}", file=sys.stderr)
    return 0
