"""Several processes that train together (torch.distributed, started by torchrun).

Domains are divided among the ranks, so that private branches stay where they are; only gradients of what is shared
travel. Each rank weighs its losses by its share of the joint batch, so the sum over ranks is the joint loss.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn


class Group:
    """The processes of a run; one alone needs no torch.distributed and does nothing here.

    Attributes:
        rank: number of this process, 0 for the one that writes checkpoints and tells of progress.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @classmethod
    def join(cls, device: torch.device) -> Group:
        """The group that torchrun started this process in, or a group of one."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(torch.distributed.get_rank(), size)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def add_up(self, gradients: Iterable[nn.Parameter]) -> None:
        """Replaces the gradients of parameters by their sum over all processes; one that is missing counts as 0."""
        if self.size == 1:
            return
        parameters = list(gradients)
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
