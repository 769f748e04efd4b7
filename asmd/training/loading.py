"""Batches made ahead by other processes, in order, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from asmd.training.clips import Clips, ClipSampler
from asmd.training.config import ScheduleConfig
from asmd.training.samples import Batch, SampleDrawer
from asmd.training.schedule import Turn, turn

_CLIPS = 1
"""Keeps the clips' random numbers apart from the samples'."""


class Loaded(NamedTuple):
    """What an iteration learns from.

    Attributes:
        step: its number, from 0.
        turn: its kind.
        batch: labelled samples; None in an unsupervised iteration.
        clips: for the arrow of time; None in a variant without it.
    """

    step: int
    turn: Turn
    batch: Batch | None
    clips: Clips | None

    @property
    def skipped(self) -> tuple[str, ...]:
        """A line for each source that failed."""
        return (*(self.batch.skipped if self.batch else ()), *(self.clips.skipped if self.clips else ()))


class Steps(Dataset[Loaded]):
    """Iterations by number.

    Args:
        samples: draws labelled samples.
        clips: draws clips; None for variants that need none.
        schedule: which iteration is of which kind.
        seed: of the run.
        rank: of this process.
        size: number of processes that share each batch.
    """

    def __init__(
        self,
        samples: SampleDrawer,
        clips: ClipSampler | None,
        schedule: ScheduleConfig,
        seed: int,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self._samples, self._clips, self._schedule = samples, clips, schedule
        self._seed, self._rank, self._size = seed, rank, size

    def __getitem__(self, step: int) -> Loaded:
        kind = turn(step, self._schedule)
        batch = clips = None
        if kind.supervised:
            places = range(self._rank, self._samples.config.domains, self._size)
            batch = self._samples.draw(kind.number, places)
        if self._clips is not None:
            clips = self._clips.draw(np.random.default_rng([self._seed, step, self._rank, _CLIPS]))
        return Loaded(step, kind, batch, clips)


def load(steps: Steps, first: int, last: int, workers: int) -> Iterator[Loaded]:
    """Iterations `first` to `last` - 1 in order, prepared by so many processes (0: by this one, in between)."""
    settings = {"prefetch_factor": 3, "multiprocessing_context": "spawn", "worker_init_fn": _quiet} if workers else {}
    yield from DataLoader(
        steps,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        **settings,  # type: ignore[arg-type]
    )


def _quiet(_: int) -> None:
    cv2.setNumThreads(1)
