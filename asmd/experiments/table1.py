"""Table 1: models of multi-domain learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asmd.experiments.plan import Experiment, Part, Row, Scale, Test, Training
from asmd.experiments.printed import figures
from asmd.experiments.scales import (
    OTB,
    OTB_FRAMES,
    SEEDS,
    SMOKE_FRAMES,
    SMOKE_TARGETS,
    held_out,
    imagenet,
    supervised,
    tracker,
    training,
)
from asmd.models.private_shared import VARIANTS, VariantName

PRINTED = {
    "FS": figures(0.62, 0.73, 0.67),
    "MDNet*": figures(0.67, 0.76, 0.71),
    "PS": figures(0.59, 0.70, 0.61),
    "PS+dif": figures(0.41, 0.55, 0.45),
    "APS-": figures(0.71, 0.80, 0.74),
    "APS": figures(0.73, 0.81, 0.76),
}

ABOUT = {
    "full": "Each variant is trained on GOT-10k for 200,000 supervised iterations and tracks OTB-50 (51 targets).",
    "local": (
        "Each variant is trained from ImageNet weights for 80 iterations of 4 search regions, on the appearance "
        "stream alone, and tracks the first 60 frames of 18 held-out training videos, motion stream off, with ridge "
        "regression alone. MDNet* has no weights to start from here: its convolutions begin at random, and after so "
        "few iterations it says little. ASPS, which is not in the paper's table, has as many supervised iterations "
        "and a quarter as many unsupervised ones on top; nor is the last row, which is ImageNet's features as they are."
    ),
    "smoke": "A few iterations on drawn videos: that it runs.",
}


def variant(name: VariantName, scale: Scale) -> Training:
    """The training of a variant of the method, which other tables share."""
    return training(f"variant-{name}", supervised(name, scale), scale)


def mdnet(scale: Scale) -> Training:
    """MDNet's three convolutions, fully shared, for as many iterations."""
    config = replace(supervised("FS", scale), frozen=())
    return Training("mdnet", config, backbone="vgg-m", start=False)


def test(scale: Scale) -> Test:
    """What tables 1 and 2 track."""
    if scale == "local":
        return held_out()
    if scale == "smoke":
        return Test(OTB, SMOKE_TARGETS, SMOKE_FRAMES)
    return Test(OTB, known_frames=OTB_FRAMES)


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale; ASPS, and ImageNet's features as they are, are added to the paper's rows."""
    named: dict[str, Training] = {"FS": variant("FS", scale), "MDNet*": mdnet(scale)}
    named |= {name: variant(name, scale) for name in VARIANTS if name != "FS"}
    rows = [
        Row(name, (Part("all", test(scale), one),), tracker(scale), printed=PRINTED.get(name, {}))
        for name, one in named.items()
    ]
    rows.append(Row("untrained", (Part("all", test(scale)),), tracker(scale), imagenet() or None))
    return Experiment(
        "table1",
        "Models of multi-domain learning",
        ABOUT[scale],
        tuple(rows),
        orders=(("PS+dif", "PS", "FS", "MDNet*", "APS-", "APS"),),
        seeds=SEEDS[scale],
    )
