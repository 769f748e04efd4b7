"""How many threads a frame is computed in.

The network is worth spreading over cores. The rest of a frame is some hundred small operations, for which a second
thread gains little and costs more: between them torch's threads wait by spinning, on the cores that a network which
runs in OpenVINO then has to share with them.

What a frame's answer does not wait for is done in one thread beside, while the network is at the next frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

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
