"""Cross-validation over videos: training on all folds but one, and tracking that one (paper, 5)."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from asmd.errors import ConfigError, DatasetError
from asmd.files import replacing
from asmd.sequence import Sequence
from asmd.training.config import TrainingConfig
from asmd.training.domains import TrainingData, footage_of, subset
from asmd.training.trainer import Report, Trainer
from asmd.training.validation import validate

log = logging.getLogger(__name__)

SCORE = "score.json"
"""What a finished fold leaves in its folder."""


@dataclass(frozen=True)
class FoldScore:
    """How well what was trained on the other folds tracks one, see `asmd.training.validation.ValidationResult`.

    Attributes:
        auc: mean over sequences, in 0..1.
        precision: likewise.
        sequences: AUC of each.
        seconds: that it took, in the run that finished it.
    """

    auc: float
    precision: float
    sequences: dict[str, float]
    seconds: float


def folds(data: TrainingData, count: int, tracked: int = 1) -> tuple[TrainingData, ...]:
    """Deals the videos of a recipe out into parts, each of which is held out of one training.

    A video goes whole, with all of its tracks. Which part it falls to depends on names alone. What the recipe itself
    holds out plays no part.

    Args:
        data: of the recipe.
        count: of folds.
        tracked: sequences of each held-out video that are tracked.

    Returns:
        The data of each fold: what to train on, and what to track.

    Raises:
        ConfigError: if there are fewer videos with a box on their first frame than folds.
    """
    videos: dict[str, list[Sequence]] = {}
    for sequence in data.domains:
        videos.setdefault(footage_of(sequence), []).append(sequence)

    def first_ones(video: str) -> list[Sequence]:
        able = [s for s in videos[video] if s.valid[0] and not (s.absent is not None and s.absent[0])]
        return sorted(able, key=lambda s: s.name)[:tracked]

    # Those that can be tracked first, so that every fold gets its share; a hash mixes benchmarks and letters.
    order = sorted(videos, key=lambda v: (not first_ones(v), hashlib.blake2b(v.encode()).digest()))
    if len([v for v in order if first_ones(v)]) < count:
        raise ConfigError(f"{count} folds need as many videos with a box on their first frame; there are fewer")
    found = []
    for number in range(count):
        own = order[number::count]
        out = subset(data, [s.name for video in own for s in videos[video]])
        found.append(replace(out, held_out=tuple(s for video in own for s in first_ones(video))))
    return tuple(found)


def finished(folder: Path) -> FoldScore | None:
    """The score that a fold left in its folder; None where it is not finished."""
    path = folder / SCORE
    return FoldScore(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def train_and_track(
    config: TrainingConfig,
    data: TrainingData,
    folder: Path,
    seed: int = 0,
    device: torch.device | str = "cpu",
    watch: Callable[[Report], None] | None = None,
) -> FoldScore:
    """Trains, and tracks what is held out; goes on where it was stopped in this folder.

    Args:
        config: settings of the training.
        data: of the fold.
        folder: of the training; its checkpoints are removed once there is a score.
        seed: of the training.
        device: where the arithmetic runs.
        watch: is told how the training goes.

    Raises:
        DatasetError: if no sequence could be tracked.
    """
    started = time.perf_counter()
    trainer = Trainer(config, replace(data, held_out=()), folder, seed, device)
    trainer.run(resume=True, watch=watch)
    result = validate(trainer.network.shared, data.held_out, config.validation)
    for line in result.skipped:
        log.warning("skipped %s", line)
    if not result.sequences:
        raise DatasetError(f"no sequence of the fold could be tracked: {result.skipped[-1]}")
    score = FoldScore(result.auc, result.precision, result.sequences, time.perf_counter() - started)
    with replacing(folder / SCORE) as temporary:
        temporary.write_text(json.dumps(asdict(score), indent=1) + "\n", encoding="utf-8")
    # Hundreds of trainings: what they would be resumed from is of no more use.
    for name in ("checkpoints", "branches"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "weights.safetensors").unlink(missing_ok=True)
    return score
