"""One tracker, one sequence, one pass: started on the first box and never helped again (OPE)."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from asmd.boxes import Boxes
from asmd.errors import AsmdError, DatasetError, ResultsError
from asmd.evaluation.results import ResultsFolder, SequenceRun, read_boxes
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike, TrackResult, box_of


def derive_seed(seed: int, sequence: str, repeat: int) -> int:
    """The seed of one pass, in [0, 2^31), from those of the run.

    It depends on nothing but its arguments, so that neither the order in which sequences are run nor the number of
    workers changes a result.
    """
    digest = hashlib.blake2b(f"{seed}/{sequence}/{repeat}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed the generators that a tracker may draw from behind our back."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (our own code hands generators down; other people's draws from this one)
    cv2.setRNGSeed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def reseed(tracker: TrackerLike, seed: int) -> bool:
    """Seed all that a tracker draws from, as far as it can be; whether it has a generator of its own that took it."""
    seed_everything(seed)
    own = getattr(tracker, "reseed", None)
    if callable(own):
        own(seed)
    return callable(own)


def one_pass(tracker: TrackerLike, sequence: Sequence) -> SequenceRun:
    """Run a tracker over a sequence.

    Args:
        tracker: started afresh on the first box; an answer of None or of four NaN says that it has no box for a frame.
        sequence: whose every annotated frame is shown, once and in order.

    Returns:
        A row a frame. The first box is the one that the tracker was started on; the seconds are those spent inside
        `init` and `update`, so without decoding.

    Raises:
        DatasetError: if the video ends before the annotation.
        AsmdError: if the tracker's answer is no box.
    """
    count = len(sequence)
    boxes, seconds, scores = np.full((count, 4), np.nan), np.empty(count), np.full(count, np.nan)
    status = [""] * count
    done = 0
    for index, frame in enumerate(islice(iter(sequence.frames), count)):
        start = time.perf_counter()
        answer = tracker.init(frame, sequence.init_box) if index == 0 else tracker.update(frame)
        seconds[index] = time.perf_counter() - start
        boxes[index] = sequence.init_box if index == 0 else checked_box(answer, index)
        if isinstance(answer, TrackResult):
            scores[index], status[index] = answer.score, str(answer.status)
        done += 1
    if done < count:
        raise DatasetError(f"{sequence.name}: the video ends after {done} frames, the annotation has {count}")
    return SequenceRun.of(sequence.name, boxes, seconds, scores, status)


def checked_box(answer: object, index: int) -> Boxes:
    """The (4,) box in a tracker's answer to frame `index`, four NaN where it has none.

    Raises:
        AsmdError: if it is something else, or not finite.
    """
    if answer is None:
        return np.full(4, np.nan)
    try:
        box = box_of(answer)
    except (TypeError, ValueError) as error:
        raise AsmdError(f"frame {index}: the tracker answered {str(answer)[:60]!r}, which is no box") from error
    if np.isfinite(box).all() or np.isnan(box).all():
        return box
    raise AsmdError(f"frame {index}: the tracker answered a box that is not finite: {box.tolist()}")


@dataclass(frozen=True)
class OnePass:
    """The one-pass evaluation, as an experiment that `asmd.evaluation.runner.evaluate` can run."""

    name: str = "one-pass"
    repeats: int = 1
    probe: int | None = None

    def has(self, folder: ResultsFolder, tracker: str, sequence: Sequence, repeat: int) -> bool:
        """Whether that pass is on disk.

        Raises:
            ResultsError: if what is on disk is of another sequence.
        """
        if not folder.has(tracker, sequence.name, repeat):
            return False
        path = folder.path(tracker, sequence.name, repeat)
        if (rows := len(read_boxes(path))) != len(sequence):
            raise ResultsError(f"{path}: {rows} rows, but {sequence.name} has {len(sequence)} frames here")
        return True

    def perform(self, tracker: TrackerLike, sequence: Sequence) -> SequenceRun:
        """Make one pass."""
        return one_pass(tracker, sequence)

    def write(self, folder: ResultsFolder, tracker: str, run: SequenceRun, repeat: int) -> None:
        """Put it on disk."""
        folder.write(tracker, run, repeat)

    def settled(self, folder: ResultsFolder, tracker: str, sequence: Sequence) -> bool:
        """Whether more repeats would change nothing: one pass never asks."""
        return False
