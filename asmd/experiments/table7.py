"""Table 7: VOT2018."""

from __future__ import annotations

from pathlib import Path

from asmd.experiments.benchmarks import benchmark
from asmd.experiments.plan import Experiment, Part, Scale, Test
from asmd.experiments.printed import columns
from asmd.experiments.scales import general
from asmd.experiments.smoke import VOT_SEQUENCES
from asmd.training.domains import DataSource

NAMES = (
    "STRUCK", "MEEM", "STAPLE", "SRDCF", "CCOT", "SiamFC", "ECO", "SiamRPN", "SiamRPN++", "ATOM", "DiMP", "ours",
)  # fmt: skip

PRINTED = columns(
    NAMES,
    """
    eao        .097  .192 .169 .119 .267 .188 .280 .383 .414 .401 .440 .427
    accuracy   .418  .463 .530 .490 .494 .503 .484 .586 .600 .590 .597 .604
    robustness 1.297 .534 .688 .974 .318 .585 .276 .276 .234 .204 .153 .169
    """,
)


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale: supervised runs, 15 of each sequence for each seed, or 3 where they are all the same.

    As in the paper all of GOT-10k is trained on, the thousand videos among it that who reports on VOT leaves out.
    """
    test = Test(DataSource("vot2018", "VOT2018"), VOT_SEQUENCES if scale == "smoke" else None, known_frames=21_356)
    return benchmark(
        "table7", "VOT2018", scale, {"ours": (Part("all", test, general(scale)),)}, PRINTED,
        protocol="vot2018", measures=("eao", "accuracy", "robustness"), experiment="supervised",
        runs=2 if scale == "smoke" else 15,
    )  # fmt: skip
