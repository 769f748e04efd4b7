"""What tables 6 to 10 have in common: one tracker on one benchmark, among the paper's numbers of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asmd.errors import ConfigError
from asmd.experiments.plan import Experiment, Part, Row, Scale
from asmd.experiments.scales import SEEDS, tracker

ABOUT = "The tracker after 1 M supervised iterations on GOT-10k and 10 M unsupervised ones on YouTube-BB."


def benchmark(
    name: str,
    title: str,
    scale: Scale,
    rows: Mapping[str, tuple[Part, ...]],
    printed: Mapping[str, Mapping[str, float]],
    about: str = "",
    **settings: Any,
) -> Experiment:
    """An experiment on a benchmark.

    Args:
        name: of the table.
        title: of the benchmark.
        scale: full or smoke.
        rows: what is done, by its name.
        printed: the paper's numbers, those of other trackers among them.
        about: more to say of the full scale.
        **settings: of the `Experiment`.

    Raises:
        ConfigError: at local scale.
    """
    if scale == "local":
        raise ConfigError(f"{name} has no scale local: a small data folder holds nothing of {title}; full or smoke")
    how = tracker(scale, refined=True)
    return Experiment(
        name,
        title,
        "A few iterations on drawn videos: that it runs." if scale == "smoke" else f"{ABOUT} {about}".strip(),
        tuple(Row(row, parts, how, printed=printed.get(row, {})) for row, parts in rows.items()),
        seeds=SEEDS[scale],
        others={other: numbers for other, numbers in printed.items() if other not in rows},
        **settings,
    )
