"""Which candidate is best, and where its box comes to lie: box regression, and the learnt head's say in the order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes
from asmd.tracking.box_regression import BoxRegressor, LearnedRegressor
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import Descriptors, RegionView, View
from asmd.tracking.regions import Poolings
from asmd.tracking.rows import picked


@dataclass(frozen=True, eq=False)
class Drawn:
    """Candidates of a frame.

    Attributes:
        boxes: (N, 4).
        poolings: how they are pooled from the view that they are for, where that is known.
    """

    boxes: Boxes
    poolings: Poolings | None = None


@dataclass(frozen=True)
class Scored:
    """Candidates of a view.

    Attributes:
        view: see there.
        boxes: (N, 4).
        margins: (N,) log-odds of being the target.
        described: of N boxes.
        moves: (N, 4) what the learnt head would do to them; NaN of those that it has not judged.
    """

    view: View
    boxes: Boxes
    margins: NDArray[np.float64]
    described: Descriptors
    moves: NDArray[np.float32] | None = None


def ranked(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices (N,), the best first."""
    return np.argsort(-values, kind="stable")


class Choice:
    """Box regression of one video: ridge regression of its first frame, and a learnt head where the weights have one.

    Args:
        head: moves boxes and judges them, if there is one.
        config: settings.
    """

    def __init__(self, head: LearnedRegressor | None, config: TrackerConfig) -> None:
        self._head, self._config = head, config

    def sibling(self) -> Choice:
        """That of another video, on the same head."""
        # What these learn of a video they bind anew at its first frame; what they share is not changed.
        other = copy.copy(self)
        other._head = copy.copy(self._head)
        return other

    def fit(self, view: View, boxes: Boxes, target: Boxes) -> None:
        """Learns on the first frame to move boxes (N, 4) onto the target (4,)."""
        self._ridge = BoxRegressor(self._config.regression)
        self._ridge.fit(view.describe(boxes).layout, boxes, target)
        if self._head is not None and self._head.suits(view):
            self._head.fit(view, target, self._ridge)

    def judges(self, view: View) -> bool:
        """Whether the learnt head has a say in which candidate is best."""
        wanted = self._config.search.judged > 0 and self._config.regression.enabled
        return wanted and self._head is not None and self._head.suits(view)

    def judged(self, scored: Scored) -> tuple[Scored, NDArray[np.intp]]:
        """Candidates (N,) with what the learnt head says of the best of them, and their order (N,) then.

        The head has seen the first frame alone: it cannot drift, and it tells how well a box fits.
        """
        assert self._head is not None and isinstance(scored.view, RegionView)
        search = self._config.search
        order = ranked(scored.margins)
        top = order[: search.judged]
        said = self._head.judge(scored.view, scored.boxes[top])
        moves = np.full((len(order), 4), np.nan, np.float32)
        moves[top] = said.moves.cpu().numpy()
        value = scored.margins[top] + search.judgement * said.quality.double().cpu().numpy()
        return replace(scored, moves=moves), np.concatenate([top[ranked(value)], order[search.judged :]])

    def regressed(self, scored: Scored, which: list[np.intp]) -> Boxes:
        """Where the candidates of these numbers come to lie on the mean once they are moved, (4,)."""
        boxes, layouts = scored.boxes[which], picked(scored.described.layout, np.array(which))
        if self._head is not None and self._head.suits(scored.view):
            moves = None if scored.moves is None else scored.moves[which]
            known = moves is not None and not np.isnan(moves).any()
            return self._head.predict(scored.view, boxes, layouts, moves if known else None)
        return np.asarray(self._ridge.predict(layouts, boxes).mean(axis=0))
