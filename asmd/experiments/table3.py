"""Table 3: which negatives a minibatch learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asmd.experiments.plan import Experiment, Part, Row, Scale
from asmd.experiments.printed import figures
from asmd.experiments.scales import SEEDS, general, tracker
from asmd.experiments.table1 import test
from asmd.tracking.mining import Rule

RULES: dict[str, Rule] = {"RAND": "rand", "GRDY": "grdy", "HMM": "hmm", "SUNM": "sunm"}

PRINTED = {
    "RAND": figures(0.72, 0.81, 0.75),
    "GRDY": figures(0.61, 0.69, 0.67),
    "HMM": figures(0.77, 0.89, 0.87),
    "SUNM": figures(0.80, 0.88, 0.93),
}

ABOUT = {
    "full": "The tracker after 1 M supervised and 10 M unsupervised iterations, with four rules, on OTB-50.",
    "local": (
        "The packaged tracker (preset `realtime`, motion stream off) with four rules on the first 60 frames of 18 "
        "held-out training videos. Nothing is trained; a seed is a run. The preset scores a pool once for ten "
        "minibatches, where the paper scores one for each."
    ),
    "smoke": "A few iterations on drawn videos: that it runs.",
}


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale."""
    training = None if scale == "local" else general(scale)
    how = tracker(scale, refined=True)
    rows = [
        Row(
            name,
            (Part("all", test(scale), training),),
            replace(how, mining=replace(how.mining, rule=rule)),
            printed=PRINTED[name],
        )
        for name, rule in RULES.items()
    ]
    return Experiment(
        "table3",
        "Selection of negatives for a minibatch",
        ABOUT[scale],
        tuple(rows),
        orders=(("GRDY", "RAND", "HMM", "SUNM"),),
        seeds=SEEDS[scale],
    )
