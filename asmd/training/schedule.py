"""Which iteration comes when: 100 supervised ones, then 1,000 unsupervised ones, and again (paper, 3.5)."""

from __future__ import annotations

from typing import NamedTuple

from asmd.training.config import ScheduleConfig


class Turn(NamedTuple):
    """What an iteration is.

    Attributes:
        supervised: on labelled frames; else on clips alone.
        number: how many of its kind came before it.
    """

    supervised: bool
    number: int


def turn(step: int, config: ScheduleConfig) -> Turn:
    """The kind of iteration `step`, counted from 0."""
    cycle, place = divmod(step, config.supervised + config.unsupervised)
    if place < config.supervised:
        return Turn(True, cycle * config.supervised + place)
    return Turn(False, cycle * config.unsupervised + place - config.supervised)
