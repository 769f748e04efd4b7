"""What a run tells of itself: means over some iterations, to metrics.jsonl and, where it is installed, TensorBoard."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asmd.errors import OutputError
from asmd.files import replacing

FILE = "metrics.jsonl"

log = logging.getLogger(__name__)


class Meter:
    """Sums up iterations: means of named values, each over the iterations that had it, and rates.

    Attributes:
        steps: iterations since the last summary.
        skipped: lines on what could not be read in these.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.steps = 0
        self.skipped: list[str] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._waited = 0.0
        self._since = time.perf_counter()

    def add(self, values: Mapping[str, float], waited: float, skipped: Iterable[str] = ()) -> None:
        """Takes an iteration.

        Args:
            values: those that are not finite are left out of the means.
            waited: seconds in which there was nothing to do but wait for its data.
            skipped: what could not be read.
        """
        self.steps += 1
        self._waited += waited
        self.skipped += skipped
        for name, value in values.items():
            if math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent inside does not count."""
        before = time.perf_counter()
        yield
        self._since += time.perf_counter() - before

    def take(self) -> dict[str, float]:
        """The means, "waiting" as a share of time, "iterations_per_second", "samples_per_second"; and begins anew."""
        seconds = max(time.perf_counter() - self._since, 1e-9)
        values = {name: total / self._counts[name] for name, total in self._sums.items()}
        values["waiting"] = self._waited / seconds
        values["iterations_per_second"] = self.steps / seconds
        values["samples_per_second"] = self._sums.get("samples", 0.0) / seconds
        self._begin()
        return values


def mean(of: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Means of values that several processes measured, each over those that have it."""
    values: dict[str, list[float]] = {}
    for one in of:
        for name, value in one.items():
            values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


class Journal:
    """Lines of metrics of a run; what came after the step that a run resumes from is forgotten.

    Args:
        folder: of the run.
        step: iterations that a resumed run has done; 0 begins anew.

    Raises:
        OutputError: if the file cannot be written.
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
        # What an earlier run wrote at a step of this purge or later is not shown.
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else 0)

    def write(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """Adds a line.

        Args:
            step: iterations done.
            kind: "train", "validation" or "skipped".
            values: what JSON can hold; numbers also go to TensorBoard.

        Raises:
            OutputError: if it cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written ({error.strerror})") from error
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Writes out what is left."""
        if self._board is not None:
            try:
                self._board.close()
            except OSError as error:
                log.warning("TensorBoard's events are not all there (%s)", error.strerror)


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
