"""A benchmark of three short sequences, and trackers on it whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asmd.evaluation.results import ResultsFolder, SequenceRun
from asmd.sequence import Frame, Sequence

LENGTHS = {"Car": 20, "Dog": 30, "Man": 40}


class Frames:
    """Grey frames with a white patch where the target is."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.boxes = boxes

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        frame = np.full((120, 160, 3), 90, np.uint8)
        x, y, w, h = self.boxes[index].astype(int)
        frame[y : y + h, x : x + w] = 255
        return frame


def benchmark(frames: bool = False) -> list[Sequence]:
    """`Dog` has ten frames without its target; attributes overlap."""
    sequences = []
    for number, (name, length) in enumerate(LENGTHS.items()):
        boxes = np.column_stack([np.arange(length) + 10.0, np.full(length, 20.0), np.full((length, 2), 24.0)])
        absent = np.zeros(length, dtype=bool)
        if name == "Dog":
            absent[20:] = True
        attributes = (("SV", "OCC"), ("OCC",), ("SV", "MB"))[number]
        images = Frames(boxes) if frames else ()
        sequences.append(Sequence(name, images, boxes, absent=absent, attributes=attributes))
    return sequences


def write_results(root: Path) -> ResultsFolder:
    """`exact` is right; `half`, run three times, loses the target half-way; `late` is 12 px off, and has no times."""
    folder = ResultsFolder(root)
    for sequence in benchmark():
        count = len(sequence)
        seconds, scores = np.full(count, 0.05), np.where(sequence.absent, 0.2, 0.9)
        status = ["lost" if gone else "found" for gone in sequence.absent]
        folder.write("exact", SequenceRun.of(sequence.name, sequence.boxes, seconds, scores, status))
        for repeat in (1, 2, 3):
            lost = sequence.boxes.copy()
            lost[count // 2 + repeat - 2 :] = [130.0, 90.0, 24.0, 24.0]
            folder.write("half", SequenceRun.of(sequence.name, lost, seconds / 10), repeat)
        off = np.add(sequence.boxes, [12.0, 0.0, 0.0, 0.0])
        off[0] = sequence.boxes[0]
        folder.write("late", SequenceRun.of(sequence.name, off))
    folder.write_provenance("exact", {"seed": 3, "weights": "<none>"})
    return folder
