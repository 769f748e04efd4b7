"""Seconds that a supervised iteration takes, by region and by crop sampling, and the share of them spent waiting.

    python benchmarks/training_throughput.py --data DIR --footage CACHE

Both streams, in the precision of the recipe. A region batch is the recipe's, 8 frames of 32 positives and the 96
hardest of 200 negatives; a crop batch is one frame of 32 and 96 crops, since eight of them would be 1,024 crops, which
go through the network frame by frame anyway. Rounds of both ways take turns, so that a machine whose speed drifts is
fair to both; each round is a training of its own by `Trainer.run`, from decoding to the step, whose first block of
iterations is not counted. The footage that the rounds need is decoded in a first round that is not counted at all. For
machines with other work to do the fastest block and the processor time of the training process are shown as well.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.models.private_shared import VariantName
from asmd.training.config import TrainingConfig, local
from asmd.training.domains import TrainingData, gather
from asmd.training.trainer import Report, Trainer

Way = Literal["region", "crop"]


@dataclass(frozen=True)
class Options:
    """Measure training iterations."""

    data: Path
    """The data folder of the recipe `local`."""
    footage: str = ""
    """Cache of decoded footage to use; where not given, one that is thrown away."""
    variant: VariantName = "APS"
    """With ASPS each iteration learns the arrow of time from clips as well."""
    threads: tuple[int, ...] = (1, 2)
    """To compute with, one after the other."""
    rounds: int = 3
    """Of each way."""
    blocks: int = 2
    """Counted in a round of either way, after one that is not."""
    block: int = 10
    """Iterations of region sampling that are timed together, as many as the recipe sums up in one line."""
    crop_block: int = 1
    """The same of crop sampling."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there as well."""


@dataclass(frozen=True)
class Figures:
    """What was measured of one way; times in seconds an iteration."""

    way: Way
    threads: int
    samples: float
    blocks: int
    fastest: float
    median: float
    p10: float
    p90: float
    processor: float
    waiting: float

    @property
    def rate(self) -> float:
        """Samples a second, by the median."""
        return self.samples / self.median


def settings(way: Way, options: Options, footage: str) -> TrainingConfig:
    """The recipe with nothing but supervised iterations in which both streams take part."""
    config = local()
    batch = config.batch
    if way == "crop":
        negatives = replace(batch.negatives, count=batch.hardest)
        batch = replace(batch, extractor="crop", domains=1, negatives=negatives, hardest=0, context=107 / 75)
    return replace(
        config,
        model=replace(config.model, variant=options.variant),
        batch=batch,
        footage=replace(config.footage, folder=footage),
        schedule=replace(config.schedule, supervised=config.schedule.steps, unsupervised=0),
        validation=replace(config.validation, every=0),
        without_motion=0.0,
        save_every=10**6,
        log_every=options.crop_block if way == "crop" else options.block,
    )


def blocks(config: TrainingConfig, data: TrainingData, count: int) -> list[dict[str, float]]:
    """What so many blocks of iterations tell of themselves, after one that is not counted."""
    found: list[dict[str, float]] = []
    before = 0.0

    def take(report: Report) -> None:
        nonlocal before
        if report.kind == "train":
            now = time.process_time()
            found.append({**report.values, "processor": (now - before) / config.log_every})
            before = now

    with tempfile.TemporaryDirectory() as folder:
        Trainer(config, data, Path(folder), 0).run(max_steps=(count + 1) * config.log_every, watch=take)
    return found[1:]


def summary(way: Way, threads: int, found: list[dict[str, float]]) -> Figures:
    """Figures of all rounds."""
    seconds = sorted(1 / values["iterations_per_second"] for values in found)
    waited = sum(values["waiting"] / values["iterations_per_second"] for values in found)
    return Figures(
        way,
        threads,
        statistics.fmean(values["samples"] for values in found),
        len(found),
        seconds[0],
        statistics.median(seconds),
        seconds[int(0.1 * (len(seconds) - 1))],
        seconds[round(0.9 * (len(seconds) - 1))],
        statistics.median(values["processor"] for values in found),
        waited / sum(seconds),
    )


def main(options: Options) -> None:
    """Measures, prints and writes."""
    ways: tuple[Way, ...] = ("region", "crop")
    results: list[Figures] = []
    load: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        footage = options.footage or scratch
        data = replace(gather(local().videos, options.data), held_out=())
        for threads in options.threads:
            limit_threads(threads)
            found: dict[Way, list[dict[str, float]]] = {way: [] for way in ways}
            if threads == options.threads[0]:
                for way in ways:
                    blocks(settings(way, options, footage), data, options.blocks)
            for _ in range(options.rounds):
                for way in ways:
                    load.append(os.getloadavg()[0])
                    found[way] += blocks(settings(way, options, footage), data, options.blocks)
            for way in ways:
                figures = summary(way, threads, found[way])
                results.append(figures)
                print(
                    f"{threads} thread{'s' * (threads > 1)}, {way:6}: {figures.samples:.0f} samples in "
                    f"{figures.median:.2f} s (80 % within {figures.p10:.2f} to {figures.p90:.2f}, fastest "
                    f"{figures.fastest:.2f}, processor {figures.processor:.2f}; {figures.blocks} blocks), "
                    f"{figures.rate:.0f} samples/s, {figures.waiting:.1%} waiting",
                    flush=True,
                )
            region, crop = results[-2:]
            by = {"median": region.rate / crop.rate}
            for name in ("fastest", "processor"):
                by[name] = region.samples / getattr(region, name) * getattr(crop, name) / crop.samples
            times = ", ".join(f"{value:.1f} by the {name}" for name, value in by.items())
            print(f"{threads} thread{'s' * (threads > 1)}: region gives so many times the samples of crop: {times}")
    print(f"load before the rounds: {min(load):.1f} to {max(load):.1f}")
    if options.json:
        record = {
            "machine": provenance.machine(),
            "code": provenance.code_version(),
            "load": load,
            "options": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items() if k != "json"},
            "figures": [{**asdict(figures), "samples_per_second": figures.rate} for figures in results],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
