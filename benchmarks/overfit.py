"""Whether every variant can learn three videos by heart, and what becomes of shared and private features meanwhile.

    python benchmarks/overfit.py --data DIR --footage CACHE --json overfit.json --plot overfit.png

Trains each variant on three sequences by the recipe `local`, without augmentation. On the way, on batches that are the
same for all variants and take no part in training, it measures

- the classification loss, of the samples that are learnt from;
- the discriminator's accuracy in training, where the variant has one, next to chance;
- a probe: logistic regression that is fitted anew on the frozen shared features of some frames and asked about others;
  what a discriminator could know, whether the variant has one or not;
- the correlation (linear CKA) of shared and private features;
- the accuracy of the arrow of time in training.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.evaluation.tables import Column, Table
from asmd.losses import shared_private_correlation
from asmd.models.private_shared import VARIANTS, PrivateSharedNetwork, VariantName, Views
from asmd.training.clips import network_tensors
from asmd.training.config import TrainingConfig, local
from asmd.training.domains import TrainingData, gather
from asmd.training.footage import Footage
from asmd.training.samples import AugmentationConfig, Batch, SampleDrawer
from asmd.training.trainer import Report, Trainer

ENOUGH = 0.05
"""Classification loss, in nats, that counts as learnt by heart."""

AVERAGED = 10
"""Iterations over which it is averaged."""


@dataclass(frozen=True)
class Options:
    """Train every variant on three sequences."""

    data: Path
    """The data folder of the recipe `local`."""
    footage: str = ""
    """Cache of decoded footage to use; where not given, one that is thrown away."""
    sequences: tuple[str, ...] = ("car", "ball", "sphere")
    """What is learnt."""
    variants: tuple[VariantName, ...] = tuple(VARIANTS)
    """In turn."""
    steps: int = 200
    """Iterations of each."""
    measured: int = 25
    """Iterations between two looks at the features."""
    batches: int = 8
    """That are looked at: half of them fit the probe, half test it."""
    threads: int = 2
    """To compute with."""
    seed: int = 0
    """Of everything."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there; with what is there already, so that variants can be run one by one."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Draw the curves of all that is in the JSON file or was run."""


@dataclass
class Curves:
    """What was seen of a variant: lists of (iteration, value), and how long it took."""

    loss: list[tuple[int, float]] = field(default_factory=list)
    discriminator: list[tuple[int, float]] = field(default_factory=list)
    arrow: list[tuple[int, float]] = field(default_factory=list)
    probe: list[tuple[int, float]] = field(default_factory=list)
    correlation: list[tuple[int, float]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    enough_at: int | None = None

    def last(self, name: str) -> float:
        """Mean of the end of a curve; NaN where there is none."""
        values = [value for _, value in getattr(self, name)][-(1 if name in ("probe", "correlation") else AVERAGED) :]
        return float(np.mean(values)) if values else float("nan")


def settings(options: Options, variant: VariantName, footage: str) -> TrainingConfig:
    """The recipe with fewer samples, all learnt from, without augmentation, at full reversal from the start."""
    config = local()
    still = AugmentationConfig(flip=0, grey=0, blur=0, brightness=0, still=0, shift=0, scale=0)
    return replace(
        config,
        model=replace(config.model, variant=variant),
        batch=replace(
            config.batch,
            domains=len(options.sequences),
            positives=replace(config.batch.positives, count=16),
            negatives=replace(config.batch.negatives, count=48),
            hardest=0,
            augmentation=still,
        ),
        footage=replace(config.footage, folder=footage),
        schedule=replace(config.schedule, steps=options.steps),
        optimiser=replace(
            config.optimiser, trunk_rate=2e-4, head_rate=2e-3, warm_up=10, heads_first=0, practice=0, decay="cosine"
        ),
        validation=replace(config.validation, every=0),
        reversal="full",
        without_motion=0.0,
        save_every=10**6,
        log_every=1,
    )


class Observer:
    """Looks at a network's features on batches of its own.

    Args:
        config: of the training.
        data: of the training.
        count: of batches.
        seed: other than the training's.
    """

    def __init__(self, config: TrainingConfig, data: TrainingData, count: int, seed: int) -> None:
        footage = Footage(Path(config.footage.folder), config.footage, config.flow)
        drawer = SampleDrawer(footage, data.domains, config.batch, seed)
        self._batches = [drawer.draw(step, range(config.batch.domains)) for step in range(count)]
        self._rng = np.random.default_rng(seed)
        self._rows = [self._some(batch) for batch in self._batches]

    def _some(self, batch: Batch) -> torch.Tensor:
        """Of each view's samples as many positives as negatives."""
        assert batch.view is not None
        rows = []
        for view in range(len(batch.rgb)):
            for label in (0, 1):
                own = torch.nonzero((batch.view == view) & (batch.labels == label)).squeeze(1).numpy()
                rows.append(self._rng.permutation(own)[:16])
        return torch.from_numpy(np.sort(np.concatenate(rows)))

    @torch.no_grad()
    def look(self, network: PrivateSharedNetwork) -> tuple[float, float | None]:
        """Accuracy of a fresh probe for the domain, and correlation of shared and private features."""
        shared, private, domains = [], [], []
        for batch, rows in zip(self._batches, self._rows, strict=True):
            rgb, flow = network_tensors(batch.rgb, batch.flow)
            views = Views(rgb, flow, batch.view_domains, batch.corners, batch.view).chosen(rows)
            with torch.autocast("cpu", torch.bfloat16):
                described = network(views)
            shared.append(described.shared.float())
            domains.append(described.domains)
            if described.private is not None:
                private.append(described.private.float())
        half = len(shared) // 2
        train, test = torch.cat(shared[:half]).numpy(), torch.cat(shared[half:]).numpy()
        mean, scale = train.mean(0), train.std() + 1e-6
        probe = LogisticRegression(C=0.1, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit((train - mean) / scale, torch.cat(domains[:half]).numpy())
        accuracy = probe.score((test - mean) / scale, torch.cat(domains[half:]).numpy())
        pairs = zip(shared, private, strict=False)
        correlations = [float(shared_private_correlation(s, p)) for s, p in pairs]
        return float(accuracy), float(np.mean(correlations)) if correlations else None


def run(options: Options, variant: VariantName, data: TrainingData, footage: str) -> Curves:
    """Trains one variant and watches it."""
    config = settings(options, variant, footage)
    observer = Observer(config, data, options.batches, options.seed + 1)
    curves = Curves()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, data, Path(folder), options.seed)
        started = time.perf_counter()
        looking = 0.0

        def measure(step: int) -> None:
            nonlocal looking
            before = time.perf_counter()
            accuracy, correlation = observer.look(trainer.network)
            curves.probe.append((step, accuracy))
            if correlation is not None:
                curves.correlation.append((step, correlation))
            looking += time.perf_counter() - before

        def watch(report: Report) -> None:
            if report.kind != "train":
                return
            values, step = report.values, report.step
            for name, key in (("loss", "domain"), ("discriminator", "domain_accuracy"), ("arrow", "arrow_accuracy")):
                if key in values:
                    getattr(curves, name).append((step, values[key]))
            recent = [value for _, value in curves.loss[-AVERAGED:]]
            if curves.enough_at is None and len(recent) == AVERAGED and np.mean(recent) < ENOUGH:
                curves.enough_at = step
                curves.seconds = time.perf_counter() - started - looking
            if step % options.measured == 0:
                measure(step)

        measure(0)
        started, looking = time.perf_counter(), 0.0
        trainer.run(watch=watch)
        curves.steps = config.schedule.steps
        curves.seconds = curves.seconds or time.perf_counter() - started - looking
    return curves


def table(found: dict[str, Curves], chance: float) -> Table:
    """All variants at the end."""
    names = ("loss", "below 0.05 at", "seconds", "discriminator", "probe", "correlation", "arrow")
    columns = (Column("variant"), *(Column(name, 0 if name == "seconds" else 3) for name in names))
    rows = tuple(
        (
            variant,
            curves.last("loss"),
            curves.enough_at,
            curves.seconds,
            *(curves.last(name) for name in ("discriminator", "probe", "correlation", "arrow")),
        )
        for variant, curves in found.items()
    )
    note = (
        f"Loss, discriminator and arrow: means of the last {AVERAGED} iterations that have them. Seconds: to the loss "
        f"below {ENOUGH}, or of all. Chance: {chance:.3f} of the discriminator and the probe, 0.5 of the arrow."
    )
    return Table("Three sequences by heart", columns, rows, note)


def plot(found: dict[str, Curves], chance: float, path: Path) -> None:
    """Five panels of curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("loss", "classification loss", None),
        ("discriminator", "discriminator in training, accuracy", chance),
        ("probe", "fresh probe, accuracy", chance),
        ("correlation", "shared-private correlation", None),
        ("arrow", "arrow of time, accuracy", 0.5),
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(17, 3.4), layout="constrained")
    colours = {variant: f"C{number}" for number, variant in enumerate(VARIANTS)}
    for axis, (name, title, guess) in zip(axes, panels, strict=True):
        for variant, curves in found.items():
            points = getattr(curves, name)
            if not points:
                continue
            steps, values = np.array(points).T
            width = 1 if name in ("probe", "correlation") else min(AVERAGED, len(values))
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            axis.plot(steps[width - 1 :], smooth, label=variant, color=colours[variant], linewidth=1.2)  # type: ignore[index]
        if guess is not None:
            axis.axhline(guess, color="grey", linestyle=":", linewidth=1)
        if name == "loss":
            axis.set_yscale("log")
            axis.axhline(ENOUGH, color="grey", linestyle=":", linewidth=1)
            axis.legend(fontsize=7)
        else:
            axis.set_ylim(0, 1.02)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("iteration", fontsize=8)
        axis.tick_params(labelsize=7)
    figure.savefig(path, dpi=75)


def read(path: Path | None) -> dict[str, Curves]:
    """Curves of earlier runs."""
    if path is None or not path.is_file():
        return {}
    kept: dict[str, Any] = json.loads(path.read_text())["variants"]
    return {variant: Curves(**curves) for variant, curves in kept.items()}


def main(options: Options) -> None:
    """Trains, prints, writes and draws."""
    limit_threads(options.threads)
    found = read(options.json)
    everything = gather(local().videos, options.data)
    own = {s.name: s for s in everything.domains if s.name in options.sequences}
    chosen = tuple(own[name] for name in options.sequences)
    data = TrainingData(chosen, chosen, (), ())
    with tempfile.TemporaryDirectory() as scratch:
        for variant in options.variants:
            found[variant] = curves = run(options, variant, data, options.footage or scratch)
            print(f"{variant}: loss {curves.last('loss'):.3f} after {curves.steps} iterations", flush=True)
            if options.json:
                record = {
                    "machine": provenance.machine(),
                    "code": provenance.code_version(),
                    "sequences": options.sequences,
                    "variants": {name: vars(one) for name, one in found.items()},
                }
                options.json.write_text(json.dumps(record) + "\n")
    found = {variant: found[variant] for variant in VARIANTS if variant in found}
    chance = 1 / len(options.sequences)
    print(table(found, chance))
    if options.plot:
        plot(found, chance, options.plot)


if __name__ == "__main__":
    main(tyro.cli(Options))
