"""Table 4: what is learnt from other videos, left out one after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asmd.datasets import otb
from asmd.experiments.plan import Experiment, Part, Row, Scale, Test
from asmd.experiments.printed import figures
from asmd.experiments.scales import (
    OTB,
    OTB_FRAMES,
    SEEDS,
    SMOKE_FRAMES,
    SMOKE_TARGETS,
    from_imagenet,
    imagenet,
    schedule,
    shrunk,
    small,
    tracker,
    training,
)
from asmd.models.private_bank import BankConfig
from asmd.models.private_branches import BranchConfig
from asmd.models.private_shared import VariantName
from asmd.training.config import TrainingConfig, paper_got10k
from asmd.training.cross_validation import folds
from asmd.training.domains import DataSource, gather

PRINTED = {
    "PRE": figures(0.41, 0.52, 0.46),
    "LOO-FS": figures(0.70, 0.76, 0.79),
    "LOO-PS": figures(0.67, 0.72, 0.70),
    "LOO-APS": figures(0.72, 0.80, 0.79),
    "LOO-ASPS": figures(0.78, 0.85, 0.87),
}

ABOUT = {
    "full": (
        "OTB-50 with one video left out of training after the other, 100,000 supervised iterations, and for ASPS ten "
        "times as many unsupervised ones (the paper says 10 M, which is not its own turn of 100 to 1,000). PRE is "
        "ImageNet's ResNet-18, untrained. Each domain has a private network of its own."
    ),
    "local": (
        "All annotated training videos in 3 folds: a third is tracked (first 30 frames, one target a video) with what "
        "was learnt from the rest in 40 iterations of 4 search regions, appearance stream alone. PRE is ImageNet's "
        "ResNet-18, untrained."
    ),
    "smoke": "A few iterations on drawn videos: that it runs.",
}

LOCAL_FOLDS, LOCAL_STEPS = 3, 40
FRAMES = {"full": 0, "local": 30, "smoke": SMOKE_FRAMES}


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale."""
    drawn = SMOKE_TARGETS if scale == "smoke" else None
    parts = _local_folds(data) if scale == "local" else _otb_folds(drawn)
    source = DataSource("folder", "train") if scale == "local" else OTB
    rows = []
    for name, printed in PRINTED.items():
        if name == "PRE":
            every = tuple(target for held_out in parts.values() for target in held_out)
            test = Test(source, every, FRAMES[scale], known_frames=OTB_FRAMES)
            rows.append(Row(name, (Part("all", test),), tracker(scale), imagenet() or None, printed))
            continue
        variant: VariantName = name.removeprefix("LOO-")  # type: ignore[assignment]
        own = tuple(
            Part(fold, _test(source, held_out, scale), training(f"without-{fold}-{variant}", config, scale))
            for fold, held_out in parts.items()
            for config in (_training(variant, scale, held_out),)
        )
        rows.append(Row(name, own, tracker(scale), printed=printed))
    return Experiment(
        "table4",
        "Features learnt from other videos",
        ABOUT[scale],
        tuple(rows),
        orders=(("PRE", "LOO-FS"), ("LOO-PS", "LOO-FS", "LOO-APS", "LOO-ASPS")),
        seeds=2 if scale == "local" else SEEDS[scale],
    )


def _test(source: DataSource, held_out: tuple[str, ...], scale: Scale) -> Test:
    known = sum(target.length for target in otb.targets() if target.name in held_out)
    return Test(source, held_out, FRAMES[scale], known_frames=0 if scale == "local" else known)


def _otb_folds(names: tuple[str, ...] | None) -> dict[str, tuple[str, ...]]:
    """Targets by folder: both of Jogging are held out together (FACTS 9, row 33)."""
    found: dict[str, tuple[str, ...]] = {}
    for target in otb.targets():
        if target.name in names if names is not None else "cvpr13" in target.sets:
            found[target.folder] = (*found.get(target.folder, ()), target.name)
    return found


def _local_folds(data: Path) -> dict[str, tuple[str, ...]]:
    videos = replace(small("FS").videos, held_out=())
    parts = folds(gather(videos, data), LOCAL_FOLDS)
    return {f"fold-{n}": tuple(s.name for s in part.held_out) for n, part in enumerate(parts, 1)}


def _training(variant: VariantName, scale: Scale, held_out: tuple[str, ...]) -> TrainingConfig:
    if scale == "local":
        config = small(variant, LOCAL_STEPS)
        return replace(config, videos=replace(config.videos, held_out=held_out))
    recipe = from_imagenet(paper_got10k())
    clips = recipe.videos.sources[1:] if variant == "ASPS" else ()
    recipe = replace(
        recipe,
        model=replace(recipe.model, variant=variant),
        videos=replace(recipe.videos, sources=(OTB, *clips), held_out=held_out),
        branches=BranchConfig(form="full"),
        bank=BankConfig(),
        schedule=schedule(variant, 100_000),
    )
    return shrunk(recipe) if scale == "smoke" else recipe
