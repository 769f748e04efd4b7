"""Batches made ahead by other processes, in order, whatever their number."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from asmd.errors import AsmdError
from asmd.training.clips import Clips, ClipSampler
from asmd.training.config import ScheduleConfig
from asmd.training.samples import Batch, SampleDrawer
from asmd.training.schedule import Turn, turn

_CLIPS = 1
"""Keeps the clips' random numbers apart from the samples'."""

_LOST = "DataLoader worker"
"""How PyTorch begins to say that a process that prepared batches is gone."""


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


class Steps:
    """Iterations by number.

    Args:
        samples: draws labelled samples.
        clips: draws clips; None for variants that need none.
        schedule: which iteration is of which kind.
        seed: of the run.
        rank: of this process.
        size: number of processes that share each batch.
        partitions: of the domains, see `asmd.training.distributed.Group`; each also draws its own clips. As many as
            processes where not given.
    """

    def __init__(
        self,
        samples: SampleDrawer,
        clips: ClipSampler | None,
        schedule: ScheduleConfig,
        seed: int,
        rank: int = 0,
        size: int = 1,
        partitions: int | None = None,
    ) -> None:
        self._samples, self._clips, self._schedule = samples, clips, schedule
        self._seed, self._rank, self._size, self._partitions = seed, rank, size, partitions or size

    def __getitem__(self, step: int) -> Loaded:
        """This process's share of an iteration.

        Raises:
            DatasetError: if nothing could be read for it.
        """
        kind = turn(step, self._schedule)
        batch = None
        if kind.supervised:
            places = range(self._rank, self._samples.config.domains, self._size)
            batch = self._samples.draw(kind.number, places)
        return Loaded(step, kind, batch, self._draw_clips(step))

    def _draw_clips(self, step: int) -> Clips | None:
        if self._clips is None:
            return None
        own = range(self._rank, self._partitions, self._size)
        drawn = [self._clips.draw(np.random.default_rng([self._seed, step, part, _CLIPS])) for part in own]
        if len(drawn) == 1:
            return drawn[0]
        rgb, flow, forward = (torch.cat([getattr(c, name) for c in drawn]) for name in ("rgb", "flow", "forward"))
        return Clips(rgb, flow, forward, tuple(line for c in drawn for line in c.skipped))


class _Carried(Dataset["Loaded | AsmdError"]):
    """Iterations, or why there is none: PyTorch would carry an exception over with its traceback for a text."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __getitem__(self, step: int) -> Loaded | AsmdError:
        try:
            return self._steps[step]
        except AsmdError as error:
            return error


def load(steps: Steps, first: int, last: int, workers: int) -> Iterator[Loaded]:
    """Iterations `first` to `last` - 1 in order, prepared by so many processes (0: by this one, in between).

    Raises:
        DatasetError: if nothing could be read for one of them.
        RuntimeError: if a process is lost, see `losses_named`.
    """
    settings = {"prefetch_factor": 3, "multiprocessing_context": "spawn", "worker_init_fn": _settle} if workers else {}
    batches = DataLoader(
        _Carried(steps),
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        **settings,  # type: ignore[arg-type]
    )
    for loaded in batches:
        if isinstance(loaded, AsmdError):
            raise loaded
        yield loaded


@contextmanager
def losses_named() -> Iterator[None]:
    """While inside, one line tells of the loss of a process that prepares batches; PyTorch may notice it anywhere."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_LOST):
            raise
        raise AsmdError(f"a process that prepared batches is gone ({error}): is there memory for --workers?") from error


def _settle(_: int) -> None:
    """One thread; and Ctrl-C, which every process of a terminal hears, is the trainer's to act on."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
