"""Raw results on disk.

    DIR/<tracker>/<sequence>.txt          one `x,y,w,h` a frame, the first frame included
    DIR/<tracker>/<sequence>.csv          frame,seconds,score,status (the last two empty for trackers that have none)
    DIR/<tracker>/run-2/<sequence>.txt    a second repeat, and so on; a `.csv` beside each
    DIR/<tracker>/run.json                provenance: tracker, configuration, weights, seed, commit, machine

The boxes file is renamed into place last, so where it exists the sequence is complete. A row of four NaN says that the
tracker gave no box for that frame. Files of other tools are read as well: commas, tabs or blanks between the values, no
`.csv`, and the GOT-10k toolkit's `<tracker>/<sequence>/<sequence>_001.txt`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asmd.boxes import Boxes, as_boxes
from asmd.errors import OutputError, ResultsError
from asmd.files import replacing
from asmd.tracking.result import Status, TrackResult

_COLUMNS = ("frame", "seconds", "score", "status")
_SEPARATOR = re.compile(r"\s*[,;\t ]\s*")
_STATUSES = frozenset({"", *(s.value for s in Status)})


@dataclass(frozen=True, eq=False)
class SequenceRun:
    """One pass of one tracker over one sequence.

    Attributes:
        sequence: name of the sequence.
        boxes: (N, 4) float64 `(x, y, w, h)`, 0-based, first frame included; a row of NaN where the tracker gave no box.
        seconds: (N,) time that each frame took, NaN where not known.
        scores: (N,) confidence of the tracker, NaN where it has none.
        status: N values of `Status`, or "" where the tracker has none.
    """

    sequence: str
    boxes: Boxes
    seconds: NDArray[np.float64]
    scores: NDArray[np.float64]
    status: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = len(self.boxes)
        for name in ("seconds", "scores", "status"):
            if len(getattr(self, name)) != rows:
                raise ResultsError(f"{self.sequence}: {len(getattr(self, name))} {name} for {rows} boxes")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.boxes)

    @property
    def fps(self) -> float:
        """Frames a second over the frames after the first (its set-up is not tracking); NaN where not known."""
        known = self.seconds[1:][np.isfinite(self.seconds[1:])]
        return float(len(known) / known.sum()) if len(known) and known.sum() > 0 else float("nan")

    @classmethod
    def of(
        cls,
        sequence: str,
        boxes: ArrayLike,
        seconds: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        status: Iterable[str] | None = None,
    ) -> SequenceRun:
        """A run from arrays; what is not given is not known."""
        rows = as_boxes(boxes)
        blank = np.full(len(rows), np.nan)
        return cls(
            sequence,
            rows,
            blank if seconds is None else np.asarray(seconds, dtype=np.float64),
            blank if scores is None else np.asarray(scores, dtype=np.float64),
            ("",) * len(rows) if status is None else tuple(str(s) for s in status),
        )

    @classmethod
    def from_track(cls, sequence: str, results: Sequence[TrackResult]) -> SequenceRun:
        """A run from the tracker's own answers, in the order of the frames."""
        return cls.of(
            sequence,
            np.array([r.box for r in results]).reshape(-1, 4),
            [r.seconds for r in results],
            [r.score for r in results],
            [r.status for r in results],
        )


class ResultsFolder:
    """The results of any number of trackers under one folder.

    Args:
        root: the folder; need not exist until something is written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def trackers(self) -> list[str]:
        """Names of the subfolders that hold results, sorted.

        Raises:
            ResultsError: if there is no such folder, or no results in it.
        """
        if not self.root.is_dir():
            raise ResultsError(f"{self.root}: no such folder of results")
        names = sorted(d.name for d in self.root.iterdir() if d.is_dir() and self.sequences(d.name))
        if not names:
            raise ResultsError(f"{self.root}: no <tracker>/<sequence>.txt in it")
        return names

    def sequences(self, tracker: str, repeat: int = 1) -> list[str]:
        """Names of the finished sequences of one repeat, sorted."""
        folder = self.folder(tracker, repeat)
        flat = {p.stem for p in folder.glob("*.txt") if not p.name.startswith(".")}  # a dot: not finished
        nested = {p.parent.name for p in self.folder(tracker).glob(f"*/*_{repeat:03d}.txt") if _is_nested(p)}
        return sorted(flat | nested)

    def folder(self, tracker: str, repeat: int = 1) -> Path:
        """Where one repeat of a tracker is; `repeat` counts from 1."""
        base = self.root / tracker
        return base if repeat == 1 else base / f"run-{repeat}"

    def path(self, tracker: str, sequence: str, repeat: int = 1) -> Path:
        """The boxes file of a sequence, whether it exists or not."""
        flat = self.folder(tracker, repeat) / f"{sequence}.txt"
        nested = self.root / tracker / sequence / f"{sequence}_{repeat:03d}.txt"
        return nested if not flat.is_file() and nested.is_file() else flat

    def has(self, tracker: str, sequence: str, repeat: int = 1) -> bool:
        """Whether the sequence is finished."""
        return self.path(tracker, sequence, repeat).is_file()

    def repeats(self, tracker: str, sequence: str) -> list[int]:
        """The finished repeats of a sequence, in order, such as `[1, 2, 3]`."""
        nested = (self.root / tracker / sequence).glob(f"{sequence}_*.txt")
        numbers = {*self.repeat_folders(tracker), *(int(p.stem[-3:]) for p in nested if _is_nested(p))}
        return [n for n in sorted(numbers) if self.has(tracker, sequence, n)]

    def repeat_folders(self, tracker: str) -> list[int]:
        """The repeats that have a folder, in order; the first always has."""
        runs = (p.name[4:] for p in (self.root / tracker).glob("run-*"))
        return sorted({1, *(int(number) for number in runs if number.isdecimal())})

    def write(self, tracker: str, run: SequenceRun, repeat: int = 1) -> Path:
        """Store one sequence; a reader never sees half of it.

        Raises:
            OutputError: if it cannot be written.
        """
        path = self.folder(tracker, repeat) / f"{run.sequence}.txt"
        rows = zip(run.seconds, run.scores, run.status, strict=True)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((i, _number(s, 6), _number(c, 6), status) for i, (s, c, status) in enumerate(rows))
        write_atomic(path.with_name(f"{run.sequence}.csv"), table.getvalue())
        write_atomic(path, "".join(",".join(f"{v:.4f}" for v in box) + "\n" for box in run.boxes))
        return path

    def read(self, tracker: str, sequence: str, repeat: int = 1, *, details: bool = True) -> SequenceRun:
        """Load one sequence.

        Args:
            tracker: name of the tracker's folder.
            sequence: name of the sequence.
            repeat: which repeat, from 1.
            details: also read times, scores and status, where there are any.

        Raises:
            ResultsError: if a file is missing or malformed; the text names the file and the row.
        """
        boxes = read_boxes(self.path(tracker, sequence, repeat))
        return self.with_details(tracker, sequence, boxes, repeat) if details else SequenceRun.of(sequence, boxes)

    def with_details(self, tracker: str, sequence: str, boxes: Boxes, repeat: int = 1) -> SequenceRun:
        """Boxes that have been read, with the times, scores and status beside them, where there are any.

        Raises:
            ResultsError: if these are malformed or not as many as the boxes.
        """
        path = self.path(tracker, sequence, repeat)
        table, times = path.with_name(f"{sequence}.csv"), path.with_name(f"{sequence}_time.txt")
        if table.is_file():
            return SequenceRun(sequence, boxes, *_read_details(table, len(boxes)))
        if times.is_file():
            return SequenceRun.of(sequence, boxes, seconds=_read_times(times, repeat, len(boxes)))
        return SequenceRun.of(sequence, boxes)

    def write_provenance(self, tracker: str, facts: Mapping[str, Any]) -> Path:
        """Store `run.json` of a tracker."""
        path = self.root / tracker / "run.json"
        write_atomic(path, json.dumps(dict(facts), indent=1, default=str) + "\n")
        return path

    def provenance(self, tracker: str) -> dict[str, Any]:
        """What `run.json` of a tracker says; empty where there is none.

        Raises:
            ResultsError: if it is not a JSON object.
        """
        path = self.root / tracker / "run.json"
        if not path.is_file():
            return {}
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ResultsError(f"{path}: not JSON ({error})") from error
        if not isinstance(facts, dict):
            raise ResultsError(f"{path}: not a JSON object")
        return facts


def read_boxes(path: str | Path) -> Boxes:
    """Read a file of one `x,y,w,h` a row.

    Returns:
        (N, 4) float64; rows of four NaN are kept, they say that there is no box.

    Raises:
        ResultsError: if the file is missing, empty, or a row is not four finite numbers; the text names file and row.
    """
    path = Path(path)
    lines = _text(path).split("\n")
    delimiter = next((d for d in ",;" if d in lines[0]), None)
    try:
        boxes = np.loadtxt(lines, delimiter=delimiter, ndmin=2, comments=None)
    except ValueError:
        boxes = np.empty((0, 0))
    if boxes.shape != (len(lines), 4):  # slower, but it finds the row, and takes mixed separators
        boxes = np.array([_box(path, number, line) for number, line in enumerate(lines, 1)])
    infinite = ~np.isfinite(boxes)
    bad = infinite.any(axis=1) & ~np.isnan(boxes).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ResultsError(f"{path}: row {row + 1}: a box that is not finite ({lines[row].strip()})")
    return boxes


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; makes its folder.

    Raises:
        OutputError: if that fails; nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _is_nested(path: Path) -> bool:
    """Whether a file is `<sequence>/<sequence>_00N.txt` of the GOT-10k toolkit."""
    return re.fullmatch(rf"{re.escape(path.parent.name)}_\d{{3}}", path.stem) is not None


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def _text(path: Path) -> str:
    """What a file holds, with plain line ends and none at its end."""
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read as text ({error})") from error
    if not text:
        raise ResultsError(f"{path}: empty")
    return text


def _box(path: Path, row: int, line: str) -> list[float]:
    fields = _SEPARATOR.split(line.strip())
    if len(fields) != 4:
        raise ResultsError(f"{path}: row {row}: {len(fields)} values where x,y,w,h needs 4 ({line.strip()[:60]!r})")
    return [_float(path, row, text) for text in fields]


def _float(path: Path, row: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ResultsError(f"{path}: row {row}: {text[:40]!r} is not a number") from error


def _read_details(path: Path, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    header, _, text = _text(path).partition("\n")
    if header.strip() != ",".join(_COLUMNS):
        raise ResultsError(f"{path}: row 1: the columns are not {','.join(_COLUMNS)}")
    fields = text.replace("\n", ",\n,").split(",")
    fields.append("\n")
    if set(fields[4::5]) != {"\n"} or len(fields) % 5:
        counts = [line.count(",") + 1 for line in text.split("\n")]
        row = next(i for i, count in enumerate(counts) if count != len(_COLUMNS))
        raise ResultsError(f"{path}: row {row + 2}: {counts[row]} values where {len(_COLUMNS)} are needed")
    if len(fields) != 5 * rows:
        raise ResultsError(f"{path}: {len(fields) // 5} rows for {rows} boxes")
    status = tuple(map(str.strip, fields[3::5]))
    if unknown := set(status) - _STATUSES:
        row = min(status.index(s) for s in unknown)
        raise ResultsError(f"{path}: row {row + 2}: {status[row]!r} is not a status")
    return _column(path, fields[1::5]), _column(path, fields[2::5]), status


def _column(path: Path, texts: list[str]) -> NDArray[np.float64]:
    """A column of the details; NaN where a field is empty."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return np.array([_float(path, row, text or "nan") for row, text in enumerate(texts, 2)])


def _read_times(path: Path, repeat: int, rows: int) -> NDArray[np.float64]:
    """The GOT-10k toolkit's time file: a row a frame, a column a repeat."""
    lines = _text(path).split("\n")
    if len(lines) != rows:
        raise ResultsError(f"{path}: {len(lines)} rows for {rows} boxes")
    columns = [_SEPARATOR.split(line.strip()) for line in lines]
    return np.array([_float(path, n, c[min(repeat, len(c)) - 1]) for n, c in enumerate(columns, 1)])
