"""Peak memory of training as the number of domains K grows, with P private branches resident.

    python benchmarks/training_memory.py --json memory.json --plot memory.png

Each K in a process of its own: the whole network, its optimiser and a bank of K "small" branches of which P are in
memory, trained by `Trainer.learn` on batches of the size of the recipe `local`, drawn at random instead of read from
videos. Every batch brings eight domains that were not there before, as long as there are any, so that branches have to
make room and, where K allows no more new ones, come back from disk. How many domains were visited is printed: pages of
all of 10,000 would fill a disk, and show nothing more.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.models.private_branches import BranchConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame, Sequence
from asmd.training.config import TrainingConfig, local
from asmd.training.domains import TrainingData
from asmd.training.loading import Loaded
from asmd.training.samples import Batch
from asmd.training.schedule import Turn
from asmd.training.trainer import Trainer


@dataclass(frozen=True)
class Options:
    """Measure peak memory over K."""

    domains: tuple[int, ...] = (10, 100, 1000, 10_000)
    """K, one after the other."""
    resident: int = 32
    """P, branches in memory."""
    iterations: int = 14
    """Of each K."""
    threads: int = 2
    """To compute with."""
    scratch: Path | None = None
    """Folder for pages while it runs; the system's where not given."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there as well."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Draw them."""
    alone: bool = False
    """Measure in this process; for its own use."""


@dataclass(frozen=True)
class Measurement:
    """One K: megabytes at most, before the first iteration and in all; branches paged."""

    domains: int
    resident: int
    visited: int
    before: float
    peak: float
    written: int
    read: int
    pages: float


class Blank:
    """Frames of a sequence that nobody looks at."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Frame]:
        yield self[0]

    def __getitem__(self, index: int) -> Frame:
        return np.zeros((64, 64, 3), np.uint8)


def settings(resident: int) -> TrainingConfig:
    """The recipe with "small" branches, on labelled samples; heads practise one step, which needs what four need."""
    config = local()
    return replace(
        config,
        model=replace(config.model, variant="APS"),
        branches=BranchConfig("small"),
        bank=replace(config.bank, resident=resident),
        optimiser=replace(config.optimiser, practice=1, heads_first=0),
        without_motion=0.0,
    )


def batch(config: TrainingConfig, domains: list[int], rng: np.random.Generator) -> Batch:
    """Noise of the shape that the recipe's batches have."""
    side, each = config.batch.region_size, (config.batch.positives.count, config.batch.negatives.count)
    views, samples = len(domains), sum(each)
    low = rng.uniform(0, side / 2, (views * samples, 2))
    corners = np.concatenate([low, low + rng.uniform(16, side / 2, low.shape)], 1).astype(np.float32)
    return Batch(
        torch.from_numpy(rng.integers(0, 256, (views, side, side, 3), np.uint8)),
        torch.from_numpy(rng.normal(0, 0.3, (views, side, side, 2 * config.trunk.flows)).astype(np.float16)),
        torch.tensor(domains),
        torch.from_numpy(corners),
        torch.arange(views).repeat_interleave(samples),
        torch.tensor([1, 0]).repeat_interleave(torch.tensor(each)).repeat(views),
        (),
    )


def peak() -> float:
    """Most megabytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(options: Options) -> Measurement:
    """Trains in this process."""
    (count,) = options.domains
    limit_threads(options.threads)
    config = settings(options.resident)
    box = np.array([[10.0, 10.0, 30.0, 30.0]])
    data = TrainingData(tuple(Sequence(f"domain-{i}", Blank(), box) for i in range(count)), (), (), ())
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        torch.manual_seed(0)
        trainer = Trainer(config, data, Path(folder), 0, trunk=SpatiotemporalResNet(config.trunk))
        before, visited = peak(), set[int]()
        order = rng.permutation(count)
        for step in range(options.iterations):
            places = np.arange(step * config.batch.domains, (step + 1) * config.batch.domains) % count
            domains = [int(k) for k in order[places]]
            visited.update(domains)
            trainer.learn(Loaded(step, Turn(True, step), batch(config, domains, rng), None))
        residency = trainer.network.bank.residency
        pages = sum(path.stat().st_size for path in Path(folder).rglob("domain-*.safetensors")) / 2**20
    return Measurement(
        count, residency.resident, len(visited), before, peak(), residency.writes, residency.reads, pages
    )


def plot(found: list[Measurement], path: Path) -> None:
    """Peak over K."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5, 3), layout="constrained")
    counts = [m.domains for m in found]
    axis.plot(counts, [m.peak / 1024 for m in found], "o-", label="training")
    axis.plot(counts, [m.before / 1024 for m in found], "o--", label="before the first iteration")
    axis.axhline(6, color="grey", linestyle=":", linewidth=1)
    axis.axvline(max(m.resident for m in found), color="grey", linestyle=":", linewidth=1)
    axis.set_xscale("log")
    axis.set_ylim(0, 6.5)
    axis.set_xlabel("domains K (dotted: resident branches P)")
    axis.set_ylabel("peak memory, GiB (dotted: 6)")
    axis.legend()
    figure.savefig(path, dpi=80)


def main(options: Options) -> None:
    """Measures each K in a process of its own, prints, writes and draws."""
    if options.alone:
        print(json.dumps(asdict(measure(options))))
        return
    found = []
    for count in options.domains:
        command = [
            sys.executable, __file__, "--alone", "--domains", str(count), "--resident", str(options.resident),
            "--iterations", str(options.iterations), "--threads", str(options.threads),
            *(["--scratch", str(options.scratch)] if options.scratch else []),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(one := Measurement(**json.loads(done.stdout.splitlines()[-1])))
        print(
            f"K {one.domains:6}: peak {one.peak:5.0f} MB ({one.before:.0f} before the first iteration), {one.resident} "
            f"branches resident, {one.visited} domains visited, {one.written} pages written and {one.read} read "
            f"({one.pages:.0f} MB)",
            flush=True,
        )
    if options.json:
        record = {
            "machine": provenance.machine(),
            "code": provenance.code_version(),
            "figures": [asdict(one) for one in found],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main(tyro.cli(Options))
