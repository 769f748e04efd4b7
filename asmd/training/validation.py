"""How well a representation tracks: one pass over held-out sequences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field, replace
from itertools import islice

from asmd.errors import AsmdError
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
        sequences: area under the success curve of each sequence.
        precisions: share of frames of each whose centre is within 20 px.
        skipped: a line for each sequence that could not be tracked.
    """

    sequences: dict[str, float] = field(default_factory=dict)
    precisions: dict[str, float] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    @property
    def auc(self) -> float:
        """Mean over sequences; NaN where there is none."""
        return _mean(self.sequences)

    @property
    def precision(self) -> float:
        """Likewise."""
        return _mean(self.precisions)


def joined(parts: Iterable[ValidationResult]) -> ValidationResult:
    """Results of several processes as one, sequences by name."""
    sequences, precisions, skipped = dict[str, float](), dict[str, float](), list[str]()
    for part in parts:
        sequences |= part.sequences
        precisions |= part.precisions
        skipped += part.skipped
    return ValidationResult(dict(sorted(sequences.items())), dict(sorted(precisions.items())), tuple(skipped))


def _mean(values: Mapping[str, float]) -> float:
    return math.fsum(values.values()) / len(values) if values else math.nan


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
        sequences: annotated; one that fails, say for its first box, is named in the result.
        config: settings.
        seed: of the first run; each sequence derives its own.
    """
    preset = TrackerConfig.preset(config.preset)
    preset = replace(preset, network=network.config, features=replace(preset.features, motion=config.motion))
    tracker = Tracker(network, preset, motion_trained=config.motion == "on")
    rules = protocol("otb")
    result = ValidationResult()
    skipped = []
    for sequence in sequences:
        cut = beginning(sequence, config.frames)
        runs = []
        try:
            for repeat in range(config.seeds):
                tracker.reseed(derive_seed(seed, sequence.name, repeat + 1))
                runs.append(one_pass(tracker, cut).boxes)
        except AsmdError as error:
            skipped.append(f"{sequence.name}: {error}")
            continue
        scores = each(score_sequence(rules, cut, runs)).measures(rules)
        result.sequences[sequence.name] = float(scores["auc"].mean())
        result.precisions[sequence.name] = float(scores["precision"].mean())
    return replace(result, skipped=tuple(skipped))
