"""Trackers run over data sets: resumable, repeatable, in one process or many."""

from __future__ import annotations

import json
import logging
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from asmd.boxes import is_valid
from asmd.datasets import Dataset, check
from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.evaluation import provenance
from asmd.evaluation._cluster import run_on_ray
from asmd.evaluation._workers import Failure, available_cores, limit_threads, run_here, run_in_processes
from asmd.evaluation.one_pass import OnePass, derive_seed, reseed, seed_everything
from asmd.evaluation.results import ResultsFolder, write_atomic
from asmd.evaluation.spec import TrackerSource, TrackerSpec, as_spec
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike

if TYPE_CHECKING:
    from asmd.evaluation.report import Report
    from asmd.evaluation.vot_report import VotReport

log = logging.getLogger(__name__)


class Experiment(Protocol):
    """A way to run a tracker over a sequence, and a place for what comes of it."""

    @property
    def name(self) -> str:
        """For people, and for the record."""

    @property
    def repeats(self) -> int:
        """How often each sequence is run where nobody says."""

    @property
    def probe(self) -> int | None:
        """After how many repeats to ask `settled` whether more are of use; None for never."""

    def has(self, folder: ResultsFolder, tracker: str, sequence: Sequence, repeat: int) -> bool:
        """Whether that pass is on disk already."""

    def perform(self, tracker: TrackerLike, sequence: Sequence) -> Any:
        """Run the tracker; what comes of it must be able to travel between processes."""

    def write(self, folder: ResultsFolder, tracker: str, run: Any, repeat: int) -> None:
        """Put what `perform` gave on disk, all or nothing."""

    def settled(self, folder: ResultsFolder, tracker: str, sequence: Sequence) -> bool:
        """Whether repeats beyond `probe` would only repeat what is there."""


@dataclass(frozen=True)
class Job:
    """One pass of one tracker over one sequence."""

    experiment: Experiment
    spec: TrackerSpec
    sequence: Sequence
    repeat: int
    seed: int


@dataclass(frozen=True)
class SequenceFailure:
    """A sequence that came to nothing, and why, in one line."""

    sequence: str
    repeat: int
    reason: str

    def __str__(self) -> str:
        repeat = "" if self.repeat == 1 else f" (repeat {self.repeat})"
        return f"{self.sequence}{repeat}: {self.reason}"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: passes that are finished, those of earlier runs included.
        total: passes that there are to be, as far as is known.
        job: the pass that has just ended, None before the first.
        failure: why it came to nothing, None where it did not.
    """

    done: int
    total: int
    job: Job | None = None
    failure: SequenceFailure | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """A tracker that has been run over a data set.

    Attributes:
        tracker: name of its folder.
        results: where the raw results are.
        sequences: of the data set.
        failures: those without a result.
        dataset: name of the data set, empty where it has none.
        experiment: how it was run.
    """

    tracker: str
    results: ResultsFolder
    sequences: tuple[Sequence, ...] = field(repr=False)
    failures: tuple[SequenceFailure, ...] = ()
    dataset: str = ""
    experiment: str = "one-pass"
    _keep: object = field(default=None, repr=False)  # the temporary folder lives as long as somebody holds the run

    def report(self, protocol: str | None = None) -> Report | VotReport:
        """Score the results.

        Args:
            protocol: `otb`, `lasot`, ... after one pass, `vot2018`, ... after supervised runs; where None the data
                set's own.

        Raises:
            ResultsError: if a sequence has failed.
            ConfigError: if there is no such protocol for such runs.
        """
        from asmd.evaluation.report import Report
        from asmd.evaluation.vot_report import VotReport

        mine, data = [self.tracker], self.dataset
        if self.experiment == "supervised":
            rules = protocol or "vot2018"
            return VotReport.from_results(self.results, self.sequences, rules, name=data, trackers=mine)
        return Report.from_results(self.results, self.sequences, protocol, name=data, trackers=mine)


def evaluate(
    tracker: TrackerSource,
    dataset: Iterable[Sequence],
    *,
    results: str | Path | None = None,
    experiment: Experiment | None = None,
    repeats: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    note: dict[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Run a tracker over a data set.

    What is finished already in `results` is left as it is, so a run that was stopped goes on where it stopped. A
    sequence on which the tracker raises, or whose process dies twice, is among the `failures`; the others finish.

    Each pass draws from a seed of its own, derived from `seed`, the name of the sequence and the repeat. A tracker with
    a method `reseed(seed)` is built once a process; any other is built anew for each pass, with `seed=` where its
    constructor takes one.

    Args:
        tracker: a name (`asmd`, an OpenCV peer, `module:Class`), a `TrackerSpec`, a class or function that makes a
            tracker, or a tracker.
        dataset: the sequences; a `Dataset` must be complete (`Dataset.select` names what of it is wanted).
        results: folder for raw results, in a subfolder named after the tracker; where None a temporary one that is
            gone with the returned run.
        experiment: how to run; one pass where None.
        repeats: how often; as the experiment has it where None.
        workers: processes, each of which tracks one sequence at a time. 1, which is the default, is this process. On a
            cluster the most that run at a time, where None as many as it has room for.
        cluster: address of a Ray cluster, or `local` for one of this machine.
        threads: that each worker computes with; where None the processors of this machine shared out, and one on a
            cluster.
        seed: of the run.
        note: more for the record in `run.json`, such as the name of the data set.
        progress: called before the first pass and after each.

    Raises:
        ConfigError: if the tracker cannot be built, a number makes no sense, or `results` holds results of this name
            that were made with other settings.
        DatasetError: if a sequence is missing, has too few frames or cannot be started; before anything is run.
        ResultsError: if `results` holds something else under these names.
    """
    for name, value in (("repeats", repeats), ("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}; there must be at least 1")
    if isinstance(dataset, Dataset):
        check(dataset).raise_for_problems()
    how, spec, sequences = experiment or OnePass(), as_spec(tracker), tuple(dataset)
    repeats = repeats or how.repeats
    temporary = tempfile.TemporaryDirectory(prefix="asmd-") if results is None else None
    folder = ResultsFolder(temporary.name if temporary else Path(results or ""))
    _check_names(sequences)
    _check_same_settings(folder, spec.name, _identity(spec, seed))
    _built.clear()
    tell, failures, done, total = progress or (lambda _: None), list[SequenceFailure](), 0, 0
    first = min(repeats, how.probe or repeats)
    for stage in (range(1, first + 1), range(first + 1, repeats + 1)):
        more = [s for s in sequences if stage.start == 1 or _wants_more(how, folder, spec, s, failures)]
        passes = [Job(how, spec, sequence, repeat, seed) for repeat in stage for sequence in more]
        if not passes:
            continue
        pending = [job for job in passes if not how.has(folder, spec.name, job.sequence, job.repeat)]
        if pending:
            if not isinstance(dataset, Dataset):  # whose check looks for the same
                _check_footage({job.sequence.name: job.sequence for job in pending}.values())
            facts = _facts(spec, seed)
            _check_same_settings(folder, spec.name, facts)
            facts |= {"experiment": how.name, "repeats": repeats, "workers": workers or 1, "cluster": cluster or ""}
            folder.write_provenance(spec.name, facts | (note or {}))
        total, done = total + len(passes), done + len(passes) - len(pending)
        tell(Progress(done, total))
        with closing(_spread(pending, workers, cluster, threads)) as outcomes:
            for job, outcome in outcomes:
                failure = _store(folder, job, outcome)
                failures += [failure] if failure else []
                tell(Progress(done := done + 1, total, job, failure))
    name = str(getattr(dataset, "name", ""))
    return Run(spec.name, folder, sequences, tuple(failures), name, how.name, temporary)


def perform(job: Job) -> Any:
    """Make one pass, here and now."""
    seed = derive_seed(job.seed, job.sequence.name, job.repeat)
    return job.experiment.perform(_tracker(job.spec, seed), job.sequence)


_built: dict[TrackerSpec, TrackerLike] = {}
"""The tracker that this process uses again and again, if it can be reseeded: it may take seconds to load."""


def _tracker(spec: TrackerSpec, seed: int) -> TrackerLike:
    """A tracker as good as new, and every generator seeded."""
    seed_everything(seed)  # for constructors that draw
    tracker = _built.get(spec) or spec.build(seed)
    if reseed(tracker, seed):
        _built[spec] = tracker
    return tracker


def _spread(
    jobs: list[Job], workers: int | None, cluster: str | None, threads: int | None
) -> Generator[tuple[Job, Any | Failure]]:
    if not jobs:
        return
    if cluster is not None:
        yield from run_on_ray(perform, jobs, cluster, workers, threads or 1)
    elif (workers or 1) == 1:
        if threads is not None:
            limit_threads(threads)
        yield from run_here(perform, jobs)
    else:
        count = workers or 1
        longest_first = sorted(jobs, key=lambda job: -len(job.sequence))  # so that no worker is left with a long one
        _check_sendable(longest_first[0])
        yield from run_in_processes(perform, longest_first, count, threads or max(1, available_cores() // count))


def _store(folder: ResultsFolder, job: Job, outcome: Any | Failure) -> SequenceFailure | None:
    """Put what came of a pass on disk: its result, or beside where that would be the traceback."""
    error = folder.folder(job.spec.name, job.repeat) / f"{job.sequence.name}.error"
    if isinstance(outcome, Failure):
        write_atomic(error, outcome.traceback or outcome.reason + "\n")
        return SequenceFailure(job.sequence.name, job.repeat, outcome.reason)
    job.experiment.write(folder, job.spec.name, outcome, job.repeat)
    error.unlink(missing_ok=True)
    return None


def _wants_more(
    how: Experiment, folder: ResultsFolder, spec: TrackerSpec, sequence: Sequence, failures: list[SequenceFailure]
) -> bool:
    failed = any(failure.sequence == sequence.name for failure in failures)
    return not failed and not how.settled(folder, spec.name, sequence)


def _facts(spec: TrackerSpec, seed: int) -> dict[str, Any]:
    """What `run.json` says; building the tracker here finds a wrong name or broken weights before anything is run."""
    try:
        tracker = _tracker(spec, seed)
    except AsmdError:
        raise
    except Exception as error:
        raise ConfigError(f"the tracker {spec.tracker} cannot be built: {type(error).__name__}: {error}") from error
    return {
        **_identity(spec, seed),
        **provenance.tracker_facts(tracker),
        **provenance.code_version(),
        "machine": provenance.machine(),
        "started": provenance.now(),
    }


def _identity(spec: TrackerSpec, seed: int) -> dict[str, Any]:
    return {**spec.identity(), "seed": seed}


_SETTINGS = ("tracker", "preset", "weights", "weights_name", "config", "seed")
"""What results in one folder have in common."""


def _check_same_settings(folder: ResultsFolder, tracker: str, facts: dict[str, Any]) -> None:
    """A folder holds the results of one tracker with one set of settings, or nobody could say what they are of."""
    place = folder.root / tracker
    if not any(place.glob("**/[!.]*.txt")):
        return
    there, here = folder.provenance(tracker), json.loads(json.dumps(facts, default=str))
    differ = []
    for key in (key for key in _SETTINGS if key in there.keys() & here.keys()):
        before, now = dict(_leaves(key, there[key])), dict(_leaves(key, here[key]))
        differ += [f"{k} {before.get(k)!r} (now {now.get(k)!r})" for k in before | now if before.get(k) != now.get(k)]
    if differ:
        others = f" and {len(differ) - 3} other settings" if len(differ) > 3 else ""
        raise ConfigError(
            f"{place} holds results made with {', '.join(differ[:3])}{others}; "
            "give this run another label or another folder of results"
        )
    if there.get("commit", here.get("commit")) != here.get("commit") and "commit" in here:
        log.warning("%s holds results made by other code, of commit %s", place, there["commit"])


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(f"{key}.{name}", part)
    else:
        yield key, value


def _check_names(sequences: tuple[Sequence, ...]) -> None:
    if not sequences:
        raise DatasetError("no sequence to run")
    twice = [name for name, count in Counter(s.name for s in sequences).items() if count > 1]
    if twice:
        raise DatasetError(f"more than one sequence is called {twice[0]!r}")


def _check_footage(sequences: Iterable[Sequence]) -> None:
    """Find what would stop a sequence in its middle while nothing has been run yet."""
    problems = []
    for sequence in sequences:
        frames = len(sequence.frames)
        if not len(sequence) or not is_valid(sequence.init_box):
            problems.append(f"{sequence.name}: no box on its first frame to start from")
        elif frames < len(sequence):
            problems.append(f"{sequence.name}: {frames} frames, but {len(sequence)} boxes")
    if problems:
        others = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise DatasetError("; ".join(problems[:3]) + others)


def _check_sendable(job: Job) -> None:
    try:
        pickle.dumps(job)
    except Exception as error:
        raise ConfigError(f"{job.spec.tracker} cannot be sent to a worker process: {error}") from error
