"""A tracker that finds the square of `asmd.samples.drawn_clip` by its script, for tests of what is around a tracker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from asmd.sequence import Frame
from asmd.tracking.checks import check_box, check_frame
from asmd.tracking.result import Status, TrackResult


class ScriptedTracker:
    """Moves the box a pixel to the right a frame; is lost in the middle third of its script.

    It refuses frames and boxes as the real one does, with the same functions.
    """

    weights_name = "no weights, by a script"

    def __init__(self, statuses: Sequence[Status] = (Status.FOUND,)) -> None:
        self._statuses = statuses

    def init(self, frame: Frame, box: ArrayLike) -> TrackResult:
        check_frame(frame)
        self._size = frame.shape[:2]
        self._box = check_box(box, self._size)
        self._index = 0
        return TrackResult(0, self._box.copy(), 1.0, Status.FOUND, 0.002)

    def update(self, frame: Frame) -> TrackResult:
        check_frame(frame, self._size)
        self._index += 1
        status = self._statuses[self._index % len(self._statuses)]
        score = {Status.FOUND: 0.9, Status.UNCERTAIN: 0.5, Status.LOST: 0.1}[status]
        box = self._box + np.array([self._index, 0, 0, 0])
        return TrackResult(self._index, box, score, status, 0.001)
