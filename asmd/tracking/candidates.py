"""Random boxes: the candidates of a frame, and the samples that classifier and box regression learn from.

The draws and their constants are MDNet's (FACTS 1.1), which the paper keeps (4.3): shifts in units of the mean side
of the box, sizes in powers of 1.05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from asmd.boxes import Boxes, as_boxes, from_center, iou, to_center
from asmd.errors import ConfigError

SCALE_BASE = 1.05
"""A size factor is SCALE_BASE to the power of a draw."""

FrameSize = tuple[int, int]
"""Height and width in pixels."""

Draw = Literal["gaussian", "uniform", "aspect"]


@dataclass(frozen=True)
class SampleConfig:
    """One kind of training sample.

    Attributes:
        draw: "gaussian", "uniform", or "aspect" (each side drawn on its own).
        shift: greatest shift of the centre, in mean sides of the box.
        scale: greatest change of size, as an exponent of 1.05.
        count: samples to keep.
        min_iou: least IoU with the target.
        max_iou: greatest IoU with the target.
    """

    draw: Draw
    shift: float
    scale: float
    count: int
    min_iou: float = 0.0
    max_iou: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 0 or self.shift < 0 or self.scale < 0:
            raise ConfigError(f"samples need count, shift and scale of at least 0, got {self}")
        if not 0 <= self.min_iou <= self.max_iou <= 1:
            raise ConfigError(f"samples need 0 <= min_iou <= max_iou <= 1, got {self.min_iou} and {self.max_iou}")


def limit(boxes: Boxes, frame_size: FrameSize, min_side: float = 10.0) -> Boxes:
    """Keeps the centres inside the frame and the sides between `min_side` and the frame less as much.

    Args:
        boxes: (N, 4).
        frame_size: (height, width).
        min_side: in pixels; MDNet's 10. A frame under three times that is given a third of its side.
    """
    size = np.array([frame_size[1], frame_size[0]], dtype=np.float64)
    low = np.minimum(min_side, size / 3)
    centred = to_center(boxes)
    sides = np.clip(centred[..., 2:], low, size - low)
    centres = np.clip(centred[..., :2], 0.0, size)
    return from_center(np.concatenate([centres, sides], axis=-1))


def _place(box: Boxes, shifts: Boxes, exponents: Boxes) -> Boxes:
    centre = to_center(box)
    return from_center(np.concatenate([centre[:2] + shifts, centre[2:] * SCALE_BASE**exponents], axis=-1))


def gaussian(box: Boxes, count: int, shift: float, scale: float, rng: np.random.Generator) -> Boxes:
    """Boxes of normal shift and size about `box`, clipped at two standard deviations.

    With shift 0.6 and scale 1 the standard deviations are the paper's diag(0.09 r^2, 0.09 r^2, 0.25), r the mean side.

    Args:
        box: (4,).
        count: N.
        shift: shift of the centre at the clip, in mean sides.
        scale: exponent of 1.05 at the clip, one for both sides.
        rng: the run's generator.

    Returns:
        (N, 4).
    """
    draws = np.clip(0.5 * rng.standard_normal((count, 3)), -1.0, 1.0)
    return _place(box, shift * box[2:].mean() * draws[:, :2], scale * draws[:, 2:])


def uniform(box: Boxes, count: int, shift: float, scale: float, rng: np.random.Generator) -> Boxes:
    """Boxes of uniform shift and size about `box`; arguments as for `gaussian`."""
    draws = rng.uniform(-1.0, 1.0, (count, 3))
    return _place(box, shift * box[2:].mean() * draws[:, :2], scale * draws[:, 2:])


def aspect(box: Boxes, count: int, shift: float, scale: float, rng: np.random.Generator) -> Boxes:
    """Boxes whose sides also change apart, for box regression (MDNet's "uniform_aspect").

    Shifts are in units of each side; each side changes by 1.05^U(+-2) of its own, both by 1.05^U(+-scale).
    """
    draws = rng.uniform(-1.0, 1.0, (count, 5))
    return _place(box, shift * box[2:] * draws[:, :2], 2.0 * draws[:, 2:4] + scale * draws[:, 4:])


def close(box: Boxes, count: int, shift: float, scale: float, stretch: float, rng: np.random.Generator) -> Boxes:
    """Boxes of normal shift, size and aspect about `box`, clipped at two standard deviations.

    Args:
        box: (4,).
        count: N.
        shift: shift of the centre at the clip, in mean sides (square root of area).
        scale: exponent of 1.05 at the clip, one for both sides.
        stretch: exponent of 1.05 at the clip, by which one side grows and the other shrinks.
        rng: the run's generator.

    Returns:
        (N, 4).
    """
    draws = np.clip(0.5 * rng.standard_normal((count, 4)), -1.0, 1.0)
    return _stretched(box, draws, shift, scale, stretch)


def fits(box: Boxes, count: int, rng: np.random.Generator) -> Boxes:
    """Boxes of every IoU with `box`, to learn that from: half of them near it, half up to two mean sides away.

    Shifts are denser towards the middle; sizes reach 1.05^8, and aspects as far near the box.

    Args:
        box: (4,).
        count: N.
        rng: the run's generator.

    Returns:
        (N, 4), the near ones first.
    """
    parts = []
    for n, shift, stretch in ((count - count // 2, 0.4, 4.0), (count // 2, 2.0, 2.0)):
        draws = rng.uniform(-1.0, 1.0, (n, 4))
        draws[:, :2] *= rng.uniform(0.0, 1.0, (n, 1))
        parts.append(_stretched(box, draws, shift, 8.0, stretch))
    return np.concatenate(parts)


def _stretched(box: Boxes, draws: Boxes, shift: float, scale: float, stretch: float) -> Boxes:
    exponents = scale * draws[:, 2:3] + stretch * draws[:, 3:] * [1.0, -1.0]
    return _place(box, shift * np.sqrt(box[2] * box[3]) * draws[:, :2], exponents)


_DRAWS: dict[str, Callable[[Boxes, int, float, float, np.random.Generator], Boxes]] = {
    "gaussian": gaussian,
    "uniform": uniform,
    "aspect": aspect,
}


def whole_frame(box: Boxes, frame_size: FrameSize, count: int, rng: np.random.Generator) -> Boxes:
    """Boxes from a grid over the whole frame, a fifth of the box apart, at 11 sizes from 1.05^-5 to 1.05^5.

    Args:
        box: (4,), gives the size.
        frame_size: (height, width).
        count: N, drawn without replacement where the grid has that many.
        rng: the run's generator.

    Returns:
        (N, 4) or fewer.
    """
    height, width = frame_size
    sides = box[2:] * SCALE_BASE ** np.arange(-5.0, 6.0)[:, None]
    sides = sides[(sides < [width, height]).all(axis=1)]
    xs = np.arange(0.0, max(width, 1), max(box[2] / 5, 1.0))
    ys = np.arange(0.0, max(height, 1), max(box[3] / 5, 1.0))
    total = len(xs) * len(ys) * len(sides)
    if total == 0:
        return np.empty((0, 4))
    pick = rng.choice(total, min(count, total), replace=False)
    which, rest = np.divmod(pick, len(xs) * len(ys))
    row, column = np.divmod(rest, len(xs))
    centres = np.stack([xs[column], ys[row]], axis=1)
    return from_center(np.concatenate([centres, sides[which]], axis=1))


def grid(box: Boxes, frame_size: FrameSize, step: float, sizes: tuple[float, ...] = (1.0,), most: int = 3000) -> Boxes:
    """Every box of a regular grid over the frame, at the given multiples of the size.

    There is no chance in it.

    Args:
        box: (4,), gives the size.
        frame_size: (height, width).
        step: spacing in sides of the box.
        sizes: multiples of its size.
        most: about the greatest number of boxes; a small target in a large frame is given a wider spacing.

    Returns:
        (N, 4), size by size, rows before columns.
    """
    boxes = []
    for size in sizes:
        sides = np.minimum(box[2:] * size, [frame_size[1], frame_size[0]])
        room = np.array([frame_size[1], frame_size[0]]) - sides
        spacing = np.maximum(step * sides, 1.0)
        spacing *= max(1.0, np.sqrt(np.prod(room / spacing + 1) * len(sizes) / most))
        xs, ys = (np.linspace(0, room[i], int(np.ceil(room[i] / spacing[i])) + 1) for i in (0, 1))
        corner = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        boxes.append(np.concatenate([corner, np.broadcast_to(sides, corner.shape)], axis=1))
    return np.concatenate(boxes)


def samples(
    target: Boxes, frame_size: FrameSize, config: SampleConfig, rng: np.random.Generator, min_side: float = 10.0
) -> Boxes:
    """Training samples about a target whose IoU with it lies in the wanted range.

    Args:
        target: (4,).
        frame_size: (height, width).
        config: the kind and number of samples.
        rng: the run's generator.
        min_side: least side in pixels.

    Returns:
        (n, 4) with n <= config.count: fewer, or none, where the draws seldom reach the range (a target that fills the
        frame has no negatives).
    """
    target = as_boxes(target)
    kept: list[Boxes] = []
    found = 0
    for attempt in range(5):
        pool = _DRAWS[config.draw](target, 2 * config.count * (attempt + 1), config.shift, config.scale, rng)
        pool = limit(pool, frame_size, min_side)
        overlap = iou(pool, target)
        good = pool[(overlap >= config.min_iou) & (overlap <= config.max_iou)]
        kept.append(good)
        found += len(good)
        if found >= config.count:
            break
    return np.concatenate(kept)[: config.count]
