"""Table 8: LaSOT, protocols I and II."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asmd.experiments.benchmarks import benchmark
from asmd.experiments.plan import Experiment, Part, Scale, Test, Training
from asmd.experiments.printed import columns
from asmd.experiments.scales import SMOKE_FRAMES, from_imagenet, general, shrunk, training
from asmd.experiments.smoke import LASOT_ALL, LASOT_TEST
from asmd.training.config import ScheduleConfig, lasot_protocol2
from asmd.training.domains import DataSource

NAMES = (
    "STAPLE", "SRDCF", "SiamFC", "SINT", "ECO", "BACF", "SiamRPN++", "VITAL", "MDNet", "ATOM", "DiMP", "ours",
)  # fmt: skip

PRINTED = {
    "I": columns(
        NAMES,
        """
        auc       .266 .271 .358 .339 .340 .277 .496 .412 .413 .515 .569 .554
        precision .231 .227 .341 .229 .298 .239 -    .372 .374 -    -    .487
        """,
    ),
    "II": columns(
        NAMES,
        """
        auc       .243 .245 .336 .314 .324 .259 - .390 .397 - - .499
        precision .239 .219 .339 .295 .301 .239 - .360 .373 - - .495
        """,
    ),
}
"""The paper calls them accuracy and robustness; they are success and precision (FACTS 9, row 36)."""

FRAMES = {"I": 3_520_000, "II": 685_360}


def plan(scale: Scale, data: Path) -> tuple[Experiment, ...]:
    """Both halves: the general tracker on all 1,400 videos, and one that is trained on 1,120 and tested on 280."""
    recipe = replace(from_imagenet(lasot_protocol2()), schedule=ScheduleConfig(steps=11_000_000))
    own = training("lasot-protocol2", shrunk(recipe) if scale == "smoke" else recipe, scale)
    halves = {"I": (general(scale), LASOT_ALL), "II": (own, LASOT_TEST)}
    return tuple(_half(half, learnt, drawn if scale == "smoke" else None, scale)
                 for half, (learnt, drawn) in halves.items())  # fmt: skip


def _half(half: str, learnt: Training, names: tuple[str, ...] | None, scale: Scale) -> Experiment:
    frames = SMOKE_FRAMES if scale == "smoke" else 0
    test = Test(DataSource(f"lasot:{half}", "LaSOT"), names, frames, known_frames=FRAMES[half])
    return benchmark(
        f"table8-{half}", f"LaSOT, protocol {half}", scale, {"ours": (Part("all", test, learnt),)}, PRINTED[half],
        protocol="lasot", measures=("auc", "precision"),
    )  # fmt: skip
