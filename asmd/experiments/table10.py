"""Table 10: TrackingNet."""

from __future__ import annotations

from pathlib import Path

from asmd.experiments.benchmarks import benchmark
from asmd.experiments.plan import Experiment, Part, Scale, Test
from asmd.experiments.printed import columns
from asmd.experiments.scales import general
from asmd.training.domains import DataSource

NAMES = ("ECO", "SiamFC", "CFNet", "MDNet", "DaSiam-RPN", "ATOM", "SiamRPN++", "DiMP", "ours")

PRINTED = columns(
    NAMES,
    """
    auc                  .554 .571 .578 .606 .638 .703 .733 .740 .741
    precision            .492 .533 .533 .565 .591 .648 .694 .687 .687
    normalised_precision .618 .666 .654 .705 .733 .771 .800 .801 .802
    """,
)

ABOUT_SERVER = (
    "Boxes of the test set are withheld: OUTPUT/table10/<row>-seed-<n>.zip goes to the server, whose figures stand "
    "beside the printed ones."
)


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale; at smoke a chunk of the training set is tracked, which can be scored here."""
    smoke = scale == "smoke"
    test = Test(DataSource("trackingnet:TRAIN_0" if smoke else "trackingnet:test", "TrackingNet"), known_frames=225_589)
    return benchmark(
        "table10", "TrackingNet", scale, {"ours": (Part("all", test, general(scale)),)}, PRINTED,
        protocol="trackingnet", measures=("auc", "precision", "normalised_precision"),
        experiment="one-pass" if smoke else "server", about=ABOUT_SERVER,
    )  # fmt: skip
