"""How well a representation tracks: one pass over held-out sequences."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Rows
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from asmd.evaluation.one_pass import derive_seed, one_pass
from asmd.evaluation.protocols import protocol
from asmd.evaluation.scoring import each, score_sequence
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame, Sequence
from asmd.tracking.config import TrackerConfig
from asmd.tracking.tracker import Tracker
from asmd.training.config import ValidationConfig


@dataclass(frozen=True)
class ValidationResult:
    """Scores by OTB's rules, in 0..1, means over seeds.

    Attributes:
        auc: area under the success curve, mean over sequences.
        precision: share of frames whose centre is within 20 px, likewise.
        sequences: AUC of each sequence.
    """

    auc: float
    precision: float
    sequences: dict[str, float]


class _Beginning:
    """The first frames of a source, decoded in one go."""

    def __init__(self, sequence: Sequence, count: int) -> None:
        self._sequence, self._count = sequence, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        return islice(iter(self._sequence.frames), self._count)

    def __getitem__(self, index: int) -> Frame:
        return self._sequence.frames[index]


def beginning(sequence: Sequence, frames: int) -> Sequence:
    """The first frames of a sequence."""
    count = min(frames, len(sequence))
    absent = sequence.absent
    assert absent is not None
    return replace(
        sequence, frames=_Beginning(sequence, count), boxes=sequence.boxes[:count], absent=absent[:count], polygons=None
    )


def validate(
    network: SpatiotemporalResNet, sequences: Rows[Sequence], config: ValidationConfig, seed: int = 0
) -> ValidationResult:
    """Tracks the beginnings of sequences.

    Args:
        network: the shared one; copied.
        sequences: annotated; their first box must be valid.
        config: settings.
        seed: of the first run; each sequence derives its own.
    """
    preset = TrackerConfig.preset(config.preset)
    preset = replace(preset, network=network.config, features=replace(preset.features, motion=config.motion))
    tracker = Tracker(network, preset, motion_trained=config.motion == "on")
    rules = protocol("otb")
    auc: dict[str, float] = {}
    precision = []
    for sequence in sequences:
        cut = beginning(sequence, config.frames)
        runs = []
        for repeat in range(config.seeds):
            tracker.reseed(derive_seed(seed, sequence.name, repeat + 1))
            runs.append(one_pass(tracker, cut).boxes)
        scores = each(score_sequence(rules, cut, runs)).measures(rules)
        auc[sequence.name] = float(scores["auc"].mean())
        precision.append(float(scores["precision"].mean()))
    return ValidationResult(float(np.mean(list(auc.values()))), float(np.mean(precision)), auc)
