"""What a change of settings does to tracking, on the sequences that `local` holds out.

    python benchmarks/settings.py --data DIR --changes "" "classifier.members=1 classifier.hidden=128"

Each of `--changes` is a tracker: settings by their dotted names and values as in Python, separated by spaces, on top of
the preset; an empty one is the preset itself. Sequences are tracked once a seed from their first frames, by OTB's
rules. Shown are the mean AUC over sequences, how it varies from seed to seed (standard deviation), and how much a
sequence's own AUC does; a choice rests on the latter two. The test set has no part in it.
"""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from asmd.errors import ConfigError
from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.evaluation.one_pass import derive_seed, one_pass
from asmd.evaluation.protocols import protocol
from asmd.evaluation.scoring import each, score_sequence
from asmd.evaluation.tables import Column, Table
from asmd.sequence import Frame, FrameSource, Sequence
from asmd.tracking.config import TrackerConfig
from asmd.tracking.tracker import Tracker
from asmd.training.config import local
from asmd.training.domains import gather
from asmd.training.validation import beginning


@dataclass(frozen=True)
class Options:
    """Compare settings on held-out sequences."""

    data: Path
    """The data folder of the recipe `local`."""
    changes: tuple[str, ...] = ("",)
    """Settings of each tracker, such as "classifier.members=1 search.best=1"."""
    weights: tuple[str, ...] = ("",)
    """Weights to track with, each with each of the changes; "" for the packaged ones."""
    preset: str = "realtime"
    """What the changes are made to."""
    frames: int = 120
    """Of each sequence, from its first."""
    every: int = 1
    """Only every so manieth frame, as if everything moved that much faster."""
    seeds: int = 3
    """Runs of each sequence."""
    sequences: str | None = None
    """Only these, separated by commas."""
    threads: int = 1
    """To compute with."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there, each sequence's too; with what is there already."""


def changed(config: Any, name: str, value: str) -> Any:
    """Settings of which one is another, by its dotted name.

    Raises:
        ConfigError: if there is no such setting, or the value is no value.
    """
    first, _, rest = name.partition(".")
    if not is_dataclass(config) or not hasattr(config, first):
        raise ConfigError(f"there is no setting {name!r} in {type(config).__name__}")
    old = getattr(config, first)
    if rest:
        return replace(config, **{first: changed(old, rest, value)})  # type: ignore[type-var]
    try:
        new = value.strip("'\"") if isinstance(old, str) else ast.literal_eval(value)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"{value!r} is no value for {name}") from error
    return replace(config, **{first: new})  # type: ignore[type-var]


@dataclass(frozen=True)
class Thinned:
    """Every so manieth frame of a source."""

    source: FrameSource
    every: int

    def __len__(self) -> int:
        return -(-len(self.source) // self.every)

    def __getitem__(self, index: int) -> Frame:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.source[index * self.every]

    def __iter__(self) -> Iterator[Frame]:
        return itertools.islice(self.source, 0, None, self.every)


def thinned(sequence: Sequence, every: int) -> Sequence:
    """A sequence with every so manieth of its frames."""
    assert sequence.absent is not None and isinstance(sequence.frames, FrameSource)
    frames = Thinned(sequence.frames, every)
    return replace(
        sequence, frames=frames, boxes=sequence.boxes[::every], absent=sequence.absent[::every], polygons=None
    )


def tracked(tracker: Tracker, sequences: list[Sequence], options: Options) -> dict[str, dict[str, list[float]]]:
    """Measures of each sequence, one of each seed."""
    rules, found = protocol("otb"), {}
    for sequence in sequences:
        cut, runs = beginning(thinned(sequence, options.every), options.frames), []
        for repeat in range(options.seeds):
            tracker.reseed(derive_seed(0, sequence.name, repeat + 1))
            runs.append(one_pass(tracker, cut).boxes)
        scores = each(score_sequence(rules, cut, runs)).measures(rules)
        found[sequence.name] = {name: scores[name].tolist() for name in ("auc", "precision", "sr50", "sr75")}
    return found


def row(name: str, found: dict[str, dict[str, list[float]]]) -> tuple[str | float | None, ...]:
    """Means over sequences and seeds, and deviations over seeds."""
    values = {m: np.array([of[m] for of in found.values()]) for m in ("auc", "precision", "sr50", "sr75")}
    auc = values["auc"]
    several = auc.shape[1] > 1
    spread = float(auc.mean(0).std(ddof=1)) if several else None
    own = float(np.sqrt(auc.var(axis=1, ddof=1).mean())) if several else None
    return name, float(auc.mean()), spread, own, *(float(values[m].mean()) for m in ("precision", "sr50", "sr75"))


def main(options: Options) -> None:
    """Tracks with each of the settings and prints a row for each."""
    if options.every < 1:
        raise ConfigError(f"every {options.every}th frame is none: give --every at least 1")
    limit_threads(options.threads)
    held_out = gather(local().videos, options.data).held_out
    wanted = options.sequences.split(",") if options.sequences else [s.name for s in held_out]
    sequences = [s for s in held_out if s.name in wanted]
    if not sequences:
        raise ConfigError(f"none of {', '.join(wanted)} is held out")
    there = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    rows = []
    for weights in options.weights:
        for change in options.changes:
            config = TrackerConfig.preset(options.preset)
            for part in change.split():
                name, _, value = part.partition("=")
                config = changed(config, name, value)
            found = tracked(Tracker.from_pretrained(weights or None, preset=config), sequences, options)
            label = " ".join([options.preset, change, weights]).strip()
            if options.every > 1:
                label += f", every {options.every}"
            rows.append(row(label, found))
            print(*rows[-1], flush=True)
            if options.json:
                facts = {"machine": provenance.machine(), "code": provenance.code_version(), "frames": options.frames}
                there[label] = {**facts, "sequences": found}
                options.json.write_text(json.dumps(there, indent=1) + "\n")
    columns = ("settings", "AUC", "over seeds", "in a sequence", "P@20", "SR.50", "SR.75")
    title = f"{len(sequences)} held-out sequences, {options.frames} frames, {options.seeds} seeds"
    print(Table(title, tuple(Column(name) for name in columns), tuple(rows)))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
