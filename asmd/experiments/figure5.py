"""Figure 5: stochastic universal sampling on the scores that a tracker gives to the negatives of one frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asmd.evaluation.one_pass import derive_seed
from asmd.evaluation.tables import Cell as Entry
from asmd.evaluation.tables import Column, Table
from asmd.experiments.figures import Drawn
from asmd.experiments.plan import Scale
from asmd.experiments.running import Setting, sequences_of
from asmd.experiments.scales import tracker as settings_of
from asmd.experiments.table1 import test
from asmd.sequence import Sequence
from asmd.tracking import candidates
from asmd.tracking.config import TrackerConfig
from asmd.tracking.mining import Rule, select
from asmd.tracking.tracker import Tracker
from asmd.training.trainer import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES: tuple[Rule, ...] = ("rand", "grdy", "hmm", "sunm")

FRAME = 10
"""Number of the frame whose negatives are scored, or the last before it."""

ABOUT = (
    "The packaged tracker follows the first sequence of the table's test set to one frame; negatives about the target "
    "there (IoU below 0.3) get the score that it gives them. The plot has them in order of score, the sum of scores "
    "below, and what each rule picks: the comb of stochastic universal sampling takes high scores often and still "
    "reaches low ones."
)


class Scored(NamedTuple):
    """Scores in 0..1 of the negatives of one frame, ascending, and what each rule picks of them."""

    sequence: str
    frame: int
    scores: NDArray[np.float64]
    picked: dict[Rule, NDArray[np.intp]]


def score(sequence: Sequence, config: TrackerConfig, device: str = "auto") -> Scored:
    """Tracks up to a frame and scores its negatives.

    Args:
        sequence: to track.
        config: of the tracker.
        device: where it computes.
    """
    seed = derive_seed(0, sequence.name, 1)
    tracker, rng = Tracker.from_pretrained(preset=config, device=device, seed=seed), np.random.default_rng(seed)
    last = min(FRAME, len(sequence) - 1)
    for index in range(last + 1):
        frame = sequence.frames[index]
        tracker.update(frame) if index else tracker.init(frame, sequence.init_box)
    wanted = replace(config.sampling.update_negatives, count=config.mining.pool)
    boxes = candidates.samples(tracker.place, (frame.shape[0], frame.shape[1]), wanted, rng)
    # The classifier as it is at this frame, which nobody but the tracker itself has a use for otherwise.
    tracker.settle()
    view = tracker._extractor.look(frame, tracker._flow, tracker.place)
    margins = np.asarray(tracker._learner.classifier.margins(view.describe(boxes).identity), dtype=np.float64)
    scores = np.sort(1 / (1 + np.exp(-np.clip(margins, -30, 30))))
    count = min(config.mining.count, len(scores) // 2)
    picked = {rule: np.sort(select(scores, replace(config.mining, rule=rule, count=count), rng)) for rule in RULES}
    return Scored(sequence.name, last, scores, picked)


def make(scale: Scale, setting: Setting, watch: Callable[[str, Report | None], None]) -> Drawn:
    """Tracks to one frame and draws what each rule picks there."""
    watch("tracking", None)
    sequence = sequences_of(test(scale), setting.data)[0]
    found = score(sequence, settings_of(scale, refined=True), str(setting.device))
    columns = (Column("rule"), Column("negatives"), Column("mean score"), Column("of the top tenth"), Column("lowest"))
    rows: list[tuple[Entry, ...]] = []
    top = len(found.scores) - max(1, len(found.scores) // 10)
    for rule, picked in found.picked.items():
        values = found.scores[picked]
        share = float((picked >= top).mean())
        rows.append((rule.upper(), len(picked), float(values.mean()), share, float(values.min())))
    table = Table(f"What each rule picks of {len(found.scores)} negatives", columns, tuple(rows))
    facts = {
        "sequence": found.sequence,
        "frame": found.frame,
        "scores": [round(float(s), 6) for s in found.scores],
        "picked": {rule: picked.tolist() for rule, picked in found.picked.items()},
    }
    return Drawn("figure5", "Stochastic universal sampling on real scores", ABOUT, table, facts, _plot(found))


def _plot(found: Scored) -> Figure:
    from asmd.evaluation.plots import Look, figure_of

    figure, axes = figure_of(7.2, 4.2)
    order = np.arange(len(found.scores))
    axes.plot(order, found.scores, color="#000000", linewidth=1.5, label="score")
    axes.plot(
        order, found.scores.cumsum() / found.scores.sum(), color="#888888", linestyle="--", label="sum, as a share"
    )
    for place, (rule, picked) in enumerate(found.picked.items()):
        look = Look.of(place)
        height = -0.06 - 0.07 * place
        axes.plot(picked, np.full(len(picked), height), "|", color=look.colour, markersize=8, label=rule.upper())
    axes.set(xlabel="negatives in order of their score", ylabel="score", ylim=(-0.36, 1.02))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
