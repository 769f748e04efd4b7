"""What a training run is: all settings, and the recipes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from asmd.datasets.uav123 import parts
from asmd.errors import ConfigError
from asmd.flow import FlowConfig
from asmd.losses import LossWeights
from asmd.models.private_bank import BankConfig
from asmd.models.private_branches import BranchConfig
from asmd.models.private_shared import PrivateSharedConfig
from asmd.models.st_resnet import STResNetConfig
from asmd.tracking.candidates import SampleConfig
from asmd.training.clips import ClipConfig
from asmd.training.domains import DataConfig, DataSource
from asmd.training.footage import FootageConfig
from asmd.training.samples import BatchConfig


@dataclass(frozen=True)
class ScheduleConfig:
    """How supervised and unsupervised iterations take turns (paper, 3.5).

    Attributes:
        supervised: iterations in a row on labelled frames (and, where the variant has it, clips).
        unsupervised: iterations in a row on clips alone that follow; variants without the arrow of time have none.
        steps: iterations in all, of both kinds.
    """

    supervised: int = 100
    unsupervised: int = 1000
    steps: int = 11_000_000

    def __post_init__(self) -> None:
        if self.supervised < 1 or self.unsupervised < 0 or self.steps < 1:
            raise ConfigError("a schedule needs supervised and steps of at least 1 and unsupervised of at least 0")


@dataclass(frozen=True)
class OptimiserConfig:
    """Stochastic gradient descent with momentum (FACTS 9, row 16).

    Attributes:
        trunk_rate: learning rate of the ST-ResNets in supervised iterations; private ones have the same.
        head_rate: of fully connected layers.
        unsupervised_trunk_rate: of the shared ST-ResNet in unsupervised iterations.
        unsupervised_head_rate: of the arrow-of-time layer in these.
        momentum: of all; private branches take theirs from the bank's settings.
        weight_decay: of weights; vectors (biases, norms) have none.
        clip: greatest norm of the gradient, of what is shared and of each private branch on its own; 0 for none.
        warm_up: iterations over which the rates rise from 0.
        heads_first: iterations in which the shared ST-ResNet stays as it is; over as many its rate then rises from 0.
        practice: steps that the heads of a batch's domains take on their own, on features as they are, before each
            supervised iteration. A domain is seen once in K / domains iterations: without it, that of a short run meets
            its domain a few times only, and sends noise into the shared features.
        decay: "constant" keeps the rates, "cosine" lets them fall to 0 at the end of the schedule.
    """

    trunk_rate: float = 1e-4
    head_rate: float = 1e-3
    unsupervised_trunk_rate: float = 1e-5
    unsupervised_head_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 10.0
    warm_up: int = 0
    heads_first: int = 0
    practice: int = 0
    decay: Literal["constant", "cosine"] = "constant"

    def __post_init__(self) -> None:
        rates = (self.trunk_rate, self.head_rate, self.unsupervised_trunk_rate, self.unsupervised_head_rate)
        counts = (self.warm_up, self.heads_first, self.practice, self.clip)
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates) or min(counts) < 0:
            raise ConfigError("rates must be finite and rates, warm_up, heads_first, practice and clip not negative")

    def factor(self, step: int, steps: int) -> float:
        """What the rates are multiplied by at a step of so many, in 0..1."""
        warm = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        return warm * (0.5 + 0.5 * math.cos(math.pi * step / steps) if self.decay == "cosine" else 1.0)

    def shared_factor(self, step: int) -> float:
        """What the shared ST-ResNet's rate is multiplied by besides, in 0..1."""
        return min(1.0, max(0.0, step / self.heads_first - 1)) if self.heads_first else 1.0


@dataclass(frozen=True)
class ValidationConfig:
    """Tracking of held-out sequences, the measure of a representation.

    Attributes:
        every: iterations between two validations; 0 has none but at the end.
        frames: of each sequence, from its first.
        preset: of the tracker.
        motion: whether the motion stream takes part.
        seeds: runs of each sequence.
    """

    every: int = 0
    frames: int = 150
    preset: str = "realtime"
    motion: Literal["on", "off"] = "off"
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.every < 0 or self.frames < 2 or self.seeds < 1:
            raise ConfigError("validation needs every of at least 0, frames of at least 2 and seeds of at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """All settings of a run; a recipe is one of these by name, see `RECIPES`.

    Attributes:
        videos: data sets and what is held out.
        start: weights that the trunk starts from, as `asmd.checkpoints.load` takes them; "" for those of ImageNet where
            `asmd.checkpoints.load_untrained` finds them.
        trunk: form of the shared network.
        model: variant and features.
        branches: form of private branches.
        bank: how many of them are in memory, and their optimiser.
        losses: the lambdas of equation 5.
        batch: supervised samples.
        clips: of the arrow of time.
        footage: the cache of decoded videos.
        flow: how flow is measured.
        schedule: which iterations follow which.
        optimiser: rates.
        validation: tracking of held-out sequences.
        frozen: beginnings of names of the trunk's tensors that are not trained.
        reversal: strength of the gradient reversal: "ramp" rises from 0 to 1 (FACTS 3), "full" is 1 throughout.
        without_motion: share of supervised iterations in which the motion stream is left out, so that the appearance
            stream can also track alone.
        trained_share: of the weights that are validated and exported; the rest is those that training started from, see
            `averaging`. Training itself does not change with it.
        domains_at_once: domains that go through the network together; 0 takes the whole batch. Gradients add up.
        precision: "bf16" under autocast, or "fp32".
        workers: processes that prepare batches; 0 prepares them in between.
        save_every: iterations between checkpoints.
        kept: checkpoints that are kept.
        log_every: iterations that one line of metrics sums up.
    """

    videos: DataConfig = field(default_factory=DataConfig)
    start: str = ""
    trunk: STResNetConfig = field(default_factory=STResNetConfig)
    model: PrivateSharedConfig = field(default_factory=PrivateSharedConfig)
    branches: BranchConfig = field(default_factory=BranchConfig)
    bank: BankConfig = field(default_factory=BankConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    batch: BatchConfig = field(default_factory=BatchConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    footage: FootageConfig = field(default_factory=FootageConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    frozen: tuple[str, ...] = ()
    reversal: Literal["ramp", "full"] = "ramp"
    without_motion: float = 0.0
    trained_share: float = 1.0
    domains_at_once: int = 0
    precision: Literal["bf16", "fp32"] = "bf16"
    workers: int = 1
    save_every: int = 1000
    kept: int = 3
    log_every: int = 10

    def __post_init__(self) -> None:
        if min(self.domains_at_once, self.workers) < 0 or min(self.save_every, self.kept, self.log_every) < 1:
            raise ConfigError("training needs save_every, kept and log_every of at least 1 and no negative settings")
        if not 0 <= self.without_motion <= 1:
            raise ConfigError(f"without_motion is a share in 0..1, got {self.without_motion}")
        if not 0 < self.trained_share <= 1:
            raise ConfigError(f"trained_share is above 0 and at most 1, got {self.trained_share}")


_PAPER_BATCH = BatchConfig(
    extractor="crop",
    positives=SampleConfig("uniform", 0.1, 5, 32, min_iou=0.7),
    negatives=SampleConfig("uniform", 2, 10, 96, max_iou=0.5),
    hardest=0,
    context=107 / 75,
)
"""MDNet's boxes and minibatch, which the paper refers to: 8 frames of 32 and 96 crops (FACTS 1.3 and 9, row 45)."""


def paper_got10k() -> TrainingConfig:
    """The paper's: GOT-10k with labels, YouTube-BB without; 1 M supervised and 10 M unsupervised iterations.

    A private network for each of 9,335 videos would make 836 GB; "adapter" branches, paged, stand for them.
    """
    return TrainingConfig(
        videos=DataConfig(
            (DataSource("got10k:train", "GOT-10k"), DataSource("youtubebb", "YouTubeBB", labelled=False))
        ),
        branches=BranchConfig(form="adapter"),
        bank=BankConfig(resident=256),
        batch=_PAPER_BATCH,
        domains_at_once=1,
        footage=FootageConfig(budget_gb=600),
        workers=8,
        save_every=5000,
        log_every=50,
    )


def lasot_protocol2() -> TrainingConfig:
    """LaSOT's protocol II: trained on its 1,120 training sequences alone, whose clips also serve the arrow of time."""
    return replace(
        paper_got10k(),
        videos=DataConfig((DataSource("lasot:train", "LaSOT"),)),
        schedule=ScheduleConfig(steps=1_100_000),
        footage=FootageConfig(budget_gb=400),
    )


UAV_FOLDS = 5


def uav123_fold(fold: int) -> tuple[str, ...]:
    """Names of the sequences of UAV123 that a fold holds out.

    Whole videos go together: those that UAV20L is made of are dealt out in alphabetical order, four to a fold (paper,
    5), then the others.

    Args:
        fold: 1 to 5.

    Raises:
        ConfigError: if there is no such fold.
    """
    if not 1 <= fold <= UAV_FOLDS:
        raise ConfigError(f"UAV123 has folds 1 to {UAV_FOLDS}, got {fold}")
    long = {part.folder for part in parts("20l")}
    dealt = [*sorted(long), *sorted({part.folder for part in parts("123")} - long)]
    own = set(dealt[fold - 1 :: UAV_FOLDS])
    return tuple(part.name for part in parts("123") if part.folder in own)


def uav123_5fold(fold: int = 1) -> TrainingConfig:
    """UAV123 but for one of its five folds: 100 k supervised and 1 M unsupervised iterations.

    Args:
        fold: the one that is held out, see `uav123_fold`.
    """
    return replace(
        paper_got10k(),
        videos=DataConfig((DataSource("uav123", "UAV123"),), held_out=uav123_fold(fold)),
        schedule=ScheduleConfig(steps=1_100_000),
        bank=BankConfig(resident=0),
        footage=FootageConfig(budget_gb=60),
    )


LOCAL_HELD_OUT = (
    "bicycle", "gymnastics", "polarbear", "sunshade", "torus", "surfing", "book", "bmx-trees", "MountainBike6", "Bike",
    "boat1", "truck4_1", "truck4_2", "S0601", "S1001", "horse", "pedestrian2", "pedestrian3",
)  # fmt: skip
"""Of the 50 sequences of the small training set, those on which choices are made; never trained on by `local`."""


def local() -> TrainingConfig:
    """For two processor cores and an hour: `train/` and `unlabeled/` of a small data folder, from ImageNet weights.

    Samples are pooled from search regions as the tracker does it, with the stages that it looks at.
    """
    return TrainingConfig(
        videos=DataConfig(
            (DataSource("folder", "train"), DataSource("folder", "unlabeled", labelled=False)), held_out=LOCAL_HELD_OUT
        ),
        model=PrivateSharedConfig(stages=(2, 3), bins=3, unit_cells=True),
        branches=BranchConfig(form="adapter", rank=16),
        batch=BatchConfig(
            positives=SampleConfig("gaussian", 0.3, 5, 32, min_iou=0.7),
            negatives=SampleConfig("uniform", 1.5, 10, 200, max_iou=0.5),
            balance=0.7,
        ),
        clips=ClipConfig(pairs=2, size=160),
        schedule=ScheduleConfig(supervised=40, unsupervised=10, steps=1000),
        optimiser=OptimiserConfig(
            trunk_rate=2e-3,
            head_rate=2e-3,
            unsupervised_trunk_rate=2e-4,
            unsupervised_head_rate=2e-3,
            heads_first=50,
            practice=4,
            decay="cosine",
        ),
        validation=ValidationConfig(every=1000, frames=120, seeds=3),
        frozen=("appearance.conv1", "appearance.layer1"),
        without_motion=0.5,
        trained_share=0.5,
        save_every=100,
    )


RECIPES: Mapping[str, Callable[[], TrainingConfig]] = MappingProxyType(
    {
        "paper-got10k": paper_got10k,
        "lasot-protocol2": lasot_protocol2,
        "uav123-5fold": uav123_5fold,
        "local": local,
    }
)
"""Recipes by the name that `asmd train` takes."""
