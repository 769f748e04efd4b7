"""The per-video classifier: three fully connected layers and a two-way softmax on frozen features (paper, 4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.tracking.mining import Indices, MiningConfig, Scores, pool_indices, select

POSITIVE = 1
"""Index of the target's class in the logits."""


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier and how it is trained.

    Attributes:
        hidden: width of the two hidden layers.
        init: "gaussian" is MDNet's N(0, 0.01) with biases 0.1, which the printed learning rates hardly move in 30 steps
            (FACTS 0.2); "kaiming" (He et al., ICCV 2015) trains.
        standardise: subtract the mean of the first frame's samples and divide by their overall deviation.
        smoothing: share of a label that goes to the other class, which keeps scores from running off to 0 and 1.
        dropout: share of hidden units dropped while training.
        init_steps: steps on the first frame.
        init_rate: their learning rate; the last layer's is `last_factor` times it.
        update_steps: steps of an update.
        update_rate: their learning rate.
        last_factor: learning rate of the last layer over that of the others.
        momentum: of SGD.
        weight_decay: of weights, not of biases.
        positives: positives in a minibatch.
        clip: greatest norm of the gradient; 0 leaves it as it is.
    """

    hidden: int = 128
    init: str = "kaiming"
    standardise: bool = True
    smoothing: float = 0.0
    dropout: float = 0.5
    init_steps: int = 50
    init_rate: float = 1e-3
    update_steps: int = 10
    update_rate: float = 1e-3
    last_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    positives: int = 32
    clip: float = 10.0

    def __post_init__(self) -> None:
        if self.init not in ("gaussian", "kaiming"):
            raise ConfigError(f"classifier init must be gaussian or kaiming, got {self.init!r}")
        if min(self.hidden, self.positives) < 1 or min(self.init_steps, self.update_steps) < 0:
            raise ConfigError("classifier needs hidden and positives of at least 1 and no negative steps")


class Classifier:
    """Target against background on descriptors of D entries.

    Args:
        features: D.
        config: settings.
        mining: how negatives are selected.
        rng: the run's generator; seeds torch's own draws too.
        device: where it runs.
    """

    def __init__(
        self,
        features: int,
        config: ClassifierConfig,
        mining: MiningConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self.config, self.mining, self._rng = config, mining, rng
        self._generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        sizes = (features, config.hidden, config.hidden, 2)
        self.layers = [nn.Linear(a, b, device=device) for a, b in pairwise(sizes)]
        for index, layer in enumerate(self.layers):
            self._initialise(layer, last=index == len(self.layers) - 1)
        self._mean = torch.zeros(features, device=device)
        self._gain = 1.0

    def _initialise(self, layer: nn.Linear, last: bool) -> None:
        with torch.no_grad():
            deviation = 0.01 if self.config.init == "gaussian" or last else (2.0 / layer.in_features) ** 0.5
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=self._generator) * deviation)
            layer.bias.fill_(0.1 if self.config.init == "gaussian" and not last else 0.0)

    def standardise(self, samples: Tensor) -> None:
        """Takes mean and deviation of descriptors (N, D) as those of all that is to come."""
        self._mean = samples.mean(0)
        self._gain = 1.0 / max(float((samples - self._mean).square().mean().sqrt()), 1e-6)

    def logits(self, samples: Tensor, train: bool = False) -> Tensor:
        """(N, D) descriptors -> (N, 2) logits, background first."""
        x = (samples - self._mean) * self._gain
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
            if train and self.config.dropout > 0:
                keep = torch.rand(x.shape, generator=self._generator).to(x.device) >= self.config.dropout
                x = x * keep / (1 - self.config.dropout)
        return self.layers[-1](x)  # type: ignore[no-any-return]

    @torch.inference_mode()
    def margins(self, samples: Tensor) -> Tensor:
        """(N, D) descriptors -> (N,) log-odds of being the target; 0 is the decision boundary."""
        logits = self.logits(samples)
        return logits[:, POSITIVE] - logits[:, 1 - POSITIVE]

    def train(self, positives: Tensor, negatives: Tensor, steps: int, rate: float) -> float:
        """Minimises the cross-entropy of eq. (6), with the negative term that the equation leaves out (FACTS 0.3).

        Args:
            positives: (P, D) descriptors of the target.
            negatives: (N, D) descriptors of background, from which each minibatch mines its own.
            steps: steps of SGD with momentum.
            rate: learning rate of the hidden layers.

        Returns:
            The loss of the last step; NaN where there was nothing to learn from.
        """
        if steps == 0 or len(positives) == 0 or len(negatives) == 0:
            return float("nan")
        optimiser = torch.optim.SGD(self._groups(rate), momentum=self.config.momentum)
        parameters = [p for layer in self.layers for p in layer.parameters()]
        loss = torch.tensor(float("nan"))
        queue = np.empty(0, dtype=np.intp)
        scored: tuple[Indices, Scores] | None = None
        for step in range(steps):
            while len(queue) < self.config.positives:
                queue = np.concatenate([queue, self._rng.permutation(len(positives))])
            batch, queue = queue[: self.config.positives], queue[self.config.positives :]
            if scored is None or step % self.mining.interval == 0:
                scored = self._scored_pool(negatives)
            hard = self._mine(*scored)
            samples = torch.cat([positives[torch.from_numpy(batch)], negatives[torch.from_numpy(hard)]])
            labels = torch.zeros(len(samples), dtype=torch.long, device=samples.device)
            labels[: len(batch)] = POSITIVE
            loss = nn.functional.cross_entropy(
                self.logits(samples, train=True), labels, label_smoothing=2 * self.config.smoothing
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.config.clip:
                nn.utils.clip_grad_norm_(parameters, self.config.clip)
            optimiser.step()
        return float(loss.detach())

    def _groups(self, rate: float) -> list[dict[str, object]]:
        """Parameters with their rates: the last layer learns faster, biases twice as fast and without decay (MDNet)."""
        groups: list[dict[str, object]] = []
        for layer in self.layers:
            own = rate * (self.config.last_factor if layer is self.layers[-1] else 1.0)
            groups.append({"params": [layer.weight], "lr": own, "weight_decay": self.config.weight_decay})
            groups.append({"params": [layer.bias], "lr": 2 * own, "weight_decay": 0.0})
        return groups

    def _scored_pool(self, negatives: Tensor) -> tuple[Indices, Scores]:
        """Negatives that minibatches are selected from, and how much each looks like the target."""
        if self.mining.rule == "rand":
            return np.arange(len(negatives)), np.ones(len(negatives))
        pool = pool_indices(len(negatives), self.mining, self._rng)
        scores = torch.sigmoid(self.margins(negatives[torch.from_numpy(pool)])).cpu().numpy()
        return pool, scores.astype(np.float64)

    def _mine(self, pool: Indices, scores: Scores) -> Indices:
        if self.mining.rule == "rand":
            return pool_indices(len(pool), self.mining, self._rng)
        return pool[select(scores, self.mining, self._rng)]
