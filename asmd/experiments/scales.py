"""What the tables have in common at each scale: trainings, how is tracked, and where data lies.

`full` is the paper's: data sets below one folder, named as in docs/reproducing.md. `local` runs on a small data folder
(`train/`, `unlabeled/`, `test/OTB/`) in about an hour of one processor core a table. `smoke` is `full` with everything
that costs time made small, on drawn videos in the official layouts: it shows that a recipe runs, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace

from asmd import checkpoints
from asmd.errors import WeightsError
from asmd.experiments.plan import Scale, Test, Training
from asmd.models.private_bank import BankConfig
from asmd.models.private_branches import BranchConfig, NarrowSTResNet
from asmd.models.private_shared import VariantName
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.classifier import ClassifierConfig
from asmd.tracking.config import SamplingConfig, SearchConfig, TrackerConfig
from asmd.training.clips import ClipConfig
from asmd.training.config import LOCAL_HELD_OUT, ScheduleConfig, TrainingConfig, local, paper_got10k
from asmd.training.domains import DataSource
from asmd.training.footage import FootageConfig

SEEDS = {"full": 5, "local": 3, "smoke": 1}
"""Runs that are averaged: the paper's five, and what an hour has room for."""

OTB = DataSource("otb50", "OTB")
OTB_FRAMES = 29_491

SMOKE_TARGETS = ("Basketball", "Bolt", "Jogging-1", "Jogging-2")
"""Those of OTB-50 that are drawn at scale smoke."""

SMOKE_FRAMES = 6
"""Of each sequence that is tracked at scale smoke."""

HELD_OUT_FRAMES = 60
"""Of each held-out sequence, at local scale."""


def tracker(scale: Scale, refined: bool = False) -> TrackerConfig:
    """How the tables track.

    At full scale as the paper does, but for the classifier's first layers and rates, which as printed do not train
    (FACTS 0.2). At local scale with the preset `realtime` on the appearance stream, since the motion stream has seen
    too little flow.

    Args:
        scale: of the table.
        refined: keep the learnt head that the packaged weights have; tables of features track without it.
    """
    if scale == "local":
        preset = TrackerConfig.realtime()
        regression = preset.regression if refined else replace(preset.regression, kind="ridge")
        return replace(preset, features=replace(preset.features, motion="off"), regression=regression)
    paper = replace(TrackerConfig.paper(), classifier=ClassifierConfig(members=1, hidden=128))
    return shrunk_tracker(paper) if scale == "smoke" else paper


def held_out() -> Test:
    """The videos on which choices are made at local scale."""
    return Test(DataSource("folder", "train"), LOCAL_HELD_OUT, HELD_OUT_FRAMES)


def supervised(variant: VariantName, scale: Scale, steps: int = 200_000) -> TrainingConfig:
    """A variant trained on annotated videos (paper, tables 1 and 2); ASPS has its unsupervised iterations on top.

    Args:
        variant: of the method.
        scale: of the table; decides about the number of iterations where it is not full.
        steps: supervised iterations at full scale.
    """
    if scale == "local":
        return small(variant)
    recipe = from_imagenet(paper_got10k())
    recipe = replace(
        recipe,
        model=replace(recipe.model, variant=variant),
        videos=recipe.videos if variant == "ASPS" else replace(recipe.videos, sources=recipe.videos.sources[:1]),
        schedule=schedule(variant, steps),
    )
    return shrunk(recipe) if scale == "smoke" else recipe


def schedule(variant: VariantName, steps: int) -> ScheduleConfig:
    """The paper's turns: so many supervised iterations, and ten times as many unsupervised ones for ASPS alone."""
    return ScheduleConfig(steps=11 * steps if variant == "ASPS" else steps)


LOCAL_STEPS = 80


def small(variant: VariantName, steps: int = LOCAL_STEPS) -> TrainingConfig:
    """`local` so short that seven rows with three seeds take an hour of one core; appearance stream alone.

    All variants have as many supervised iterations; ASPS has a quarter as many unsupervised ones on top, and clips in
    every one.
    """
    recipe = local()
    turns = ScheduleConfig(supervised=20, unsupervised=5, steps=steps)
    if variant == "ASPS":
        turns = replace(turns, steps=steps * 5 // 4)
    return replace(
        from_imagenet(recipe),
        model=replace(recipe.model, variant=variant),
        batch=replace(recipe.batch, domains=4),
        clips=replace(recipe.clips, pairs=1, size=128),
        schedule=turns,
        optimiser=replace(recipe.optimiser, trunk_rate=1e-3, unsupervised_trunk_rate=1e-4, heads_first=10),
        without_motion=1.0,
        workers=0,
        save_every=40,
        kept=1,
    )


def imagenet() -> str:
    """Weights that no video has touched, to start from; "", the packaged ones, where they are not at hand."""
    try:
        return str(checkpoints.shared_file())
    except WeightsError:
        return ""


def from_imagenet(config: TrainingConfig) -> TrainingConfig:
    """The same from weights that no video has touched, see `imagenet`."""
    return replace(config, start=imagenet())


def general(scale: Scale) -> Training:
    """The tracker of tables 3 and 5 to 10: the whole method, 1 M supervised and 10 M unsupervised iterations."""
    config = from_imagenet(paper_got10k())
    return training("general", shrunk(config) if scale == "smoke" else config, scale)


def training(name: str, config: TrainingConfig, scale: Scale) -> Training:
    """A training of the paper's shared network, which at scale smoke is a narrow one."""
    return Training(name, config, NarrowSTResNet.name, start=False) if scale == "smoke" else Training(name, config)


def shrunk(config: TrainingConfig, held_out: tuple[str, ...] | None = None) -> TrainingConfig:
    """A full recipe with everything that costs time made small; what it is made of stays.

    Args:
        config: the recipe.
        held_out: those of its held-out sequences that are drawn; None where all are.
    """
    batch = replace(
        config.batch,
        domains=2,
        positives=replace(config.batch.positives, count=3),
        negatives=replace(config.batch.negatives, count=5),
        crop_size=64,
    )
    steps = 3 if config.model.parts.arrow else 2
    return replace(
        config,
        videos=config.videos if held_out is None else replace(config.videos, held_out=held_out),
        batch=batch,
        branches=config.branches if config.branches.form == "adapter" else BranchConfig("small", width=4),
        bank=BankConfig(),
        clips=ClipConfig(pairs=1, size=64, still=0.0),
        schedule=ScheduleConfig(2, 1, steps),
        footage=FootageConfig(),
        workers=0,
        precision="fp32",
        log_every=1,
    )


def shrunk_tracker(config: TrackerConfig) -> TrackerConfig:
    """Likewise for tracking."""
    return replace(
        config,
        features=replace(config.features, crop_size=64),
        search=SearchConfig(candidates=8, best=1, flow_share=0.0),
        sampling=SamplingConfig(
            initial_positives=SampleConfig("gaussian", 0.1, 5, 8, min_iou=0.7),
            initial_near=SampleConfig("uniform", 1, 10, 16, max_iou=0.5),
            initial_whole=16,
            memory_negatives=SampleConfig("uniform", 2, 5, 8, max_iou=0.5),
            update_positives=SampleConfig("gaussian", 0.1, 5, 4, min_iou=0.7),
            update_negatives=SampleConfig("uniform", 2, 5, 8, max_iou=0.3),
            interval=config.sampling.interval,
            augmentations=(),
        ),
        classifier=replace(config.classifier, init_steps=4, update_steps=2),
        mining=replace(config.mining, count=8, pool=16),
        regression=replace(config.regression, samples=16),
    )
