"""What a run tells of itself: means over some iterations, to metrics.jsonl and, where it is installed, TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asmd.files import replacing

FILE = "metrics.jsonl"


class Means:
    """Means of named values, each over the iterations that had it."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Takes an iteration's values; those that are not finite are left out."""
        for name, value in values.items():
            if math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means so far, and begins anew."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


class Journal:
    """Lines of metrics of a run; what came after the step that a run resumes from is forgotten.

    Args:
        folder: of the run.
        step: the first iteration that is going to be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / FILE
        lines = [line for line in read(folder) if line["step"] <= step] if step else []
        with replacing(self._path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """Adds a line.

        Args:
            step: iterations done.
            kind: "train", "validation" or "skipped".
            values: what JSON can hold; numbers also go to TensorBoard.
        """
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Writes out what is left."""
        if self._board is not None:
            self._board.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics, oldest first; a last one that is cut off is left out."""
    path = folder / FILE
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
