"""The training loop (paper, 3.5)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from asmd import checkpoints
from asmd.errors import ConfigError
from asmd.models.private_shared import PrivateSharedNetwork
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.training._process import asked_to_stop, deterministic
from asmd.training.averaging import averaged
from asmd.training.clips import ClipSampler
from asmd.training.config import TrainingConfig
from asmd.training.distributed import Group
from asmd.training.domains import TrainingData
from asmd.training.footage import Footage
from asmd.training.gradients import Counts, Gradients, count
from asmd.training.loading import Loaded, Steps, load, losses_named
from asmd.training.metrics import Journal, Meter, mean
from asmd.training.run_folder import RunFolder, restore
from asmd.training.samples import SampleDrawer
from asmd.training.validation import joined, validate

log = logging.getLogger(__name__)

DIVERGED = 20
"""Iterations in a row without finite gradients after which training gives up."""


@dataclass(frozen=True)
class Report:
    """What a run tells whoever watches it.

    Attributes:
        step: iterations done.
        steps: iterations after which it ends.
        values: means since the last report, see `Trainer.learn` and `Meter.take`; of a validation "auc" and
            "precision".
        kind: "train" or "validation".
    """

    step: int
    steps: int
    values: dict[str, float]
    kind: str = "train"


class Trainer:
    """Trains a private-shared network.

    Args:
        config: settings.
        data: what to learn from.
        output: the run's folder.
        seed: decides every random draw.
        device: where the arithmetic runs.
        group: the processes that share the work.
        trunk: the shared network to start from; where not given, one that holds the weights that the settings name.

    Raises:
        WeightsError: if the weights to start from are not there or do not fit.
        ConfigError: if the settings do not fit the data or each other.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        output: Path,
        seed: int = 0,
        device: torch.device | str = "cpu",
        group: Group | None = None,
        trunk: SpatiotemporalResNet | None = None,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"a seed is not negative, got {seed}")
        if config.trunk.flows != config.flow.length:
            raise ConfigError(f"the trunk takes {config.trunk.flows} flows, but stacks have {config.flow.length}")
        self.config, self.data, self.seed = config, data, seed
        self.group = group or Group()
        self.device = torch.device(device)
        rank, size, partitions = self.group.rank, self.group.size, self.group.partitions
        self.folder = RunFolder(output, config, [s.name for s in data.domains], seed, size, rank)
        cache = Path(config.footage.folder) if config.footage.folder else output / "footage"
        footage = Footage(cache, config.footage, config.flow)
        samples = SampleDrawer(footage, data.domains, config.batch, seed, partitions)
        clips = ClipSampler(footage, data.clips, config.clips) if config.model.parts.arrow else None
        schedule = config.schedule if clips is not None else replace(config.schedule, unsupervised=0)
        self._steps = Steps(samples, clips, schedule, seed, rank, size, partitions)
        self.network = self._build(trunk)
        self._start = (
            {n: t.clone() for n, t in self.network.shared.state_dict().items()} if config.trained_share < 1 else {}
        )
        self.optimiser = self._optimiser()
        self._gradients = Gradients(self.network, config, self.device)
        self._diverging = 0
        self.best = -1.0

    def _build(self, trunk: SpatiotemporalResNet | None) -> PrivateSharedNetwork:
        config = self.config
        if trunk is None:
            weights = checkpoints.load(config.start) if config.start else checkpoints.load_untrained()
            trunk, _ = checkpoints.build_network(weights, config.trunk)
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
            ConfigError: if the folder holds a run already and `resume` is off, or one with other settings; or if
                gradients are no longer finite.
            DatasetError: if no sequence can be read.
            OutputError: if a checkpoint cannot be written; the ones before it are whole.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once a checkpoint is written.
        """
        if max_steps is not None and max_steps < 1:
            raise ConfigError(f"there is nothing to train in {max_steps} iterations")
        if not resume and self.folder.steps():
            raise ConfigError(f"{self.folder.path} holds a run already: go on with --resume, or give another --output")
        first = self._resume() if resume else 0
        last = min(self.config.schedule.steps, max_steps or self.config.schedule.steps)
        journal = None
        if self.group.leads:
            self.folder.tidy(first)
            journal = Journal(self.folder.path, first)
            for line in self.data.skipped if first == 0 else ():
                journal.write(0, "skipped", {"what": line})
        self.group.wait()
        weights = self.folder.path / "weights.safetensors"
        if first:  # what a run that was killed between writing a checkpoint and tidying up has left undone
            if self.group.leads and not (
                weights.is_file() and checkpoints.read_metadata(weights).get("step") == str(first)
            ):
                self._export(weights.name, first)
            self._prune()
        try:
            with deterministic(self.device), asked_to_stop() as asked, losses_named():
                self._train(first, last, journal, watch or (lambda _: None), asked)
        finally:
            if journal is not None:
                journal.close()
        return weights

    def _resume(self) -> int:
        """Takes up the newest checkpoint; iterations done."""
        state = self.folder.latest()
        self.group.wait()  # nobody writes while another looks
        if state is None:
            return 0
        self.best = state.best
        restore(self.network, self.optimiser, state)
        self.network.bank.restore(state.pages[self.group.rank])
        return state.step

    def _train(
        self, first: int, last: int, journal: Journal | None, watch: Callable[[Report], None], asked: Callable[[], bool]
    ) -> None:
        config, meter, warned = self.config, Meter(), set[str]()
        if first == 0 and config.validation.every:
            self._validate(0, last, journal, watch)
        batches = load(self._steps, first, last, config.workers)
        for done in range(first, last):
            waited = time.perf_counter()
            loaded = _next(batches, asked)
            waited = time.perf_counter() - waited
            # Signals reach processes at different times; they end together.
            if self.group.any(loaded is None or asked(), self.device) or loaded is None:
                self._summarise(done, last, meter, journal, watch)
                self._save(done)
                raise KeyboardInterrupt
            meter.add(self.learn(loaded), waited, loaded.skipped)
            for line in set(loaded.skipped) - warned:
                log.warning("skipped %s", line)
            warned.update(loaded.skipped)
            done += 1
            saves = done % config.save_every == 0 or done == last
            if saves or done % config.log_every == 0:
                self._summarise(done, last, meter, journal, watch)
            if done == last or (config.validation.every and done % config.validation.every == 0):
                with meter.paused():
                    self._validate(done, last, journal, watch)
            if saves:
                self._save(done)

    def _summarise(
        self, done: int, last: int, meter: Meter, journal: Journal | None, watch: Callable[[Report], None]
    ) -> None:
        if not meter.steps:
            return
        skipped, values = meter.skipped, meter.take()
        of_all = self.group.gather((values, skipped))
        if journal is None:
            return
        values = mean(values for values, _ in of_all)
        skipped = [line for _, lines in of_all for line in lines]
        for line in skipped:
            journal.write(done, "skipped", {"what": line})
        journal.write(done, "train", {**values, "skipped": len(skipped)})
        watch(Report(done, last, values))

    def learn(self, loaded: Loaded) -> dict[str, float]:
        """One iteration.

        Returns:
            What `Gradients.add` gives, "gradient" (norm before clipping) and "samples" of all processes; "not_finite"
            is 1 where the gradients were not finite and nothing moved.

        Raises:
            ConfigError: if that has happened `DIVERGED` times in a row.
        """
        own = count(loaded, self.config.batch.hardest)
        joint = Counts(*self.group.total(torch.tensor(own, dtype=torch.float64, device=self.device)).tolist())
        values = self._gradients.add(loaded, own, joint, motion=not self._leaves_motion_out(loaded.step))
        if loaded.batch is not None:
            values["samples"] = joint.samples
        return values | self._step(loaded)

    def _step(self, loaded: Loaded) -> dict[str, float]:
        config, bank = self.config.optimiser, self.network.bank
        self.group.add_up(self._shared)
        norm = float(nn.utils.clip_grad_norm_(self._shared, config.clip or math.inf))
        finite = math.isfinite(norm)
        self._diverging = 0 if finite else self._diverging + 1
        if self._diverging >= DIVERGED:
            raise ConfigError(
                f"gradients are not finite in iteration {loaded.step} and the {DIVERGED - 1} before it: lower the rates"
            )
        if finite:
            if config.clip:
                bank.clip(config.clip)
            factor = config.factor(loaded.step, self.config.schedule.steps)
            supervised = loaded.turn.supervised
            trunk = factor * (config.trunk_rate if supervised else config.unsupervised_trunk_rate)
            head = factor * (config.head_rate if supervised else config.unsupervised_head_rate)
            for group in self.optimiser.param_groups:
                group["lr"] = trunk * config.shared_factor(loaded.step) if group["trunk"] else head
            self.optimiser.step()
            bank.step(trunk, head)
        self.optimiser.zero_grad(set_to_none=True)
        bank.zero_grad()
        return {"gradient": norm, "not_finite": float(not finite)}

    def _leaves_motion_out(self, step: int) -> bool:
        return bool(np.random.default_rng([self.seed, step]).uniform() < self.config.without_motion)

    def _save(self, done: int) -> None:
        pages = self.group.gather(self.network.bank.checkpoint())
        if self.group.leads:
            self.folder.save(done, self.network, self.optimiser, pages, self.best)
            self._export("weights.safetensors", done)
        self.group.wait()
        self._prune()

    def _prune(self) -> None:
        """Removes older checkpoints, and the pages that only these count on."""
        kept = self.folder.prune() if self.group.leads else None
        kept = self.group.gather(kept)[0]
        self.network.bank.keep(pages_of_one[self.group.rank] for pages_of_one in kept)

    def _validate(self, done: int, last: int, journal: Journal | None, watch: Callable[[Report], None]) -> None:
        """Each process tracks some of the held-out sequences; what comes of it goes into the next checkpoint."""
        if not self.data.held_out:
            return
        own = self.data.held_out[self.group.rank :: self.group.size]
        result = joined(self.group.gather(validate(self._for_tracking(), own, self.config.validation)))
        improves = done > 0 and result.auc > self.best
        if improves:
            self.best = result.auc
        if journal is None:
            return
        if improves:
            self._export("best.safetensors", done, held_out_auc=f"{result.auc:.4f}")
        for line in result.skipped:
            log.warning("held out, and skipped: %s", line)
            journal.write(done, "skipped", {"what": f"held out: {line}"})
        if result.sequences:
            scores = {"auc": result.auc, "precision": result.precision}
            journal.write(done, "validation", {**scores, "sequences": result.sequences})
            watch(Report(done, last, scores, "validation"))

    def _for_tracking(self) -> SpatiotemporalResNet:
        """What is validated and exported; training itself goes on from the network as it is."""
        shared = self.network.shared
        return averaged(shared, self._start, self.config.trained_share) if self._start else shared

    def _export(self, name: str, done: int, **facts: str) -> None:
        facts |= {"variant": self.config.model.variant, "domains": str(len(self.data.domains))}
        self.folder.export(name, self._for_tracking(), done, facts)


def _next(batches: Iterator[Loaded], asked: Callable[[], bool]) -> Loaded | None:
    """The next iteration's data; None where we are to stop and what ended us has ended those who prepare it, too."""
    try:
        return next(batches)
    except RuntimeError:
        if not asked():
            raise
        return None
