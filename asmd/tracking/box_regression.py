"""Bounding-box regression: from the look of a candidate to a tighter box.

Ridge regression learns it on the first frame, where the box is known, and never again (R-CNN; MDNet's settings, FACTS
1.2). Where the weights have a head for it (`asmd.models.box_refinement`), which has learnt from many videos how boxes
change, that takes its place.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, from_center, to_center, to_corners
from asmd.errors import ConfigError
from asmd.models.box_refinement import BoxRefinement, Refined
from asmd.tracking.features import Extractor, RegionExtractor, RegionView, View
from asmd.tracking.openvino_head import OpenVINOHead


@dataclass(frozen=True)
class BoxRegressionConfig:
    """Settings of the regression.

    Attributes:
        enabled: False reports candidates as they are.
        kind: "ridge", or "auto" for the learnt head where the weights have one and the features suit it.
        learnt: share of the learnt head in a move; the rest is ridge regression's.
        iterations: times that a box is moved, with the learnt head, each from where the last has put it. A second time
            changes nothing that shows once the head has judged the candidates.
        damping: share of a move that is made from the second time on.
        ridge: weight of the penalty. MDNet's is 1000 on convolutional features of VGG-M, whose scale differs; for unit
            cells 3 brings boxes of held-out sequences closer than 100.
        samples: boxes of the first frame to learn from.
        min_iou: least IoU of those with the target.
        shift: their greatest shift, in sides of the target.
        scale: their greatest change of size, as an exponent of 1.05.
        limit: greatest change of a side, as a factor, that a prediction may make.
        precision: of the learnt head in OpenVINO: "auto" multiplies most of it in int8 where the network runs in that,
            and else is "float32"; "fast" is the network's floating type, which may cost some accuracy.
    """

    enabled: bool = True
    kind: Literal["auto", "ridge"] = "auto"
    learnt: float = 0.5
    iterations: int = 1
    damping: float = 0.5
    ridge: float = 3.0
    samples: int = 1000
    min_iou: float = 0.6
    shift: float = 0.3
    scale: float = 10.0
    limit: float = 1.5
    precision: Literal["auto", "float32", "fast"] = "auto"

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "ridge") or self.iterations < 1:
            raise ConfigError('box regression is of kind "auto" or "ridge" and has iterations of at least 1')
        if self.precision not in ("auto", "float32", "fast"):
            raise ConfigError(f'the precision of box regression is "auto", "float32" or "fast", not {self.precision!r}')
        if not (0 < self.learnt <= 1 and 0 <= self.damping <= 1):
            raise ConfigError("box regression needs learnt and damping in 0..1, and learnt above 0")


def _apply(moves: Boxes, boxes: Boxes, limit: float) -> Boxes:
    """Boxes (N, 4) after moves (N, 4): shifts in sides, at most one, and logarithms of factors, at most `limit`."""
    own, most = to_center(boxes), np.log(limit)
    centres = own[:, :2] + np.clip(moves[:, :2], -1, 1) * own[:, 2:]
    sides = own[:, 2:] * np.exp(np.clip(moves[:, 2:], -most, most))
    return from_center(np.concatenate([centres, sides], axis=1))


class BoxRegressor:
    """Linear maps from layout descriptors to (dx, dy, dw, dh)."""

    def __init__(self, config: BoxRegressionConfig) -> None:
        self.config = config
        self._weights: Tensor | None = None

    @torch.inference_mode()
    def fit(self, layouts: Tensor, boxes: Boxes, target: Boxes) -> None:
        """Learns to move `boxes` onto `target`.

        Args:
            layouts: (N, D) descriptors of the boxes.
            boxes: (N, 4).
            target: (4,).
        """
        if len(boxes) < 10:
            # Too few to learn from (a target that fills the frame): predictions then change nothing.
            self._weights = None
            return
        layouts = layouts.float()
        own, goal = to_center(boxes), to_center(target)
        shifts = (goal[:2] - own[:, :2]) / own[:, 2:]
        sizes = np.log(goal[2:] / own[:, 2:])
        targets = torch.from_numpy(np.concatenate([shifts, sizes], axis=1)).to(layouts.device, torch.float32)
        self._mean = layouts.mean(0)
        self._target_mean = targets.mean(0)
        # Whitened targets, as in R-CNN, so that no coordinate decides the fit.
        self._deviation = targets.std(0).clamp_min(1e-4)
        x = layouts - self._mean
        y = (targets - self._target_mean) / self._deviation
        # The dual form, since there are fewer samples than features.
        gram = x @ x.T
        gram.diagonal().add_(self.config.ridge)
        self._weights = x.T @ torch.linalg.solve(gram, y)

    @torch.inference_mode()
    def moves(self, layouts: Tensor) -> Tensor | None:
        """(dx, dy, dw, dh) for descriptors (N, D), (N, 4); None where there was too little to learn from."""
        if self._weights is None:
            return None
        return ((layouts.float() - self._mean) @ self._weights) * self._deviation + self._target_mean

    def predict(self, layouts: Tensor, boxes: Boxes) -> Boxes:
        """Moves boxes (N, 4) to where their descriptors (N, D) say that the target is."""
        moves = self.moves(layouts)
        return boxes if moves is None else _apply(moves.double().cpu().numpy(), boxes, self.config.limit)


def head_graph(
    head: BoxRefinement, extractor: Extractor, counts: Collection[int], config: BoxRegressionConfig
) -> OpenVINOHead | None:
    """A head in OpenVINO, for so many boxes at a time, where the network that it reads is; None where it is not."""
    stages = head.config.stages
    if not isinstance(extractor, RegionExtractor) or not set(stages) <= set(extractor.config.stages):
        return None
    if extractor.backend != "openvino":
        return None
    sizes, strides = tuple(map(extractor.size, stages)), [extractor.stride(stage) for stage in stages]
    dtype = extractor.dtype if config.precision == "fast" else torch.float32
    int8 = config.precision == "auto" and head.limits is not None and extractor.precision == "int8"
    return OpenVINOHead(head, counts, sizes, strides, dtype, int8)


class LearnedRegressor:
    """Moves boxes by a head that was trained off-line and the video's own ridge regression, whose errors differ.

    Args:
        head: in evaluation mode.
        config: settings.
        graph: the same head in OpenVINO, which judges boxes instead where it suits them.
    """

    def __init__(self, head: BoxRefinement, config: BoxRegressionConfig, graph: OpenVINOHead | None = None) -> None:
        self.config = config
        self._head, self._graph = head, graph

    def suits(self, view: View) -> TypeGuard[RegionView]:
        """Whether a view has the maps that the head reads; its extractor was then made with the head's encoders."""
        return isinstance(view, RegionView) and set(self._head.config.stages) <= set(view.encoded)

    @torch.inference_mode()
    def fit(self, view: RegionView, target: Boxes, ridge: BoxRegressor) -> None:
        """Takes the first frame, with the target (4,) and what ridge regression has learnt on it."""
        self._ridge = ridge
        self._target = self._head.pool(self._maps(view), *self._place(view, target[None]))
        self._bias = self._head.bias(self._target)

    @torch.inference_mode()
    def judge(self, view: RegionView, boxes: Boxes) -> Refined:
        """What the head, told what the target looked like on the first frame, says of boxes (N, 4) of a frame."""
        (corners, strides), maps = self._place(view, boxes), self._maps(view)
        if self._graph is not None and self._graph.suits(maps, corners):
            return self._head.told(self._graph.read(maps, corners, self._target), self._bias)
        said: Refined = self._head(self._head.pool(maps, corners, strides), self._target, self._bias)
        return said

    @torch.inference_mode()
    def predict(
        self, view: RegionView, boxes: Boxes, layouts: Tensor, moves: NDArray[np.floating[Any]] | None = None
    ) -> Boxes:
        """Where boxes of a frame come to lie on the mean once they are moved.

        Args:
            view: of the frame.
            boxes: (N, 4).
            layouts: (N, D) of the boxes.
            moves: (N, 4) what the head says of them, where it has been asked.

        Returns:
            (4,).
        """
        for step in range(self.config.iterations):
            if moves is None or step > 0:
                moves = self.judge(view, boxes).moves.cpu().numpy()
            if self.config.learnt < 1:
                other = self._ridge.moves(layouts if step == 0 else view.describe(boxes).layout)
                if other is not None:
                    moves = self.config.learnt * moves + (1 - self.config.learnt) * other.cpu().numpy()
            moves = moves if step == 0 else self.config.damping * moves
            boxes = _apply(moves.astype(np.float64), boxes, self.config.limit).mean(axis=0, keepdims=True)
        return np.asarray(boxes[0])

    def _maps(self, view: RegionView) -> list[Tensor]:
        return [view.encoded[stage][0] for stage in self._head.config.stages]

    def _place(self, view: RegionView, boxes: Boxes) -> tuple[Tensor, list[int]]:
        strides = [view.encoded[stage][1] for stage in self._head.config.stages]
        return view.region.pixels(to_corners(boxes)).to(self._head.out.weight.device), strides
