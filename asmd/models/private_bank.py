"""The branches of K domains, of which only P are in memory; the others wait on disk with their optimiser's state.

A page is written under a new name each time and the old one is kept while a checkpoint still counts on it, so training
can go back to any checkpoint that it kept and continue as if nothing had come after.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asmd import checkpoints
from asmd.errors import ConfigError, WeightsError
from asmd.losses import tracking_loss
from asmd.models.private_branches import DomainBranch

FORMAT = "asmd-private-branch"
"""Value of `format` in the metadata of a page."""

_MOMENTUM = "momentum_buffer"
_PAGE = re.compile(r"domain-(\d+)-(\d+)\.safetensors")


@dataclass(frozen=True)
class BankConfig:
    """Memory and optimiser of a bank.

    Attributes:
        resident: P, branches that are in memory at most; 0 keeps all of them there.
        momentum: of SGD.
        weight_decay: of weights; vectors (biases, norms) have none.
    """

    resident: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.resident < 0 or not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise ConfigError("a bank needs resident and weight_decay of at least 0 and momentum in 0..1")


@dataclass
class _Entry:
    branch: DomainBranch
    optimiser: torch.optim.SGD
    dirty: bool = False
    """Whether it differs from its page, or has none."""


class Residency(NamedTuple):
    """What a bank has done so far: branches in memory, pages read and pages written."""

    resident: int
    reads: int
    writes: int


class PrivateBank:
    """Gives the branches of the domains of a batch, least recently used ones making room for them.

    A branch that is asked for the first time is made by `build`, which must not depend on when that is. Which branches
    are in memory has no influence on any value: K domains with P = 2 train to the same bits as with all resident.

    Args:
        build: makes the branch of a domain, see `asmd.models.private_branches.BranchFactory`.
        domains: K.
        config: settings.
        folder: where pages go; made if missing. Only a bank with all branches resident and no checkpoints needs none.
        device: where branches work.

    Raises:
        ConfigError: if branches have to be paged and there is no folder.
    """

    def __init__(
        self,
        build: Callable[[int], DomainBranch],
        domains: int,
        config: BankConfig | None = None,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.domains = domains
        self.config = config or BankConfig()
        self._build = build
        self._folder = folder
        self._device = torch.device(device)
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._pages: dict[int, str] = {}
        self._kept: set[str] = set()
        self._serial = self._reads = self._writes = 0
        if folder is None:
            if 0 < self.config.resident < domains:
                raise ConfigError(f"keeping {self.config.resident} of {domains} private branches needs a folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._serial = max((int(m[2]) for m in self._found()), default=0)

    @property
    def residency(self) -> Residency:
        """Counts for a progress display or a plot."""
        return Residency(len(self._entries), self._reads, self._writes)

    def acquire(self, domains: Iterable[int]) -> dict[int, DomainBranch]:
        """The branches of these domains, valid until the next call.

        Args:
            domains: any order, repeats allowed.

        Returns:
            domain -> branch, in ascending order of domain.

        Raises:
            ConfigError: if a domain is outside 0..K-1, or there are more of them than can be resident together with
                those whose gradients wait for a step.
            OutputError: if a page cannot be written.
            WeightsError: if a page is damaged.
        """
        wanted = sorted(set(domains))
        if wanted and not (wanted[0] >= 0 and wanted[-1] < self.domains):
            raise ConfigError(f"no such domain: {wanted[0] if wanted[0] < 0 else wanted[-1]} of {self.domains}")
        waiting = {k for k, entry in self._entries.items() if _has_gradient(entry)}
        capacity = self.config.resident or self.domains
        if len(waiting.union(wanted)) > capacity:
            raise ConfigError(
                f"{len(waiting.union(wanted))} domains between two steps, but only {capacity} private branches fit"
            )
        for domain in wanted:
            if domain in self._entries:
                self._entries.move_to_end(domain)
        for domain in wanted:
            if domain not in self._entries:
                self._make_room(capacity, waiting.union(wanted))
                self._entries[domain] = self._load(domain)
        return {domain: self._entries[domain].branch for domain in wanted}

    def practise(self, domain: int, features: Tensor, labels: Tensor, steps: int, rate: float) -> None:
        """Trains the head of a resident domain alone, on features as they are; under autocast, if that is on.

        Args:
            domain: one that `acquire` gave last.
            features: (n, D) shared and private features, without gradients.
            labels: (n,), 1 for the target.
            steps: of SGD, all on these samples.
            rate: learning rate.
        """
        entry = self._entries[domain]
        for group in entry.optimiser.param_groups:
            group["lr"] = rate if group["head"] else 0.0
        kind = self._device.type
        for _ in range(steps):
            # Autocast would keep its copy of the weights from step to step.
            with torch.autocast(kind, enabled=torch.is_autocast_enabled(kind), cache_enabled=False):
                logits = entry.branch.head(features)
            tracking_loss(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            entry.optimiser.step()
            entry.optimiser.zero_grad(set_to_none=True)
        entry.dirty = True

    def clip(self, norm: float) -> None:
        """Scales the gradient of each branch down to this norm, each on its own, so that none depends on the others."""
        for entry in self._entries.values():
            if _has_gradient(entry):
                nn.utils.clip_grad_norm_(entry.branch.parameters(), norm)

    def step(self, trunk_rate: float, head_rate: float) -> None:
        """One step of SGD for every branch that has a gradient, which is then cleared; the others do not move.

        Args:
            trunk_rate: learning rate of private features.
            head_rate: of fully connected layers.
        """
        for entry in self._entries.values():
            if _has_gradient(entry):
                for group in entry.optimiser.param_groups:
                    group["lr"] = head_rate if group["head"] else trunk_rate
                entry.optimiser.step()
                entry.optimiser.zero_grad(set_to_none=True)
                entry.dirty = True

    def zero_grad(self) -> None:
        """Forgets gradients, so that `step` leaves everything as it is."""
        for entry in self._entries.values():
            entry.optimiser.zero_grad(set_to_none=True)

    def checkpoint(self) -> dict[int, str]:
        """Brings all pages up to date.

        Returns:
            domain -> name of its page, of every domain that has been trained; give it to `restore` and `keep`.

        Raises:
            ConfigError: if the bank has no folder.
            OutputError: if a page cannot be written; pages of earlier checkpoints are untouched.
        """
        for domain in sorted(self._entries):
            if self._entries[domain].dirty:
                self._write(domain, self._entries[domain])
        return dict(self._pages)

    def keep(self, checkpoints: Iterable[Mapping[int, str]]) -> None:
        """Removes every page but those of these checkpoints and the current ones.

        Call it once a checkpoint is safely on disk, with all checkpoints that are still there.
        """
        self._kept = {page for pages in checkpoints for page in pages.values()}
        needed = self._kept.union(self._pages.values())
        for match in self._found():
            if match[0] not in needed:
                (self._required_folder() / match[0]).unlink()

    def restore(self, pages: Mapping[int, str]) -> None:
        """Goes back to a checkpoint; a domain that it does not name is as new.

        Raises:
            WeightsError: if one of its pages is missing.
        """
        folder = self._required_folder()
        for domain, page in pages.items():
            if not (folder / page).is_file():
                raise WeightsError(f"the page of domain {domain} is missing: {folder / page}")
        self._entries.clear()
        self._pages = dict(pages)
        self._kept.update(pages.values())

    def _found(self) -> list[re.Match[str]]:
        if self._folder is None:
            return []
        return [match for path in self._folder.iterdir() if (match := _PAGE.fullmatch(path.name))]

    def _required_folder(self) -> Path:
        if self._folder is None:
            raise ConfigError("this bank of private branches has no folder to save to")
        return self._folder

    def _make_room(self, capacity: int, needed: set[int]) -> None:
        while len(self._entries) >= capacity:
            oldest = next(domain for domain in self._entries if domain not in needed)
            if self._entries[oldest].dirty:
                self._write(oldest, self._entries[oldest])
            del self._entries[oldest]

    def _load(self, domain: int) -> _Entry:
        branch = self._build(domain).to(self._device)
        entry = _Entry(branch, self._optimiser(branch))
        if domain in self._pages:
            self._read(domain, entry)
        return entry

    def _optimiser(self, branch: DomainBranch) -> torch.optim.SGD:
        head = set(branch.head.parameters())
        trained = [p for p in branch.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in trained if (p in head) == is_head and (p.ndim > 1) == is_weight],
                "head": is_head,
                "weight_decay": self.config.weight_decay if is_weight else 0.0,
            }
            for is_head in (False, True)
            for is_weight in (False, True)
        ]
        # Not fused: that form needs the momentum of all parameters of a group or of none, and those of the motion
        # stream have no gradient in iterations without motion.
        return torch.optim.SGD([g for g in groups if g["params"]], 0.0, momentum=self.config.momentum)

    def _write(self, domain: int, entry: _Entry) -> None:
        folder = self._required_folder()
        tensors = {f"branch.{name}": tensor for name, tensor in entry.branch.state_dict().items()}
        for name, parameter in entry.branch.named_parameters():
            buffer = entry.optimiser.state.get(parameter, {}).get(_MOMENTUM)
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer
        page = f"domain-{domain:06d}-{self._serial + 1:09d}.safetensors"
        checkpoints.save(folder / page, tensors, {"format": FORMAT, "domain": str(domain)})
        self._serial += 1
        self._writes += 1
        old = self._pages.get(domain)
        self._pages[domain] = page
        entry.dirty = False
        if old is not None and old not in self._kept:
            (folder / old).unlink(missing_ok=True)

    def _read(self, domain: int, entry: _Entry) -> None:
        path = self._required_folder() / self._pages[domain]
        page = checkpoints.load(path)
        self._reads += 1
        if page.metadata.get("format") != FORMAT or page.metadata.get("domain") != str(domain):
            raise WeightsError(f"{path} is not the page of domain {domain}")
        branch, momentum = _part(page.tensors, "branch."), _part(page.tensors, "momentum.")
        expected = entry.branch.state_dict()
        if {n: t.shape for n, t in branch.items()} != {n: t.shape for n, t in expected.items()}:
            raise WeightsError(f"{path} holds a private branch of another form")
        entry.branch.load_state_dict(branch)
        parameters = dict(entry.branch.named_parameters())
        for name, buffer in momentum.items():
            # In the parameter's own order of elements, which one pass over both relies on.
            own = torch.empty_like(parameters[name], memory_format=torch.preserve_format, requires_grad=False)
            entry.optimiser.state[parameters[name]][_MOMENTUM] = own.copy_(buffer)


def _has_gradient(entry: _Entry) -> bool:
    return any(p.grad is not None for p in entry.branch.parameters())


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
