"""How many threads a frame is computed in.

The network is worth spreading over cores. The rest of a frame is some hundred small operations, for which a second
thread gains little and costs more: between them torch's threads wait by spinning, on the cores that a network which
runs in OpenVINO then has to share with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
