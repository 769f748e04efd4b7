"""Jobs spread over a Ray cluster: the same answers as from processes of this machine."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from asmd.errors import ConfigError
from asmd.evaluation._workers import ATTEMPTS, Failure, available_cores, guarded, limit_threads

Job = TypeVar("Job")
Value = TypeVar("Value")

PATIENCE = 10.0
"""Seconds to wait for the head of a cluster to answer at all."""

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, begun for the run and ended with it."""


def run_on_ray(
    function: Callable[[Job], Value], jobs: list[Job], address: str, workers: int | None, threads: int
) -> Iterator[tuple[Job, Value | Failure]]:
    """Run the jobs as tasks of Ray; answers come as they are ready.

    Args:
        function: importable by name on every machine of the cluster, as must be all that a job holds.
        jobs: begun in this order.
        address: of the cluster's head, or `LOCAL`.
        workers: most tasks at a time; as many as the cluster has room for where None.
        threads: that each task computes with; so many processors are set aside for it.

    Raises:
        ConfigError: if Ray is not installed or there is no cluster at the address.
    """
    try:
        import ray as ray_module
        from ray.exceptions import RayError
    except ImportError as error:
        raise ConfigError("--cluster needs Ray: pip install 'asmd[cluster]'") from error
    ray: Any = ray_module
    _connect(ray, address, workers, threads)
    try:
        task: Any = ray.remote(num_cpus=threads, max_retries=ATTEMPTS - 1)(_perform)
        waiting, running = list(reversed(jobs)), dict[Any, Job]()
        resources: dict[str, float] = ray.cluster_resources()
        room = workers or max(1, int(resources.get("CPU", 1)) // threads) + 1  # one in hand, so that none has to wait
        while waiting or running:
            while waiting and len(running) < room:
                job = waiting.pop()
                running[task.remote(function, job, threads)] = job
            for done in ray.wait(list(running), num_returns=1)[0]:
                job = running.pop(done)
                outcome: Any
                try:
                    outcome = ray.get(done)
                except RayError as error:  # the worker died as often as it may
                    outcome = Failure(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}", str(error))
                yield job, outcome
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, workers: int | None, threads: int) -> None:
    _check_reachable(address)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        # Only these workers can be told where this process finds its modules: other machines have their own paths.
        settings |= {"num_cpus": (workers or available_cores()) * threads, "include_dashboard": False}
        settings |= {"runtime_env": {"env_vars": {"PYTHONPATH": path}}}
    try:
        ray.init(address=address, **settings)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise ConfigError(f"--cluster {address}: {' '.join(str(error).split())}") from error


def _check_reachable(address: str) -> None:
    """Ray itself tries an address at which nobody listens for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--cluster {address}: no cluster there ({error})") from error


def _perform(function: Callable[[Job], Value], job: Job, threads: int) -> Value | Failure:
    limit_threads(threads)
    return guarded(function, job)
