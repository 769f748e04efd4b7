"""The curves of a training: losses, what the discriminator and the arrow of time know, and validation.

    python benchmarks/training_curves.py RUN --plot docs/images/training-local.png

RUN is the output folder of `asmd train`. `tensorboard --logdir RUN` shows the same, and more, while a run is going on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tyro.conf import Positional

from asmd.errors import ResultsError
from asmd.evaluation.plots import COLOURS, GREY, render
from asmd.evaluation.results import write_atomic
from asmd.training.metrics import read

CURVES = (
    ("loss on domains", "domain", None),
    ("discriminator: share told, and chance", "domain_accuracy", "domain_chance"),
    ("arrow of time: share told, and chance", "arrow_accuracy", None),
    ("correlation of shared and private", "correlation", None),
)
"""Title, value of training steps that is drawn, and the one beside it in grey."""

CHANCE_OF_ARROW = 0.5

OVER = 5
"""Reports that a line is the running mean of."""


@dataclass(frozen=True)
class Options:
    """Draw the curves of a training."""

    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Output folder of `asmd train`."""
    plot: Path
    """The PNG to write."""


def main(options: Options) -> None:
    """Draws, and prints each validation."""
    from matplotlib.figure import Figure

    records = read(options.run)
    steps = [r for r in records if r["kind"] == "train"]
    checks = [r for r in records if r["kind"] == "validation"]
    if not steps:
        raise ResultsError(f"{options.run} has no record of a training step")
    figure = Figure(figsize=(9, 5.4), layout="constrained", facecolor="white")
    panels = list(figure.subplots(2, 3).flat)
    for axes, (title, name, chance) in zip(panels, CURVES, strict=False):
        draw(axes, steps, name)
        if chance:
            known = [(r["step"], r[chance]) for r in steps if chance in r]
            axes.plot(*zip(*known, strict=True), "--", color=GREY)
        if name == "arrow_accuracy":
            axes.axhline(CHANCE_OF_ARROW, ls="--", color=GREY)
        axes.set(title=title, xlabel="iteration")
    for axes, measure in zip(panels[len(CURVES) :], ("auc", "precision"), strict=True):
        axes.plot([r["step"] for r in checks], [r[measure] for r in checks], "o-", color=COLOURS[1])
        axes.set(title=f"held out: {measure}", xlabel="iteration")
    for axes in panels:
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    write_atomic(options.plot, render(figure, "png"))
    for record in checks:
        print(f"iteration {record['step']}: AUC {record['auc']:.3f}, precision {record['precision']:.3f}")
    print(f"wrote {options.plot}")


def draw(axes: Any, steps: list[dict[str, Any]], name: str) -> None:
    """A value over iterations, each report a point, and their running mean a line."""
    found = [(r["step"], r[name]) for r in steps if name in r]
    at, values = (np.array(v, dtype=float) for v in zip(*found, strict=True))
    axes.plot(at, values, ".", color=COLOURS[0], alpha=0.25, markersize=3)
    if len(values) >= OVER:
        smooth = np.convolve(values, np.full(OVER, 1 / OVER), "valid")
        axes.plot(at[OVER // 2 :][: len(smooth)], smooth, color=COLOURS[0])


if __name__ == "__main__":
    main(tyro.cli(Options))
