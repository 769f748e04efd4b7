"""A class-agnostic head that moves a candidate onto the target, learnt off-line and told the target by the first frame.

Both the candidate and the target's first box are pooled on a grid that reaches beyond the box. Each cell of the
candidate is compared with the cell at its place in the target, and matched, by attention, with all of them: where in
the target it comes from says how the box has to move and to change, whatever the object is. A small convolutional
network reads that off. The targets are R-CNN's (Girshick et al., CVPR 2014); the predicted overlap is IoU-Net's idea
(Jiang et al., ECCV 2018), the conditioning on the first frame ATOM's (Danelljan et al., CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asmd.errors import ConfigError
from asmd.models.pooling import CELL_CENTRE, pool_boxes
from asmd.models.resnet import STAGE_CHANNELS

MOVE_SCALE = (0.1, 0.1, 0.2, 0.2)
"""What the network's four outputs are multiplied by, so that each is of the order of one (Fast R-CNN's)."""


@dataclass(frozen=True)
class RefinementConfig:
    """What the head is made of.

    Attributes:
        stages: stages of the appearance stream that it reads.
        projected: channels that each stage is projected to.
        grid: cells along each side that a box is pooled in.
        context: the grid covers the box enlarged by this.
        width: channels of the convolutions.
        hidden: width of the fully connected layer.
        raw: the candidate's own cells are read as well, not only how they compare with the target's.
    """

    stages: tuple[int, ...] = (2, 3)
    projected: int = 32
    grid: int = 8
    context: float = 2.0
    width: int = 64
    hidden: int = 256
    raw: bool = True

    def __post_init__(self) -> None:
        if not self.stages or not set(self.stages) <= {1, 2, 3, 4}:
            raise ConfigError(f"box refinement reads stages of 1, 2, 3, 4, got {self.stages}")
        if min(self.projected, self.width, self.hidden) < 1 or self.grid < 2 or self.context <= 1:
            raise ConfigError("box refinement needs sizes of at least 1, grid of at least 2 and context above 1")


class Refined(NamedTuple):
    """What the head says of N boxes.

    Attributes:
        moves: (N, 4), see `moves_between`.
        quality: (N,) logits of their IoU with the target.
    """

    moves: Tensor
    quality: Tensor


def moves_between(own: Tensor, goal: Tensor) -> Tensor:
    """R-CNN's (dx, dy, dw, dh) from boxes to boxes.

    Args:
        own: (N, 4) x, y, w, h.
        goal: (N, 4).

    Returns:
        (N, 4): shift of the centre in sides of `own`, logarithm of the change of each side.
    """
    shifts = (goal[:, :2] + goal[:, 2:] / 2 - own[:, :2] - own[:, 2:] / 2) / own[:, 2:]
    return torch.cat([shifts, torch.log(goal[:, 2:] / own[:, 2:])], dim=1)


def moved(own: Tensor, moves: Tensor) -> Tensor:
    """Boxes (N, 4) x, y, w, h after moves (N, 4); the inverse of `moves_between`."""
    centres = own[:, :2] + own[:, 2:] / 2 + moves[:, :2] * own[:, 2:]
    sides = own[:, 2:] * torch.exp(moves[:, 2:])
    return torch.cat([centres - sides / 2, sides], dim=1)


class BoxRefinement(nn.Module):
    """See the module's docstring; 0.36 M parameters, 0.7 MB in fp16.

    Args:
        config: its form.

    Attributes:
        config: its form.
        limits: greatest inputs of the `inner` layers on training footage, needed to multiply these in int8; None
            where nobody has measured them.
        places: (grid * grid, 3) where the cells are, across and down, in sides of the box from its centre, and whether
            that is inside it.
        inside: numbers of the cells that are.
        outside: numbers of those that are not.
    """

    places: Tensor
    inside: Tensor
    outside: Tensor
    _scale: Tensor

    def __init__(self, config: RefinementConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RefinementConfig()
        self.limits: tuple[float, ...] | None = None
        self.project = nn.ModuleList(
            nn.Linear(STAGE_CHANNELS[stage - 1], config.projected, bias=False) for stage in config.stages
        )
        self.sharpness = nn.Parameter(torch.full((len(config.stages),), 8.0))
        side = (torch.arange(config.grid) + 0.5) / config.grid - 0.5
        rows, columns = torch.meshgrid(side, side, indexing="ij")
        columns, rows = (c.flatten() * config.context for c in (columns, rows))
        inside = ((columns.abs() < 0.5) & (rows.abs() < 0.5)).float()
        self.register_buffer("places", torch.stack([columns, rows, inside], dim=1), persistent=False)
        self.register_buffer("inside", torch.nonzero(inside > 0)[:, 0], persistent=False)
        self.register_buffer("outside", torch.nonzero(inside == 0)[:, 0], persistent=False)
        channels = len(config.stages) * ((2 if config.raw else 1) * config.projected + 8)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, config.width, 1),
            nn.ReLU(),
            nn.Conv2d(config.width, config.width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.width, config.width, 3, padding=1, stride=2),
            nn.ReLU(),
        )
        size = config.width * ((config.grid + 1) // 2) ** 2
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(size, config.hidden), nn.ReLU())
        self.out = nn.Linear(config.hidden, 5)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("_scale", torch.tensor(MOVE_SCALE), persistent=False)

    @property
    def inner(self) -> list[nn.Module]:
        """The layers but the first and the last, in turn; their inputs have been through a ReLU."""
        layers = [*self.convolutions.children(), *self.hidden.children()][1:]
        return [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]

    def encode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Projects maps (H, W, C), one a stage, of cells of unit length, to (H, W, projected)."""
        return [layer(cells.float() * cells.shape[2] ** 0.5) for layer, cells in zip(self.project, maps, strict=True)]

    def encoders(self) -> dict[int, Tensor]:
        """What `encode` multiplies the cells of each stage by: stage -> (C, projected)."""
        weights = [layer.weight.detach() for layer in self.project if isinstance(layer, nn.Linear)]
        return {stage: w.T * w.shape[1] ** 0.5 for stage, w in zip(self.config.stages, weights, strict=True)}

    def pool(self, encoded: Sequence[Tensor], corners: Tensor, strides: Sequence[int]) -> Tensor:
        """Pools boxes from projected maps.

        Args:
            encoded: one map (H, W, projected) a stage.
            corners: (N, 4) x1, y1, x2, y2 in pixels of the network's input.
            strides: of the stages.

        Returns:
            (N, stages, grid * grid, projected).
        """
        grow = (self.config.context - 1) / 2
        sides = (corners[:, 2:] - corners[:, :2]) * grow
        wide = torch.cat([corners[:, :2] - sides, corners[:, 2:] + sides], dim=1)
        cells = (wide - CELL_CENTRE) / corners.new_tensor(strides)[:, None, None]
        return pool_boxes(encoded, cells, self.config.grid)

    def bias(self, targets: Tensor) -> Tensor:
        """What the network would do to targets (T, ...) themselves, (T, 4), in its own units."""
        return self._read(targets, targets)[:, :4]

    def forward(self, boxes: Tensor, targets: Tensor, bias: Tensor | None = None) -> Refined:
        """Judges boxes against the target.

        What the head would do to the target itself is taken off: on its own box of the first frame nothing is to move.

        Args:
            boxes: (N, stages, grid * grid, projected) from `pool`.
            targets: (T, ...), the same of first frames' boxes, where each is that of N / T boxes in a row.
            bias: of these targets, where it is known already.
        """
        each = len(boxes) // len(targets)
        own = (self.bias(targets) if bias is None else bias).repeat_interleave(each, dim=0)
        return self.told(self._read(boxes, targets.repeat_interleave(each, dim=0)), own)

    def told(self, read: Tensor, bias: Tensor) -> Refined:
        """What the network's output (N, 5) says once the targets' bias, (N, 4) or (1, 4), is taken off."""
        return Refined((read[:, :4] - bias) * self._scale, read[:, 4])

    def _read(self, boxes: Tensor, targets: Tensor) -> Tensor:
        """What the network puts out, (N, 5), for boxes and as many targets."""
        unit, unit_target = (nn.functional.normalize(t, dim=3) for t in (boxes, targets))
        likeness = unit @ unit_target.transpose(2, 3)
        weights = (likeness * self.sharpness[:, None, None]).softmax(3)
        origin = weights @ self.places
        # Where a cell comes from less where it is: the local displacement.
        displaced = origin[..., :2] - self.places[:, :2]
        best_in = likeness.index_select(3, self.inside).amax(3)
        best_out = likeness.index_select(3, self.outside).amax(3)
        aligned = (unit * unit_target).sum(3)
        cues = torch.stack([best_in, best_out, aligned], dim=3)
        own = [boxes] if self.config.raw else []
        channels = torch.cat([*own, boxes * targets, origin, displaced, cues], dim=3)
        grid, (first, *others) = self.config.grid, self.convolutions
        assert isinstance(first, nn.Conv2d)
        # A convolution of 1x1 is a matrix product on cells; for five boxes it is half as dear as one.
        cells = channels.transpose(1, 2).flatten(2)
        image = nn.functional.linear(cells, first.weight.flatten(1), first.bias).mT.reshape(len(boxes), -1, grid, grid)
        for layer in others:
            image = layer(image)
        read: Tensor = self.out(self.hidden(image))
        return read
