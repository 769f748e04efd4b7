"""Which videos are learnt from: the domains, what is held out, and clips without boxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asmd.datasets import Dataset, load
from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.sequence import Sequence

MIN_SIDE = 8.0
"""A box with a shorter side, in pixels, teaches nothing."""


@dataclass(frozen=True)
class DataSource:
    """A data set below the folder that training is given.

    Attributes:
        dataset: name for `asmd.datasets.load`, with a subset after a colon where it has some.
        folder: where it lies, below the data folder; "." for that itself.
        labelled: its boxes are learnt from; else only its clips are.
    """

    dataset: str
    folder: str = "."
    labelled: bool = True


@dataclass(frozen=True)
class DataConfig:
    """All data of a recipe.

    Attributes:
        sources: data sets.
        held_out: names of sequences that are kept for validation; tracks and clips of the same video go with them.
        excluded: names of sequences that take no part at all.
    """

    sources: tuple[DataSource, ...] = (DataSource("folder"),)
    held_out: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingData:
    """What there is to learn from.

    Attributes:
        domains: K annotated sequences, each a domain of its own, with at least one frame that can be learnt from.
        clips: sequences for the arrow of time: these and those without boxes.
        held_out: for validation.
        skipped: a line for each sequence that was left out because of its files or its boxes.
    """

    domains: tuple[Sequence, ...]
    clips: tuple[Sequence, ...]
    held_out: tuple[Sequence, ...]
    skipped: tuple[str, ...]


def usable_frames(sequence: Sequence) -> NDArray[np.intp]:
    """Numbers of the frames whose target is there, has a valid box, and is large enough to learn from."""
    with np.errstate(invalid="ignore"):
        good = sequence.valid & (np.nan_to_num(sequence.boxes[:, 2:]).min(axis=1, initial=np.inf) >= MIN_SIDE)
    absent = sequence.absent
    assert absent is not None
    return np.flatnonzero(good & ~absent)


def footage_of(sequence: Sequence) -> str:
    """What names the video that a sequence is a part of: tracks and stretches of one video share it."""
    return sequence.meta.get("video") or sequence.meta.get("folder") or sequence.name


def gather(config: DataConfig, root: Path) -> TrainingData:
    """Finds all data of a recipe.

    Args:
        config: the recipe's.
        root: the data folder.

    Raises:
        DatasetError: if a folder or a sequence that is held out or excluded is missing, or none can be learnt from.
        ConfigError: if there is no such data set.
    """
    if not any(source.labelled for source in config.sources):
        raise ConfigError("training needs a data set with boxes")
    domains: list[Sequence] = []
    clips: list[Sequence] = []
    skipped: list[str] = []
    for source in config.sources:
        found, bad = _read(_dataset(source, root))
        skipped += bad
        clips += found
        domains += found if source.labelled else []
    known = {sequence.name for sequence in domains}
    for kind, names in (("held-out", config.held_out), ("excluded", config.excluded)):
        for name in names:
            if name not in known and (kind == "held-out" or all(name != clip.name for clip in clips)):
                raise DatasetError(f"the {kind} sequence {name!r} is not in {root}{_because(skipped)}")
    videos = {footage_of(s) for s in domains if s.name in config.held_out}
    out = {s.name for s in domains if footage_of(s) in videos}.union(config.excluded)
    kept, bad = _with_boxes(s for s in domains if s.name not in out)
    if not kept:
        raise DatasetError(f"{root}: no sequence with a box that can be learnt from" + _because([*skipped, *bad]))
    return TrainingData(
        domains=tuple(kept),
        clips=tuple(s for s in clips if s.name not in out),
        held_out=tuple(next(s for s in domains if s.name == name) for name in config.held_out),
        skipped=(*skipped, *bad),
    )


def subset(data: TrainingData, names: Iterable[str]) -> TrainingData:
    """The same with other sequences held out of the domains, as for cross-validation."""
    out = set(names)
    videos = {footage_of(s) for s in data.domains if s.name in out}
    kept = tuple(s for s in data.domains if footage_of(s) not in videos)
    return replace(
        data,
        domains=kept,
        clips=tuple(s for s in data.clips if footage_of(s) not in videos),
        held_out=tuple(s for s in data.domains if s.name in out),
    )


def _dataset(source: DataSource, root: Path) -> Dataset:
    options = {} if source.labelled or source.dataset.partition(":")[0] != "folder" else {"unlabeled": True}
    return load(source.dataset, root / source.folder, **options)


def _read(dataset: Dataset) -> tuple[list[Sequence], list[str]]:
    found, skipped = [], []
    for name, reader in dataset.readers.items():
        try:
            found.append(reader())
        except AsmdError as error:
            skipped.append(f"{name}: {error}")
    return found, skipped


def _with_boxes(sequences: Iterable[Sequence]) -> tuple[list[Sequence], list[str]]:
    kept, skipped = [], []
    for sequence in sequences:
        if len(usable_frames(sequence)):
            kept.append(sequence)
        else:
            skipped.append(f"{sequence.name}: no valid box with sides of {MIN_SIDE:g} pixels or more")
    return kept, skipped


def _because(skipped: list[str]) -> str:
    return f" ({skipped[0]})" if skipped else ""
