"""Figure 2: shared units that fire for only a few domains, fully shared against adversarially trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Rows
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from asmd import checkpoints
from asmd.evaluation.tables import Cell as Entry
from asmd.evaluation.tables import Column, Table
from asmd.experiments import running
from asmd.experiments.figures import Drawn
from asmd.experiments.plan import Scale
from asmd.experiments.running import Setting, train
from asmd.experiments.scales import SEEDS
from asmd.experiments.table1 import variant
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame, Sequence
from asmd.tracking.inputs import crop_corners, cut
from asmd.tracking.network import FeatureNetwork
from asmd.training.domains import gather, usable_frames
from asmd.training.trainer import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANTS = ("FS", "APS")

FRAMES_OF = 6
"""Targets of each domain that are looked at, evenly over its frames."""

FEW = 0.25
"""A unit that fires for less than this share of the domains fires for a few."""

SHOWN = 8

ABOUT = (
    "Each unit is a channel of the appearance stream's maps that describe a sample. Targets of every training video "
    "are cropped as the paper crops them, and a unit's response to a domain is its mean over these crops. The units' "
    "spread over domains is (sum of responses)^2 / (K * sum of squares): 1 if all domains excite it alike, 1/K if one "
    f"alone does. A unit fires for few domains if that is below {FEW:g}. Only the shared network is looked at."
)


class Responses(NamedTuple):
    """Responses of U units.

    Attributes:
        domains: (K, U) means over the crops of each domain.
        crops: (N, U) of each crop.
        shown: N crops.
    """

    domains: NDArray[np.float64]
    crops: NDArray[np.float64]
    shown: list[Frame]


def spread(domains: NDArray[np.float64]) -> NDArray[np.float64]:
    """(U,) effective share of the domains that excite each unit, in 1/K..1; 0 for a unit that nothing excites.

    Args:
        domains: (K, U) responses, not negative.
    """
    total, squares = domains.sum(axis=0), (domains**2).sum(axis=0)
    return np.asarray(np.divide(total**2, len(domains) * squares, out=np.zeros_like(total), where=squares > 0))


def responses(network: SpatiotemporalResNet, stages: Rows[int], domains: Rows[Sequence], side: int) -> Responses:
    """What a network's units say to the targets of all domains.

    Args:
        network: the shared one.
        stages: whose maps' channels are the units.
        domains: annotated.
        side: of a crop, in network pixels.
    """
    runner = FeatureNetwork(network, next(network.parameters()).device, torch.float32)
    means, every, shown = [], [], []
    for domain in domains:
        crops = list(_targets(domain, side))
        maps = runner.maps(np.stack(crops), None, stages)
        units = torch.cat([nn.functional.relu(maps[s].appearance).mean((2, 3)) for s in stages], 1).double().numpy()
        means.append(units.mean(axis=0))
        every.append(units)
        shown += crops
    return Responses(np.stack(means), np.concatenate(every), shown)


def _targets(sequence: Sequence, side: int) -> Iterator[Frame]:
    usable = usable_frames(sequence)
    for index in np.unique(usable[np.linspace(0, len(usable) - 1, FRAMES_OF).round().astype(int)]):
        corners = crop_corners(sequence.boxes[index][None], 107 / 75)[0]
        yield cut(sequence.frames[int(index)], corners, (side, side), replicate=True).astype(np.uint8)


def make(scale: Scale, setting: Setting, watch: Callable[[str, Report | None], None]) -> Drawn:
    """Trains both variants, as table 1 does, and looks at their units.

    Args:
        scale: of the trainings.
        setting: where.
        watch: is told how it goes.
    """
    spreads: dict[str, list[NDArray[np.float64]]] = {}
    pictures: dict[str, Figure] = {}
    side = 64 if scale == "smoke" else 224
    for name in VARIANTS:
        training = variant(name, scale)  # type: ignore[arg-type]
        stages = training.config.model.stages
        domains = gather(training.config.videos, setting.data).domains
        for seed in range(SEEDS[scale]):
            watch(f"{name}, seed {seed}", None)
            weights = checkpoints.load(train(training, seed, setting, partial(watch, f"{name}, seed {seed}")))
            network, _ = checkpoints.build_network(weights, training.config.trunk)
            found = responses(network.to(setting.device), stages, domains, side)
            spreads.setdefault(name, []).append(spread(found.domains))
            if seed == 0:
                pictures[f"frames-{name}"] = _picture(found, spreads[name][0], name)
    start = running.trunk(training, 0) or checkpoints.build_network(checkpoints.load(training.config.start or None))[0]
    spreads["before training"] = [spread(responses(start.to(setting.device), stages, domains, side).domains)]
    facts = {
        name: {
            "units": len(runs[0]),
            "domains": len(domains),
            "share_few": [float((run < FEW).mean()) for run in runs],
            "mean_spread": [float(run.mean()) for run in runs],
        }
        for name, runs in spreads.items()
    }
    return Drawn(
        "figure2", "Units that fire for few domains", ABOUT, _table(facts), {"rows": facts}, _plot(spreads), pictures
    )


def _table(facts: dict[str, dict[str, Any]]) -> Table:
    headings = ("", "units", "domains", f"share below {FEW:g}", "±", "mean spread", "±", "trainings")
    columns = tuple(Column(heading) for heading in headings)
    rows: list[tuple[Entry, ...]] = []
    for name, one in facts.items():
        few, mean = np.array(one["share_few"]), np.array(one["mean_spread"])
        many = len(few) > 1
        deviations = [float(v.std(ddof=1)) if many else float("nan") for v in (few, mean)]
        numbers: tuple[Entry, ...] = (float(few.mean()), deviations[0], float(mean.mean()), deviations[1])
        rows.append((name, one["units"], one["domains"], *numbers, len(few)))
    return Table("Spread of units over domains", columns, tuple(rows))


def _plot(spreads: dict[str, list[NDArray[np.float64]]]) -> Figure:
    from asmd.evaluation.plots import Look, figure_of

    figure, axes = figure_of(6.4, 3.8)
    bins = np.linspace(0, 1, 41)
    for rank, (name, runs) in enumerate(spreads.items()):
        look = Look.of(rank)
        counts = np.mean([np.histogram(run, bins)[0] / len(run) for run in runs], axis=0)
        axes.stairs(counts, bins, color=look.colour, linestyle=look.dash, linewidth=2, label=name)
    axes.axvline(FEW, color="#888888", linewidth=1, linestyle=":")
    axes.set(xlabel="share of the domains that excite a unit", ylabel="share of units", xlim=(0, 1))
    axes.legend(frameon=False)
    return figure


def _picture(found: Responses, spreads: NDArray[np.float64], name: str) -> Figure:
    """The crops that excite most the units that fire for fewest domains; a row a unit."""
    from matplotlib.figure import Figure

    units = np.argsort(np.where(spreads > 0, spreads, np.inf), kind="stable")[:SHOWN]
    figure = Figure(figsize=(SHOWN, len(units)), layout="constrained")
    axes = figure.subplots(len(units), SHOWN, squeeze=False)
    for row, unit in zip(axes, units, strict=True):
        best = np.argsort(-found.crops[:, unit], kind="stable")[:SHOWN]
        for place, axis in enumerate(row):
            axis.axis("off")
            if place < len(best):
                axis.imshow(found.shown[best[place]])
        row[0].set_title(f"unit {unit}: {spreads[unit]:.2f}", fontsize=7, loc="left")
    figure.suptitle(f"{name}: what excites the units that fire for fewest domains", fontsize=9)
    return figure
