"""The head for box regression in OpenVINO: the same to rounding as in torch, and faster (docs/speed.md).

Its operations are so many and so small that calling them one by one costs more than computing them: one graph takes
encoded maps of a view and boxes of it, and gives what the network says. Boxes are pooled in it as matrix products with
the weights of `asmd.models.pooling`, those of all cells of an axis, which for a few boxes is less than to find which
count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asmd.models.box_refinement import BoxRefinement
from asmd.models.pooling import CELL_CENTRE
from asmd.tracking.openvino_network import CompiledGraph, convolution, load_openvino

Sizes: TypeAlias = tuple[tuple[int, int], ...]
"""(H, W) of maps, one a stage."""


class OpenVINOHead:
    """Runs a `BoxRefinement` on a CPU, for a few numbers of boxes on maps of one size, as fixed sizes are the faster.

    Any number of threads may call it. Each computes by itself, as another gains little.

    Args:
        head: in evaluation mode, in float32 on the CPU.
        counts: numbers of boxes. Each takes a tenth of a second to compile.
        sizes: of the encoded maps.
        strides: of the stages.
        dtype: of the arithmetic: float32 or bfloat16.
        int8: whether its inner layers are multiplied in int8, for which it needs to have `limits`.
    """

    def __init__(
        self,
        head: BoxRefinement,
        counts: Iterable[int],
        sizes: Sizes,
        strides: Sequence[int],
        dtype: torch.dtype,
        int8: bool = False,
    ) -> None:
        self._sizes = sizes
        self._graphs = {count: CompiledGraph(build(head, count, sizes, strides, int8), 1, dtype) for count in counts}

    def suits(self, maps: Sequence[Tensor], corners: Tensor) -> bool:
        """Whether it was made for maps of these sizes and so many boxes."""
        return len(corners) in self._graphs and tuple((m.shape[0], m.shape[1]) for m in maps) == self._sizes

    def read(self, maps: Sequence[Tensor], corners: Tensor, target: Tensor) -> Tensor:
        """What the network puts out for boxes, (N, 5) float32, before the target's bias is taken off.

        Args:
            maps: one (H, W, projected) a stage, see `BoxRefinement.encode`.
            corners: (N, 4) x1, y1, x2, y2 in pixels of the network's input.
            target: (1, stages, grid * grid, projected), the first frame's box as `BoxRefinement.pool` gives it.
        """
        (out,) = self._graphs[len(corners)].run(*maps, corners, target)
        return torch.from_numpy(out.copy())


def build(head: BoxRefinement, count: int, sizes: Sizes, strides: Sequence[int], int8: bool = False) -> Any:
    """A head as an OpenVINO model; see `OpenVINOHead`.

    Args:
        head: in evaluation mode.
        count: N.
        sizes: of the encoded maps.
        strides: of the stages.
        int8: whether its inner layers are multiplied in int8.
    """
    ov = load_openvino()
    draw = _Drawing(ov.opset13, int8)
    op, config = ov.opset13, head.config
    maps = [op.parameter([*size, config.projected], np.float32) for size in sizes]
    corners = op.parameter([count, 4], np.float32)
    target = op.parameter([1, len(sizes), config.grid**2, config.projected], np.float32)
    wide = draw.enlarged(corners, config.context)
    pooled = []
    for cells, stride in zip(maps, strides, strict=True):
        places = op.divide(op.subtract(wide, np.float32(CELL_CENTRE)), np.float32(stride))
        pooled.append(op.unsqueeze(draw.pool(cells, places, config.grid), 1))
    out = draw.read(head, op.concat(pooled, 1), target)
    return ov.Model([out], [*maps, corners, target], "head")


class _Drawing:
    """Puts operations of a head together; each method takes and gives nodes of a graph."""

    def __init__(self, operations: Any, int8: bool) -> None:
        self._op, self._int8 = operations, int8

    def enlarged(self, corners: Any, factor: float) -> Any:
        """Boxes (N, 4) with sides of so many times their length."""
        op = self._op
        low, high = op.split(corners, np.array(1), 2).outputs()
        more = op.multiply(op.subtract(high, low), np.float32((factor - 1) / 2))
        return op.concat([op.subtract(low, more), op.add(high, more)], 1)

    def pool(self, cells: Any, corners: Any, bins: int) -> Any:
        """Cells (H, W, C), boxes (N, 4) in them -> (N, bins * bins, C); see `asmd.models.pooling.pool_boxes`."""
        op = self._op
        height, width, channels = cells.get_output_shape(0)
        left, top, right, bottom = op.split(corners, np.array(1), 4).outputs()
        across, down = self.weights(left, right, bins, width), self.weights(top, bottom, bins, height)
        lines = op.matmul(self.reshaped(down, -1, height), self.reshaped(cells, height, -1), False, False)
        lines = self.reshaped(lines, -1, bins, width, channels)
        return self.reshaped(op.matmul(op.unsqueeze(across, 1), lines, False, False), -1, bins * bins, channels)

    def weights(self, low: Any, high: Any, bins: int, cells: int) -> Any:
        """(N, 1) where boxes begin and end -> (N, bins, cells) share of each cell; see `bin_weights` there."""
        op = self._op
        side = op.unsqueeze(op.divide(op.subtract(high, low), np.float32(bins)), 2)
        steps = np.arange(bins + 1, dtype=np.float32).reshape(1, -1, 1)
        edges = op.add(op.unsqueeze(low, 2), op.multiply(side, steps))
        offset = op.subtract(edges, np.arange(cells, dtype=np.float32))
        near = op.clamp(offset, -1.0, 1.0)
        integral = op.subtract(near, op.multiply(op.multiply(near, op.abs(near)), np.float32(0.5)))
        # Beyond the outermost centres the outermost cell counts in full.
        for beyond, outermost in ((op.minimum, 0), (op.maximum, cells - 1)):
            missing = op.subtract(beyond(offset, np.float32(0)), beyond(integral, np.float32(0)))
            integral = op.add(integral, op.multiply(missing, (np.arange(cells) == outermost).astype(np.float32)))
        upto = [op.gather(integral, np.arange(bins) + shift, np.array(1)) for shift in (0, 1)]
        return op.divide(op.subtract(upto[1], upto[0]), side)

    def read(self, head: BoxRefinement, boxes: Any, target: Any) -> Any:
        """The head's reading (N, 5) of boxes (N, stages, grid * grid, projected) beside one target's."""
        op, grid = self._op, head.config.grid
        unit, unit_target = (op.normalize_l2(x, np.array([3]), 1e-24, "max") for x in (boxes, target))
        likeness = op.matmul(unit, unit_target, False, True)
        best = []
        for which in (head.outside, head.inside):
            # The others are made too unlike to be the most like: to leave them out would take more time.
            handicap = np.zeros(head.config.grid**2, np.float32)
            handicap[which.numpy()] = -3
            best.append(op.reduce_max(op.add(likeness, handicap), np.array([3]), True))
        # A softmax, whose sum comes with the weighted sums.
        places, sharpness = head.places.numpy(), head.sharpness.detach().numpy().reshape(1, -1, 1, 1)
        weights = op.exp(op.multiply(op.subtract(likeness, op.maximum(*best)), sharpness))
        sums = op.matmul(weights, np.concatenate([places, np.ones((len(places), 1), np.float32)], 1), False, False)
        origin = op.divide(*op.variadic_split(sums, np.array(3), np.array([places.shape[1], 1])).outputs())
        displaced = op.subtract(op.gather(origin, np.array([0, 1]), np.array(3)), places[:, :2].copy())
        cues = [*best, op.reduce_sum(op.multiply(unit, unit_target), np.array([3]), True)]
        own = [boxes] if head.config.raw else []
        channels = op.concat([*own, op.multiply(boxes, target), origin, displaced, *cues], 3)
        count, stages, _, wide = channels.get_output_shape(0)
        first, *others = head.convolutions
        assert isinstance(first, nn.Conv2d) and first.bias is not None
        # A convolution of 1x1 is a sum over stages of products with cells as they lie: to turn these takes longer.
        each = first.weight.detach().reshape(-1, stages, wide).permute(1, 2, 0).contiguous().numpy()
        mixed = op.reduce_sum(op.matmul(channels, each[None], False, False), np.array([1]), False)
        mixed = op.add(mixed, first.bias.detach().numpy())
        x = op.transpose(self.reshaped(mixed, count, grid, grid, -1), np.array([0, 3, 1, 2]))
        limits = dict(zip(head.inner, head.limits or (), strict=True)) if self._int8 else {}
        for layer in (*others, *head.hidden, head.out):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                weight: Any = layer.weight.detach().numpy()
                if layer in limits:
                    x, weight = self.in_levels(x, 0, limits[layer], 256), self.weight_in_levels(weight)
            if isinstance(layer, nn.Conv2d):
                x = convolution(op, layer, x, weight)
            elif isinstance(layer, nn.Flatten):
                x = self.reshaped(x, count, -1)
            elif isinstance(layer, nn.Linear):
                x = op.add(op.matmul(x, weight, False, True), layer.bias.detach().numpy())
            else:
                x = op.relu(x)
        return x

    def weight_in_levels(self, weight: NDArray[np.float32]) -> Any:
        """A weight (out, ...), each output's on a scale of its own."""
        most = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
        return self.in_levels(self._op.constant(weight), -most, most, 255)

    def in_levels(self, x: Any, low: Any, high: Any, levels: int) -> Any:
        """The same in so many steps, by which OpenVINO knows what it may multiply in int8."""
        low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
        return self._op.fake_quantize(x, low, high, low, high, levels)

    def reshaped(self, x: Any, *shape: int) -> Any:
        return self._op.reshape(x, np.array(shape), False)
