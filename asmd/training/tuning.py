"""Choosing the weights of the losses: a search over the lambdas by cross-validation (paper, 4.3 and 5, table 1).

Each trial trains for a while on four fifths of the videos and tracks the last fifth, once for every fifth. What is done
lies in the output folder fold by fold, so that a search that was stopped or killed goes on where it was.

OUTPUT/study.db                     Optuna's record of the trials
OUTPUT/<lambdas>/fold-1/score.json  a finished fold; its metrics.jsonl lies beside it
OUTPUT/footage/                     decoded videos, for all trials
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from asmd.errors import ConfigError
from asmd.evaluation.tables import Column, Table
from asmd.losses import LossWeights
from asmd.models.private_shared import Variant
from asmd.training._study import ended, open_study, take_up
from asmd.training.config import TrainingConfig
from asmd.training.cross_validation import SCORE, FoldScore, finished, folds, train_and_track
from asmd.training.domains import TrainingData
from asmd.training.trainer import Report, Trainer
from asmd.training.validation import validate

if TYPE_CHECKING:
    import optuna

_TRACKED_TO_ESTIMATE = 20
_TRAINED_TO_ESTIMATE = 4


@dataclass(frozen=True)
class GridConfig:
    """Values of each lambda that are tried; a search by TPE takes any between the least and the greatest.

    The paper names the range 0.01 to 0.1 and no step. Its final lambda 3 of 0.6 lies outside (FACTS 9, row 17), so it
    is tried beside those within.

    Attributes:
        adversarial: of lambda 1.
        difference: of lambda 2.
        arrow: of lambda 3.
    """

    adversarial: tuple[float, ...] = (0.01, 0.03, 0.05, 0.08, 0.1)
    difference: tuple[float, ...] = (0.01, 0.03, 0.05, 0.08, 0.1)
    arrow: tuple[float, ...] = (0.01, 0.03, 0.06, 0.1, 0.6)

    def __post_init__(self) -> None:
        for one in fields(self):
            values = getattr(self, one.name)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"the grid of {one.name} needs values that all differ, got {values}")
            for value in values:
                LossWeights(**{one.name: value})

    def of(self, parts: Variant) -> dict[str, tuple[float, ...]]:
        """The axes that a variant has.

        Raises:
            ConfigError: if it has none.
        """
        axes = {one.name: getattr(self, one.name) for one in fields(self) if getattr(parts, one.name)}
        if not axes:
            raise ConfigError("this variant has no loss beside that of tracking: there is nothing to tune")
        return axes


@dataclass(frozen=True)
class TuneConfig:
    """How the search goes.

    Attributes:
        grid: values of the lambdas.
        sampler: "grid" tries every combination, "tpe" those that look promising (Bergstra et al., NIPS 2011).
        trials: at most so many; 0 is the whole grid, and 50 by TPE.
        steps: iterations that each training takes.
        folds: parts that the videos are dealt into.
        tracked: sequences of each held-out video that are tracked.
        prune: give a trial up after a fold at which its mean is below the median of those before it.
    """

    grid: GridConfig = field(default_factory=GridConfig)
    sampler: Literal["grid", "tpe"] = "grid"
    trials: int = 0
    steps: int = 500
    folds: int = 5
    tracked: int = 1
    prune: bool = False

    def __post_init__(self) -> None:
        if self.trials < 0 or self.folds < 2 or min(self.steps, self.tracked) < 1:
            raise ConfigError(
                "a search needs trials of at least 0, folds of at least 2, and steps and tracked of at least 1"
            )

    def number_of_trials(self, parts: Variant) -> int:
        """How many there are to be for a variant."""
        whole = 1
        for values in self.grid.of(parts).values():
            whole *= len(values)
        if self.sampler == "tpe":
            return self.trials or 50
        return min(self.trials or whole, whole)


@dataclass(frozen=True)
class Trial:
    """What came of some lambdas.

    Attributes:
        weights: of the losses.
        scores: of the folds that were done.
        pruned: it was given up.
    """

    weights: dict[str, float]
    scores: tuple[FoldScore, ...]
    pruned: bool = False

    @property
    def mean(self) -> float:
        """Mean AUC over folds."""
        return statistics.fmean(score.auc for score in self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation over folds; NaN where there is but one."""
        return statistics.stdev(s.auc for s in self.scores) if len(self.scores) > 1 else float("nan")


@dataclass(frozen=True)
class Plan:
    """What a search is going to do.

    Attributes:
        folds: the data of each.
        trials: number of trials in all.
        left: trainings that are left: folds of all trials.
        seconds: that all of it is expected to take.
    """

    folds: tuple[TrainingData, ...]
    trials: int
    left: int
    seconds: float


class Tuner:
    """Searches for the lambdas of a recipe.

    Args:
        config: settings of the trainings; their lambdas count where they are not searched for.
        search: settings of the search.
        data: of the recipe.
        output: made if missing.
        seed: of every training, so that trials differ in nothing but their lambdas.
        device: where the arithmetic runs.

    Raises:
        ConfigError: if the variant has no lambdas, the data are too few, or Optuna is not installed.
    """

    def __init__(
        self,
        config: TrainingConfig,
        search: TuneConfig,
        data: TrainingData,
        output: Path,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.axes = search.grid.of(config.model.parts)
        footage = config.footage
        if not footage.folder:
            footage = replace(footage, folder=str(output / "footage"))
        self.config = replace(
            config,
            schedule=replace(config.schedule, steps=search.steps),
            validation=replace(config.validation, every=0),
            footage=footage,
        )
        self.search, self.output, self.seed, self.device = search, output, seed, torch.device(device)
        self.folds = folds(data, search.folds, search.tracked)
        self.trials = search.number_of_trials(config.model.parts)

    def run(
        self,
        told: Callable[[dict[str, float], int, FoldScore], None] | None = None,
        watch: Callable[[Report], None] | None = None,
    ) -> list[Trial]:
        """Goes through the trials that are left.

        Args:
            told: is told of each finished fold: the lambdas, its number from 0, and its score.
            watch: is told how each training goes.

        Returns:
            All trials, best first.

        Raises:
            ConfigError: if the folder holds a search with other settings, or another process works in it.
            KeyboardInterrupt: after Ctrl-C; what was trained so far is kept.
        """
        with self._study() as study:
            take_up(study)
            left = self.trials - len(ended(study))
            if left > 0:
                study.optimize(lambda trial: self._try(trial, told, watch), n_trials=left)
            return self._results(study)

    def plan(self) -> Plan:
        """What there is to do; the time is that of finished folds or, before the first, of a short try."""
        done = list(self.output.glob(f"*/fold-*/{SCORE}"))
        left = self.trials * len(self.folds) - len(done)
        if done:
            scores = (finished(path.parent) for path in done)
            each = statistics.median(score.seconds for score in scores if score is not None)
        else:
            each = self._estimate()
        return Plan(self.folds, self.trials, left, left * each)

    def _estimate(self) -> float:
        """Seconds that a fold takes, from a few iterations and frames."""
        data, config, rates = self.folds[0], self.config, list[float]()
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                replace(config, log_every=1), replace(data, held_out=()), Path(folder), self.seed, self.device
            )
            trainer.run(
                max_steps=min(_TRAINED_TO_ESTIMATE, config.schedule.steps),
                watch=lambda report: rates.append(report.values["iterations_per_second"]),
            )
            frames = min(_TRACKED_TO_ESTIMATE, config.validation.frames)
            started = time.perf_counter()
            validate(trainer.network.shared, data.held_out[:1], replace(config.validation, frames=frames))
            one_frame = (time.perf_counter() - started) / frames
        tracked = sum(min(len(s), config.validation.frames) for s in data.held_out)
        return config.schedule.steps / statistics.median(rates) + tracked * one_frame

    def _try(
        self,
        trial: optuna.Trial,
        told: Callable[[dict[str, float], int, FoldScore], None] | None,
        watch: Callable[[Report], None] | None,
    ) -> float:
        import optuna

        weights = {}
        for name, values in self.axes.items():
            low, high = min(values), max(values)
            weights[name] = trial.suggest_float(name, low, high, log=low > 0)
        scores = []
        for number in range(len(self.folds)):
            folder = self._folder(weights, number)
            score = finished(folder)
            if score is None:
                config = replace(self.config, losses=replace(self.config.losses, **weights))
                score = train_and_track(config, self.folds[number], folder, self.seed, self.device, watch)
                if told is not None:
                    told(weights, number, score)
            scores.append(score)
            trial.report(statistics.fmean(s.auc for s in scores), number)
            if self.search.prune and number + 1 < len(self.folds) and trial.should_prune():
                raise optuna.TrialPruned
        return statistics.fmean(s.auc for s in scores)

    def _folder(self, weights: dict[str, float], number: int) -> Path:
        return self.output / "_".join(f"{k}-{v:.6g}" for k, v in weights.items()) / f"fold-{number + 1}"

    def _results(self, study: optuna.Study) -> list[Trial]:
        import optuna

        found = []
        for trial in ended(study):
            scores = (finished(self._folder(trial.params, number)) for number in range(len(self.folds)))
            known = tuple(score for score in scores if score is not None)
            found.append(Trial(trial.params, known, trial.state == optuna.trial.TrialState.PRUNED))
        return sorted(found, key=lambda t: (t.pruned, -t.mean))

    def _study(self) -> AbstractContextManager[optuna.Study]:
        facts = {
            **asdict(self.config),
            "search": {k: v for k, v in asdict(self.search).items() if k not in ("trials", "prune")},
            "seed": self.seed,
            "domains of each fold": [[s.name for s in fold.domains] for fold in self.folds],
            "tracked in each fold": [[s.name for s in fold.held_out] for fold in self.folds],
        }
        for name in ("footage", "workers", "save_every", "kept", "log_every"):
            facts.pop(name)
        grid = self.axes if self.search.sampler == "grid" else None
        return open_study(self.output, grid, self.seed, facts)


def table(trials: list[Trial]) -> Table:
    """Trials for reading, in their order."""
    names = list(trials[0].weights) if trials else []
    count = max((len(t.scores) for t in trials), default=0)
    columns = (
        Column("trial"),
        *(Column(name) for name in names),
        Column("AUC", best="highest"),
        Column("spread"),
        *(Column(f"fold {i + 1}") for i in range(count)),
    )
    rows = []
    for place, trial in enumerate(trials, 1):
        cells = [score.auc for score in trial.scores] + [None] * (count - len(trial.scores))
        name = f"{place} (given up)" if trial.pruned else str(place)
        rows.append((name, *trial.weights.values(), trial.mean, trial.spread, *cells))
    note = "AUC: mean over folds. Spread: standard deviation over folds."
    return Table("Weights of the losses", columns, tuple(rows), note)
