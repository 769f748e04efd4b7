"""OpenCV's trackers, behind the `init`/`update` that the runner drives.

They take BGR images and, some of them, whole-pixel boxes, and say nothing but whether they found the target. All of
that is met here and nowhere else: frames come in as RGB, boxes as floats, and a frame on which a tracker gives up
repeats its last box with the score 0 and the status lost, so that every frame has a box, as the benchmarks demand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike

from asmd.boxes import Boxes, as_boxes, is_valid
from asmd.errors import BoxError, TrackerStateError, WeightsError
from asmd.sequence import Frame
from asmd.tracking.result import Status, TrackResult
from asmd.video._quiet import quiet_opencv

NANOTRACK_FILES = ("backbone.onnx", "head.onnx")
"""What the folder given as NanoTrack's weights holds."""


class _CvTracker(Protocol):
    """The part of OpenCV's two tracker interfaces that both have."""

    def init(self, image: Frame, box: Any) -> Any: ...

    def update(self, image: Frame) -> tuple[bool, tuple[float, float, float, float]]: ...


class OpenCVTracker:
    """A tracker of OpenCV as a `TrackerLike`.

    Args:
        create: makes the OpenCV tracker; called once for every `init`, as an OpenCV tracker cannot start afresh.
        whole_pixels: round the box given to `init`, which trackers of OpenCV's newer interface ask for.
        score: reads the confidence of the last frame from the OpenCV tracker; where None the score is 1 for a frame on
            which the tracker found the target.
    """

    def __init__(
        self,
        create: Callable[[], _CvTracker],
        *,
        whole_pixels: bool = False,
        score: Callable[[Any], float] | None = None,
    ) -> None:
        self._create = create
        self._whole_pixels = whole_pixels
        self._score = score
        self._tracker: _CvTracker | None = None
        self._box: Boxes = np.zeros(4)
        self._index = 0

    def init(self, frame: Frame, box: ArrayLike) -> TrackResult:
        """Start afresh on `box`, (x, y, w, h) in pixels.

        Raises:
            BoxError: if the box is not finite, has no area, or OpenCV refuses it.
        """
        start = time.perf_counter()
        self._box = as_boxes(box).reshape(4)
        if not is_valid(self._box):
            raise BoxError(f"cannot start on the box {self._box.tolist()}: it is not finite or has no area")
        given = tuple(float(v) for v in self._box)
        if self._whole_pixels:
            given = tuple(max(round(v), least) for v, least in zip(given, (0, 0, 1, 1), strict=True))
        self._tracker, self._index = self._create(), 0
        try:
            accepted = self._tracker.init(_bgr(frame), given)
        except cv2.error as error:
            raise BoxError(f"OpenCV cannot start on the box {self._box.tolist()}: {error.err}") from error
        if accepted is False:  # the newer interface returns None
            raise BoxError(f"OpenCV cannot start on the box {self._box.tolist()}")
        return self._result(True, 1.0, start)

    def update(self, frame: Frame) -> TrackResult:
        """Find the target in the next frame; the last box again, scored 0, where OpenCV gives up.

        Raises:
            TrackerStateError: if called before `init`.
        """
        start = time.perf_counter()
        if self._tracker is None:
            raise TrackerStateError("update was called before init")
        self._index += 1
        found, box = self._tracker.update(_bgr(frame))
        candidate = np.asarray(box, dtype=np.float64)
        found = bool(found) and bool(is_valid(candidate))
        if found:
            self._box = candidate
        score = 0.0 if not found else 1.0 if self._score is None else float(np.clip(self._score(self._tracker), 0, 1))
        return self._result(found, score, start)

    def _result(self, found: bool, score: float, start: float) -> TrackResult:
        status = Status.FOUND if found else Status.LOST
        return TrackResult(self._index, self._box.copy(), score, status, time.perf_counter() - start)


def _bgr(frame: Frame) -> Frame:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), dtype=np.uint8)


_LEGACY = {
    "csrt": "TrackerCSRT_create",
    "kcf": "TrackerKCF_create",
    "mil": "TrackerMIL_create",
    "mosse": "TrackerMOSSE_create",
    "medianflow": "TrackerMedianFlow_create",
    "tld": "TrackerTLD_create",
    "boosting": "TrackerBoosting_create",
}

PEERS: tuple[str, ...] = (*_LEGACY, "nanotrack")
"""Names that `peer` knows."""


def peer(name: str, weights: str | Path | None = None) -> OpenCVTracker:
    """A tracker of OpenCV by its name, one of `PEERS`.

    Args:
        name: lower case, as in `PEERS`.
        weights: for `nanotrack` the folder that holds `NANOTRACK_FILES`; the others have none.

    Raises:
        WeightsError: if `nanotrack` has no weights, or they do not load.
        ValueError: if there is no such peer.
    """
    if name == "nanotrack":
        return _nanotrack(weights)
    if name not in _LEGACY:
        raise ValueError(f"no peer is called {name!r}; there are {', '.join(PEERS)}")
    # The legacy interface has all seven, and unlike the newer one takes and returns boxes that are not rounded.
    return OpenCVTracker(getattr(cv2.legacy, _LEGACY[name]))


def _nanotrack(weights: str | Path | None) -> OpenCVTracker:
    if weights is None:
        raise WeightsError(f"nanotrack needs weights: the folder that holds {' and '.join(NANOTRACK_FILES)}")
    paths = [Path(weights) / name for name in NANOTRACK_FILES]
    for path in paths:
        if not path.is_file():
            raise WeightsError(f"nanotrack: there is no {path}")
    nano: Any = cv2  # whose type stubs lack the names used here
    params = nano.TrackerNano_Params()
    params.backbone, params.neckhead = map(str, paths)

    def create() -> Any:
        with quiet_opencv():  # it warns, every time, that it computes where it was not told to compute elsewhere
            return nano.TrackerNano_create(params)

    try:
        create()
    except cv2.error as error:
        raise WeightsError(f"nanotrack: OpenCV cannot read the networks in {weights}: {error.err}") from error
    return OpenCVTracker(create, whole_pixels=True, score=lambda tracker: tracker.getTrackingScore())
