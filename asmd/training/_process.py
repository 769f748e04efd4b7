"""What the process that a run happens in is set to while it lasts: exact sums, and signals that end it properly."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
import torch.utils.deterministic


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On a processor every sum is added up in one order, so that a resumed run comes out the same to the bit."""
    before = torch.are_deterministic_algorithms_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
    # Otherwise every new tensor is filled with NaN first, a tenth of the time; nothing here reads one before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C and SIGTERM ask for an end after the iteration; a second Ctrl-C breaks it off."""
    asked: list[int] = []
    before = {}

    def hear(number: int, _: object) -> None:
        if number == signal.SIGINT and number in asked:
            raise KeyboardInterrupt
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not the main thread: whoever runs us hears the signal
            before[number] = signal.signal(number, hear)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
