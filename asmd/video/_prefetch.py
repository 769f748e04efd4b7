"""Decoding ahead in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """What the thread puts last: nothing more to come, or the exception that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Ahead(Generic[T]):
    def __init__(self, make: Callable[[], Iterator[T]], depth: int, newest_only: bool) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=1 if newest_only else depth)
        self._newest_only = newest_only
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(make,), name="asmd-decode", daemon=True)
        self._thread.start()

    def _fill(self, make: Callable[[], Iterator[T]]) -> None:
        error: BaseException | None = None
        try:
            for item in make():
                if not self._put(item):
                    return
        except BaseException as caught:
            error = caught
        self._put(_End(error), replace=False)

    def _put(self, item: T | _End, replace: bool = True) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                if self._newest_only and replace:
                    self._drop_one()
        return False

    def _drop_one(self) -> None:
        with suppress(queue.Empty):
            self._queue.get_nowait()

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def stop(self) -> None:
        self._stopped.set()
        self._drop_one()
        # A live source may sit in a read that only its network timeout ends; the thread is a daemon and is left to it.
        self._thread.join(timeout=2.0)


@contextmanager
def ahead(make: Callable[[], Iterator[T]], depth: int = 4, newest_only: bool = False) -> Iterator[Iterator[T]]:
    """Run an iterator in a thread, at most `depth` items ahead of the reader.

    Args:
        make: builds the iterator; called in the thread.
        depth: how many items may wait. Memory is bounded by it.
        newest_only: an item that nobody has fetched when the next one comes is dropped, as suits a live source. Else
            every item is kept, in order, and the iterator waits for the reader.

    Yields:
        An iterator over the items; an exception in the thread is raised here, after the items before it.
    """
    runner = _Ahead(make, depth, newest_only)
    try:
        yield iter(runner)
    finally:
        runner.stop()
