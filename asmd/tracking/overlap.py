"""How well a box fits: its overlap with the target, told from its look.

The classifier tells the target from the background, and to it a box inside the target looks like the target: boxes
that follow its score shrink. Here the IoU itself is learnt, by ridge regression on descriptors, from boxes of the first
frame, where it is known, and of later ones, where it is measured against the tracker's own box. Only running sums are
kept, and a few steps of conjugate gradients bring the solution up to date, so that the cost is small and even.
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
        samples: boxes of the first frame to learn from; half of them near the target. Each changed version of the frame
            adds a quarter as many.
        update_samples: boxes of a later frame.
        interval: frames between two from which is learnt.
        rate: weight of such a frame against all later ones before it.
        first: weight of the first frame against all later ones.
        ridge: weight of the penalty, in units of the descriptors' mean square.
        steps: conjugate gradient steps after a frame.
    """

    candidates: int = 64
    shift: float = 0.02
    scale: float = 2.0
    aspect: float = 0.5
    best: int = 8
    samples: int = 800
    update_samples: int = 64
    interval: int = 4
    rate: float = 0.08
    first: float = 0.5
    ridge: float = 1.0
    steps: int = 6

    def __post_init__(self) -> None:
        if self.candidates and not 1 <= self.best <= self.candidates:
            raise ConfigError(f"overlap needs 1 <= best <= candidates, got {self.best} and {self.candidates}")
        if not (0 <= self.rate <= 1 and 0 <= self.first <= 1) or self.ridge <= 0 or self.interval < 1:
            raise ConfigError("overlap needs rate and first in 0..1, ridge above 0 and an interval of at least 1")


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
        samples = samples.float()
        self._mean = samples.mean(0)
        # One factor for all, so that the penalty means the same whatever the features' scale.
        self._gain = 1.0 / max(float((samples - self._mean).square().mean().sqrt()), 1e-6)
        self._first = self._sums(samples, overlaps)
        self._gram, self._moment = (part.clone() for part in self._first)
        self._gram.diagonal().add_(config.ridge)
        self._first[0].diagonal().add_(config.ridge)
        factor, _ = torch.linalg.cholesky_ex(self._gram)
        self._weights = torch.cholesky_solve(self._moment[:, None], factor)[:, 0]

    @torch.inference_mode()
    def predict(self, samples: Tensor) -> NDArray[np.float64]:
        """(N, D) descriptors -> (N,) expected IoU, not confined to [0, 1]."""
        return np.asarray((self._prepared(samples) @ self._weights).double().cpu().numpy())

    @torch.inference_mode()
    def learn(self, samples: Tensor, overlaps: NDArray[np.float64]) -> None:
        """Takes a later frame into account.

        Args:
            samples: (N, D) descriptors of its boxes.
            overlaps: (N,) their IoU with the tracker's box.
        """
        if len(samples) == 0:
            return
        config = self.config
        x, y = self._prepared(samples), torch.from_numpy(overlaps.astype(np.float32)).to(samples.device)
        # Sums of later frames fade at the rate; the first frame's share does not.
        fading, share = 1 - config.rate, config.rate * (1 - config.first)
        self._gram.addmm_(x.T, x, beta=fading, alpha=share / len(x)).add_(
            self._first[0], alpha=config.rate * config.first
        )
        self._gram.diagonal().add_(config.ridge * share)
        self._moment.addmv_(x.T, y, beta=fading, alpha=share / len(x)).add_(
            self._first[1], alpha=config.rate * config.first
        )
        self._improve(config.steps)

    def _improve(self, steps: int) -> None:
        """Conjugate gradients (Hestenes and Stiefel 1952) from the last solution on."""
        weights = self._weights
        residual = self._moment - self._gram @ weights
        direction, energy = residual, residual @ residual
        for _ in range(steps):
            if float(energy) < 1e-12:
                break
            image = self._gram @ direction
            step = energy / (direction @ image)
            weights, residual = weights + step * direction, residual - step * image
            energy, before = residual @ residual, energy
            direction = residual + (energy / before) * direction
        self._weights = weights

    def _prepared(self, samples: Tensor) -> Tensor:
        scaled = (samples.float() - self._mean) * self._gain
        return torch.cat([scaled, torch.ones(len(scaled), 1, device=scaled.device)], dim=1)

    def _sums(self, samples: Tensor, overlaps: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Means of the outer products (D + 1, D + 1) and of descriptors times overlaps (D + 1,)."""
        x = self._prepared(samples)
        y = torch.from_numpy(overlaps.astype(np.float32)).to(x.device)
        return x.T @ x / len(x), x.T @ y / len(x)
