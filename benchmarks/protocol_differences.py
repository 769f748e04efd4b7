"""The figures of docs/protocols.md: where protocols part, on made-up cases, on annotation, on published results.

    python benchmarks/protocol_differences.py --annotations DIR [--results DIR]

DIR holds the boxes of OTB-100, which is scored against itself; RESULTS raw results on it. Protocols of other benchmarks
are applied to the same boxes to set the rules side by side. For GOT-10k's, which clips boxes to the frame, a frame is
taken to end where the furthest box of the sequence does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tyro

from asmd.boxes import Boxes
from asmd.datasets import load
from asmd.errors import ResultsError
from asmd.evaluation.protocols import PROTOCOLS
from asmd.evaluation.report import Report, TrackerReport
from asmd.evaluation.results import ResultsFolder, SequenceRun
from asmd.evaluation.tables import Cell, Column, Table
from asmd.sequence import Sequence

Change: TypeAlias = Callable[[Boxes, Boxes, np.ndarray, np.ndarray], None]
Case: TypeAlias = tuple[list[Sequence], dict[str, Boxes]]


@dataclass(frozen=True)
class Options:
    """Print the figures of docs/protocols.md."""

    annotations: Path
    """The boxes of OTB-100, one file a target."""
    results: Path | None = None
    """Raw results on it."""


def main(options: Options) -> None:
    """Print the tables."""
    cases = {name: case() for name, case in CASES.items()}
    print(table("AUC and precision of a tracker that is right wherever it can be", cases).markdown())
    sequences = [sized(s) for s in load("otb100", options.annotations, frames=False)]
    compared = {"annotation": (sequences, {s.name: s.boxes for s in sequences})}
    folder = options.results and ResultsFolder(options.results)
    for tracker in folder.trackers() if folder else ():
        boxes = {s.name: folder.read(tracker, s.name, details=False).boxes for s in sequences} if folder else {}
        compared[tracker] = (sequences, boxes)
    print(table("AUC and precision on OTB-100", compared).markdown())


def table(title: str, cases: dict[str, Case]) -> Table:
    """Protocols down, cases across."""
    rows: list[tuple[Cell, ...]] = [(name, *(figures(name, *case) for case in cases.values())) for name in PROTOCOLS]
    return Table(title, (Column("protocol"), *map(Column, cases)), tuple(rows))


def figures(protocol: str, sequences: Iterable[Sequence], boxes: dict[str, Boxes]) -> str:
    """AUC and precision, or that the protocol takes no such boxes."""
    runs = {"t": [{name: SequenceRun.of(name, rows) for name, rows in boxes.items()}]}
    try:
        entry: TrackerReport = Report.from_results(runs, sequences, protocol).trackers[0]
    except ResultsError:
        return "refused"
    return f"{entry.measures['auc']:.4f} {entry.measures['precision']:.4f}"


def case(change: Change) -> Callable[[], Case]:
    """A sequence of 100 frames and a tracker that is right, to which `change` is done in place."""

    def make() -> Case:
        truth = np.tile([100.0, 100.0, 40.0, 30.0], (100, 1))
        boxes, absent, cover = truth.copy(), np.zeros(100, dtype=bool), np.full(100, 8)
        change(truth, boxes, absent, cover)
        return [Sequence("s", (), truth, absent, cover=cover, meta={"resolution": "(640, 480)"})], {"s": boxes}

    return make


def _right(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    pass


def _unannotated(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    truth[50:60] = np.nan


def _absent(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    absent[50:60], cover[50:60], boxes[50:60, 0] = True, 0, 400.0


def _empty(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    boxes[50:60] = 0.0


def _no_box(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    boxes[50:60] = np.nan


def _first(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    boxes[0, 0] = 400.0


def _border(truth: Boxes, boxes: Boxes, absent: np.ndarray, cover: np.ndarray) -> None:
    truth[50:60, 0] = boxes[50:60, 0] = -1.0


CASES = {
    "nothing special": case(_right),
    "10 % without annotation": case(_unannotated),
    "10 % absent, box elsewhere": case(_absent),
    "10 % boxes (0, 0, 0, 0)": case(_empty),
    "10 % without a box": case(_no_box),
    "first box elsewhere": case(_first),
    "10 % of boxes begin at -1": case(_border),
}
"""What toolkits treat differently, one thing at a time."""


def sized(sequence: Sequence) -> Sequence:
    """With the size of a frame that holds every annotated box."""
    width, height = np.ceil((sequence.boxes[:, :2] + sequence.boxes[:, 2:]).max(axis=0)).astype(int)
    return replace(sequence, meta={**sequence.meta, "resolution": f"({width}, {height})"})


if __name__ == "__main__":
    main(tyro.cli(Options))
