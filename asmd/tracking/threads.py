"""How many threads a frame is computed in.

The network is worth spreading over cores. The rest of a frame is some hundred small operations, for which a second
thread gains little and costs more: between them torch's threads wait by spinning, on the cores that a network which
runs in OpenVINO then has to share with them.

What a frame's answer does not wait for is done in one thread beside, while the network is at the next frame.

OpenCV's threads wait by spinning as well. To measure flow about a target they gain nothing, and one that spins looks to
the system like one that works: it then has those that do work share the other core.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import cv2
import torch

Result = TypeVar("Result")


@contextmanager
def computing_threads(count: int) -> Iterator[None]:
    """Has torch compute in so many threads while it lasts; threads that start meanwhile may take that number over."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _OpenCV:
    """How many threads OpenCV computes in, which is one number for all threads of a process."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, 0

    @contextmanager
    def in_one_thread(self, wanted: bool = True) -> Iterator[None]:
        """Has it compute in one thread, until the last that asked for it is done; changes nothing where not wanted."""
        if not wanted:
            yield
            return
        with self._lock:
            if self._inside == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    cv2.setNumThreads(self._before)


opencv = _OpenCV()
"""Of this process."""

NOTHING: Future[None] = Future()
"""What was done long ago."""
NOTHING.set_result(None)


@cache
def _beside(process: int) -> ThreadPoolExecutor:
    """The one thread beside those that call, which computes in itself alone; a process that was forked has its own."""
    return ThreadPoolExecutor(1, f"asmd-{process}", lambda: torch.set_num_threads(1))


def beside(work: Callable[[], Result]) -> Future[Result]:
    """Does something in a thread beside, after all that was given to it before."""
    return _beside(os.getpid()).submit(work)
