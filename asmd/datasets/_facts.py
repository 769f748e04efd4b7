"""Published names, frame ranges, attributes and splits, as they come with the package (sources: docs/datasets.md)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def table(name: str) -> tuple[tuple[str, ...], ...]:
    """Rows of a file in `asmd/datasets/data`, split at tabs; lines that start with # are left out."""
    text = (files("asmd.datasets") / "data" / name).read_text(encoding="utf-8")
    return tuple(tuple(line.split("\t")) for line in text.splitlines() if line and not line.startswith("#"))


@cache
def numbers(name: str) -> frozenset[int]:
    """All whole numbers in such a file."""
    return frozenset(int(n) for row in table(name) for field in row for n in field.split())
