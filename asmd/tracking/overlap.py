"""How well a box fits: its overlap with the target, told from its look.

The classifier tells the target from the background, and to it a box inside the target looks like the target: boxes
that follow its score shrink. Here the IoU itself is learnt, by ridge regression on descriptors, from boxes of frames on
which it is known: the first one, and those that a person corrects. The tracker's own boxes are not learnt from, since
their errors would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.errors import ConfigError


@dataclass(frozen=True)
class OverlapConfig:
    """The second, closer look at the target's size.

    Attributes:
        candidates: boxes drawn about the best of the first look; 0 leaves the second look out.
        shift: their greatest shift, in mean sides: place is the classifier's business.
        scale: their greatest change of size, as an exponent of 1.05.
        aspect: their greatest change of each side against the other, as an exponent of 1.05.
        best: boxes that are averaged.
        samples: boxes of a known frame to learn from; half of them near the target. Each changed version of the first
            frame adds a quarter as many.
        ridge: weight of the penalty, in units of the descriptors' mean square.
    """

    candidates: int = 64
    shift: float = 0.02
    scale: float = 2.0
    aspect: float = 0.5
    best: int = 8
    samples: int = 800
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if self.candidates and not 1 <= self.best <= self.candidates:
            raise ConfigError(f"overlap needs 1 <= best <= candidates, got {self.best} and {self.candidates}")
        if self.samples < 2 or self.ridge <= 0:
            raise ConfigError("overlap needs at least 2 samples and a ridge above 0")


class OverlapRegressor:
    """A linear map from descriptors to IoU.

    Args:
        config: settings.
        samples: (N, D) descriptors of boxes of the first frame, and of changed versions of it.
        overlaps: (N,) their IoU with the target.
    """

    @torch.inference_mode()
    def __init__(self, config: OverlapConfig, samples: Tensor, overlaps: NDArray[np.float64]) -> None:
        self.config = config
        self._mean = samples.mean(0)
        # One factor for all, so that the penalty means the same whatever the features' scale.
        self._gain = 1.0 / max(float((samples - self._mean).square().mean().sqrt()), 1e-6)
        size = samples.shape[1] + 1
        self._frames = 0
        self._gram = torch.zeros(size, size, device=samples.device)
        self._moment = torch.zeros(size, device=samples.device)
        self.learn(samples, overlaps)

    @torch.inference_mode()
    def predict(self, samples: Tensor) -> NDArray[np.float64]:
        """(N, D) descriptors -> (N,) expected IoU, not confined to [0, 1]."""
        return np.asarray((self._prepared(samples) @ self._weights).double().cpu().numpy())

    @torch.inference_mode()
    def learn(self, samples: Tensor, overlaps: NDArray[np.float64]) -> None:
        """Takes a further frame into account; every frame has the same weight.

        Args:
            samples: (N, D) descriptors of its boxes.
            overlaps: (N,) their IoU with the target.
        """
        if len(samples) == 0:
            return
        x = self._prepared(samples)
        y = torch.from_numpy(overlaps.astype(np.float32)).to(x.device)
        self._frames += 1
        self._gram += (x.T @ x / len(x) - self._gram) / self._frames
        self._moment += (x.T @ y / len(x) - self._moment) / self._frames
        penalised = self._gram.clone()
        penalised.diagonal().add_(self.config.ridge)
        self._weights = torch.cholesky_solve(self._moment[:, None], torch.linalg.cholesky(penalised))[:, 0]

    def _prepared(self, samples: Tensor) -> Tensor:
        scaled = (samples - self._mean) * self._gain
        return torch.cat([scaled, torch.ones(len(scaled), 1, device=scaled.device)], dim=1)
