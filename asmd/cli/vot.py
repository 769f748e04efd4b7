"""`asmd vot`: our trackers in the VOT toolkit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Options:
    """Make a tracker known to the VOT toolkit: adds it to DIRECTORY/trackers.ini."""

    action: Positional[Literal["init"]]
    """What to do."""
    directory: Positional[Path]
    """The toolkit's workspace."""
    tracker: str = "asmd"
    """asmd, csrt, kcf, mil, mosse, medianflow, tld, boosting, nanotrack, or module:Class."""
    label: str = ""
    """Name of the tracker in the toolkit; its own where empty."""
    preset: str | None = None
    """Settings of the asmd tracker: paper, accurate or realtime."""
    weights: str | None = None
    """Weights: a name or file for asmd, a folder for nanotrack."""
    device: str = "auto"
    """Where the asmd tracker computes."""
    seed: int = 0
    """Decides every random draw of the tracker."""
    stack: str | None = None
    """Set up the workspace, too, for these experiments, such as vot2018/shortterm; downloads nothing."""
    sequences: Path | None = None
    """With --stack: where the sequences are, if not in DIR/sequences."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.evaluation.spec import TrackerSpec
    from asmd.integrations.vot import write_workspace

    spec = TrackerSpec(options.tracker, options.preset, options.weights, options.device, options.label)
    workspace = {"seed": options.seed, "stack": options.stack, "sequences": options.sequences}
    for path in write_workspace(options.directory, spec, **workspace):
        print(path)
    print(f"now: vot --registry {options.directory} test {spec.name}", file=sys.stderr)
    return 0
