"""`asmd evaluate`: run a tracker over a data set."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

if TYPE_CHECKING:
    from asmd.datasets import Dataset
    from asmd.evaluation.runner import Progress, Run


@dataclass(frozen=True)
class Options:
    """Run a tracker over a data set. What is finished stays as it is: the same command again goes on where it stopped.

    Results: DIR/TRACKER/SEQUENCE.txt, one x,y,w,h a frame; times and scores beside it; TRACKER/run.json says how they
    were made. Exit status 1 if a sequence failed, whose traceback is then in SEQUENCE.error.
    """

    dataset: Annotated[str, arg(metavar="NAME")]
    """The data set, such as otb100, got10k:val or folder; `asmd data list` shows all."""
    root: Annotated[Path, arg(metavar="DIR")]
    """The folder it lies in."""
    tracker: Annotated[str, arg(metavar="asmd|csrt|kcf|...|MODULE:CLASS")] = "asmd"
    """asmd; one of OpenCV's csrt, kcf, mil, mosse, medianflow, tld, boosting, nanotrack; or module:Class, anything with
    init(frame, box) and update(frame)."""
    preset: Annotated[str | None, arg(metavar="paper|accurate|realtime")] = None
    """Settings of the asmd tracker."""
    weights: Annotated[str | None, arg(metavar="NAME|FILE|DIR")] = None
    """Weights: a name or file for asmd, the folder of backbone.onnx and head.onnx for nanotrack."""
    device: str = "auto"
    """Where the asmd tracker computes."""
    sequences: Annotated[str | None, arg(metavar="A,B")] = None
    """Only these."""
    incomplete: bool = False
    """Go ahead although sequences of the data set are missing."""
    results: Annotated[Path, arg(metavar="DIR")] = Path("results")
    """Where results go."""
    label: str = ""
    """Folder of the results in there; the tracker's name where empty."""
    experiment: Literal["auto", "one-pass", "supervised"] = "auto"
    """One pass, or VOT's way of starting a tracker again that has failed; auto: the latter for vot data sets alone."""
    repeats: Annotated[int | None, arg(metavar="N")] = None
    """How often each sequence is run; where not given once, or if supervised 15 times (3 if these are the same)."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """Sequences tracked at a time, each in a process of its own; 1 where not given."""
    cluster: Annotated[str | None, arg(metavar="ADDRESS|local")] = None
    """Run on the Ray cluster at this address, or on one of this machine alone."""
    threads: Annotated[int | None, arg(metavar="N")] = None
    """That each worker computes with; where not given this machine's processors shared out."""
    seed: int = 0
    """Every pass draws from a seed of its own, derived from this, the name of its sequence and the repeat."""


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd.evaluation.one_pass import OnePass
    from asmd.evaluation.runner import evaluate
    from asmd.evaluation.spec import TrackerSpec
    from asmd.evaluation.supervised import Supervised

    sys.path.insert(0, str(Path.cwd()))  # where people keep the module of module:Class
    dataset = _dataset(options)
    supervised = options.experiment == "supervised" or (options.experiment == "auto" and dataset.name.startswith("vot"))
    with _Bar() as bar:
        done = evaluate(
            TrackerSpec(options.tracker, options.preset, options.weights, options.device, options.label),
            dataset,
            results=options.results,
            experiment=Supervised() if supervised else OnePass(),
            repeats=options.repeats,
            workers=options.workers,
            cluster=options.cluster,
            threads=options.threads,
            seed=options.seed,
            note={"dataset": options.dataset},
            progress=bar.show,
        )
    _summarise(done)
    return 1 if done.failures else 0


def _dataset(options: Options) -> Dataset:
    from dataclasses import replace

    from asmd.datasets import load

    dataset = load(options.dataset, options.root)
    if options.sequences is not None:
        dataset = dataset.select(name.strip() for name in options.sequences.split(","))
    return replace(dataset, missing={}, expected=None) if options.incomplete else dataset


def _summarise(done: Run) -> None:
    count = len(done.sequences) - len({failure.sequence for failure in done.failures})
    print(f"{done.tracker}: {count} of {len(done.sequences)} sequences in {done.results.root / done.tracker}")
    for failure in done.failures:
        print(f"failed: {failure}", file=sys.stderr)


class _Bar:
    """A progress bar on stderr, or, where that is no terminal, a line a sequence."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("looking at the data set", total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Take note of where the run is."""
        job = progress.job
        name = "running" if job is None else job.sequence.name + (f" ({job.repeat})" if job.repeat > 1 else "")
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=name)
        if self._console.is_terminal:
            if progress.failure is not None:
                self._console.print(f"failed: {progress.failure}", markup=False, highlight=False)
        elif job is None:
            left = progress.total - progress.done
            print(f"{left} of {progress.total} sequences to run", file=sys.stderr)
        else:
            outcome = "done" if progress.failure is None else f"failed: {progress.failure.reason}"
            print(f"[{progress.done}/{progress.total}] {name}: {outcome}", file=sys.stderr, flush=True)
