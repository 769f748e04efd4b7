"""What a supervised run leaves, and its files, which are those of the VOT toolkit.

    DIR/<tracker>/baseline/<sequence>/<sequence>_001.txt           a repeat; a row a frame
    DIR/<tracker>/baseline/<sequence>/<sequence>_001_time.value    seconds a frame, blank where nothing was run

A row is a region (`x,y,w,h`, or the corners of a polygon), or a single number: 1 where the tracker was started, 2 where
it failed, 0 where it was not run. The toolkit's binary form of the first (`.bin`) is read as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ResultsError
from asmd.evaluation.results import ResultsFolder, write_atomic

SKIPPED, STARTED, FAILED = 0, 1, 2
"""The codes that stand for a region."""

Region: TypeAlias = "NDArray[np.float64] | int"
"""Four numbers `(x, y, w, h)`, eight of a polygon's corners, or a code."""

FOLDER = "baseline"
"""The toolkit's name for the supervised experiment."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One supervised run over a sequence.

    Attributes:
        sequence: name of the sequence.
        regions: N regions or codes.
        seconds: (N,) time that each frame took, NaN where the tracker was not run or it is not known.
    """

    sequence: str
    regions: tuple[Region, ...]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.regions)

    def where(self, code: int) -> list[int]:
        """The frames that hold this code."""
        return [i for i, region in enumerate(self.regions) if isinstance(region, int) and region == code]

    def same_as(self, other: Trajectory) -> bool:
        """Whether every frame holds the same, to what a file keeps."""
        return len(self) == len(other) and all(
            _text(a) == _text(b) for a, b in zip(self.regions, other.regions, strict=True)
        )


def path_of(folder: ResultsFolder, tracker: str, sequence: str, repeat: int) -> Path:
    """The file of a repeat, which counts from 1; the binary one only where it is there and the other is not."""
    text = folder.root / tracker / FOLDER / sequence / f"{sequence}_{repeat:03d}.txt"
    binary = text.with_suffix(".bin")
    return binary if binary.is_file() and not text.is_file() else text


def trackers(folder: ResultsFolder) -> list[str]:
    """Names of the trackers that have supervised results, sorted."""
    found = folder.root.glob(f"*/{FOLDER}/*/[!.]*_001.*")
    return sorted({path.parents[2].name for path in found if path.suffix in (".txt", ".bin")})


def read_all(folder: ResultsFolder, tracker: str, sequence: str) -> list[Trajectory]:
    """The repeats of a sequence, from the first on; none where there is none.

    Raises:
        ResultsError: if a file is malformed; the text names the file and the row.
    """
    runs = list[Trajectory]()
    while (path := path_of(folder, tracker, sequence, len(runs) + 1)).is_file():
        runs.append(read(path, sequence))
    return runs


def read(path: Path, sequence: str) -> Trajectory:
    """One file of regions and codes, and the times beside it if there are any.

    Raises:
        ResultsError: if it is malformed; the text names the file and the row.
    """
    if path.suffix == ".bin":
        regions = tuple(_binary(path))
    else:
        rows = _lines(path)
        regions = tuple(_region(path, number, row) for number, row in enumerate(rows, 1))
    times = path.with_name(f"{path.stem}_time.value")
    seconds = np.full(len(regions), np.nan)
    if times.is_file():
        values = _lines(times)
        if len(values) != len(regions):
            raise ResultsError(f"{times}: {len(values)} rows for {len(regions)} regions")
        seconds = np.array([_number(times, n, v) if v.strip() else np.nan for n, v in enumerate(values, 1)])
    return Trajectory(sequence, regions, seconds)


def write(path: Path, run: Trajectory) -> None:
    """Store a run; a reader never sees half of it.

    Raises:
        OutputError: if it cannot be written.
    """
    times = "".join(f"{s:.6f}\n" if np.isfinite(s) else "\n" for s in run.seconds)
    write_atomic(path.with_name(f"{path.stem}_time.value"), times)
    write_atomic(path, "".join(_text(region) + "\n" for region in run.regions))


def _text(region: Region) -> str:
    if isinstance(region, int):
        return str(region)
    return ",".join(f"{v:.4f}" for v in region) if not np.isnan(region).any() else str(SKIPPED)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read as text ({error})") from error


def _region(path: Path, row: int, text: str) -> Region:
    numbers = np.array([_number(path, row, part) for part in text.replace(",", " ").split()])
    if len(numbers) == 1 and numbers[0] in (SKIPPED, STARTED, FAILED):
        return int(numbers[0])
    if len(numbers) in (4, 8) and np.isfinite(numbers).all():
        return numbers
    raise ResultsError(f"{path}: row {row}: neither a code nor a region of 4 or 8 numbers ({text.strip()[:60]!r})")


def _number(path: Path, row: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ResultsError(f"{path}: row {row}: {text.strip()[:40]!r} is not a number") from error


def _binary(path: Path) -> Iterator[Region]:
    """Little-endian: version (int16, 1), count (uint32); for each frame its kind (uint8) and what that kind has."""
    data, at = path.read_bytes(), 0

    def take(form: str) -> tuple[float, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    row = 0
    try:
        version, count = take("hI")
        if version != 1:
            raise ResultsError(f"{path}: version {version:g} of the binary form is not known")
        for row in range(1, int(count) + 1):
            kind = take("B")[0]
            if kind == 0:
                yield int(take("I")[0])
            elif kind == 1:
                yield np.array(take("4f"))
            elif kind == 2 and take("H") == (4,):
                yield np.array(take("8f"))
            else:
                raise ResultsError(f"{path}: row {row}: neither a code nor a rectangle nor four corners")
    except struct.error as error:
        raise ResultsError(f"{path}: ends in the middle, after row {max(row - 1, 0)}") from error
