"""Times and what is made of them: fair turns, medians, spread."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Times:
    """What a series of times comes to, in milliseconds, and as a rate.

    Attributes:
        count: how many.
        median: of them.
        low: a quarter is below.
        high: a quarter is above.
        p95: a twentieth is above.
        fps: of all of them together, slow ones included.
    """

    count: int
    median: float
    low: float
    high: float
    p95: float
    fps: float

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        """Of at least one time in seconds."""
        low, median, high, p95 = (1e3 * float(v) for v in np.percentile(seconds, [25, 50, 75, 95]))
        return cls(len(seconds), median, low, high, p95, len(seconds) / sum(seconds))

    def row(self) -> dict[str, float]:
        """For JSON, to a thousandth."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Clocks by name; "cpu" counts what all threads of this process compute, also those that spin while they wait. With one
thread it tells, on a machine that is busy with other work, about what one that is not would take."""

_chosen = CLOCKS["wall"]


def use_clock(name: str) -> None:
    """Has all that is measured from now on measured by that clock of `CLOCKS`."""
    global _chosen
    _chosen = CLOCKS[name]


def now() -> float:
    """The chosen clock, in seconds."""
    return _chosen()


def clocked(function: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    started = now()
    function()
    return now() - started


def in_turn(runs: Mapping[Any, Iterator[float]], block: int) -> dict[Any, list[float]]:
    """Takes `block` steps of each run, then of the next, round and round, until all have ended.

    So a machine whose speed drifts is fair to all, and each warms its caches anew no more often than once a block.

    Args:
        runs: iterators that do a step each time, and give the seconds that count for it.
        block: steps at a stretch.

    Returns:
        All seconds of each.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in runs}
    waiting = dict(runs)
    while waiting:
        for name, run in list(waiting.items()):
            for _ in range(block):
                value = next(run, None)
                if value is None:
                    del waiting[name]
                    break
                seconds[name].append(value)
    return seconds


def best_median(function: Callable[[], Any], seconds: float, least: int = 10) -> Times:
    """Times of calls, for so long, after a tenth of that to warm up."""
    until = time.perf_counter() + 0.1 * seconds
    while time.perf_counter() < until:
        function()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(found) < least:
        found.append(clocked(function))
    return Times.of(found)


def load() -> list[float]:
    """Processes that wanted to run over the last 1, 5 and 15 minutes; empty where the system does not say."""
    try:
        return [round(v, 2) for v in os.getloadavg()]
    except OSError:
        return []


def middle(values: list[float]) -> float:
    """The median, NaN of nothing."""
    return statistics.median(values) if values else float("nan")
