"""Table 6: OTB-100."""

from __future__ import annotations

from pathlib import Path

from asmd.experiments.benchmarks import benchmark
from asmd.experiments.plan import Experiment, Part, Scale, Test
from asmd.experiments.printed import columns
from asmd.experiments.scales import SMOKE_FRAMES, SMOKE_TARGETS, general
from asmd.training.domains import DataSource

NAMES = (
    "dSRDCF", "CCOT", "BACF", "dSTRCF", "STResCF", "CBCW", "ECO", "SiamRPN", "SiamRPN++", "SINT++", "VITAL", "MDNet",
    "RT-MDNet", "ATOM", "DiMP", "ours",
)  # fmt: skip

PRINTED = columns(
    NAMES,
    """
    auc       .69 .68 .62 .68 .59 .61 .69 .63 .69 .57 .68 .67 .65 .66 .68 .73
    precision .81 .85 .82 -   .83 .81 .91 .85 .91 .76 .91 .90 .88 -   .89 .91
    sr50      .78 .88 .77 .77 .76 .76 -   .80 .83 .78 .75 .80 .79 .86 .87 .88
    """,
)


def plan(scale: Scale, data: Path) -> Experiment:
    """The table at a scale."""
    source = DataSource("otb100", "OTB")
    test = Test(source, SMOKE_TARGETS, SMOKE_FRAMES) if scale == "smoke" else Test(source, known_frames=59_040)
    return benchmark("table6", "OTB-100", scale, {"ours": (Part("all", test, general(scale)),)}, PRINTED)
