"""What one iteration teaches: the losses of its samples and clips, and their gradients (paper, equations 1 and 3 to 6).

A batch may go through the network in parts, and be shared by several processes. Each part's losses are weighed by its
share of the joint batch, so that the gradients add up to those of the joint losses.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from asmd.losses import shared_private_correlation
from asmd.models.adversary import domain_accuracy, reversal_strength
from asmd.models.arrow_of_time import arrow_accuracy
from asmd.models.private_shared import Described, PrivateSharedNetwork, Views
from asmd.training.clips import Clips, network_tensors
from asmd.training.config import TrainingConfig
from asmd.training.loading import Loaded
from asmd.training.samples import Batch


class Counts(NamedTuple):
    """What an iteration learns from, in one process or in all together."""

    domains: float
    samples: float
    clips: float


def count(loaded: Loaded, hardest: int) -> Counts:
    """What a process brings to an iteration.

    Args:
        loaded: its part of the batch.
        hardest: of each region's negatives, how many are learnt from; 0 takes all.
    """
    batch = loaded.batch
    clips = 0 if loaded.clips is None else len(loaded.clips.forward)
    if batch is None:
        return Counts(0, 0, clips)
    samples = len(batch.labels)
    if hardest and batch.view is not None:
        negatives = torch.bincount(batch.view[batch.labels == 0], minlength=len(batch.rgb))
        samples -= int((negatives - hardest).clamp_min(0).sum())
    return Counts(len(_domains(batch)), samples, clips)


class Gradients:
    """Runs a network on what was loaded and leaves the gradients in its parameters, those of its bank included.

    Args:
        network: the network.
        config: of the run.
        device: where the arithmetic runs.
    """

    def __init__(self, network: PrivateSharedNetwork, config: TrainingConfig, device: torch.device) -> None:
        self._network, self._config, self._device = network, config, device

    def add(self, loaded: Loaded, own: Counts, joint: Counts, motion: bool = True) -> dict[str, float]:
        """Adds the gradients of an iteration.

        Args:
            loaded: this process's part of the batch.
            own: what it brings, see `count`.
            joint: what all processes bring together.
            motion: whether the motion stream takes part in what is learnt from labelled samples.

        Returns:
            Of this process's part: losses before their weights ("domain", "adversarial", "difference", "arrow"),
            "domain_accuracy" and "domain_chance" of the discriminator, "arrow_accuracy", and now and then "correlation"
            of shared and private features, see `asmd.losses.shared_private_correlation`.
        """
        values: dict[str, float] = {}
        for part in parts(loaded.batch, self._config.domains_at_once):
            for name, value in self._supervised(part, loaded.step, motion, own, joint).items():
                values[name] = values.get(name, 0.0) + value
        if loaded.clips is not None:
            values.update(self._unsupervised(loaded.clips, joint))
        return values

    def _supervised(self, batch: Batch, step: int, motion: bool, own: Counts, joint: Counts) -> dict[str, float]:
        config, device = self._config, self._device
        reversal = 1.0 if config.reversal == "full" else reversal_strength(step / config.schedule.steps)
        rgb, flow = network_tensors(batch.rgb, batch.flow, device)
        corners, view = (None if x is None else x.to(device) for x in (batch.corners, batch.view))
        views = Views(rgb, flow if motion else None, batch.view_domains.to(device), corners, view)
        labels = batch.labels.to(device)
        with self._autocast():
            looked = self._network.look(views)
            if config.batch.hardest and views.view is not None:
                rows = hardest(self._network.margins(looked, views), labels, views.view, config.batch.hardest)
                views, labels = views.chosen(rows), labels[rows]
        if config.optimiser.practice:
            rate = config.optimiser.head_rate * config.optimiser.factor(step, config.schedule.steps)
            with self._autocast():
                self._network.practise(looked, views, labels, config.optimiser.practice, rate)
        with self._autocast():
            described = _single(self._network.describe(looked, views, reversal))
        terms = self._network.terms(described, labels)
        found = {name: term for name, term in terms._asdict().items() if term is not None}
        domains, samples = len(set(described.domains.tolist())), len(labels)
        summed = config.model.difference_form in ("frobenius", "literal")  # over domains; else their mean

        def shares(of: Counts) -> dict[str, float]:
            each = domains / of.domains
            return {"domain": each, "adversarial": samples / of.samples, "difference": 1.0 if summed else each}

        weights = {"domain": 1.0, "adversarial": config.losses.adversarial, "difference": config.losses.difference}
        share = shares(joint)
        total = torch.stack([share[name] * weights[name] * term for name, term in found.items()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        share = shares(own)
        values = {name: share[name] * float(term.detach()) for name, term in found.items()}
        more: dict[str, float] = {}
        if described.domain_logits is not None:
            more["domain_accuracy"], more["domain_chance"] = domain_accuracy(described.domain_logits, described.domains)
        if described.private is not None and step % config.log_every == 0:
            with torch.no_grad():
                more["correlation"] = float(shared_private_correlation(described.shared, described.private))
        return values | {name: value * samples / own.samples for name, value in more.items()}

    def _unsupervised(self, clips: Clips, joint: Counts) -> dict[str, float]:
        forward = clips.forward.to(self._device)
        with self._autocast():
            logits = self._network.arrow(*network_tensors(clips.rgb, clips.flow, self._device)).float()
        loss = self._network.terms(arrow_logits=logits, played_forward=forward).arrow
        assert loss is not None
        (loss * (self._config.losses.arrow * len(forward) / joint.clips)).backward()  # type: ignore[no-untyped-call]
        return {"arrow": float(loss.detach()), "arrow_accuracy": arrow_accuracy(logits, forward)}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.precision == "bf16")


def parts(batch: Batch | None, at_once: int) -> list[Batch]:
    """A batch cut by domains into what goes through the network at once.

    Args:
        batch: None gives no part; nor do domains without a sample.
        at_once: domains of a part; 0 for all of them.
    """
    if batch is None:
        return []
    domains = _domains(batch)
    at_once = at_once or len(domains)
    if at_once >= len(domains) == len(torch.unique(batch.view_domains)):
        return [batch]
    return [_part(batch, domains[i : i + at_once]) for i in range(0, len(domains), at_once)]


def hardest(margins: Tensor, labels: Tensor, view: Tensor, most: int) -> Tensor:
    """Which samples to learn from: all positives, and of each view the negatives that look most like the target.

    Args:
        margins: (N,) log-odds of being the target.
        labels: (N,), 1 for the target.
        view: (N,) the view of each sample.
        most: negatives of a view.

    Returns:
        (n,) rows, ascending.
    """
    rows = [torch.nonzero(labels == 1).squeeze(1)]
    for index in torch.unique(view).tolist():
        own = torch.nonzero((view == index) & (labels == 0)).squeeze(1)
        rows.append(own[margins[own].argsort(descending=True, stable=True)[:most]])
    return torch.cat(rows).sort().values


def _domains(batch: Batch) -> list[int]:
    """Domains with at least one sample, ascending."""
    domains: list[int] = torch.unique(
        batch.view_domains if batch.view is None else batch.view_domains[batch.view]
    ).tolist()
    return domains


def _part(batch: Batch, domains: list[int]) -> Batch:
    """The views of some domains with their samples."""
    own = torch.isin(batch.view_domains, torch.tensor(domains))
    views = batch._replace(rgb=batch.rgb[own], flow=batch.flow[own], view_domains=batch.view_domains[own])
    if batch.view is None or batch.corners is None:
        return views._replace(labels=batch.labels[own])
    samples, place = own[batch.view], own.cumsum(0) - 1
    return views._replace(corners=batch.corners[samples], view=place[batch.view[samples]], labels=batch.labels[samples])


def _single(described: Described) -> Described:
    """In single precision: losses are computed outside autocast."""
    return Described(*(x.float() if x is not None and x.is_floating_point() else x for x in described))  # type: ignore[arg-type]
