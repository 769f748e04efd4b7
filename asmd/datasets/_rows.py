"""Text files of numbers, and the place in them where something is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asmd.errors import DatasetError


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without the blank ones at its end; byte-order marks and any line endings are seen to.

    Raises:
        DatasetError: if the file is missing, unreadable, no text, or holds nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is no text file") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DatasetError(f"{path} is empty")
    return lines


def split_row(line: str) -> list[str]:
    """Fields of a row that is separated by commas, tabs, blanks or any mixture of them."""
    return line.replace(",", " ").split()


def read_rows(path: Path, widths: Collection[int], *, nan_rows: bool = False) -> NDArray[np.float64]:
    """Rows of numbers, separated by commas, tabs or blanks (OTB mixes them even inside one file).

    Args:
        path: the file.
        widths: how many numbers a row may have; every row has as many as the first.
        nan_rows: whether a row may be NaN throughout, which says that there is no box.

    Returns:
        (N, width) float64.

    Raises:
        DatasetError: naming the file, and the row counted from 1, if a row has another number of values, holds text, is
            infinite, or is NaN in part (or at all, unless `nan_rows`).
    """
    lines = read_lines(path)
    width = len(split_row(lines[0]))
    if width not in widths:
        wanted = " or ".join(map(str, sorted(widths)))
        raise DatasetError(f"{path}: row 1 has {width} values, {wanted} are expected: {_shown(lines[0])}")
    rows = np.empty((len(lines), width))
    for number, line in enumerate(lines, start=1):
        fields = split_row(line)
        if len(fields) != width:
            raise DatasetError(f"{path}: row {number} has {len(fields)} values, {width} are expected: {_shown(line)}")
        try:
            rows[number - 1] = [float(f) for f in fields]
        except ValueError:
            word = next(f for f in fields if not _is_number(f))
            raise DatasetError(f"{path}: row {number}: {_shown(word)} is no number") from None
    _check_finite(path, rows, nan_rows)
    return rows


def _check_finite(path: Path, rows: NDArray[np.float64], nan_rows: bool) -> None:
    finite = np.isfinite(rows)
    bad = ~finite.all(axis=1)
    if nan_rows:
        bad &= ~np.isnan(rows).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        value = next(v for v in rows[row] if not math.isfinite(v))
        raise DatasetError(f"{path}: row {row + 1}: {value} where a number is expected")


def listed_names(folder: Path) -> list[str]:
    """Names in `list.txt`; where there is none, of the folders that hold a `groundtruth.txt`.

    Raises:
        DatasetError: if the list is empty or unreadable.
    """
    if (folder / "list.txt").is_file():
        return [line.strip() for line in read_lines(folder / "list.txt") if line.strip()]
    return sorted(p.parent.name for p in folder.glob("*/groundtruth.txt"))


def read_flags(path: Path, count: int | None = None) -> NDArray[np.int64]:
    """Whole numbers, one a row or all in one row (LaSOT).

    Args:
        path: the file.
        count: how many there must be, or None for any number.

    Raises:
        DatasetError: if the number is another, or a value is no whole number.
    """
    fields = [field for line in read_lines(path) for field in split_row(line)]
    flags = np.empty(len(fields), dtype=np.int64)
    for number, field in enumerate(fields, start=1):
        try:
            flags[number - 1] = int(float(field))
        except (ValueError, OverflowError):
            raise DatasetError(f"{path}: value {number}: {_shown(field)} is no whole number") from None
    if count is not None and len(flags) != count:
        raise DatasetError(f"{path} has {len(flags)} values, one for each of {count} frames is expected")
    return flags


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:37] + "...")
