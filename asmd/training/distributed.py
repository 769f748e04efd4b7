"""Several processes that train together (torch.distributed, started by torchrun).

Domains are divided among the ranks, so that private branches stay where they are; only gradients of what is shared
travel. Each rank weighs its losses by its share of the joint batch, so the sum over ranks is the joint loss.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from asmd.errors import ConfigError


def own_device(name: str = "auto") -> torch.device:
    """Where a process computes: of several GPUs that of its number on its machine.

    Args:
        name: "auto", "cpu", "cuda", or another that torch knows.

    Raises:
        ConfigError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"there is no device {name!r} to train on") from error
    return device


PATIENCE = timedelta(hours=2)
"""How long one process waits for the others; torchrun notices sooner when one has died."""


class Group:
    """The processes of a run; one alone needs no torch.distributed and does nothing here.

    Args:
        rank: number of this process, 0 for the one that writes checkpoints and tells of progress.
        size: number of processes.
        partitions: parts into which the domains are divided; batches depend on their number, not on that of processes,
            among which they are dealt out. A multiple of `size`, which it is where not given.

    Attributes:
        rank: as above.
        size: as above.
        partitions: as above.
    """

    def __init__(self, rank: int = 0, size: int = 1, partitions: int | None = None) -> None:
        self.rank, self.size, self.partitions = rank, size, partitions or size
        if self.partitions % size:
            raise ConfigError(f"{self.partitions} parts cannot be shared by {size} processes")

    @classmethod
    def join(cls, device: torch.device) -> Group:
        """The group that torchrun started this process in, or a group of one."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
            # The agent's store outlives a restart (torch 2.13), with addresses of processes that are dead. On several
            # machines the count of restarts need not be the same on all of them.
            store = PrefixStore(f"try-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank, size)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def add_up(self, gradients: Iterable[nn.Parameter]) -> None:
        """Replaces the gradients of parameters by their sum over all processes.

        One that a process lacks counts as 0; what none has stays without, so that no weight decay moves it.
        """
        if self.size == 1:
            return
        parameters = list(gradients)
        have = self.total(torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device))
        parameters = [p for p, count in zip(parameters, have.tolist(), strict=True) if count]
        if not parameters:
            return
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        torch.distributed.all_reduce(flat)
        for parameter, part in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter).clone(memory_format=torch.preserve_format)

    def total(self, counts: Tensor) -> Tensor:
        """Sum of a tensor over all processes."""
        if self.size > 1:
            counts = counts.clone()
            torch.distributed.all_reduce(counts)
        return counts

    def any(self, asked: bool, device: torch.device | None = None) -> bool:
        """Whether any process says so."""
        return bool(self.total(torch.tensor(float(asked), device=device)))

    def gather(self, value: Any) -> list[Any]:
        """What each process gives, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Returns once all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()

    def leave(self) -> None:
        """Ends it."""
        if self.size > 1:
            torch.distributed.destroy_process_group()
