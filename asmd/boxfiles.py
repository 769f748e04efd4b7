"""The track of one object as a file: plain boxes, a table, or JSON.

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

from asmd.errors import OutputError
from asmd.files import replacing
from asmd.tracking.result import TrackResult

Add: TypeAlias = Callable[[TrackResult], None]
"""Appends one frame's result to a file."""


@contextmanager
def write_boxes(path: str | Path, about: Mapping[str, Any] | None = None) -> Iterator[Add]:
    """Write results as they come; the file appears under its name when it is complete.

    Args:
        path: the file; its ending (.txt, .csv, .json) decides the format.
        about: what to say of the run, in formats that have room for it (JSON).

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
        form(stream, about or {}) as add,
    ):
        yield add


def as_record(result: TrackResult) -> dict[str, Any]:
    """A result as plain values that JSON can hold; a score that is not a number is null."""
    return {
        "frame": result.index,
        "box": [round(float(v), 2) for v in result.box],
        "score": round(result.score, 4) if math.isfinite(result.score) else None,
        "status": str(result.status),
        "seconds": round(result.seconds, 5),
    }


@contextmanager
def _plain(stream: TextIO, about: Mapping[str, Any]) -> Iterator[Add]:
    following: int | None = None

    def add(result: TrackResult) -> None:
        nonlocal following
        skipped = 0 if following is None else result.index - following
        stream.write("nan,nan,nan,nan\n" * skipped + result.as_row() + "\n")
        following = result.index + 1

    yield add


@contextmanager
def _table(stream: TextIO, about: Mapping[str, Any]) -> Iterator[Add]:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["frame", "x", "y", "w", "h", "score", "status", "seconds"])

    def add(result: TrackResult) -> None:
        record = as_record(result)
        writer.writerow([record["frame"], *record["box"], record["score"], record["status"], record["seconds"]])

    yield add


@contextmanager
def _json(stream: TextIO, about: Mapping[str, Any]) -> Iterator[Add]:
    # Row by row, so that a camera may run for days.
    head = json.dumps(dict(about))[1:-1]
    stream.write("{" + head + (", " if head else "") + '"frames": [')
    between = "\n"

    def add(result: TrackResult) -> None:
        nonlocal between
        stream.write(between + json.dumps(as_record(result)))
        between = ",\n"

    yield add
    stream.write("\n]}\n")


_FORMS = {".txt": _plain, ".csv": _table, ".json": _json}
