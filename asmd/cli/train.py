"""`asmd train`: learn the shared features from videos."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from asmd.training.config import RECIPES, TrainingConfig
    from asmd.training.trainer import Report


@dataclass(frozen=True)
class Options:
    """Train the shared features by a recipe; every setting of it is a flag.

    OUTPUT/weights.safetensors is what came of it, for `--weights` of the other commands, and best.safetensors that of
    the best validation. The same command with --resume goes on where a run stopped or was killed. Several processes or
    machines: torchrun --nproc-per-node N -m asmd train RECIPE ...
    """

    recipe: Annotated[Positional[str], arg(metavar="|".join(RECIPES))]
    """Where all settings begin; `asmd train RECIPE --help` shows them."""
    data: Annotated[Path, arg(metavar="DIR")]
    """The folder with the recipe's data sets."""
    output: Annotated[Path, arg(metavar="DIR")]
    """The run's folder: checkpoints, metrics, weights."""
    settings: Annotated[TrainingConfig, arg(name="")]
    max_steps: Annotated[int | None, arg(metavar="N")] = None
    """End after so many iterations, those of before counted."""
    seed: int = 0
    """Decides every random draw."""
    resume: bool = False
    """Go on from the newest checkpoint, if there is one."""
    device: str = "auto"
    """Where it computes: auto, cpu, cuda."""
    threads: Annotated[int | None, arg(metavar="N")] = None
    """That this process computes with; where not given as many as there are processors."""
    fold: Annotated[int, arg(metavar="1..5")] = 1
    """The fold that uav123-5fold holds out."""


def preset_options(arguments: list[str]) -> Any:
    """Options to start from: those of the recipe, which is the first argument, as any other may be a flag's value."""
    global RECIPES, TrainingConfig  # tyro looks names of annotations up here; not before, as they bring torch with them
    from asmd.errors import ConfigError
    from asmd.training.config import RECIPES, TrainingConfig

    name = arguments[0] if arguments else ""
    if name not in RECIPES:
        if name and not {"--help", "-h"}.intersection(arguments):
            wrong = "the recipe comes first" if name.startswith("-") else f"there is no recipe {name!r}"
            raise ConfigError(f"{wrong}; there are {', '.join(RECIPES)}")
        name = next(iter(RECIPES))
    recipe: Any = RECIPES[name]
    fold = _fold(arguments)
    settings = recipe(fold) if name == "uav123-5fold" and fold is not None else recipe()
    return Options(recipe=tyro.MISSING, data=tyro.MISSING, output=tyro.MISSING, settings=settings)


def _fold(arguments: list[str]) -> int | None:
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        text = value if flag == "--fold" else flag.removeprefix("--fold=") if flag.startswith("--fold=") else ""
        if text.isdecimal():
            return int(text)
    return None


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.errors import ConfigError
    from asmd.evaluation._workers import available_cores, limit_threads
    from asmd.training.distributed import Group, own_device
    from asmd.training.domains import gather
    from asmd.training.trainer import Trainer

    if options.threads is not None and options.threads < 1:
        raise ConfigError(f"nothing computes with {options.threads} threads")
    limit_threads(options.threads or available_cores())
    device = own_device(options.device)
    data = gather(options.settings.videos, options.data)
    group = Group.join(device)
    try:
        if group.leads:
            for line in data.skipped:
                print(f"skipped {line}", file=sys.stderr)
            print(f"{len(data.domains)} domains, {len(data.clips)} videos for clips, {len(data.held_out)} held out",
                  file=sys.stderr)  # fmt: skip
        trainer = Trainer(options.settings, data, options.output, options.seed, device, group)
        with Display(shown=group.leads) as display:
            weights = trainer.run(options.resume, options.max_steps, display.show)
        if group.leads:
            print(f"weights in {weights}")
    finally:
        group.leave()
    return 0


class Display:
    """A bar with what matters on a terminal; else a line each time."""

    def __init__(self, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
            console=self._console, disable=not (shown and self._console.is_terminal),
        )  # fmt: skip
        self._task = self._bar.add_task("reading", total=None)
        self._begun = False

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, report: Report) -> None:
        """Take note of where the run is."""
        text = describe(report)
        if report.kind == "train":
            if not self._begun:  # what a resumed run did before says nothing of the speed
                self._bar.reset(self._task, completed=report.step, total=report.steps)
            self._begun = True
            self._bar.update(self._task, completed=report.step, description=text)
        if self._bar.disable:
            print(f"[{report.step}/{report.steps}] {text}", file=sys.stderr, flush=True)
        elif report.kind == "validation":
            self.say(f"[{report.step}/{report.steps}] {text}")

    def say(self, text: str) -> None:
        """A line that stays, above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def describe(report: Report) -> str:
    """A report in one line."""
    values = report.values
    if report.kind == "validation":
        return f"held out: AUC {values['auc']:.3f}, precision {values['precision']:.3f}"
    losses = (("loss", "domain"), ("adversarial", "adversarial"), ("difference", "difference"), ("arrow", "arrow"))
    words = [f"{word} {values[name]:.3g}" for word, name in losses if name in values]
    if "domain_accuracy" in values:
        words.append(f"domain told {values['domain_accuracy']:.1%} (chance {values['domain_chance']:.1%})")
    if "arrow_accuracy" in values:
        words.append(f"arrow told {values['arrow_accuracy']:.0%}")
    if "samples" in values:
        words.append(f"{values['samples_per_second']:.0f} samples/s")
    if values.get("not_finite"):
        words.append(f"{values['not_finite']:.0%} of gradients not finite")
    words.append(f"{values['iterations_per_second']:.2f} it/s, {values['waiting']:.0%} waiting")
    return ", ".join(words)
