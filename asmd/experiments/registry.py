"""Every experiment by its name."""

from __future__ import annotations

import importlib
from pathlib import Path

from asmd.errors import ConfigError
from asmd.experiments.plan import Experiment, Scale

TABLES = tuple(f"table{number}" for number in range(1, 11))
FIGURES = ("figure2", "figure5")
NAMES = (*TABLES, *FIGURES)

LOCAL = ("table1", "table2", "table3", "table4", "table5", *FIGURES)
"""What a small data folder has room for; the other tables are of benchmarks of their own."""


def names(name: str, scale: Scale) -> tuple[str, ...]:
    """What `all`, or a name, stands for.

    Raises:
        ConfigError: if there is no such experiment.
    """
    if name == "all":
        return LOCAL if scale == "local" else NAMES
    if name not in NAMES:
        raise ConfigError(f"there is no experiment {name!r}; there are {', '.join(NAMES)} and all")
    return (name,)


def tables(name: str, scale: Scale, data: Path) -> tuple[Experiment, ...]:
    """The parts of a table, which most often are one.

    Raises:
        ConfigError: if it has no such scale.
        DatasetError: if data is missing that the plan needs to look at.
    """
    found: Experiment | tuple[Experiment, ...] = importlib.import_module(f"asmd.experiments.{name}").plan(scale, data)
    return found if isinstance(found, tuple) else (found,)
