"""The training loop (paper, 3.5)."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.utils.deterministic
from torch import Tensor, nn

from asmd import checkpoints
from asmd.errors import ConfigError
from asmd.losses import shared_private_correlation
from asmd.models.adversary import domain_accuracy, reversal_strength
from asmd.models.arrow_of_time import arrow_accuracy
from asmd.models.private_shared import Described, PrivateSharedNetwork, Views
from asmd.training.clips import Clips, ClipSampler, network_tensors
from asmd.training.config import TrainingConfig
from asmd.training.distributed import Group
from asmd.training.domains import TrainingData
from asmd.training.footage import Footage
from asmd.training.loading import Loaded, Steps, load
from asmd.training.metrics import Journal, Means
from asmd.training.run_folder import RunFolder, restore
from asmd.training.samples import Batch, SampleDrawer
from asmd.training.validation import validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What a run tells whoever watches it.

    Attributes:
        step: iterations done.
        steps: iterations in all.
        values: means since the last report, see `Trainer.learn`; of a validation "auc" and "precision".
        kind: "train" or "validation".
    """

    step: int
    steps: int
    values: dict[str, float]
    kind: str = "train"


class _Counts(NamedTuple):
    """What an iteration learns from, in one process or in all together."""

    domains: float
    samples: float
    clips: float


class Trainer:
    """Trains a private-shared network.

    Args:
        config: settings.
        data: what to learn from.
        output: the run's folder.
        seed: decides every random draw.
        device: where the arithmetic runs.
        group: the processes that share the work.

    Raises:
        WeightsError: if the weights to start from are not there or do not fit.
        ConfigError: if the settings do not fit the data.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        output: Path,
        seed: int = 0,
        device: torch.device | str = "cpu",
        group: Group | None = None,
    ) -> None:
        self.config, self.data, self.seed = config, data, seed
        self.group = group or Group()
        self.device = torch.device(device)
        size = self.group.size
        self.folder = RunFolder(output, config, [s.name for s in data.domains], seed, size)
        cache = Path(config.footage.folder) if config.footage.folder else output / "footage"
        footage = Footage(cache, config.footage, config.flow)
        samples = SampleDrawer(footage, data.domains, config.batch, seed, size)
        clips = ClipSampler(footage, data.clips, config.clips) if config.model.parts.arrow else None
        schedule = config.schedule if clips is not None else replace(config.schedule, unsupervised=0)
        self._steps = Steps(samples, clips, schedule, seed, self.group.rank, size)
        self.network = self._build()
        self.optimiser = self._optimiser()
        self.best = -1.0

    def _build(self) -> PrivateSharedNetwork:
        config = self.config
        trunk, _ = checkpoints.build_network(checkpoints.load(config.start or None), config.trunk)
        trunk = trunk.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network = PrivateSharedNetwork.build(
            trunk, len(self.data.domains), config.model, config.branches, config.bank,
            folder=self.folder.branches(self.group.rank), seed=self.seed,
        )  # fmt: skip
        for name, parameter in network.shared.named_parameters():
            if name.startswith(config.frozen):
                parameter.requires_grad_(False)
        return network

    def _optimiser(self) -> torch.optim.SGD:
        groups = []
        for is_trunk in (True, False):
            for is_weight in (True, False):
                own = [
                    p
                    for name, p in self.network.named_parameters()
                    if p.requires_grad and name.startswith("shared.") == is_trunk and (p.ndim > 1) == is_weight
                ]
                decay = self.config.optimiser.weight_decay if is_weight else 0.0
                groups.append({"params": own, "trunk": is_trunk, "weight_decay": decay})
        return torch.optim.SGD([g for g in groups if g["params"]], lr=0.0, momentum=self.config.optimiser.momentum)

    @property
    def _shared(self) -> list[nn.Parameter]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def run(
        self, resume: bool = False, max_steps: int | None = None, watch: Callable[[Report], None] | None = None
    ) -> Path:
        """Trains to the end of the schedule.

        Args:
            resume: go on from the newest checkpoint of the folder, if there is one.
            max_steps: end after so many iterations, those of before counted; the schedule stays as it is.
            watch: is told how it goes.

        Returns:
            The weights for tracking.

        Raises:
            ConfigError: if the folder holds a run already and `resume` is off, or one with other settings.
            DatasetError: if sequence after sequence cannot be read.
            OutputError: if a checkpoint cannot be written; the ones before it are whole.
            KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        """
        state = self.folder.latest() if resume else None
        if not resume and self.folder.steps():
            raise ConfigError(f"{self.folder.path} holds a run already: go on with --resume, or give another --output")
        first = 0
        if state is not None:
            first, self.best = state.step, state.best
            restore(self.network, self.optimiser, state)
            self.network.bank.restore(state.pages[self.group.rank])
        last = min(self.config.schedule.steps, max_steps or self.config.schedule.steps)
        watch = watch or (lambda _: None)
        journal = Journal(self.folder.path, first) if self.group.leads else None
        if journal is not None and first == 0:
            for line in self.data.skipped:
                journal.write(0, "skipped", {"what": line})
        with _deterministic(self.device), _asked_to_stop() as asked:
            if first == 0 and self.config.validation.every:
                self._validate(0, journal, watch)
            self._train(first, last, journal, watch, asked)
            if first == last and not (self.folder.path / "weights.safetensors").is_file():
                self._save(last)
        if journal is not None:
            journal.close()
        return self.folder.path / "weights.safetensors"

    def _train(
        self, first: int, last: int, journal: Journal | None, watch: Callable[[Report], None], asked: Callable[[], bool]
    ) -> None:
        means, since = Means(), time.perf_counter()
        batches = iter(load(self._steps, first, last, self.config.workers))
        for step in range(first, last):
            waited = time.perf_counter()
            loaded = next(batches)
            waited = time.perf_counter() - waited
            means.add({**self.learn(loaded), "waiting": waited})
            done = step + 1
            for line in loaded.skipped:
                log.warning("skipped %s", line)
                if journal is not None:
                    journal.write(done, "skipped", {"what": line})
            stop = asked()
            if journal is not None and (done % self.config.log_every == 0 or done == last or stop):
                values = means.take()
                now = time.perf_counter()
                self._finish(values, now - since, (done - 1) % self.config.log_every + 1)
                since = now
                journal.write(done, "train", values)
                watch(Report(done, self.config.schedule.steps, values))
            if done % self.config.save_every == 0 or done == last or stop:
                self._save(done)
            every = self.config.validation.every
            if (every and done % every == 0) or done == last:
                self._validate(done, journal, watch)
                since = time.perf_counter()
            if stop:
                raise KeyboardInterrupt

    def _finish(self, values: dict[str, float], seconds: float, steps: int) -> None:
        """Turns counts into rates: samples a second, and the share of time spent waiting for data."""
        values["waiting"] = values["waiting"] * steps / max(seconds, 1e-9)
        values["iterations_per_second"] = steps / max(seconds, 1e-9)

    def learn(self, loaded: Loaded) -> dict[str, float]:
        """One iteration.

        Returns:
            Losses before their weights ("domain", "adversarial", "difference", "arrow"), "domain_accuracy" and
            "domain_chance" of the discriminator, "arrow_accuracy", "correlation" of shared and private features (see
            `asmd.losses.shared_private_correlation`), "gradient" (norm before clipping), "samples".
        """
        values: dict[str, float] = {}
        own = self._counts(loaded)
        joint = _Counts(*self.group.total(torch.tensor(own, dtype=torch.float64, device=self.device)).tolist())
        motion = not self._leaves_motion_out(loaded.step)
        for part in self._parts(loaded.batch):
            found = self._supervised(part, loaded.step, motion, joint)
            for name, value in found.items():
                values[name] = values.get(name, 0.0) + value * found["samples"] / own.samples
        if loaded.batch is not None:
            values["samples"] = own.samples
        if loaded.clips is not None:
            values.update(self._unsupervised(loaded.clips, joint))
        values.update(self._step(loaded))
        return values

    def _counts(self, loaded: Loaded) -> _Counts:
        """What this process brings to an iteration: of each view's negatives only the hardest count."""
        batch, hardest = loaded.batch, self.config.batch.hardest
        clips = 0 if loaded.clips is None else len(loaded.clips.forward)
        if batch is None:
            return _Counts(0, 0, clips)
        samples = len(batch.labels)
        if hardest and batch.view is not None:
            negatives = torch.bincount(batch.view[batch.labels == 0], minlength=len(batch.rgb))
            samples -= int((negatives - hardest).clamp_min(0).sum())
        return _Counts(_distinct(batch.view_domains), samples, clips)

    def _parts(self, batch: Batch | None) -> list[Batch]:
        """A batch, cut by domains into what goes through the network at once."""
        at_once = self.config.domains_at_once
        if batch is None:
            return []
        domains = torch.unique(batch.view_domains).tolist()
        if not at_once or at_once >= len(domains):
            return [batch]
        groups = [domains[i : i + at_once] for i in range(0, len(domains), at_once)]
        return [_part(batch, group) for group in groups]

    def _supervised(self, batch: Batch, step: int, motion: bool, joint: _Counts) -> dict[str, float]:
        config, device = self.config, self.device
        reversal = 1.0 if config.reversal == "full" else reversal_strength(step / config.schedule.steps)
        rgb, flow = network_tensors(batch.rgb, batch.flow, device)
        corners, view = (None if x is None else x.to(device) for x in (batch.corners, batch.view))
        views = Views(rgb, flow if motion else None, batch.view_domains.to(device), corners, view)
        labels = batch.labels.to(device)
        with self._autocast():
            looked = self.network.look(views)
            if config.batch.hardest and views.view is not None:
                chosen = _hardest(self.network.margins(looked, views), labels, views.view, config.batch.hardest)
                views, labels = views.chosen(chosen), labels[chosen]
            described = _single(self.network.describe(looked, views, reversal))
        terms = self.network.terms(described, labels)
        share = _distinct(described.domains) / joint.domains
        summed = config.model.difference_form in ("frobenius", "literal")
        weights = {
            "domain": share,
            "adversarial": len(labels) / joint.samples * config.losses.adversarial,
            "difference": (1.0 if summed else share) * config.losses.difference,
        }
        found = {name: term for name, term in terms._asdict().items() if term is not None}
        total = torch.stack([weights[name] * term for name, term in found.items()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        values = {name: float(term.detach()) for name, term in found.items()}
        if described.domain_logits is not None:
            values["domain_accuracy"], values["domain_chance"] = domain_accuracy(
                described.domain_logits, described.domains
            )
        if described.private is not None and step % config.log_every == 0:
            with torch.no_grad():
                values["correlation"] = float(shared_private_correlation(described.shared, described.private))
        return {**values, "samples": float(len(labels))}

    def _unsupervised(self, clips: Clips, joint: _Counts) -> dict[str, float]:
        forward = clips.forward.to(self.device)
        with self._autocast():
            logits = self.network.arrow(*network_tensors(clips.rgb, clips.flow, self.device)).float()
        loss = self.network.terms(arrow_logits=logits, played_forward=forward).arrow
        assert loss is not None
        (loss * (self.config.losses.arrow * len(forward) / joint.clips)).backward()  # type: ignore[no-untyped-call]
        return {"arrow": float(loss.detach()), "arrow_accuracy": arrow_accuracy(logits, forward)}

    def _step(self, loaded: Loaded) -> dict[str, float]:
        config, values = self.config.optimiser, dict[str, float]()
        self.group.add_up(self._shared)
        if config.clip:
            values["gradient"] = float(nn.utils.clip_grad_norm_(self._shared, config.clip))
            self.network.bank.clip(config.clip)
        factor = config.factor(loaded.step, self.config.schedule.steps)
        supervised = loaded.turn.supervised
        trunk = factor * (config.trunk_rate if supervised else config.unsupervised_trunk_rate)
        head = factor * (config.head_rate if supervised else config.unsupervised_head_rate)
        for group in self.optimiser.param_groups:
            group["lr"] = trunk if group["trunk"] else head
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.network.bank.step(trunk, head)
        return values

    def _leaves_motion_out(self, step: int) -> bool:
        return bool(np.random.default_rng([self.seed, step]).uniform() < self.config.without_motion)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _save(self, done: int) -> None:
        pages = self.group.gather(self.network.bank.checkpoint())
        if self.group.leads:
            self.folder.save(done, self.network, self.optimiser, pages, self.best)
            self.folder.export("weights.safetensors", self.network.shared, done, self._facts())
        self.group.wait()
        kept = self.folder.prune() if self.group.leads else None
        kept = self.group.gather(kept)[0]
        self.network.bank.keep(pages_of_one[self.group.rank] for pages_of_one in kept)

    def _validate(self, done: int, journal: Journal | None, watch: Callable[[Report], None]) -> None:
        if journal is not None and self.data.held_out:
            result = validate(self.network.shared, self.data.held_out, self.config.validation)
            if done and result.auc > self.best:
                self.best = result.auc
                facts = {**self._facts(), "held_out_auc": f"{result.auc:.4f}"}
                self.folder.export("best.safetensors", self.network.shared, done, facts)
            scores = {"auc": result.auc, "precision": result.precision}
            journal.write(done, "validation", {**scores, "sequences": result.sequences})
            watch(Report(done, self.config.schedule.steps, scores, "validation"))
        self.group.wait()

    def _facts(self) -> dict[str, str]:
        return {"variant": self.config.model.variant, "domains": str(len(self.data.domains))}


def _distinct(domains: Tensor) -> int:
    return len(set(domains.tolist()))


def _part(batch: Batch, domains: list[int]) -> Batch:
    """The views of some domains with their samples."""
    own = torch.isin(batch.view_domains, torch.tensor(domains))
    if batch.view is None or batch.corners is None:
        return batch._replace(
            rgb=batch.rgb[own], flow=batch.flow[own], view_domains=batch.view_domains[own], labels=batch.labels[own]
        )
    samples = own[batch.view]
    place = own.cumsum(0) - 1
    return Batch(
        batch.rgb[own], batch.flow[own], batch.view_domains[own], batch.corners[samples], place[batch.view[samples]],
        batch.labels[samples], batch.skipped,
    )  # fmt: skip


def _hardest(margins: Tensor, labels: Tensor, view: Tensor, count: int) -> Tensor:
    """(n,) rows to learn from: all positives, and of each view the negatives that look most like the target."""
    rows = [torch.nonzero(labels == 1).squeeze(1)]
    for index in torch.unique(view).tolist():
        own = torch.nonzero((view == index) & (labels == 0)).squeeze(1)
        rows.append(own[margins[own].argsort(descending=True, stable=True)[:count]])
    return torch.cat(rows).sort().values


def _single(described: Described) -> Described:
    """In single precision: losses are computed outside autocast."""
    return Described(*(x.float() if x is not None and x.is_floating_point() else x for x in described))  # type: ignore[arg-type]


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
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
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C and SIGTERM ask for an end after the iteration instead of breaking it off."""
    asked: list[int] = []
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not the main thread: whoever runs us hears the signal
            before[number] = signal.signal(number, lambda n, _: asked.append(n))
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
