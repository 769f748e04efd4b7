"""The paper's numbers, in the terms of our measures."""

from __future__ import annotations


def figures(success: float, precision: float, over_half: float) -> dict[str, float]:
    """Average success, average precision, and the share of frames with IoU over a half (tables 1 to 6)."""
    return {"auc": success, "precision": precision, "sr50": over_half}
