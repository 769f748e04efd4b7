"""The per-video classifier: three fully connected layers and a two-way softmax on frozen features (paper, 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from asmd import compiled
from asmd.errors import ConfigError
from asmd.tracking.descent import Descent, DescentConfig, descent
from asmd.tracking.mining import Indices, MiningConfig, Scores, pool_indices, select
from asmd.tracking.perceptron import Parameters, Scorer, scored, scorer
from asmd.tracking.rows import Rows, picked


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier and how it is trained.

    Attributes:
        members: classifiers that learn side by side from the same minibatches, each from its own first weights and with
            its own dropout; their log-odds are averaged. One alone loses or keeps a difficult target by chance.
        hidden: width of the two hidden layers of each.
        init: "gaussian" is MDNet's N(0, 0.01) with biases 0.1, which the printed learning rates hardly move in 30 steps
            (FACTS 0.2); "kaiming" (He et al., ICCV 2015) trains.
        standardise: subtract the mean of the first frame's samples and divide by their overall deviation.
        smoothing: share of a label that goes to the other class, which keeps scores from running off to 0 and 1.
        dropout: share of hidden units dropped while training.
        init_steps: steps on the first frame.
        init_rate: their learning rate; the last layer's is `last_factor` times it.
        update_steps: steps of an update.
        pace: steps that are made in one frame, so that an update is spread over as many frames as it takes; 0 makes all
            in the frame in which it falls due.
        update_rate: their learning rate.
        last_factor: learning rate of the last layer over that of the others.
        momentum: of SGD.
        weight_decay: of weights, not of biases.
        positives: positives in a minibatch.
        clip: greatest norm of the gradient; 0 leaves it as it is.
    """

    members: int = 3
    hidden: int = 48
    init: str = "kaiming"
    standardise: bool = True
    smoothing: float = 0.0
    dropout: float = 0.5
    init_steps: int = 50
    init_rate: float = 1e-3
    update_steps: int = 10
    pace: int = 2
    update_rate: float = 1e-3
    last_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    positives: int = 32
    clip: float = 10.0

    def __post_init__(self) -> None:
        if self.init not in ("gaussian", "kaiming"):
            raise ConfigError(f"classifier init must be gaussian or kaiming, got {self.init!r}")
        if min(self.members, self.hidden, self.positives) < 1 or min(self.init_steps, self.update_steps, self.pace) < 0:
            raise ConfigError("classifier needs members, hidden and positives of at least 1 and no negative steps")

    def factors(self, index: int) -> tuple[float, float]:
        """Learning rate of a parameter over that of the hidden layers' weights, and its weight decay (MDNet).

        Args:
            index: among weights and biases of the three layers in turn.
        """
        layer, bias = divmod(index, 2)
        factor = (self.last_factor if layer == 2 else 1.0) * (2.0 if bias else 1.0)
        return factor, 0.0 if bias else self.weight_decay


class Classifier:
    """Target against background on descriptors of D entries.

    Args:
        features: D.
        config: settings.
        mining: how negatives are selected.
        rng: the run's generator; seeds torch's own draws too.
        device: where it runs.

    Attributes:
        rng: the run's generator.
        parameters: weights (M, out, in) and biases (M, out) of the layers in turn.
    """

    def __init__(
        self,
        features: int,
        config: ClassifierConfig,
        mining: MiningConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self.config, self.mining, self.rng = config, mining, rng
        seed = int(rng.integers(2**62))
        weights, self._draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        self.parameters: Parameters = []
        sizes = (features, config.hidden, config.hidden, 2)
        for number, (inputs, outputs) in enumerate(pairwise(sizes)):
            last = number == len(sizes) - 2
            deviation = 0.01 if config.init == "gaussian" or last else (2.0 / inputs) ** 0.5
            weight = torch.randn(config.members, outputs, inputs, generator=weights) * deviation
            bias = torch.full((config.members, outputs), 0.1 if config.init == "gaussian" and not last else 0.0)
            self.parameters += [weight.to(device), bias.to(device)]
        self._mean = torch.zeros(features, device=device)
        self._gain = 1.0
        self._scoring: Scorer | None = None

    def standardise(self, samples: Tensor) -> None:
        """Takes mean and deviation of descriptors (N, D) as those of all that is to come."""
        samples = samples.float()
        self._scoring = None
        self._mean = samples.mean(0)
        self._gain = 1.0 / max(float((samples - self._mean).square().mean().sqrt()), 1e-6)

    def _standard(self, samples: Tensor) -> Tensor:
        return (samples - self._mean).mul_(self._gain)

    @torch.inference_mode()
    def margins(self, samples: Tensor) -> Tensor:
        """(N, D) descriptors -> (N,) log-odds of being the target; 0 is the decision boundary.

        The first layer, which is nearly all of the arithmetic, runs in the descriptors' type.
        """
        return scored(samples, self.scoring(samples.dtype))

    @torch.inference_mode()
    def scoring(self, dtype: torch.dtype) -> Scorer:
        """The parameters for descriptors of this type as they come: what standardises them is in the first layer.

        They are kept until the next step; who makes steps beside has them made there as well.
        """
        if self._scoring is None or self._scoring.weight1.dtype != dtype:
            weight, bias, *others = self.parameters
            folded = [weight * self._gain, bias - (weight @ self._mean) * self._gain]
            self._scoring = scorer([*folded, *(p.clone() for p in others)], dtype)
        return self._scoring

    def train(self, positives: Tensor | Rows, negatives: Tensor | Rows, steps: int, rate: float) -> float:
        """Minimises the cross-entropy of eq. (6), with the negative term that the equation leaves out (FACTS 0.3).

        Args:
            positives: (P, D) descriptors of the target.
            negatives: (N, D) descriptors of background, from which each minibatch mines its own.
            steps: steps of SGD with momentum.
            rate: learning rate of the hidden layers.

        Returns:
            The loss of the last step; NaN where there was nothing to learn from.
        """
        return Course(self, positives, negatives, steps, rate).advance(steps)

    def _dropout(self, count: int) -> Tensor:
        """Factors (2, M, N, H) of the units of both hidden layers; one factor where none is ever dropped."""
        share = self.config.dropout
        if share == 0:
            return self._mean.new_ones(1, 1, 1, 1)
        shape = (2, self.config.members, count, self.config.hidden)
        # Sixteen bits a unit are quicker to draw than a number between 0 and 1.
        draws = np.frombuffer(bytearray(self._draws.bytes(2 * math.prod(shape))), np.uint16)
        least, factor = math.ceil(share * 2**16), 1 / (1 - share)
        if compiled.serves(self._mean):
            from asmd.tracking.perceptron_compiled import dropout_factors

            kept = dropout_factors(draws, least, factor)
        else:
            kept = (draws >= least) * np.float32(factor)
        return torch.from_numpy(kept).view(shape).to(self._mean.device)

    def descent(self, rate: float) -> Descent:
        """Steps of SGD on the parameters, with this learning rate of the hidden layers' weights."""
        config = self.config
        factors, decays = zip(*(config.factors(index) for index in range(len(self.parameters))), strict=True)
        rates = [rate * factor for factor in factors]
        settings = DescentConfig(rates, decays, config.momentum, config.smoothing, config.clip)
        return descent(self.parameters, settings)

    def minibatch(self, positives: Tensor, negatives: Tensor, which: Indices) -> Tensor:
        """What a step learns from: descriptors (P, D), then those of (N, D) of these numbers, all standardised."""
        if compiled.serves(self._mean) and {positives.dtype, negatives.dtype} == {torch.bfloat16}:
            from asmd.tracking.perceptron_compiled import standardised

            first, others = (t.contiguous().view(torch.uint16).numpy() for t in (positives, negatives))
            found = standardised(first, others, which, self._mean.numpy(), self._gain)
            return torch.from_numpy(found).view(torch.bfloat16)
        return self._standard(torch.cat([positives, picked(negatives, which)])).to(positives.dtype)

    def step(self, x: Tensor, positives: int, steps: Descent) -> Tensor:
        """One of the steps, on a `minibatch` (N, D), of which so many, the first, are the target's; the loss."""
        labels = torch.zeros(len(x), device=x.device)
        labels[:positives] = 1
        loss = steps.step(x, labels, self._dropout(len(x)))
        self._scoring = None
        return loss


class Course:
    """A training of a classifier, which may be made in parts. What it learns from is settled at its start.

    Args:
        classifier: learns.
        positives: (P, D) descriptors of the target.
        negatives: (N, D) descriptors of background.
        steps: steps of SGD with momentum.
        rate: learning rate of the hidden layers.

    Attributes:
        remaining: steps that are still to be made; none where there is nothing to learn from.
    """

    @torch.inference_mode()
    def __init__(
        self, classifier: Classifier, positives: Tensor | Rows, negatives: Tensor | Rows, steps: int, rate: float
    ) -> None:
        self._classifier, self._made, self._prepared = classifier, 0, False
        positives, self._negatives = (t if isinstance(t, Rows) else Rows([t]) for t in (positives, negatives))
        self.remaining = steps if len(positives) and len(self._negatives) else 0
        if self.remaining:
            size = classifier.config.positives
            passes = -(-size * steps // len(positives))
            queue = np.concatenate([classifier.rng.permutation(len(positives)) for _ in range(passes)])
            self._batches = positives.take(queue[: size * steps]).view(steps, size, -1)
            self._steps = classifier.descent(rate)

    @torch.inference_mode()
    def prepare(self) -> None:
        """Scores what the first steps select from, by the classifier as it is now; else the first of them does."""
        self._pool = self._scored_pool()
        self._prepared = True

    @torch.inference_mode()
    def advance(self, steps: int) -> float:
        """Makes as many steps, or those that remain; the loss of the last, NaN where there was none to make."""
        classifier, mining, loss = self._classifier, self._classifier.mining, torch.tensor(float("nan"))
        steps = min(steps, self.remaining)
        for _ in range(steps):
            if not self._prepared and (self._made % mining.interval == 0 or mining.rule == "rand"):
                self._pool = self._scored_pool()
            self._prepared = False
            rows, scores = self._pool
            hard = select(scores, mining, classifier.rng)
            batch = self._batches[self._made]
            loss = classifier.step(classifier.minibatch(batch, rows, hard), len(batch), self._steps)
            self._made += 1
        self.remaining -= steps
        return float(loss)

    def _scored_pool(self) -> tuple[Tensor, Scores]:
        """Negatives (N, D) that minibatches are selected from, and how much each looks like the target."""
        mining, negatives = self._classifier.mining, self._negatives
        rows = negatives.take(pool_indices(len(negatives), mining, self._classifier.rng))
        if mining.rule == "rand":
            return rows, np.ones(len(rows))
        scores = torch.sigmoid(self._classifier.margins(rows)).cpu().numpy()
        return rows, scores.astype(np.float64)
