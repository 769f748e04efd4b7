"""Published raw results as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from pathlib import Path

import numpy as np

from asmd.boxes import Boxes
from asmd.datasets import load
from asmd.errors import ResultsError
from asmd.evaluation.results import SequenceRun, read_boxes
from asmd.sequence import Sequence

OFFICIAL = "annotations/otb100"
"""OTB's own boxes, by which it is seen which of the official frames a copy of a sequence has."""

STEPS = (1, 2, 3)


def read(folder: Path, sequences: Rows[Sequence], data: Path) -> dict[str, SequenceRun]:
    """A tracker's published boxes on copies of OTB's sequences, some of which may be cut or thinned out.

    Args:
        folder: of `<target>.txt`, 0-based.
        sequences: the copies.
        data: the folder above `OFFICIAL`.

    Raises:
        ResultsError: if boxes are missing, or a copy's frames are none of the official ones.
    """
    official = load("otb100", data / OFFICIAL, frames=False)
    found = {}
    for sequence in sequences:
        boxes, truth = read_boxes(folder / f"{sequence.name}.txt"), official[sequence.name].boxes
        rows = frames_of(sequence.boxes, truth)
        if rows is None:
            raise ResultsError(f"{sequence.name}: its boxes are not the official ones at steps of {STEPS} frames")
        kept = boxes[rows[rows < len(boxes)]]
        found[sequence.name] = SequenceRun.of(sequence.name, kept)
    return found


def frames_of(boxes: Boxes, official: Boxes) -> np.ndarray[tuple[int], np.dtype[np.intp]] | None:
    """(N,) official frame of each row of a copy; None where it is no copy."""
    for step in STEPS:
        rows = np.arange(len(boxes), dtype=np.intp) * step
        if rows[-1] < len(official) and np.allclose(boxes, official[rows], atol=0.6, equal_nan=True):
            return rows
    return None
