"""`asmd tune`: choose the weights of the losses by cross-validation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional, arg

from asmd.cli import train

if TYPE_CHECKING:
    from asmd.training.config import RECIPES, TrainingConfig
    from asmd.training.cross_validation import FoldScore
    from asmd.training.tuning import Plan, TuneConfig


@dataclass(frozen=True)
class Options:
    """Search for the lambdas of a recipe: each trial trains on four folds of its videos and tracks the fifth.

    The same command goes on where a search was stopped or killed. OUTPUT/trials.csv is the table that it ends with.
    """

    recipe: Annotated[Positional[str], arg(metavar="|".join(RECIPES))]
    """Where all settings begin; `asmd tune RECIPE --help` shows them."""
    data: Annotated[Path, arg(metavar="DIR")]
    """The folder with the recipe's data sets."""
    output: Annotated[Path, arg(metavar="DIR")]
    """The search's folder."""
    settings: Annotated[TrainingConfig, arg(name="")]
    search: Annotated[TuneConfig, arg(name="")]
    dry_run: bool = False
    """Say what would be done and how long it may take, and end."""
    seed: int = 0
    """Of every training."""
    device: str = "auto"
    """Where it computes: auto, cpu, cuda."""
    threads: Annotated[int | None, arg(metavar="N")] = None
    """To compute with; where not given as many as there are processors."""
    fold: Annotated[int, arg(metavar="1..5")] = 1
    """The fold that uav123-5fold holds out."""


def preset_options(arguments: list[str]) -> Any:
    """Options to start from: those of the recipe that is named in the arguments."""
    global RECIPES, TrainingConfig, TuneConfig  # as in `asmd.cli.train`
    from asmd.training.config import RECIPES, TrainingConfig
    from asmd.training.tuning import TuneConfig

    settings = train.preset_options(arguments).settings
    return Options(tyro.MISSING, tyro.MISSING, tyro.MISSING, settings, TuneConfig())


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.evaluation._workers import available_cores, limit_threads
    from asmd.files import replacing
    from asmd.training.distributed import own_device
    from asmd.training.domains import gather
    from asmd.training.tuning import Tuner, table

    limit_threads(options.threads or available_cores())
    device = own_device(options.device)
    data = gather(options.settings.videos, options.data)
    for line in data.skipped:
        print(f"skipped {line}", file=sys.stderr)
    tuner = Tuner(options.settings, options.search, data, options.output, options.seed, device)
    if options.dry_run:
        print(_describe(tuner.plan(), tuner.axes, options.search))
        return 0
    with train.Display(shown=True) as display:

        def told(weights: dict[str, float], number: int, score: FoldScore) -> None:
            values = ", ".join(f"{name} {value:.3g}" for name, value in weights.items())
            display.say(f"{values}: fold {number + 1} of {len(tuner.folds)}, AUC {score.auc:.3f}")

        trials = tuner.run(told, display.show)
    found = table(trials)
    with replacing(options.output / "trials.csv") as temporary:
        temporary.write_text(found.csv(), encoding="utf-8")
    print(found)
    if trials:
        flags = " ".join(f"--losses.{name} {value:.4g}" for name, value in trials[0].weights.items())
        print(f"\nbest: asmd train {options.recipe} {flags} ...")
    return 0


def _describe(plan: Plan, axes: dict[str, tuple[float, ...]], search: TuneConfig) -> str:
    lines = [f"{name}: {', '.join(f'{value:g}' for value in values)}" for name, values in axes.items()]
    for number, fold in enumerate(plan.folds, 1):
        tracked = ", ".join(sequence.name for sequence in fold.held_out)
        lines.append(f"fold {number}: trains on {len(fold.domains)} domains, tracks {tracked}")
    hours = plan.seconds / 3600
    lines.append(
        f"{plan.trials} trials ({search.sampler}) of {len(plan.folds)} folds of {search.steps} iterations; "
        f"{plan.left} trainings are left, about {hours:.1f} hours"
    )
    return "\n".join(lines)
