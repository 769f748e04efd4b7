"""What an experiment is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from asmd.tracking.config import TrackerConfig
from asmd.training.config import TrainingConfig
from asmd.training.domains import DataSource

Scale = Literal["full", "local", "smoke"]


@dataclass(frozen=True)
class Training:
    """A training; two of one name are one, whatever tables ask for it.

    Attributes:
        name: of its folder.
        config: settings.
        backbone: the shared network, of `asmd.models.baselines.BACKBONES`.
        start: whether it begins from the weights that the settings name; else from weights that are drawn by the seed.
    """

    name: str
    config: TrainingConfig
    backbone: str = "st-resnet"
    start: bool = True

    def digest(self, seed: int) -> str:
        """Of all settings that decide what comes of it."""
        learnt = asdict(self.config)
        for free in ("footage", "workers", "save_every", "kept", "log_every", "validation"):
            del learnt[free]
        learnt["start"] = Path(self.config.start).name  # wherever it lies
        return _digest({"training": learnt, "backbone": self.backbone, "start": self.start, "seed": seed})


@dataclass(frozen=True)
class Test:
    """Sequences to track.

    Attributes:
        source: the data set.
        names: only these; None for all.
        frames: of each, from its first; 0 for all.
        known_frames: how many there are in all, where the benchmark says so; for estimates.
    """

    __test__ = False  # pytest takes every Test for its own

    source: DataSource
    names: tuple[str, ...] | None = None
    frames: int = 0
    known_frames: int = 0


@dataclass(frozen=True)
class Part:
    """A share of a row: what is tracked with what was learnt from the rest.

    Attributes:
        name: of the folder of its results.
        test: what is tracked.
        training: what it is tracked with; None for weights that are there already.
    """

    name: str
    test: Test
    training: Training | None = None


@dataclass(frozen=True)
class Row:
    """A line of a table (a column, as the paper prints them).

    Attributes:
        name: in the table.
        parts: one, or one for each fold; together they track every sequence of the table.
        tracker: how it tracks.
        weights: of a row without training; None for the packaged ones.
        printed: measure -> the paper's number.
    """

    name: str
    parts: tuple[Part, ...]
    tracker: TrackerConfig
    weights: str | None = None
    printed: Mapping[str, float] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return re.sub(r"[^\w.+-]+", "-", self.name).strip("-") + ("-" if self.name.endswith("-") else "")


@dataclass(frozen=True)
class Experiment:
    """A table at one scale.

    Attributes:
        name: table1, ...
        title: what it shows.
        about: what was done at this scale, for people.
        rows: what is compared.
        protocol: by which boxes are scored, of `asmd.evaluation.protocols.PROTOCOLS`, or of VOT's.
        measures: what the paper prints.
        orders: orders that the paper finds by the first measure, worst first.
        seeds: of training and tracking; without a training they are runs.
        runs: of each sequence with one seed.
        experiment: one pass, VOT's supervised runs, or one pass whose boxes only a server can score.
        others: further rows with the paper's numbers alone.
        by_attribute: also the first measure over the sequences with each attribute.
        attributes: the paper's numbers for these: row -> attribute -> number.
        published: raw results of other trackers that become rows: name -> folder below the data's.
    """

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    protocol: str = "otb"
    measures: tuple[str, ...] = ("auc", "precision", "sr50")
    orders: tuple[tuple[str, ...], ...] = ()
    seeds: int = 5
    runs: int = 1
    experiment: Literal["one-pass", "supervised", "server"] = "one-pass"
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    by_attribute: bool = False
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Its name and title."""
        return f"{self.name.replace('table', 'Table ')}: {self.title}"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What there is to do; a table with fewer seeds is complete before the next seed begins."""
        return tuple(Cell(row, part, seed) for seed in range(self.seeds) for row in self.rows for part in row.parts)

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """Data sets that are tracked and trained on."""
        found: dict[DataSource, None] = {}
        for part in (part for row in self.rows for part in row.parts):
            found[part.test.source] = None
            found |= dict.fromkeys(part.training.config.videos.sources if part.training else ())
        return tuple(found)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Neighbours in the orders: the second is the better one by the paper."""
        return tuple(dict.fromkeys(pair for order in self.orders for pair in pairwise(order)))


@dataclass(frozen=True)
class Cell:
    """One training and the tracking that follows."""

    row: Row
    part: Part
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        part = "" if len(self.row.parts) == 1 else f", {self.part.name}"
        return f"{self.row.name}, seed {self.seed}{part}"

    def digest(self) -> str:
        """Of all settings that decide what comes of it."""
        training = self.part.training
        return _digest(
            {
                "tracker": asdict(self.row.tracker),
                "test": asdict(self.part.test),
                "weights": None if self.row.weights is None else Path(self.row.weights).name,
                "seed": self.seed,
                "training": training.digest(self.seed) if training else None,
            }
        )


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
