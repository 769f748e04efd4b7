"""What perceptrons compute behind their first layer, compiled; see `asmd.tracking.perceptron`, which does it in torch.

Here too weights are (M, out, in) and biases (M, out) of M members; what the first layer puts out, before what is
negative there is cut off, is (N, M, H).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.compiled import compiled

Floats = NDArray[np.float32]
Layers: TypeAlias = tuple[Floats, ...]
"""Weights and biases of the second and third layer."""

_LAYERS = "Tuple((f4[:, :, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, ::1]))"
_ZERO = np.float32(0)
_ONE = np.float32(1)


@compiled()
def _active(values: Floats, numbers: NDArray[np.int64]) -> int:
    """Puts the numbers of values above 0 first; how many there are. Most units are off or dropped."""
    count = 0
    for index in range(len(values)):
        # No branch: which are on cannot be foretold.
        numbers[count] = index
        count += int(values[index] > _ZERO)
    return count


@compiled()
def _dot(first: Floats, second: Floats) -> np.float32:
    total = _ZERO
    for index in range(len(first)):
        total += first[index] * second[index]
    return total


@compiled()
def _differences(weight: Floats, bias: Floats) -> tuple[Floats, np.float32]:
    """Weights (H,) and bias of the target's logit less the background's, from those of the last layer of one member."""
    return weight[1] - weight[0], bias[1] - bias[0]


@compiled("void(u2[:, ::1], i8, f4[::1], f4, u2[::1])")
def _standardise(rows: NDArray[np.uint16], row: int, mean: Floats, gain: float, into: NDArray[np.uint16]) -> None:
    """One row of bfloat16, less the mean and times the gain, rounded to bfloat16 again; all as their bits."""
    count = len(mean)
    wide = np.empty(count, np.uint32)
    values = wide.view(np.float32)
    for at in range(count):
        wide[at] = np.uint32(rows[row, at]) << np.uint32(16)
    for at in range(count):
        values[at] = (values[at] - mean[at]) * gain
    for at in range(count):
        # To the nearest, of two as near to the even one.
        into[at] = (wide[at] + np.uint32(0x7FFF) + ((wide[at] >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


@compiled("u2[:, ::1](u2[:, ::1], u2[:, ::1], i8[::1], f4[::1], f4)")
def standardised(
    first: NDArray[np.uint16], others: NDArray[np.uint16], which: NDArray[np.int64], mean: Floats, gain: float
) -> NDArray[np.uint16]:
    """Descriptors in bfloat16, as their bits, standardised: all of (P, D), then those of (N, D) of these numbers."""
    into = np.empty((len(first) + len(which), first.shape[1]), np.uint16)
    for row in range(len(first)):
        _standardise(first, row, mean, gain, into[row])
    for row in range(len(which)):
        _standardise(others, which[row], mean, gain, into[len(first) + row])
    return into


@compiled("f4[::1](u2[::1], i8, f4)")
def dropout_factors(draws: NDArray[np.uint16], least: int, factor: float) -> Floats:
    """The factor where a draw is at least so much, else 0."""
    kept = np.empty(len(draws), np.float32)
    for at in range(len(draws)):
        kept[at] = factor if draws[at] >= least else _ZERO
    return kept


@compiled(
    f"f4(f4[:, :, ::1], f4[::1], f4[:, :, :, ::1], {_LAYERS}, f4, f4[:, :, ::1], f4[:, ::1], {_LAYERS})",
)
def loss_and_gradients(
    wide: Floats,
    labels: Floats,
    keep: Floats,
    layers: Layers,
    smoothing: float,
    own_wide: Floats,
    own_bias1: Floats,
    own: Layers,
) -> float:
    """Loss and gradients, which are written into the arrays that are given for them.

    Args:
        wide: (N, M, H) what the first layer puts out.
        labels: (N,) 1 for the target, 0 for background.
        keep: dropout as factors (2, M, N, H) of both hidden layers.
        layers: weights and biases of the second and third layer.
        smoothing: share of a label that goes to the other class.
        own_wide: (N, M, H) for the gradient of `wide`.
        own_bias1: (M, H) for that of the first layer's bias.
        own: for those of `layers`.

    Returns:
        The mean loss of the members.
    """
    (weight2, bias2, weight3, bias3), (own2, own_bias2, own3, own_bias3) = layers, own
    keep1, keep2 = keep[0], keep[1]
    members, size, _ = weight2.shape
    count, total = len(wide), _ZERO
    first, second, back = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    numbers = np.empty(size + 1, np.int64)
    own_bias1[:], own2[:], own_bias2[:], own3[:], own_bias3[:] = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for member in range(members):
        forward = weight2[member].T.copy()
        weight, bias = _differences(weight3[member], bias3[member])
        for row in range(count):
            for unit in range(size):
                first[unit] = max(wide[row, member, unit], _ZERO) * keep1[member, row, unit]
                second[unit] = bias2[member, unit]
            for which in range(_active(first, numbers)):
                on = np.uint64(numbers[which])
                for unit in range(size):
                    second[unit] += first[on] * forward[on, unit]
            for unit in range(size):
                second[unit] = max(second[unit], _ZERO) * keep2[member, row, unit]
            logit = _dot(second, weight) + bias
            target = smoothing + (_ONE - 2 * smoothing) * labels[row]
            total += max(logit, _ZERO) + np.log1p(np.exp(-abs(logit))) - target * logit
            excess = (_ONE / (_ONE + np.exp(-logit)) - target) / np.float32(count)
            own_bias3[member, 1] += excess
            own_bias3[member, 0] -= excess
            for unit in range(size):
                own3[member, 1, unit] += excess * second[unit]
                own3[member, 0, unit] -= excess * second[unit]
                back[unit] = _ZERO
            # What was dropped or is off passes nothing back.
            for which in range(_active(second, numbers)):
                on = np.uint64(numbers[which])
                passed = excess * weight[on] * keep2[member, row, on]
                own_bias2[member, on] += passed
                for source in range(size):
                    own2[member, on, source] += passed * first[source]
                    back[source] += passed * weight2[member, on, source]
            for unit in range(size):
                passed = back[unit] * keep1[member, row, unit] if first[unit] > _ZERO else _ZERO
                own_wide[row, member, unit] = passed
                own_bias1[member, unit] += passed
    return float(total / np.float32(count * members))


@compiled("void(UniTuple(f4[:, ::1], 6), UniTuple(f4[:, ::1], 6), UniTuple(f4[:, ::1], 6), f4[::1], f4[::1], f4, f4)")
def descend(
    values: tuple[Floats, ...],
    momenta: tuple[Floats, ...],
    gradients: tuple[Floats, ...],
    rates: Floats,
    decays: Floats,
    momentum: float,
    clip: float,
) -> None:
    """A step of SGD with momentum, of parameters and momenta in place.

    Args:
        values: the parameters, (M, entries) each.
        momenta: theirs.
        gradients: theirs, as they are.
        rates: learning rate of each parameter.
        decays: weight decay of each.
        momentum: share of a momentum that is kept.
        clip: greatest norm of each member's gradient; 0 leaves it as it is.
    """
    for member in range(len(values[0])):
        shrink = _ONE
        if clip > 0:
            square = _ZERO
            for gradient in gradients:
                square += _dot(gradient[member], gradient[member])
            shrink = min(clip / (np.sqrt(square) + np.float32(1e-6)), _ONE)
        for index in range(len(values)):
            value, moved, gradient = values[index][member], momenta[index][member], gradients[index][member]
            rate, decay = rates[index], decays[index]
            for at in range(len(value)):
                moved[at] = momentum * moved[at] + shrink * gradient[at] + decay * value[at]
                value[at] -= rate * moved[at]
