"""Trackers run over data sets: resumable, repeatable, on one process or many."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from asmd.evaluation._workers import Failure, run_here, run_in_processes
from asmd.evaluation.one_pass import Pass, derive_seed, one_pass, seed_everything
from asmd.evaluation.spec import TrackerSource, TrackerSpec, as_spec
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike


@dataclass(frozen=True)
class Job:
    """One pass to be made."""

    spec: TrackerSpec
    sequence: Sequence
    repeat: int
    seed: int


def perform(job: Job) -> Pass:
    """Make one pass, here and now."""
    seed = derive_seed(job.seed, job.sequence.name, job.repeat)
    seed_everything(seed)
    return one_pass(_tracker(job.spec, seed), job.sequence)


def _tracker(spec: TrackerSpec, seed: int) -> TrackerLike:
    """A tracker as if new: one that can be reseeded is built once a process, as it may take seconds to load."""
    kept = _kept(spec)
    reseed = getattr(kept, "reseed", None)
    if reseed is None:
        return spec.build(seed)
    reseed(seed)
    return kept


@lru_cache(maxsize=1)
def _kept(spec: TrackerSpec) -> TrackerLike:
    return spec.build(0)


def run_one_pass(
    tracker: TrackerSource,
    sequences: Iterable[Sequence],
    results: Path,
    *,
    repeats: int = 1,
    workers: int = 1,
    seed: int = 0,
) -> dict[str, str]:
    """EARLY FORM: run what is not yet done; answers {sequence: why it failed}."""
    spec = as_spec(tracker)
    folder = results / spec.name
    jobs = [
        Job(spec, s, r, seed)
        for r in range(1, repeats + 1)
        for s in sequences
        if not (_folder_of(folder, r) / f"{s.name}.txt").exists()
    ]
    threads = max(1, (os.cpu_count() or 1) // workers)
    outcomes: Iterator[tuple[Job, Pass | Failure]] = (
        run_here(perform, jobs) if workers == 1 else run_in_processes(perform, jobs, workers, threads)
    )
    failures: dict[str, str] = {}
    for job, outcome in outcomes:
        if isinstance(outcome, Failure):
            failures[job.sequence.name] = outcome.reason
        else:
            _write(_folder_of(folder, job.repeat), job.sequence.name, outcome)
    return failures


def _folder_of(folder: Path, repeat: int) -> Path:
    return folder if repeat == 1 else folder / f"run-{repeat}"


def _write(folder: Path, name: str, made: Pass) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{i},{s:.6f},{'' if np.isnan(c) else f'{c:.4f}'},{t}"
        for i, (s, c, t) in enumerate(zip(made.seconds, made.scores, made.statuses, strict=True))
    ]
    boxes = [",".join(f"{v:.4f}" for v in box) for box in made.boxes]
    for suffix, lines in ((".csv", ["frame,seconds,score,status", *rows]), (".txt", boxes)):
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False) as stream:
            stream.write("\n".join(lines) + "\n")
        Path(stream.name).replace(folder / f"{name}{suffix}")
