"""`Dataset`: named sequences that are read when they are asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from asmd.errors import ConfigError, DatasetError
from asmd.sequence import Sequence

Reader: TypeAlias = Callable[[], Sequence]
"""Reads the annotation of one sequence; picklable, so that a data set can be sent to worker processes."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences of a benchmark, in its order.

    Finding the sequences costs a look at the folders; a sequence's annotation is read each time it is asked for, its
    frames are decoded when they are.

    Attributes:
        name: for instance `otb100`.
        root: the folder it was found in.
        readers: a reader for each sequence that is there.
        missing: sequences that the benchmark has and the folder has not, and the file or folder that was looked for.
        lengths: how many frames a sequence has by the benchmark's publication, where that is known.
        expected: how many sequences the benchmark has, or None where the folder alone decides.
        origin: what the benchmark's own files add to x and y: 1 where they count pixels from 1. Boxes here are 0-based;
            a submission, or a rule that is stated in the benchmark's coordinates, adds this again.
        notes: remarks for whoever checks the data set.
    """

    name: str
    root: Path
    readers: Mapping[str, Reader]
    missing: Mapping[str, Path] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    expected: int | None = None
    origin: int = 0
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sequences that are there."""
        return tuple(self.readers)

    def __len__(self) -> int:
        """Number of sequences that are there."""
        return len(self.readers)

    def __iter__(self) -> Iterator[Sequence]:
        """Read one sequence after the other."""
        return (read() for read in self.readers.values())

    def __contains__(self, name: object) -> bool:
        """Whether a sequence of that name is there."""
        return name in self.readers

    def __getitem__(self, key: str | int) -> Sequence:
        """Read a sequence by its name or its place.

        Raises:
            DatasetError: if it is not there, or its files are malformed.
            IndexError: if there is no such place.
        """
        if isinstance(key, int):
            return self.readers[self.names[key]]()
        if key not in self.readers:
            raise DatasetError(self._why_absent(key))
        return self.readers[key]()

    def select(self, names: Iterable[str]) -> Dataset:
        """Only these sequences, in the order given; of those that are missing the data set still knows that they are.

        Raises:
            DatasetError: if the data set has no sequence of such a name.
        """
        names = list(dict.fromkeys(names))
        for name in names:
            if name not in self.readers and name not in self.missing:
                raise DatasetError(self._why_absent(name))
        return replace(
            self,
            readers={n: self.readers[n] for n in names if n in self.readers},
            missing={n: self.missing[n] for n in names if n in self.missing},
            expected=len(names),
        )

    def _why_absent(self, name: str) -> str:
        if name in self.missing:
            return f"{self.name}: sequence {name} is missing: there is no {self.missing[name]}"
        close = difflib.get_close_matches(name, [*self.readers, *self.missing], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f" in {self.root}"
        return f"{self.name} has no sequence {name!r}{hint}"


def gather(
    name: str,
    root: Path,
    files: Mapping[str, Path],
    read: Callable[[str, Path], Sequence],
    *,
    layout: str,
    lengths: Mapping[str, int] | None = None,
    expected: int | None = None,
    origin: int = 0,
) -> Dataset:
    """The data set whose sequences have an annotation file each; those whose file does not exist are missing.

    Args:
        name: of the data set.
        root: its folder.
        files: the annotation file of each sequence.
        read: called with a sequence's name and file.
        layout: what the folder should look like, for the error.
        lengths: see `Dataset`.
        expected: see `Dataset`; the number of files where not given.
        origin: see `Dataset`.

    Raises:
        DatasetError: if none of the files exists.
    """
    there = {n: path.is_file() for n, path in files.items()}
    return some(
        Dataset(
            name=name,
            root=root,
            readers={n: partial(read, n, path) for n, path in files.items() if there[n]},
            missing={n: path for n, path in files.items() if not there[n]},
            lengths=lengths or {},
            expected=len(files) if expected is None else expected,
            origin=origin,
        ),
        layout,
    )


def some(dataset: Dataset, layout: str) -> Dataset:
    """The data set itself.

    Raises:
        DatasetError: if it holds no sequence at all, which most often is a wrong root; `layout` says what was expected.
    """
    if not dataset.readers:
        raise DatasetError(f"{dataset.root} holds no sequence of {dataset.name}; expected is {layout}")
    return dataset


def check_subset(benchmark: str, subset: str, known: Iterable[str]) -> None:
    """Do nothing if a subset is known.

    Raises:
        ConfigError: if it is not.
    """
    known = list(known)
    if subset not in known:
        raise ConfigError(f"{benchmark} has no subset {subset!r}; it has {', '.join(known)}")
