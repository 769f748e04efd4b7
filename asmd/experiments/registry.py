"""Every experiment by its name."""

from __future__ import annotations

import importlib

from asmd.errors import ConfigError
from asmd.experiments.plan import Experiment, Scale

TABLES = ("table1", "table3")


def find(name: str, scale: Scale) -> Experiment:
    """The experiment of a name at a scale.

    Raises:
        ConfigError: if there is none.
    """
    if name not in TABLES:
        raise ConfigError(f"there is no experiment {name!r}; there are {', '.join(TABLES)}")
    plan: Experiment = importlib.import_module(f"asmd.experiments.{name}").plan(scale)
    return plan
