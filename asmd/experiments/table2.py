"""Table 2: the shared network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asmd.experiments.plan import Experiment, Part, Row, Scale, Training
from asmd.experiments.printed import figures
from asmd.experiments.scales import SEEDS, supervised, tracker
from asmd.experiments.table1 import test
from asmd.models.baselines import SpatiotemporalConv, TwoStreamConv, VggM
from asmd.training.config import TrainingConfig

PRINTED = {
    "1S Conv": figures(0.64, 0.71, 0.66),
    "2S Conv": figures(0.69, 0.77, 0.70),
    "2S Res": figures(0.67, 0.77, 0.69),
    "ST Conv": figures(0.63, 0.71, 0.66),
    "ST Res": figures(0.73, 0.81, 0.76),
}

CONVOLUTIONAL = {"1S Conv": VggM, "2S Conv": TwoStreamConv, "ST Conv": SpatiotemporalConv}

ABOUT = {
    "full": (
        "Each network is trained as APS on GOT-10k for 200,000 supervised iterations and tracks OTB-50. The residual "
        "ones start from ImageNet weights; the others start at random, as no weights come with the package."
    ),
    "local": (
        "Each network is trained as APS for 40 iterations of 4 search regions with both streams, and tracks the first "
        "60 frames of 18 held-out training videos with both. Only the residual ones have weights to start from: what "
        "sets them apart from the convolutional ones here is ImageNet, not their form. The motion streams have seen "
        "flow in these iterations alone."
    ),
    "smoke": "A few iterations on drawn videos: that it runs.",
}

LOCAL_STEPS = 40


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale."""
    rows = []
    for name, printed in PRINTED.items():
        training, stages = _training(name, scale)
        how = tracker(scale)
        how = replace(how, network=training.config.trunk)
        if scale == "local":
            how = replace(how, features=replace(how.features, motion="on", stages=stages))
        rows.append(Row(name, (Part("all", test(scale), training),), how, printed=printed))
    return Experiment(
        "table2",
        "The shared network",
        ABOUT[scale],
        tuple(rows),
        orders=(("1S Conv", "2S Conv", "ST Res"), ("ST Conv", "ST Res"), ("2S Res", "ST Res")),
        seeds=2 if scale == "local" else SEEDS[scale],
    )


def _training(name: str, scale: Scale) -> tuple[Training, tuple[int, ...]]:
    """A row's training, and the stages that describe its samples."""
    config = supervised("APS", scale)
    if scale == "local":
        config = replace(config, without_motion=0.0, schedule=replace(config.schedule, steps=LOCAL_STEPS))
    folder = f"network-{name.replace(' ', '-').lower()}"
    if name not in CONVOLUTIONAL:
        form = replace(config.trunk, links="none" if name == "2S Res" else "stage")
        return Training(folder, replace(config, trunk=form)), config.model.stages
    network = CONVOLUTIONAL[name]
    return Training(folder, _all_trained(config, network.described), network.name, start=False), network.described


def _all_trained(config: TrainingConfig, stages: tuple[int, ...]) -> TrainingConfig:
    """Nothing is frozen that was not learnt; a sample of the paper's is described by the last stage in any network."""
    described = config.model.stages if config.model.stages == (4,) else stages
    optimiser = replace(config.optimiser, heads_first=0)
    return replace(config, frozen=(), model=replace(config.model, stages=described), optimiser=optimiser)
