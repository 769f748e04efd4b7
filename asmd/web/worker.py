"""A process of its own for work that may fail, hang or be cancelled, and the wire to it."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

PRELOAD = ["asmd.tracking.multi", "asmd.video.frames", "asmd.video.sources", "asmd.web.decoding"]
"""Imported once, in the process that all others are copies of, so that a new one is there at once."""


def context() -> Any:
    """How processes are started: as copies of one that has everything imported, where the system has that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(PRELOAD)
    return chosen


def _main(target: Callable[..., None], connection: Connection, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    with contextlib.suppress(OSError):
        os.nice(1)  # the page answers first
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        target(connection, *arguments)


def _nothing(connection: Connection) -> None:
    """For `warm_up`."""


def warm_up() -> None:
    """Starts the process that all others are copies of, in the background."""

    def start() -> None:
        worker = Worker(_nothing)
        worker.process.join()
        worker.close()

    threading.Thread(target=start, name="asmd-warm-up", daemon=True).start()


class Worker:
    """Runs `target(connection, *arguments)` in a process; it ends when the wire is closed.

    Args:
        target: a function of a module, whose first argument is the other end of the wire.
        arguments: its further ones; they are copied.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        started = context()
        self.connection, theirs = started.Pipe()
        self.process: BaseProcess = started.Process(target=_main, args=(target, theirs, arguments), daemon=False)
        self.process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.is_alive()

    def send(self, message: Any) -> bool:
        """Sends a message; False where the process is gone."""
        try:
            self.connection.send(message)
        except (OSError, ValueError):
            return False
        return True

    def close(self, patience: float = 0.5) -> None:
        """Ends the process: it is asked by the closed wire, then told, then killed."""
        with contextlib.suppress(OSError):
            self.connection.close()
        for end in (None, self.process.terminate, self.process.kill):
            if end is not None:
                end()
            self.process.join(patience)
            if not self.process.is_alive():
                return

    def listen(self, told: Callable[[Any], None], gone: Callable[[], None]) -> None:
        """Calls `told` with each message, and `gone` when the process has ended, in a thread."""

        def run() -> None:
            # A wire that is closed while it is read is a TypeError in the standard library.
            with contextlib.suppress(EOFError, OSError, TypeError):
                while True:
                    told(self.connection.recv())
            gone()

        threading.Thread(target=run, name="asmd-listen", daemon=True).start()
