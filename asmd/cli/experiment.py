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
    from asmd.training.distributed import Group
    from asmd.training.trainer import Report


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
    from asmd.errors import ConfigError
    from asmd.evaluation._workers import available_cores, limit_threads
    from asmd.experiments import registry
    from asmd.experiments.running import Setting
    from asmd.training.distributed import Group, own_device

    share = re.fullmatch(r"(\d+)/(\d+)", options.share)
    if share is None or not 1 <= int(share[1]) <= int(share[2]):
        raise ConfigError(f"--share is I/N with I from 1 to N, got {options.share!r}")
    if options.seeds is not None and options.seeds < 1:
        raise ConfigError(f"--seeds is {options.seeds}; there must be at least 1")
    names = registry.names(options.name, options.scale)
    limit_threads(options.threads or available_cores())
    device = own_device(options.device)
    group = Group.join(device)
    try:
        data = _data(options, group)
        setting = Setting(data, options.output, device, group, (int(share[1]) - 1, int(share[2])), options.footage)
        if options.dry_run:
            return _estimate(names, setting, options)
        return max(_draw(n, setting, options) if n in registry.FIGURES else _fill(n, setting, options) for n in names)
    finally:
        group.leave()


def _data(options: Options, group: Group) -> Path:
    from asmd.errors import ConfigError
    from asmd.experiments.smoke import draw

    if options.data is not None:
        return options.data
    if options.scale != "smoke":
        raise ConfigError(f"--data is missing: the folder with all data sets of scale {options.scale}")
    drawn = options.output / "drawn"
    if group.leads:
        draw(drawn)
    group.wait()
    return drawn


def _tables(name: str, setting: Setting, options: Options) -> list[Experiment]:
    from dataclasses import replace

    from asmd.experiments import registry

    found = registry.tables(name, options.scale, setting.data)
    return [replace(one, seeds=options.seeds) if options.seeds else one for one in found]


def _fill(name: str, setting: Setting, options: Options) -> int:
    from asmd.experiments import running
    from asmd.experiments.summary import summarise, write

    status = 0
    for experiment in _tables(name, setting, options):
        shown = _Lines(experiment.name, setting.group.leads)
        failures = running.run(experiment, setting, shown.tell)
        status = max(status, int(bool(failures)))
        if not setting.group.leads:
            continue
        for failure in failures:
            print(f"{experiment.name}: failed: {failure}", file=sys.stderr)
        left = [cell for cell in experiment.cells if not running.is_done(experiment, cell, setting.output)]
        if left and setting.share[1] > 1:
            print(f"{experiment.name}: {len(left)} of {len(experiment.cells)} cells are left to other shares")
            continue
        summary = summarise(experiment, options.scale, setting.data, setting.output)
        print(summary.table())
        for line in summary.reading():
            print(f"  {line}")
        for folder in (setting.output / experiment.name, *([options.docs] if options.docs else [])):
            print(*write(summary, folder, _command(name, options.scale)))
    return status


def _draw(name: str, setting: Setting, options: Options) -> int:
    from importlib import import_module

    from asmd.experiments.figures import write

    shown = _Lines(name, setting.group.leads)
    drawn = import_module(f"asmd.experiments.{name}").make(options.scale, setting, shown.say)
    if setting.group.leads:
        print(drawn.table)
        for folder in (setting.output / name, *([options.docs] if options.docs else [])):
            command = _command(name, options.scale)
            print(*write(drawn, options.scale, folder, command, pictures=folder != options.docs))
    return 0


def _estimate(names: tuple[str, ...], setting: Setting, options: Options) -> int:
    from asmd.experiments import registry
    from asmd.experiments.estimate import Costs

    if not setting.group.leads:
        return 0
    costs = Costs(setting.device)
    for name in names:
        if name in registry.FIGURES:
            print(f"{name}: from the trainings of table1 and the packaged tracker; minutes\n")
            continue
        for experiment in _tables(name, setting, options):
            print(costs.of(experiment, setting), end="\n\n")
    print(costs.arithmetic())
    return 0


def _command(name: str, scale: Scale) -> str:
    return f"asmd experiment {name} --scale {scale}" + ("" if scale == "smoke" else " --data DIR")


class _Lines:
    """A line for each cell, and now and then what a training tells, as `asmd train` writes it."""

    def __init__(self, name: str, shown: bool) -> None:
        self._name, self._shown = name, shown

    def tell(self, progress: Progress) -> None:
        """Take note of where a table is."""
        place = f"{progress.done}/{progress.total} {progress.cell.name}: {progress.text}"
        self.say(place, progress.report)

    def say(self, place: str, report: Report | None = None) -> None:
        """Take note of where it is."""
        from asmd.cli.train import describe

        if not self._shown or (report is not None and report.step % 20 and report.step != report.steps):
            return
        more = "" if report is None else f" [{report.step}/{report.steps}] {describe(report)}"
        print(f"{self._name} {place}{more}", file=sys.stderr, flush=True)
