"""What an experiment costs before it is begun: hours and disk, by arithmetic on one measured step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.utils.flop_counter import FlopCounterMode

from asmd.experiments.plan import Cell, Experiment, Test, Training
from asmd.experiments.running import Setting, is_done, own_cells, sequences_of
from asmd.models.baselines import BACKBONES
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig
from asmd.samples import drawn_clip
from asmd.tracking.config import TrackerConfig
from asmd.tracking.tracker import Tracker
from asmd.training.config import TrainingConfig

SUSTAINED = 1e14
"""FLOP/s that a GPU is taken to sustain in bf16: a third of the peak of an A100, a tenth of that of an H100."""

TRACKED = 5.18
"""Frames a second of the paper's tracker on one V100 (paper, 4.3), by which crops are tracked on a GPU."""

GPUS = (1, 8, 64)

BACKWARD = 3
"""A step forward and backward costs as much as this many forward."""

_TIMED = 4


@dataclass(frozen=True)
class Work:
    """What is left of an experiment.

    Attributes:
        trainings: of them, each with its seed.
        flops: of the costliest way through all of them.
        gpu_limit: processes that one training can be shared by.
        frames: to track.
        here: seconds on this machine, trainings and tracking.
        tracked_on_gpu: seconds on one GPU.
    """

    trainings: int
    flops: float
    gpu_limit: int
    frames: int
    here: float
    tracked_on_gpu: float


class Costs:
    """Estimates for a machine.

    Args:
        device: of this machine, which is timed once.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._forward: dict[tuple[str, STResNetConfig, int, int], float] = {}
        self._tracking: dict[TrackerConfig, tuple[float, float]] = {}

    @cached_property
    def speed(self) -> float:
        """FLOP/s of this machine: the ST-ResNet forward and backward on a few crops in bf16, the best of three."""
        network = SpatiotemporalResNet().to(self.device)
        rgb, flow = (torch.randn(_TIMED, c, 224, 224, device=self.device) for c in (3, 10))
        seconds = float("inf")
        for _ in range(3):
            begun = time.perf_counter()
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = network(rgb, flow).float().sum()
            loss.backward()
            float(loss.detach())
            seconds = min(seconds, time.perf_counter() - begun)
        forward = self.forward(SpatiotemporalResNet.name, STResNetConfig(), 224, 4)
        return _TIMED * BACKWARD * forward / seconds

    def forward(self, backbone: str, config: STResNetConfig, side: int, last: int) -> float:
        """FLOP of one view through a network up to a stage, counted without computing."""
        key = (backbone, config, side, last)
        if key not in self._forward:
            with torch.device("meta"):
                network = BACKBONES[backbone](config).eval()
                rgb, flow = torch.empty(1, 3, side, side), torch.empty(1, 2 * config.flows, side, side)
                with FlopCounterMode(display=False) as counter, torch.no_grad():
                    network.stages(rgb, flow, (last,))
            self._forward[key] = float(counter.get_total_flops())
        return self._forward[key]

    def training(self, training: Training) -> float:
        """FLOP of a training: every view through the shared network, and through a private one where that is whole."""
        config = training.config
        batch, clips, turns = config.batch, config.clips, config.schedule
        crops = batch.extractor == "crop"
        views = batch.domains * (batch.positives.count + batch.negatives.count if crops else 1)
        side = batch.crop_size if crops else batch.region_size
        view = self.forward(training.backbone, config.trunk, side, max(config.model.stages))
        whole = 2 if config.model.parts.private and config.branches.form == "full" else 1
        share = 1 - config.without_motion / 2  # one of two streams
        supervised = BACKWARD * views * view * whole * share
        if not config.model.parts.arrow:
            return turns.steps * supervised
        clip = BACKWARD * 2 * clips.pairs * 2 * self.forward(training.backbone, config.trunk, clips.size, 4)
        part = turns.supervised / (turns.supervised + turns.unsupervised)
        return turns.steps * (part * supervised + clip)

    def tracking(self, config: TrackerConfig) -> tuple[float, float]:
        """Seconds of a first frame and of any other on this machine: timed by region, counted by crop."""
        if config not in self._tracking:
            self._tracking[config] = (
                self._by_crop(config) if config.features.extractor == "crop" else self._timed(config)
            )
        return self._tracking[config]

    def _by_crop(self, config: TrackerConfig) -> tuple[float, float]:
        sampling = config.sampling
        crop = self.forward(SpatiotemporalResNet.name, config.network, config.features.crop_size, 4) / self.speed
        first = sampling.initial_positives.count + sampling.initial_near.count + sampling.initial_whole
        other = config.search.candidates + sampling.update_positives.count + sampling.update_negatives.count
        return first * crop, other * crop

    def _timed(self, config: TrackerConfig) -> tuple[float, float]:
        tracker, (frames, boxes) = Tracker.from_pretrained(preset=config, device=str(self.device)), drawn_clip(12)
        marks = [time.perf_counter()]
        for index, frame in enumerate(frames):
            tracker.init(frame, boxes[0]) if index == 0 else tracker.update(frame)
            marks.append(time.perf_counter())
        return marks[1] - marks[0], (marks[-1] - marks[1]) / (len(frames) - 1)

    def work(self, experiment: Experiment, setting: Setting) -> Work:
        """What is left to be done in this output folder."""
        left = [c for c in own_cells(experiment, setting.share) if not is_done(experiment, c, setting.output)]
        trainings = {(c.part.training.name, c.seed): c.part.training for c in left if c.part.training}
        flops = sum(self.training(one) for one in trainings.values())
        frames, seconds = 0, 0.0
        for cell in left:
            count, sequences = _frames(cell.part.test, setting)
            first, other = self.tracking(cell.row.tracker)
            frames += experiment.runs * count
            seconds += experiment.runs * (sequences * first + count * other)
        limit = min((t.config.batch.domains for t in trainings.values()), default=1)
        return Work(len(trainings), flops, limit, frames, flops / self.speed + seconds, frames / TRACKED)

    def of(self, experiment: Experiment, setting: Setting) -> str:
        """The estimate in words."""
        left = own_cells(experiment, setting.share)
        work = self.work(experiment, setting)
        lines = [f"{experiment.name}: {experiment.title}", f"  {experiment.about}", f"  rows: {_rows(experiment)}"]
        for source in experiment.sources:
            place = setting.data / source.folder
            there = "there" if place.is_dir() else "missing"
            lines.append(f"  data: {source.dataset} in {place}, {there}")
        lines.append(
            f"  left: {work.trainings} trainings, {work.flops:.2g} FLOP; {work.frames:,} frames to track "
            f"({experiment.seeds} seeds, {experiment.runs} runs)"
        )
        lines.append(f"  on this machine ({self.device}): {_hours(work.here)}")
        counts = ", ".join(f"{n} GPU{'s' * (n > 1)} {_hours(self._on(work, n))}" for n in GPUS)
        lines.append(f"  estimate: {counts}")
        lines.append(f"  disk: {_disk(left, work)}")
        return "\n".join(lines)

    def _on(self, work: Work, count: int) -> float:
        shared = min(count, max(1, work.trainings) * work.gpu_limit)
        return work.flops / SUSTAINED / shared + work.tracked_on_gpu / count

    def arithmetic(self) -> str:
        """How the numbers were come by."""
        return (
            f"This machine was timed at {self.speed:.2g} FLOP/s ({_TIMED} crops forward and backward). A GPU is taken "
            f"to sustain {SUSTAINED:.0e} FLOP/s and to track {TRACKED} frames a second, as the paper's does. A step "
            f"costs {BACKWARD} times its views forward; adapters, discriminator, heads and decoding are not counted, "
            "and workers have to keep up with the last. One training is shared by as many GPUs as a batch has domains; "
            "beyond that trainings run side by side (--share), as sequences do."
        )


def _rows(experiment: Experiment) -> str:
    return ", ".join(row.name + (f" ({len(row.parts)} folds)" if len(row.parts) > 1 else "") for row in experiment.rows)


def _frames(test: Test, setting: Setting) -> tuple[int, int]:
    """Frames and sequences of a test; as published where nothing is there to count."""
    if test.known_frames and not test.frames:
        return test.known_frames, 0
    sequences = sequences_of(test, setting.data)
    return sum(map(len, sequences)), len(sequences)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"


def _disk(cells: list[Cell], work: Work) -> str:
    configs: dict[str, TrainingConfig] = {
        c.part.training.name: c.part.training.config for c in cells if c.part.training
    }
    footage = max((config.footage.budget_gb for config in configs.values()), default=0.0)
    # 22.4 M parameters: half precision of the weights, single precision with momentum of a checkpoint.
    weights, checkpoints = 0.045 * work.trainings, 0.18 * max((c.kept for c in configs.values()), default=0)
    results = work.frames * 60e-9
    return (
        f"{weights:.1f} GB of weights, {results:.2f} GB of results, up to {footage:.0f} GB of decoded videos, "
        f"{checkpoints:.1f} GB of checkpoints and the pages of private branches while a training runs"
    )
