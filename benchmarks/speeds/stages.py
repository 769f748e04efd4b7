"""Where the time of a frame goes: own time of each stage, told by wrapping its functions for the while.

Nothing is in the tracker for it, so that it costs nothing when it is off; on, it costs about a microsecond a call. What
goes on beside, in another thread than the timer was made in, is not part of a frame's time but for the waiting for it.
"""

from __future__ import annotations

import functools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from asmd.flow import FlowStack
from asmd.tracking import box_regression, candidates, features, regions, tracker
from asmd.tracking.classifier import Classifier, Course
from asmd.tracking.confidence import Confidence
from asmd.tracking.memory import Memory
from asmd.tracking.network import FeatureNetwork
from asmd.tracking.overlap import OverlapRegressor
from speeds.timing import now

STAGES: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("flow", FlowStack, ("pushing", "_keep", "moved")),
    ("cut", features._Inputs, ("streams",)),
    ("network", FeatureNetwork, ("maps",)),
    ("cells", features.RegionExtractor, ("view",)),
    ("pooling", features.RegionView, ("describe",)),
    ("pooling", regions.Region, ("poolings",)),
    ("pooling", features.CropView, ("describe",)),
    ("candidates", candidates, ("gaussian", "close", "samples", "fits", "limit", "grid")),
    ("classifier scores", tracker.Tracker, ("_margins",)),
    ("classifier scores", Classifier, ("margins",)),
    ("classifier update", Course, ("__init__", "advance")),
    ("classifier update", Classifier, ("scoring",)),
    ("overlap", OverlapRegressor, ("predict", "learn")),
    ("judging", box_regression.LearnedRegressor, ("judge",)),
    ("box regression", box_regression.LearnedRegressor, ("predict",)),
    ("box regression", box_regression.BoxRegressor, ("predict",)),
    ("memory", Memory, ("add", "short", "long")),
    ("confidence", Confidence, ("update",)),
    ("waiting", Future, ("result",)),
    ("rest", tracker.Tracker, ("update",)),
)
"""Stage, where its functions are, and their names. A function's time is less that of those it calls that are here."""

REST = "rest"
"""What `Tracker.update` does besides."""


class StageTimer:
    """Adds up the own time of each stage, frame by frame.

    Attributes:
        frames: for each frame that was closed, seconds of each stage.
        beside: as long, seconds of what went on beside and came to its end by then.
    """

    def __init__(self) -> None:
        self.frames: list[dict[str, float]] = []
        self.beside: list[dict[str, float]] = []
        self._thread, self._local = threading.get_ident(), threading.local()
        # Queues, which take no lock: one thread would wait for another that measures.
        self._here: deque[tuple[str, float]] = deque()
        self._beside: deque[tuple[str, float]] = deque()

    def close_frame(self) -> None:
        """What has been measured since the last call is one frame's."""
        for kept, measured in ((self.frames, self._here), (self.beside, self._beside)):
            total: dict[str, float] = defaultdict(float)
            for _ in range(len(measured)):
                stage, seconds = measured.popleft()
                total[stage] += seconds
            kept.append(dict(total))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage that is not a function of the table."""
        started = self._enter()
        try:
            yield
        finally:
            self._leave(name, started)

    @contextmanager
    def watching(self) -> Iterator[StageTimer]:
        """Wraps the functions of `STAGES` while it lasts.

        Raises:
            AttributeError: if one of them is no more; the table then has to follow the code.
        """
        before = [(owner, name, vars(owner)[name]) for _, owner, names in STAGES for name in names]
        try:
            for stage, owner, names in STAGES:
                for name in names:
                    setattr(owner, name, self._wrapped(getattr(owner, name), stage))
            yield self
        finally:
            for owner, name, function in before:
                setattr(owner, name, function)

    def _wrapped(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = self._enter()
            try:
                return function(*args, **kwargs)
            finally:
                self._leave(stage, started)

        return timed

    @property
    def _inner(self) -> list[float]:
        """Time of the stages within those that the calling thread is in."""
        inner: list[float] = self._local.__dict__.setdefault("inner", [])
        return inner

    def _enter(self) -> float:
        self._inner.append(0.0)
        return now()

    def _leave(self, stage: str, started: float) -> None:
        spent, inner = now() - started, self._inner
        here = threading.get_ident() == self._thread
        (self._here if here else self._beside).append((stage, spent - inner.pop()))
        if inner:
            inner[-1] += spent
