"""The track of one object as a file, to and fro: plain boxes, a table, or JSON.

The ending of the name decides: `.txt` has one `x,y,w,h` a frame, the first included, and a row of `nan` for a frame
that was skipped as damaged, so that row and frame stay together; `.csv` has the columns frame, x, y, w, h, score,
status and seconds; `.json` has the same rows as objects under `"frames"`, beside whatever is to be known of the run.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np

from asmd.errors import OutputError, ResultsError
from asmd.files import replacing
from asmd.tracking.result import Status, TrackResult

Add: TypeAlias = Callable[[TrackResult], None]
"""Appends one frame's result to a file."""


COLUMNS = ("frame", "x", "y", "w", "h", "score", "status", "seconds")
"""Of a table."""


@contextmanager
def write_boxes(path: str | Path, about: Mapping[str, Any] | None = None, *, exact: bool = False) -> Iterator[Add]:
    """Write results as they come; the file appears under its name when it is complete.

    Args:
        path: the file; its ending (.txt, .csv, .json) decides the format.
        about: what to say of the run, in formats that have room for it (JSON).
        exact: every digit of every number, in place of two decimals of a pixel.

    Yields:
        A function that appends one result; results come in order of their frames.

    Raises:
        OutputError: if the ending is another one, or the file cannot be written.
    """
    target = Path(path)
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        raise OutputError(f"{target}: the name of a boxes file ends in {', '.join(_FORMS)}")
    with (
        replacing(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
        form(stream, about or {}, exact) as add,
    ):
        yield add


def as_record(result: TrackResult, exact: bool = False) -> dict[str, Any]:
    """A result as plain values that JSON can hold; a score or time that is not a number is null."""

    def number(value: float, decimals: int) -> float | None:
        if not math.isfinite(value):
            return None
        return float(value) if exact else round(float(value), decimals)

    return {
        "frame": result.index,
        "box": [number(v, 2) for v in result.box],
        "score": number(result.score, 4),
        "status": str(result.status),
        "seconds": number(result.seconds, 5),
    }


def read_track(path: str | Path) -> tuple[list[TrackResult], dict[str, Any]]:
    """Read a file that `write_boxes` wrote.

    Args:
        path: the file; its ending decides the format.

    Returns:
        The results, in order of their frames, those of skipped frames left out; and what JSON says of the run. What a
        file does not say is NaN, or found.

    Raises:
        ResultsError: if it is missing or malformed; the text names the file and, where there is one, the row.
    """
    source = Path(path)
    reader = {".txt": _read_plain, ".csv": _read_table, ".json": _read_json}.get(source.suffix.lower())
    if reader is None:
        raise ResultsError(f"{source}: the name of a boxes file ends in {', '.join(_FORMS)}")
    if not source.is_file():
        raise ResultsError(f"{source}: no such file")
    try:
        return reader(source)
    except UnicodeDecodeError as error:
        raise ResultsError(f"{source}: no text file") from error
    except OSError as error:
        raise ResultsError(f"{source}: cannot be read ({error.strerror})") from error


def _read_plain(path: Path) -> tuple[list[TrackResult], dict[str, Any]]:
    from asmd.evaluation.results import read_boxes

    boxes = read_boxes(path)
    there = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    return [TrackResult(int(i), boxes[i], math.nan, Status.FOUND, math.nan) for i in there], {}


def _read_table(path: Path) -> tuple[list[TrackResult], dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ResultsError(f"{path}: row 1: the columns are not {','.join(COLUMNS)}")
    results = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(COLUMNS):
            raise ResultsError(f"{path}: row {number}: {len(row)} values where {len(COLUMNS)} are needed")
        record = dict(zip(COLUMNS, row, strict=True))
        results.append(_result(f"{path}: row {number}", {**record, "box": row[1:5]}))
    return results, {}


def _read_json(path: Path) -> tuple[list[TrackResult], dict[str, Any]]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        frames = about.pop("frames")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f'{path}: no JSON object with "frames"') from error
    if not isinstance(frames, list):
        raise ResultsError(f'{path}: "frames" is no list')
    return [_result(f"{path}: frame {n}", record) for n, record in enumerate(frames, 1)], about


def _result(place: str, record: Mapping[str, Any]) -> TrackResult:
    try:
        x, y, w, h = (float(v) for v in record["box"])
        score, seconds = (
            float(record[k]) if record.get(k) not in (None, "") else math.nan for k in ("score", "seconds")
        )
        return TrackResult(int(record["frame"]), np.array([x, y, w, h]), score, Status(record["status"]), seconds)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{place}: no frame, box, score, status and seconds") from error


@contextmanager
def _plain(stream: TextIO, about: Mapping[str, Any], exact: bool) -> Iterator[Add]:
    following: int | None = None

    def add(result: TrackResult) -> None:
        nonlocal following
        skipped = 0 if following is None else result.index - following
        row = ",".join(repr(float(v)) for v in result.box) if exact else result.as_row()
        stream.write("nan,nan,nan,nan\n" * skipped + row + "\n")
        following = result.index + 1

    yield add


@contextmanager
def _table(stream: TextIO, about: Mapping[str, Any], exact: bool) -> Iterator[Add]:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)

    def add(result: TrackResult) -> None:
        record = as_record(result, exact)
        writer.writerow([record["frame"], *record["box"], record["score"], record["status"], record["seconds"]])

    yield add


@contextmanager
def _json(stream: TextIO, about: Mapping[str, Any], exact: bool) -> Iterator[Add]:
    # Row by row, so that a camera may run for days.
    head = json.dumps(dict(about))[1:-1]
    stream.write("{" + head + (", " if head else "") + '"frames": [')
    between = "\n"

    def add(result: TrackResult) -> None:
        nonlocal between
        stream.write(between + json.dumps(as_record(result, exact)))
        between = ",\n"

    yield add
    stream.write("\n]}\n")


_FORMS = {".txt": _plain, ".csv": _table, ".json": _json}
