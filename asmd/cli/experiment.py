"""`asmd experiment`: do one of the paper's tables or figures again."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from asmd.experiments.plan import Experiment, Scale
    from asmd.experiments.running import Progress, Setting


@dataclass(frozen=True)
class Options:
    """Do one of the paper's tables or figures again, with its numbers beside ours.

    What is done already stays: the same command goes on where it was stopped or killed. OUTPUT/NAME/NAME.md is the
    page, NAME.json all figures. docs/reproducing.md says what to download and where it has to lie.
    """

    name: Annotated[Positional[str], arg(metavar="table1|...|table10|figure2|figure5|all")]
    """Which; all is every one of them."""
    data: Annotated[Path | None, arg(metavar="DIR")] = None
    """The folder with all data sets; at scale smoke one is drawn where not given."""
    output: Annotated[Path, arg(metavar="DIR")] = Path("runs/experiments")
    """Where trainings, raw results and pages go; all experiments share their trainings in it."""
    scale: Literal["full", "local", "smoke"] = "full"
    """The paper's, or what a small data folder has room for, or a few iterations on drawn videos."""
    dry_run: bool = False
    """Say what would be done, on which data, and what it costs, and end."""
    docs: Annotated[Path | None, arg(metavar="DIR")] = None
    """Write the page, figures and plot here as well."""
    seeds: Annotated[int | None, arg(metavar="N")] = None
    """Fewer or more than the scale has."""
    share: Annotated[str, arg(metavar="I/N")] = "1/1"
    """Do only the I-th of N parts, for machines that share nothing but the output folder; the last to end reports."""
    footage: Annotated[Path | None, arg(metavar="DIR")] = None
    """Where decoded videos are kept; in the output folder where not given."""
    device: str = "auto"
    """Where it computes: auto, cpu, cuda."""
    threads: Annotated[int | None, arg(metavar="N")] = None
    """To compute with; where not given as many as there are processors."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from dataclasses import replace

    from asmd.errors import ConfigError
    from asmd.evaluation._workers import available_cores, limit_threads
    from asmd.experiments.registry import TABLES, find
    from asmd.experiments.running import Setting
    from asmd.training.distributed import Group, own_device

    share = re.fullmatch(r"(\d+)/(\d+)", options.share)
    if share is None or not 1 <= int(share[1]) <= int(share[2]):
        raise ConfigError(f"--share is I/N with I from 1 to N, got {options.share!r}")
    if options.seeds is not None and options.seeds < 1:
        raise ConfigError(f"--seeds is {options.seeds}; there must be at least 1")
    limit_threads(options.threads or available_cores())
    names = TABLES if options.name == "all" else (options.name,)
    experiments = [find(name, options.scale) for name in names]
    if options.seeds is not None:
        experiments = [replace(one, seeds=options.seeds) for one in experiments]
    device = own_device(options.device)
    data = _data(options)
    group = Group.join(device)
    try:
        place = Setting(data, options.output, device, group, (int(share[1]) - 1, int(share[2])), options.footage)
        return max(_do(one, place, options) for one in experiments)
    finally:
        group.leave()


def _data(options: Options) -> Path:
    from asmd.errors import ConfigError

    if options.data is not None:
        return options.data
    raise ConfigError("--data is missing: the folder with all data sets")


def _do(experiment: Experiment, setting: Setting, options: Options) -> int:
    from asmd.experiments import running
    from asmd.experiments.summary import summarise, write

    shown = _Lines(experiment.name, setting.group.leads)
    failures = running.run(experiment, setting, shown.tell)
    if not setting.group.leads:
        return 1 if failures else 0
    for failure in failures:
        print(f"{experiment.name}: failed: {failure}", file=sys.stderr)
    summary = summarise(experiment, options.scale, setting.data, setting.output)
    print(summary.table())
    for line in summary.reading():
        print(f"  {line}")
    folders = [setting.output / experiment.name, *([options.docs] if options.docs else [])]
    for folder in folders:
        write(summary, folder, _command(experiment.name, options.scale))
    print(f"{folders[-1] / experiment.name}.md")
    return 1 if failures else 0


def _command(name: str, scale: Scale) -> str:
    return f"asmd experiment {name} --scale {scale} --data DIR"


class _Lines:
    """A line for each cell, and for each report of a training as `asmd train` writes it."""

    def __init__(self, name: str, shown: bool) -> None:
        self._name, self._shown = name, shown

    def tell(self, progress: Progress) -> None:
        """Take note of where it is."""
        from asmd.cli.train import describe

        if not self._shown:
            return
        report = progress.report
        if report is not None and report.step % 20 and report.step != report.steps:
            return
        text = progress.text if report is None else f"[{report.step}/{report.steps}] {describe(report)}"
        line = f"{self._name} {progress.done}/{progress.total} {progress.cell.name}: {text}"
        print(line, file=sys.stderr, flush=True)
