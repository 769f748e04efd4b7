"""Jobs spread over processes, so that one that crashes takes nothing but its own job with it.

Each worker is an executor of one process: when that process dies, the standard library says which executor broke, and
so which job it was at. That job gets a second chance in a new process, since whatever killed the first (memory ran
short, somebody's `kill`) may be over.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from typing import Generic, TypeVar

from asmd.errors import AsmdError, ConfigError

Job = TypeVar("Job")
Value = TypeVar("Value")
log = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often a job is begun whose worker dies."""


@dataclass(frozen=True)
class Failure:
    """Why a job has no value: one line, and where there was an exception its traceback."""

    reason: str
    traceback: str = ""


def guarded(function: Callable[[Job], Value], job: Job) -> Value | Failure:
    """`function(job)`, or the exception that it raised as a `Failure`, which any process can unpickle."""
    try:
        return function(job)
    except AsmdError as error:
        return Failure(" ".join(str(error).split()), traceback.format_exc())
    except Exception as error:
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}", traceback.format_exc())


def run_here(function: Callable[[Job], Value], jobs: list[Job]) -> Iterator[tuple[Job, Value | Failure]]:
    """Run the jobs one after the other in this process."""
    for job in jobs:
        yield job, guarded(function, job)


def run_in_processes(
    function: Callable[[Job], Value], jobs: list[Job], workers: int, threads: int
) -> Iterator[tuple[Job, Value | Failure]]:
    """Run the jobs in processes of their own; answers come as they are ready.

    Args:
        function: importable by name, as must be all that a job holds.
        jobs: begun in this order.
        workers: number of processes.
        threads: that each may compute with.

    Raises:
        ConfigError: if processes do not even start.
    """
    waiting = deque((job, 1) for job in jobs)
    idle = [_Worker(threads) for _ in range(min(workers, len(jobs)))]
    begun = list(idle)  # Ctrl-C may come while a worker is between `idle` and `busy`; one forgotten would never end
    busy: dict[Future[Value | Failure], _Busy[Job]] = {}
    try:
        _check_start(idle)
        while waiting or busy:
            while waiting and idle:
                worker, (job, attempt) = idle.pop(), waiting.popleft()
                busy[worker.submit(function, job)] = _Busy(worker, job, attempt)
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, job, attempt = (it := busy.pop(future)).worker, it.job, it.attempt
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    worker.stop()
                    begun.append(worker := _Worker(threads))
                    if attempt < ATTEMPTS:
                        log.warning("a worker process died; its sequence is begun again in a new one")
                        waiting.appendleft((job, attempt + 1))
                        idle.append(worker)
                        continue
                    outcome = Failure(f"its worker process died, {attempt} times over (killed, or out of memory?)")
                except Exception as error:  # the job could not be sent, or its answer not be sent back
                    outcome = Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")
                idle.append(worker)
                yield job, outcome
    finally:
        for worker in begun:
            worker.stop()


def _check_start(workers: list[_Worker]) -> None:
    """Begin the processes, and see one of them running before it is trusted with a job."""
    starts = [worker.start() for worker in workers]
    try:
        starts[0].result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "worker processes do not start; a script that uses them must keep what it does under "
            "`if __name__ == '__main__':`, as they import it anew"
        ) from error


class _Worker:
    """One process, begun with its first job.

    It holds the reading end of a pipe on which nothing is ever sent. When the writing end closes, be it by `stop` or
    because this process was killed and can stop nobody any more, the worker ends at once, whatever it is at.
    """

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # fork would copy the locks of torch's and OpenCV's threads
        reader, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(reader, threads))

    def start(self) -> Future[int]:
        return self._pool.submit(os.getpid)

    def submit(self, function: Callable[[Job], Value], job: Job) -> Future[Value | Failure]:
        return self._pool.submit(guarded, function, job)

    def stop(self) -> None:
        """End the process."""
        self._lifeline.close()
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Busy(Generic[Job]):
    worker: _Worker
    job: Job
    attempt: int


def _begin(lifeline: Connection, threads: int) -> None:
    """Make a new process a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    limit_threads(threads)


def _end_with(lifeline: Connection) -> None:
    wait_for_any([lifeline])
    os._exit(1)


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Let numeric libraries compute with this many threads, whether they are loaded already or will be."""
    import cv2
    from threadpoolctl import threadpool_limits

    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    threadpool_limits(threads)
    cv2.setNumThreads(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
