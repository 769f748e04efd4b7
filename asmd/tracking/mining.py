"""Which negatives a minibatch learns from (paper, 4.2 and Table 3).

Four rules: RAND draws uniformly; GRDY takes the most uncertain of the whole pool; HMM takes the highest scores of a
random part of it (MDNet's hard minibatch mining); SUNM, the paper's, draws by stochastic universal sampling (Baker
1987) on the scores, so that hard negatives come often and easy ones still get their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ConfigError

Rule = Literal["rand", "grdy", "hmm", "sunm", "sunm-repeat"]

Indices = NDArray[np.intp]
Scores = NDArray[np.float64]

SCORE_FLOOR = 1e-6
"""Added to each score, so that no negative is beyond reach."""


@dataclass(frozen=True)
class MiningConfig:
    """How negatives are selected.

    Attributes:
        rule: "sunm" draws without replacement ("chooses next candidates from the rest of negative examples"),
            "sunm-repeat" is plain stochastic universal sampling, in which a high score may be drawn twice.
        count: negatives in a minibatch.
        pool: negatives that are scored to select them from; GRDY scores all.
        interval: steps for which the scores of one pool serve; the paper scores one for every minibatch, which costs
            more than the rest of the step. HMM and GRDY then take the same negatives as often.
    """

    rule: Rule = "sunm"
    count: int = 96
    pool: int = 1024
    interval: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or self.pool < self.count:
            raise ConfigError(f"mining needs 1 <= count <= pool, got count {self.count} and pool {self.pool}")
        if self.interval < 1:
            raise ConfigError(f"mining needs an interval of at least 1 step, got {self.interval}")


def stochastic_universal_sampling(weights: Scores, count: int, rng: np.random.Generator) -> Indices:
    """Plain SUS: one random start, then `count` equally spaced pointers along the cumulated weights (Fig. 5).

    An entry of weight w is drawn floor or ceil of count * w / sum(w) times (minimal spread), with that number as its
    expectation (zero bias).

    Args:
        weights: (N,), not negative. All zero counts as all equal.
        count: number of draws.
        rng: the run's generator.

    Returns:
        (count,) indices into `weights`, in random order of entries.
    """
    order = rng.permutation(len(weights))
    cumulated = np.cumsum(weights[order], dtype=np.float64)
    if cumulated[-1] <= 0:
        cumulated = np.arange(1.0, len(weights) + 1)
    pointers = (rng.uniform() + np.arange(count)) * (cumulated[-1] / count)
    # A pointer can reach past the end by rounding alone.
    return np.asarray(order[np.minimum(np.searchsorted(cumulated, pointers, side="right"), len(weights) - 1)])


def inclusion_probabilities(weights: Scores, count: int) -> Scores:
    """Probabilities min(1, c w) that add up to `count`: those of systematic sampling without replacement.

    Args:
        weights: (N,), positive.
        count: at most N.

    Returns:
        (N,) in (0, 1].
    """
    # Entries that reach 1 are the heaviest, so the number of them is found on the sorted weights at once.
    descending = np.sort(weights)[::-1]
    rest = np.cumsum(descending[::-1])[::-1]
    capped = np.arange(len(weights))
    first = int(np.argmax(descending * (count - capped) <= rest))
    return np.asarray(np.minimum(1.0, weights * ((count - first) / rest[first])))


def systematic_without_replacement(weights: Scores, count: int, rng: np.random.Generator) -> Indices:
    """SUS in which no entry is drawn twice: inclusion is in proportion to weight, capped at certainty.

    Args:
        weights: (N,), positive.
        count: number of draws, at most N.
        rng: the run's generator.

    Returns:
        (count,) distinct indices.
    """
    return np.unique(stochastic_universal_sampling(inclusion_probabilities(weights, count), count, rng))


def pool_indices(total: int, config: MiningConfig, rng: np.random.Generator) -> Indices:
    """The part of `total` negatives that has to be scored for this rule, without replacement."""
    if config.rule == "rand":
        return np.asarray(rng.choice(total, config.count, replace=total < config.count))
    if config.rule == "grdy" or total <= config.pool:
        return np.arange(total)
    return np.asarray(rng.choice(total, config.pool, replace=False))


def select(scores: Scores, config: MiningConfig, rng: np.random.Generator) -> Indices:
    """Selects negatives by their scores.

    Args:
        scores: (N,) probability in [0, 1] of being the target, as the classifier now has it.
        config: rule and count.
        rng: the run's generator.

    Returns:
        (min(count, N),) indices into `scores`; "sunm-repeat" may repeat some.
    """
    count = min(config.count, len(scores))
    if config.rule == "rand":
        return np.asarray(rng.permutation(len(scores))[:count])
    if config.rule == "grdy":
        return np.argsort(np.abs(scores - 0.5), kind="stable")[:count]
    if config.rule == "hmm":
        return np.argsort(-scores, kind="stable")[:count]
    weights = scores.astype(np.float64) + SCORE_FLOOR
    if config.rule == "sunm-repeat":
        return stochastic_universal_sampling(weights, count, rng)
    return systematic_without_replacement(weights, count, rng)
