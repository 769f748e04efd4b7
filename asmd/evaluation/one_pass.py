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
from numpy.typing import NDArray

from asmd.boxes import Boxes
from asmd.errors import AsmdError, DatasetError
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
    np.random.seed(seed)
    cv2.setRNGSeed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


@dataclass(frozen=True, eq=False)
class Pass:
    """What a tracker said of every frame of a sequence.

    Attributes:
        boxes: (N, 4), the first row the box it was started on.
        seconds: (N,) the time that the tracker took for each frame, without decoding.
        scores: (N,) its confidence, NaN where it states none.
        statuses: N of `Status`, "" where it states none.
    """

    boxes: Boxes
    seconds: NDArray[np.float64]
    scores: NDArray[np.float64]
    statuses: tuple[str, ...]


def one_pass(tracker: TrackerLike, sequence: Sequence) -> Pass:
    """Run a tracker over a sequence.

    Raises:
        DatasetError: if the video ends before the annotation.
        AsmdError: if the tracker answers a box that is not finite.
    """
    count = len(sequence)
    boxes, seconds, scores = np.empty((count, 4)), np.empty(count), np.full(count, np.nan)
    statuses = [""] * count
    done = 0
    for index, frame in enumerate(islice(iter(sequence.frames), count)):
        start = time.perf_counter()
        answer = tracker.init(frame, sequence.init_box) if index == 0 else tracker.update(frame)
        seconds[index] = time.perf_counter() - start
        boxes[index] = sequence.init_box if index == 0 else box_of(answer)
        if not np.isfinite(boxes[index]).all():
            raise AsmdError(f"{sequence.name}: the tracker's box at frame {index} is {boxes[index].tolist()}")
        if isinstance(answer, TrackResult):
            scores[index], statuses[index] = answer.score, str(answer.status)
        done += 1
    if done < count:
        raise DatasetError(f"{sequence.name}: the video ends after {done} frames, the annotation has {count}")
    return Pass(boxes, seconds, scores, tuple(statuses))
