"""The zip files that the servers of GOT-10k and TrackingNet take, validated before they are written.

GOT-10k, as its toolkit packs results: `<sequence>/<sequence>_001.txt` and up to two more repeats, `x,y,w,h` with three
decimals, and `<sequence>/<sequence>_time.txt`, seconds a frame with a column a repeat; 180 sequences.
TrackingNet: `<sequence>.txt` with two decimals at the root of the zip; 511 sequences.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import iou
from asmd.errors import ConfigError, ResultsError
from asmd.evaluation.loading import Source, sources, unpacked
from asmd.evaluation.results import SequenceRun, write_atomic
from asmd.sequence import Sequence

Server = Literal["got10k", "trackingnet"]


@dataclass(frozen=True)
class Rules:
    """What a server takes.

    Attributes:
        sequences: how many.
        name: a format that gives their names from 1 on; None where they are not known.
        repeats: how many runs it uses at most.
        decimals: of the boxes.
        timed: whether it wants times.
    """

    sequences: int
    name: str | None
    repeats: int
    decimals: int
    timed: bool


SERVERS: dict[str, Rules] = {
    "got10k": Rules(180, "GOT-10k_Test_{:06d}", repeats=3, decimals=3, timed=True),
    "trackingnet": Rules(511, None, repeats=1, decimals=2, timed=False),
}


@dataclass(frozen=True)
class Submission:
    """What was packed.

    Attributes:
        path: the zip.
        tracker: whose results.
        sequences: how many.
        repeats: of each.
        rows_checked: whether the numbers of rows were compared with the data set.
    """

    path: Path
    tracker: str
    sequences: int
    repeats: int
    rows_checked: bool


def submit(
    server: Server,
    results: str | Path,
    output: str | Path,
    *,
    tracker: str | None = None,
    dataset: Iterable[Sequence] | None = None,
) -> Submission:
    """Validate a tracker's results on a test set and pack them.

    Args:
        server: whose format.
        results: the folder of results, or of one tracker; or a zip of such a folder.
        output: the zip to write, ending in `.zip`.
        tracker: which, where there are several.
        dataset: the test set with its frames, against which names and numbers of rows are checked; without it only what
            is known of every such test set is.

    Raises:
        ResultsError: if a sequence is missing, is none of the test set's, or has rows or times that the server would
            refuse; the text names the file and the row.
        ConfigError: if there are several trackers and none is named, or the output is no `.zip`.
        OutputError: if the zip cannot be written.
    """
    rules, path = SERVERS[server], Path(output)
    if path.suffix.lower() != ".zip":
        raise ConfigError(f"{path}: a submission is a .zip file")
    annotation = None if dataset is None else {sequence.name: sequence for sequence in dataset}
    with unpacked(results) as root:
        source = _source(root, tracker)
        names = _names(rules, source, annotation)
        repeats = _repeats(rules, source, names)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                runs = [_read(rules, source, name, repeat, annotation) for repeat in repeats]
                for file, text in (_got10k if server == "got10k" else _trackingnet)(rules, name, runs):
                    # A fixed date, so that the same results make the same zip.
                    entry = zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0))
                    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                    archive.writestr(entry, text)
    write_atomic(path, stream.getvalue())
    return Submission(path, source.label, len(names), len(repeats), annotation is not None)


def _source(root: Path, tracker: str | None) -> Source:
    found = sources(root)
    if tracker is not None:
        found = [source for source in found if source.label == tracker]
        if not found:
            raise ResultsError(f"{root}: no results of {tracker!r}")
    if len(found) > 1:
        raise ConfigError(f"{root}: which tracker? There are {', '.join(source.label for source in found)}")
    return found[0]


def _names(rules: Rules, source: Source, annotation: dict[str, Sequence] | None) -> list[str]:
    """The sequences, in order, if they are those of the test set."""
    place, there = source.folder.root / source.tracker, source.folder.sequences(source.tracker)
    if annotation is not None:
        wanted = set(annotation)
    elif rules.name is not None:
        wanted = {rules.name.format(number) for number in range(1, rules.sequences + 1)}
    else:
        wanted = set(there)
    if foreign := sorted(set(there) - wanted):
        raise ResultsError(
            f"{source.folder.path(source.tracker, foreign[0])}: no sequence of the test set is called so"
        )
    if missing := sorted(wanted - set(there)):
        path = source.folder.path(source.tracker, missing[0])
        raise ResultsError(
            f"{path}: no such file; of the test set's {len(wanted)} sequences {len(missing)} are missing"
        )
    if len(there) != rules.sequences:
        raise ResultsError(f"{place}: {len(there)} sequences where the test set has {rules.sequences}")
    return there


def _repeats(rules: Rules, source: Source, names: list[str]) -> list[int]:
    """The repeats that every sequence has, as many as the server uses."""
    common = set.intersection(*(set(source.folder.repeats(source.tracker, name)) for name in names))
    return sorted(common)[: rules.repeats]


def _read(rules: Rules, source: Source, name: str, repeat: int, annotation: dict[str, Sequence] | None) -> SequenceRun:
    run, path = source.folder.read(source.tracker, name, repeat), source.folder.path(source.tracker, name, repeat)
    bad = ~np.isfinite(run.boxes).all(axis=1) | (run.boxes[:, 2:] < 0).any(axis=1)
    if bad.any():
        raise ResultsError(f"{path}: row {int(bad.argmax()) + 1}: the server wants a box in every frame")
    if rules.timed and not np.isfinite(run.seconds).all():
        row = int((~np.isfinite(run.seconds)).argmax()) + 1
        raise ResultsError(f"{path}: row {row}: the server wants the time of every frame, and there is none beside it")
    if annotation is not None:
        sequence = annotation[name]
        frames = len(sequence.frames) or len(sequence)
        if len(run) != frames:
            raise ResultsError(f"{path}: {len(run)} rows where the sequence has {frames} frames")
        if sequence.valid[0] and iou(run.boxes[0], sequence.init_box) == 0:
            raise ResultsError(f"{path}: row 1: does not touch the box that the sequence starts with")
    return run


def _got10k(rules: Rules, name: str, runs: list[SequenceRun]) -> Iterator[tuple[str, str]]:
    if len({len(run) for run in runs}) > 1:
        raise ResultsError(f"{name}: the repeats have different numbers of rows")
    for number, run in enumerate(runs, 1):
        yield f"{name}/{name}_{number:03d}.txt", _rows(run.boxes, rules.decimals)
    yield f"{name}/{name}_time.txt", _rows(np.stack([run.seconds for run in runs], axis=1), 8)


def _trackingnet(rules: Rules, name: str, runs: list[SequenceRun]) -> Iterator[tuple[str, str]]:
    yield f"{name}.txt", _rows(runs[0].boxes, rules.decimals)


def _rows(values: NDArray[np.float64], decimals: int) -> str:
    return "".join(",".join(f"{value:.{decimals}f}" for value in row) + "\n" for row in values)
