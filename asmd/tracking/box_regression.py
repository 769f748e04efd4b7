"""Bounding-box regression: from the look of a candidate to a tighter box (R-CNN; MDNet's settings, FACTS 1.2).

Learnt by ridge regression on the first frame, where the box is known, and never again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asmd.boxes import Boxes, from_center, to_center


@dataclass(frozen=True)
class BoxRegressionConfig:
    """Settings of the regression.

    Attributes:
        enabled: False reports candidates as they are.
        ridge: weight of the penalty. MDNet's is 1000 on convolutional features of VGG-M, whose scale differs.
        samples: boxes of the first frame to learn from.
        min_iou: least IoU of those with the target.
        shift: their greatest shift, in sides of the target.
        scale: their greatest change of size, as an exponent of 1.05.
        limit: greatest change of a side, as a factor, that a prediction may make.
    """

    enabled: bool = True
    ridge: float = 100.0
    samples: int = 1000
    min_iou: float = 0.6
    shift: float = 0.3
    scale: float = 10.0
    limit: float = 1.5


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
    def predict(self, layouts: Tensor, boxes: Boxes) -> Boxes:
        """Moves boxes (N, 4) to where their descriptors (N, D) say that the target is."""
        if self._weights is None:
            return boxes
        moves = ((layouts - self._mean) @ self._weights) * self._deviation + self._target_mean
        move = moves.double().cpu().numpy()
        own = to_center(boxes)
        most = np.log(self.config.limit)
        centres = own[:, :2] + np.clip(move[:, :2], -1, 1) * own[:, 2:]
        sides = own[:, 2:] * np.exp(np.clip(move[:, 2:], -most, most))
        return from_center(np.concatenate([centres, sides], axis=1))
