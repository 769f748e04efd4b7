"""The paper's numbers, in the terms of our measures."""

from __future__ import annotations

from collections.abc import Sequence


def figures(success: float, precision: float, over_half: float) -> dict[str, float]:
    """Average success, average precision, and the share of frames with IoU over a half (tables 1 to 6)."""
    return {"auc": success, "precision": precision, "sr50": over_half}


def columns(names: Sequence[str], text: str) -> dict[str, dict[str, float]]:
    """A table as the paper prints it, a tracker a column.

    Args:
        names: of the columns.
        text: a line for each measure: its name, then a number for each column, "-" where there is none.

    Returns:
        tracker -> measure -> number.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for line in text.strip().splitlines():
        measure, *values = line.split()
        for name, value in zip(names, values, strict=True):
            if value != "-":
                found[name][measure] = float(value)
    return found


by_attribute = columns
"""The same for a table whose lines are attributes: tracker -> attribute -> number."""
