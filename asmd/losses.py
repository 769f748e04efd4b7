"""The losses of private-shared multi-domain training (paper, 3; equations 1 and 3 to 6).

Each is a pure function of tensors. Where an equation cannot be meant as it is printed, the default is the reading that
can (FACTS 0.3 to 0.5 and 9) and the printed form is there by name. Equation 2, a plain GAN's, is background only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from asmd.errors import ConfigError

TrackingForm = Literal["softmax", "literal"]
DifferenceForm = Literal["normalised", "diagonal", "frobenius", "literal"]

_TINY = 1e-12


@dataclass(frozen=True)
class LossWeights:
    """The lambdas of equation 5, as printed in the paper's 5.

    Attributes:
        adversarial: lambda 1, of the adversarial loss.
        difference: lambda 2, of the difference loss.
        arrow: lambda 3, of the arrow-of-time loss; it lies outside the paper's own grid and may be meant as 0.06.
    """

    adversarial: float = 0.08
    difference: float = 0.01
    arrow: float = 0.6

    def __post_init__(self) -> None:
        values = (self.adversarial, self.difference, self.arrow)
        if not all(math.isfinite(v) and v >= 0 for v in values):
            raise ConfigError(f"loss weights must be finite and not negative, got {values}")


def tracking_losses(logits: Tensor, labels: Tensor, form: TrackingForm = "softmax") -> Tensor:
    """Equation 6 before its mean: what each sample adds.

    Args:
        logits: (N, 2), background first.
        labels: (N,) of any integer or boolean type, 1 for the target.
        form: "softmax" is the cross-entropy of both classes. "literal" is the printed `-y log(score)`, which asks
            nothing of background: a score of 1 for everything minimises it.

    Returns:
        (N,) losses in nats, not negative.
    """
    losses = nn.functional.cross_entropy(logits, labels.long(), reduction="none")
    return losses if form == "softmax" else losses * (labels > 0)


def tracking_loss(logits: Tensor, labels: Tensor, form: TrackingForm = "softmax") -> Tensor:
    """Equation 6, of the samples of one domain or of all alike; see `tracking_losses`.

    Returns:
        A scalar; 0 where there are no samples.
    """
    return tracking_losses(logits, labels, form).sum() / max(len(labels), 1)


def domain_loss(
    logits: Tensor,
    labels: Tensor,
    domains: Tensor,
    *,
    weights: Tensor | None = None,
    form: TrackingForm = "softmax",
) -> Tensor:
    """Equation 1: the tracking loss of each domain, weighted and added up.

    Args:
        logits: (N, 2), background first.
        labels: (N,), 1 for the target.
        domains: (N,) int64, the domain of each sample.
        weights: (K,) alpha of every domain of the data set; where not given each domain of the batch weighs the same
            and the weights add up to 1, however many samples it brings.
        form: see `tracking_losses`.

    Returns:
        A scalar; 0 where there are no samples.
    """
    losses = tracking_losses(logits, labels, form)
    present, group, counts = _groups(domains)
    means = losses.new_zeros(len(present)).index_add(0, group, losses) / counts
    if weights is None:
        return means.sum() / max(len(present), 1)
    return (weights.to(means)[present] * means).sum()


def adversarial_loss(logits: Tensor, domains: Tensor) -> Tensor:
    """Equation 3: the discriminator's cross-entropy, to be added to the total with a plus.

    The min-max is in where the logits come from: they are of features behind `asmd.models.adversary.reverse_gradient`,
    so that one step of descent lowers this for the discriminator and raises it for the shared features. The sum that
    the paper prints is minus this times N; adding it to the total would reward features that tell domains apart.

    Args:
        logits: (N, K) of the discriminator.
        domains: (N,) int64 in 0..K-1.

    Returns:
        A scalar in nats; `chance_loss(K)` is what guessing gives.
    """
    return nn.functional.cross_entropy(logits, domains)


def chance_loss(domains: int) -> float:
    """Cross-entropy of a discriminator that knows nothing of K domains: ln K, in nats."""
    return math.log(domains)


def difference_loss(shared: Tensor, private: Tensor, domains: Tensor, form: DifferenceForm = "normalised") -> Tensor:
    """Equation 4: how much private features repeat shared ones.

    With S_k and P_k the features of the samples of domain k, one a row:

    - "normalised": rows centred over the domain and scaled to unit length, mean of squares of S_k^T P_k, mean over the
      domains of the batch (Bousmalis et al., Domain Separation Networks, NIPS 2016). Shrinking features does not help.
    - "diagonal": the same, of the co-activations of corresponding neurons alone.
    - "frobenius": squared Frobenius norm of S_k^T P_k as it is, added up over domains (Liu et al., ACL 2017).
    - "literal": features of one input as in the print, where the product is a single number: the squared dot product,
      mean over a domain's samples, added up over domains.

    Arithmetic is float32 or better, under autocast too.

    Args:
        shared: (N, D).
        private: (N, D'); "diagonal" and "literal" need D' = D.
        domains: (N,) int64.
        form: one of the above.

    Returns:
        A scalar, not negative; 0 where there are no samples.

    Raises:
        ConfigError: if the form needs equal widths and they differ.
    """
    if form in ("diagonal", "literal") and shared.shape != private.shape:
        raise ConfigError(
            f"difference loss {form!r} compares neuron with neuron: {shared.shape[1]} shared, {private.shape[1]} "
            "private features"
        )
    measure = _DIFFERENCES[form]
    with torch.autocast(shared.device.type, enabled=False):
        shared, private = _precise(shared), _precise(private)
        values = [measure(s, p) for s, p in zip(by_domain(shared, domains), by_domain(private, domains), strict=True)]
        if not values:
            return shared.sum() * 0
        total = torch.stack(values).sum()
        return total / len(values) if form in ("normalised", "diagonal") else total


def shared_private_correlation(shared: Tensor, private: Tensor) -> Tensor:
    """How alike two sets of features of the same samples are, whatever their scale: a measure to plot, not a loss.

    Linear CKA (Kornblith et al., ICML 2019), the Frobenius norm of the centred S^T P over those of S^T S and P^T P.

    Args:
        shared: (N, D).
        private: (N, D').

    Returns:
        A scalar in 0..1; 1 where one is a rotation and scaling of the other.
    """
    with torch.autocast(shared.device.type, enabled=False):
        first, second = (x - x.mean(0) for x in (_precise(shared), _precise(private)))
        one, two = first @ first.T, second @ second.T
        scale: Tensor = torch.linalg.matrix_norm(one) * torch.linalg.matrix_norm(two)
        return (one * two).sum() / scale.clamp_min(_TINY)


def arrow_loss(logits: Tensor, forward: Tensor) -> Tensor:
    """The arrow-of-time loss (paper, 3.4): binary cross-entropy of a clip's direction.

    Args:
        logits: (B,), above 0 for "played forward".
        forward: (B,) boolean, or 1 and 0.

    Returns:
        A scalar in nats; ln 2 at chance.
    """
    return nn.functional.binary_cross_entropy_with_logits(logits, forward.to(logits))


def total_loss(
    domain: Tensor | None,
    adversarial: Tensor | None = None,
    difference: Tensor | None = None,
    arrow: Tensor | None = None,
    weights: LossWeights | None = None,
) -> Tensor:
    """Equation 5; a term that a variant or a step does not have is None.

    Raises:
        ConfigError: if there is no term at all.
    """
    weights = weights or LossWeights()
    factors = (1.0, weights.adversarial, weights.difference, weights.arrow)
    terms = [
        factor * term
        for factor, term in zip(factors, (domain, adversarial, difference, arrow), strict=True)
        if term is not None
    ]
    if not terms:
        raise ConfigError("a step of training needs at least one loss")
    return torch.stack(terms).sum()


def by_domain(features: Tensor, domains: Tensor) -> tuple[Tensor, ...]:
    """Rows of each domain that occurs, in ascending order of domain.

    They are split off a sorted copy rather than picked one domain at a time: the gradient of a pick is as large as what
    it was picked from.

    Args:
        features: (N, D).
        domains: (N,) int64.
    """
    counts = torch.unique(domains, return_counts=True)[1].tolist()
    return torch.split(permuted(features, domains.argsort(stable=True)), counts)


def permuted(rows: Tensor, order: Tensor) -> Tensor:
    """Rows (N, ...) in another order (N,); nothing is copied, forward or back, where that is the one they have."""
    return rows if torch.equal(order, torch.arange(len(order), device=order.device)) else rows[order]


def _groups(domains: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Domains that occur, the place of each sample's among them, and how many samples each has."""
    present, group, counts = torch.unique(domains, return_inverse=True, return_counts=True)
    return present, group, counts


def _precise(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _standard_rows(x: Tensor) -> Tensor:
    return nn.functional.normalize(x - x.mean(0), dim=1, eps=1e-6)


def _squared_product(shared: Tensor, private: Tensor) -> Tensor:
    """Squared Frobenius norm of S^T P, as the product of two (n, n) matrices: n is far below D."""
    return ((shared @ shared.T) * (private @ private.T)).sum()


def _normalised(shared: Tensor, private: Tensor) -> Tensor:
    entries = shared.shape[1] * private.shape[1]
    return _squared_product(_standard_rows(shared), _standard_rows(private)) / entries


def _diagonal(shared: Tensor, private: Tensor) -> Tensor:
    return (_standard_rows(shared) * _standard_rows(private)).sum(0).square().mean()


def _literal(shared: Tensor, private: Tensor) -> Tensor:
    return (shared * private).sum(1).square().mean()


_DIFFERENCES: dict[DifferenceForm, Callable[[Tensor, Tensor], Tensor]] = {
    "normalised": _normalised,
    "diagonal": _diagonal,
    "frobenius": _squared_product,
    "literal": _literal,
}
