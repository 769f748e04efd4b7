"""Raw results of several trackers, read and checked against the data set before anything is scored."""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Rows
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from asmd.boxes import Boxes, iou
from asmd.errors import ResultsError
from asmd.evaluation.protocols import Protocol
from asmd.evaluation.results import ResultsFolder, SequenceRun, read_boxes
from asmd.evaluation.scoring import problem_of
from asmd.sequence import Sequence

Repeats: TypeAlias = "Rows[Mapping[str, SequenceRun]]"
"""The runs of one tracker: for each repeat, the run of each sequence by its name."""

LARGEST_ZIP = 4 << 30
"""Bytes of text that a zip of results may unpack to."""


@dataclass(frozen=True)
class Source:
    """Where the results of one tracker are.

    Attributes:
        label: what it is called in a report.
        folder: the folder above its own.
        tracker: the name of its own.
        one_based: its boxes count pixels from 1, as MATLAB's do.
    """

    label: str
    folder: ResultsFolder
    tracker: str
    one_based: bool = False


@dataclass(eq=False)
class Loaded:
    """What was read.

    Attributes:
        sequences: those that every tracker has.
        runs: the runs of each tracker by its label.
        facts: what its `run.json` says.
        warnings: what a reader of the figures should know.
    """

    sequences: list[Sequence]
    runs: dict[str, Repeats] = field(default_factory=dict)
    facts: dict[str, dict[str, object]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def unpacked(results: str | Path) -> Iterator[Path]:
    """A folder of results as it is; a zip file of one as a temporary folder, which is gone afterwards.

    Raises:
        ResultsError: if it is neither, or the zip is damaged or holds more than `LARGEST_ZIP` bytes.
    """
    path = Path(results)
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="asmd-") as folder:
        place = Path(folder) / path.stem
        try:
            with zipfile.ZipFile(path) as archive:
                if (size := sum(entry.file_size for entry in archive.infolist())) > LARGEST_ZIP:
                    raise ResultsError(f"{path}: holds {size} bytes, which is more than results would")
                archive.extractall(place)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ResultsError(f"{path}: not a whole zip file of results ({error})") from error
        yield place


def sources(
    results: str | Path, also: Mapping[str, str | Path] | None = None, one_based: Iterable[str] = ()
) -> list[Source]:
    """The trackers below a folder of results, and further ones.

    Args:
        results: holds a folder for each tracker, or is itself the folder of one.
        also: folders of further trackers by their labels.
        one_based: labels of the trackers whose boxes count pixels from 1.

    Raises:
        ResultsError: if there are no results, two trackers have one label, or `one_based` names none of them.
    """
    root, shifted = Path(results), set(one_based)
    if _is_tracker(root):
        places = [(root.resolve().name, root.resolve())]
    else:
        places = [(name, root / name) for name in ResultsFolder(root).trackers()]
    for label, place in (also or {}).items():
        if not Path(place).is_dir():
            raise ResultsError(f"{place}: no such folder of results")
        places.append((label, Path(place).resolve()))
    found = [Source(label, ResultsFolder(p.parent), p.name, label in shifted) for label, p in places]
    labels = [source.label for source in found]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise ResultsError(f"{root}: two trackers are called {twice[0]!r}")
    if unknown := sorted(shifted - set(labels)):
        raise ResultsError(f"{root}: no tracker is called {unknown[0]!r}; there are {', '.join(labels)}")
    return found


def _is_tracker(root: Path) -> bool:
    """Whether a folder holds the results of one tracker, not those of several in folders of their own."""
    if not root.is_dir():
        return False
    if any(path.stem.startswith(path.parent.name) for path in root.glob("*/*_001.txt")):
        return True
    folders = [p.name for p in root.iterdir() if p.is_dir()]
    return any(root.glob("*.txt")) and all(re.fullmatch(r"run-\d+", name) for name in folders)


def load(found: Rows[Source], dataset: Iterable[Sequence], protocol: Protocol, *, common: bool = False) -> Loaded:
    """Read all results and check them.

    Args:
        found: the trackers.
        dataset: the annotation.
        protocol: says which rows are acceptable.
        common: keep the sequences that every tracker has, instead of refusing a tracker that lacks one.

    Raises:
        ResultsError: if a sequence is missing, or a file malformed or of another data set; the text names file and row.
    """
    sequences = list(dataset)
    stems = {source.label: _stems(source, sequences) for source in found}
    if common:
        sequences = [s for s in sequences if all(s.name in stem for stem in stems.values())]
        if not sequences:
            raise ResultsError(f"{found[0].folder.root}: no sequence that every tracker has")
    loaded = Loaded(sequences)
    for source in found:
        _check_complete(source, stems[source.label], sequences)
        loaded.runs[source.label] = _read(source, stems[source.label], protocol, loaded)
        loaded.facts[source.label] = source.folder.provenance(source.tracker)
    return loaded


def _stems(source: Source, sequences: Rows[Sequence]) -> dict[str, str]:
    """The name of each sequence's file; some toolkits write `jogging_1` for `Jogging-1`."""
    there = source.folder.sequences(source.tracker)
    exact, loose = set(there), {_plain(stem): stem for stem in there}
    names = {s.name: s.name if s.name in exact else loose.get(_plain(s.name), "") for s in sequences}
    stems = {name: stem for name, stem in names.items() if stem}
    if not stems:
        place = source.folder.root / source.tracker
        example = f"{place / there[0]}.txt: no sequence of that name in this data set" if there else f"{place}: empty"
        raise ResultsError(f"{example}; {source.label} has no result for any of its {len(sequences)} sequences")
    return stems


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).casefold()


def _check_complete(source: Source, stems: Mapping[str, str], sequences: Rows[Sequence]) -> None:
    missing = [s.name for s in sequences if s.name not in stems]
    if missing:
        path = source.folder.path(source.tracker, missing[0])
        others = "" if len(missing) == 1 else f" and {len(missing) - 1} others"
        raise ResultsError(
            f"{path}: no such file; {source.label} lacks {missing[0]}{others} of {len(sequences)} sequences "
            "(--common scores those that every tracker has, --sequences those that you name)"
        )


def _read(source: Source, stems: Mapping[str, str], protocol: Protocol, loaded: Loaded) -> Repeats:
    repeats: list[dict[str, SequenceRun]] = []
    # One sequence tells of nested files; folders of further repeats are counted whatever they hold.
    first = source.folder.repeats(source.tracker, stems[loaded.sequences[0].name])
    for repeat in sorted({*first, *source.folder.repeat_folders(source.tracker)}):
        lacking = [s for s in loaded.sequences if not source.folder.has(source.tracker, stems[s.name], repeat)]
        if lacking:
            loaded.warnings.append(f"{source.label}: repeat {repeat} lacks {len(lacking)} sequences and is left out")
            continue
        runs = {s.name: _read_one(source, stems[s.name], repeat, s, protocol, loaded) for s in loaded.sequences}
        if not repeats:
            _check_start(source, stems, runs, loaded)
        repeats.append(runs)
    return repeats


def _read_one(
    source: Source, stem: str, repeat: int, sequence: Sequence, protocol: Protocol, loaded: Loaded
) -> SequenceRun:
    path = source.folder.path(source.tracker, stem, repeat)
    boxes = read_boxes(path)
    if problem := problem_of(protocol, boxes, len(sequence)):
        raise ResultsError(f"{path}: {problem}")
    if len(boxes) < len(sequence):
        loaded.warnings.append(f"{path}: {len(boxes)} of {len(sequence)} rows; {_how_short(boxes, sequence.boxes)}")
    return source.folder.with_details(source.tracker, stem, boxes - [1, 1, 0, 0] if source.one_based else boxes, repeat)


def _how_short(boxes: Boxes, truth: Boxes) -> str:
    """What a file without all rows lacks: one that starts with the box of a later frame lacks the first."""
    missing = len(truth) - len(boxes)
    late, early = np.abs(boxes[0] - truth[missing]).max(), np.abs(boxes[0] - truth[0]).max()
    if late <= 1 < early:
        return f"it begins at row {missing + 1} of the annotation, and is scored against the wrong frames"
    return "scored on those that it has"


def _check_start(source: Source, stems: Mapping[str, str], runs: Mapping[str, SequenceRun], loaded: Loaded) -> None:
    """A one-pass run starts at the annotation: where hardly one does, the boxes are of something else."""
    starts = {s.name: (runs[s.name].boxes[0], s.init_box) for s in loaded.sequences if len(runs[s.name])}
    off = [name for name, (box, truth) in starts.items() if _apart(box, truth)]
    if len(off) > len(starts) / 2:
        path = source.folder.path(source.tracker, stems[off[0]])
        raise ResultsError(
            f"{path}: row 1: the first box does not touch the annotated one, and so in {len(off)} of {len(starts)} "
            "sequences; are these the results of another data set?"
        )
    shifts = np.array([box[:2] - truth[:2] for box, truth in starts.values()])
    if not source.one_based and (np.abs(shifts - 1) < 0.02).all(axis=1).mean() > 0.9:
        loaded.warnings.append(
            f"{source.label}: first boxes are the annotated ones moved by a pixel; if its boxes count from 1, say "
            f"--one-based {source.label}"
        )


def _apart(box: Boxes, truth: Boxes) -> bool:
    usable = np.isfinite(box).all() and (box[2:] > 0).all()
    return bool(usable and iou(box, truth) == 0)
