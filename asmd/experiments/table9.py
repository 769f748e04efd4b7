"""Table 9: UAV123, with the general tracker and by five-fold cross-validation."""

from __future__ import annotations

from pathlib import Path

from asmd.datasets.uav123 import parts as sequences
from asmd.experiments.benchmarks import benchmark
from asmd.experiments.plan import Experiment, Part, Scale, Test
from asmd.experiments.printed import columns
from asmd.experiments.scales import SMOKE_FRAMES, from_imagenet, general, shrunk, training
from asmd.experiments.smoke import UAV_SEQUENCES
from asmd.training.config import UAV_FOLDS, uav123_5fold, uav123_fold
from asmd.training.domains import DataSource

NAMES = (
    "STRUCK", "MEEM", "STAPLE", "SRDCF", "MUSTer", "ECO", "CCOT", "SiamRPN", "SiamRPN++", "MDNet", "RT-MDNet", "ATOM",
    "DiMP", "5-fold",
)  # fmt: skip

PRINTED = columns(
    NAMES,
    """
    auc       .387 .398 .453 .473 .517 .522 .513 .527 .613 .528 .528 .643 .654 .655
    precision .578 .627 .666 .676 .391 .591 -    .748 .807 -    .772 .856 .858 .793
    """,
)

GENERAL = {"auc": 0.608}
"""Not printed: 0.655 is "almost 7.8 % improvement compared to the generally trained version" (FACTS 9, row 39)."""


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale; each fold has four of UAV20L's videos."""
    test = _test(UAV_SEQUENCES if scale == "smoke" else tuple(part.name for part in sequences("123")), scale)
    rows = {"general": (Part("all", test, general(scale)),), "5-fold": tuple(_folds(scale))}
    return benchmark(
        "table9", "UAV123", scale, rows, {**PRINTED, "general": GENERAL}, protocol="uav123",
        measures=("auc", "precision"), orders=(("general", "5-fold"),),
    )  # fmt: skip


def _test(names: tuple[str, ...], scale: Scale) -> Test:
    lengths = {part.name: part.length for part in sequences("123")}
    frames = SMOKE_FRAMES if scale == "smoke" else 0
    return Test(DataSource("uav123", "UAV123"), names, frames, known_frames=sum(lengths[name] for name in names))


def _folds(scale: Scale) -> list[Part]:
    found = []
    for fold in range(1, UAV_FOLDS + 1):
        names, recipe = uav123_fold(fold), from_imagenet(uav123_5fold(fold))
        if scale == "smoke":
            names = tuple(name for name in names if name in UAV_SEQUENCES)
            recipe = shrunk(recipe, held_out=names)
        if names:
            found.append(Part(f"fold-{fold}", _test(names, scale), training(f"uav123-fold-{fold}", recipe, scale)))
    return found
