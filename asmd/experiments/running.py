"""Doing what an experiment asks for, cell by cell; what is done already is left as it is.

OUTPUT/footage/                                     decoded videos, for all trainings
OUTPUT/trainings/<name>/seed-0/                     a training's folder; trained.json once it is done
OUTPUT/<experiment>/<row>/seed-0/<part>/            raw results, as `asmd evaluate` leaves them
OUTPUT/<experiment>/<row>/seed-0/<part>.json        once they are all there
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asmd.datasets import load
from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.evaluation import provenance
from asmd.evaluation.one_pass import OnePass
from asmd.evaluation.results import write_atomic
from asmd.evaluation.runner import Experiment as Way
from asmd.evaluation.runner import SequenceFailure, evaluate
from asmd.evaluation.spec import TrackerSpec
from asmd.evaluation.supervised import Supervised
from asmd.experiments.plan import Cell, Experiment, Test, Training
from asmd.models.baselines import BACKBONES
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Sequence
from asmd.training.distributed import Group
from asmd.training.domains import gather
from asmd.training.trainer import Report, Trainer
from asmd.training.validation import beginning

TRAINED = "trained.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Setting:
    """Where an experiment is done.

    Attributes:
        data: the folder above all data sets.
        output: see the module.
        device: where it computes.
        group: processes that share it: they train together, and each tracks some of the sequences.
        share: (i, n) does only the i-th of n parts of the cells, for machines that know nothing of each other.
        footage: where decoded videos are kept; in the output where None.
    """

    data: Path
    output: Path
    device: torch.device
    group: Group
    share: tuple[int, int] = (0, 1)
    footage: Path | None = None


@dataclass(frozen=True)
class Progress:
    """How far an experiment is.

    Attributes:
        cell: what has just begun, gone on, or ended.
        done: cells that are finished.
        total: cells of this share.
        text: what is going on.
        report: of the training, where that is what goes on.
    """

    cell: Cell
    done: int
    total: int
    text: str
    report: Report | None = None


def run(
    experiment: Experiment, setting: Setting, watch: Callable[[Progress], None] | None = None
) -> list[SequenceFailure]:
    """Does what is not done yet.

    Args:
        experiment: what.
        setting: where.
        watch: is told how it goes.

    Returns:
        Sequences that came to nothing; the same call again tries them again.

    Raises:
        ConfigError: if the output holds cells that were made with other settings.
        DatasetError: if data is missing.
    """
    for source in experiment.sources:
        if not (setting.data / source.folder).is_dir():
            raise DatasetError(f"{experiment.name} needs {source.dataset} in {setting.data / source.folder}")
    cells, failures, tell = own_cells(experiment, setting.share), list[SequenceFailure](), watch or (lambda _: None)
    for done, cell in enumerate(cells):
        if is_done(experiment, cell, setting.output):
            continue
        started = time.perf_counter()
        weights = cell.row.weights
        if cell.part.training is not None:
            tell(Progress(cell, done, len(cells), "training"))

            def learning(report: Report, cell: Cell = cell, done: int = done) -> None:
                tell(Progress(cell, done, len(cells), "training", report))

            weights = str(train(cell.part.training, cell.seed, setting, learning))
        tell(Progress(cell, done, len(cells), "tracking"))
        failed = _track(experiment, cell, weights, setting)
        failures += failed
        if not failed and setting.group.leads:
            facts = {"settings": cell.digest(), "seconds": time.perf_counter() - started, **_origin(setting)}
            write_atomic(done_mark(experiment, cell, setting.output), json.dumps(facts, indent=1) + "\n")
        setting.group.wait()
    return failures


def own_cells(experiment: Experiment, share: tuple[int, int]) -> list[Cell]:
    """The cells of a share; those that need one training are in one share."""
    number, count = share
    keys: dict[object, int] = {}
    for cell in experiment.cells:
        keys.setdefault(_key(cell), len(keys))
    return [cell for cell in experiment.cells if keys[_key(cell)] % count == number]


def _key(cell: Cell) -> tuple[object, ...]:
    training = cell.part.training
    return (training.name if training else (cell.row.name, cell.part.name), cell.seed)


def results_of(experiment: Experiment, cell: Cell, output: Path) -> Path:
    """The folder above that of a cell's raw results."""
    return output / experiment.name / cell.row.slug / f"seed-{cell.seed}"


def done_mark(experiment: Experiment, cell: Cell, output: Path) -> Path:
    """The file that says that a cell is finished."""
    return results_of(experiment, cell, output) / f"{cell.part.name}.json"


def is_done(experiment: Experiment, cell: Cell, output: Path) -> bool:
    """Whether a cell is finished.

    Raises:
        ConfigError: if it is, but with other settings.
    """
    mark = done_mark(experiment, cell, output)
    if not mark.is_file():
        return False
    if json.loads(mark.read_text(encoding="utf-8"))["settings"] != cell.digest():
        raise ConfigError(f"{mark.parent} was made with other settings of {cell.name}: give another --output")
    return True


def train(training: Training, seed: int, setting: Setting, watch: Callable[[Report], None] | None = None) -> Path:
    """Trains, or goes on where that was stopped.

    Returns:
        The weights.

    Raises:
        ConfigError: if the folder holds a training with other settings.
    """
    folder = setting.output / "trainings" / training.name / f"seed-{seed}"
    mark, steps = folder / TRAINED, training.config.schedule.steps
    digest = training.digest(seed)
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8"))["settings"] != digest:
            raise ConfigError(f"{folder} holds a training with other settings: give another --output")
        return folder / WEIGHTS
    started = time.perf_counter()
    footage = replace(training.config.footage, folder=str(setting.footage or setting.output / "footage"))
    config = replace(training.config, footage=footage)
    data = gather(config.videos, setting.data)
    trainer = Trainer(
        config, replace(data, held_out=()), folder, seed, setting.device, setting.group, trunk(training, seed)
    )
    trainer.run(resume=True, watch=watch)
    if setting.group.leads:
        facts = {"settings": digest, "steps": steps, "seconds": time.perf_counter() - started, **_origin(setting)}
        write_atomic(mark, json.dumps({**facts, "domains": len(data.domains)}, indent=1) + "\n")
        for name in ("checkpoints", "branches"):  # nothing goes on from them any more
            shutil.rmtree(folder / name, ignore_errors=True)
    setting.group.wait()
    return folder / WEIGHTS


def trunk(training: Training, seed: int) -> SpatiotemporalResNet | None:
    """The network to start from; None for the trainer's own way, from weights."""
    if training.start and training.backbone == SpatiotemporalResNet.name:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BACKBONES[training.backbone](training.config.trunk)


def sequences_of(test: Test, data: Path) -> tuple[Sequence, ...]:
    """What is tracked.

    Raises:
        DatasetError: if it is not there.
    """
    dataset = load(test.source.dataset, data / test.source.folder)
    if test.names is not None:
        dataset = dataset.select(test.names)
    if dataset.missing:
        name, path = next(iter(dataset.missing.items()))
        raise DatasetError(f"{dataset.name}: {len(dataset.missing)} sequences are missing, {name} among them: {path}")
    return tuple(beginning(s, test.frames) if test.frames else s for s in dataset)


def _track(experiment: Experiment, cell: Cell, weights: str | None, setting: Setting) -> list[SequenceFailure]:
    """Tracks this process's share of the sequences of a cell."""
    sequences = sequences_of(cell.part.test, setting.data)
    own = sequences[setting.group.rank :: setting.group.size]
    failures: list[SequenceFailure] = []
    if own:
        way: Way = Supervised() if experiment.experiment == "supervised" else OnePass()
        spec = TrackerSpec("asmd", cell.row.tracker, weights, str(setting.device), cell.part.name)
        results = results_of(experiment, cell, setting.output)
        done = evaluate(spec, own, results=results, experiment=way, repeats=experiment.runs, seed=cell.seed)
        failures = list(done.failures)
    return [failure for part in setting.group.gather(failures) for failure in part]


def _origin(setting: Setting) -> dict[str, Any]:
    return {
        **provenance.code_version(),
        "machine": provenance.machine(),
        "ended": provenance.now(),
        "processes": setting.group.size,
        "device": str(setting.device),
    }


def failed(failures: list[SequenceFailure]) -> AsmdError:
    """One line for all that came to nothing."""
    return AsmdError(f"{len(failures)} sequences failed, {failures[0]} among them; the same command tries them again")
