"""One pass through the network for search regions that overlap.

Regions of several targets that overlap and whose targets are of a similar size are joined into one rectangle at a
common scale. Its maps are cut into a part for each target, which that target's extractor then reads as if it had looked
by itself. Regions that are not joined go through the network together, as one batch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes
from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.sequence import Frame
from asmd.tracking.features import Extractor, RegionExtractor, View
from asmd.tracking.inputs import region_corners
from asmd.tracking.readout import StageMaps
from asmd.tracking.regions import Region

Corners: TypeAlias = NDArray[np.int64]
"""(4,) x1, y1, x2, y2 in pixels of the frame; may reach beyond it."""

Look: TypeAlias = Callable[[], View]
"""Makes a target's view of what the network has given, or has it look for this target alone."""


@dataclass(frozen=True)
class SharingConfig:
    """When targets share a pass through the network.

    Attributes:
        tolerance: greatest ratio between the scales at which two of them would be looked at alone; below 1 nothing is
            shared.
        saving: least share of the network's pixels that a joined region has to save.
        step: network pixels between the sides that a joined region may have, so that there are few shapes.
        most: greatest side of a joined region, in sides of a single one.
    """

    tolerance: float = 1.25
    saving: float = 0.1
    step: int = 32
    most: float = 2.5

    def __post_init__(self) -> None:
        if self.step < 16 or self.step % 16 or not 0 <= self.saving < 1 or self.most < 1:
            raise ConfigError(
                "sharing needs a step that is a multiple of 16, saving in 0..1 and most of at least 1, "
                f"got {self.step}, {self.saving:g} and {self.most:g}"
            )


@dataclass(frozen=True, eq=False)
class Pass:
    """A rectangle of the frame that goes through the network.

    Attributes:
        members: which targets look at it.
        corners: where it is.
        pixels: (height, width) that it is resized to.
        scales: least and greatest scale, in network pixels per pixel of the frame, that its members have alone.
    """

    members: tuple[int, ...]
    corners: Corners
    pixels: tuple[int, int]
    scales: tuple[float, float]

    @property
    def area(self) -> int:
        """Network pixels that it costs."""
        return self.pixels[0] * self.pixels[1]


def plan(regions: Sequence[Corners], side: int, config: SharingConfig) -> list[Pass]:
    """Which regions go through the network together.

    Args:
        regions: each target's own square search region.
        side: network pixels of one.
        config: settings.

    Returns:
        Passes in which each target is a member once. The pair that saves most is joined first, until none saves enough.
    """
    scales = [side / float(region[2] - region[0]) for region in regions]
    passes = {i: Pass((i,), region, (side, side), (scales[i],) * 2) for i, region in enumerate(regions)}
    joined: dict[tuple[int, int], Pass] = {}

    def consider(first: int, second: int) -> None:
        both = _joined(passes[first], passes[second], side, config)
        if both is not None:
            joined[first, second] = both

    def saved(pair: tuple[int, int]) -> int:
        return passes[pair[0]].area + passes[pair[1]].area - joined[pair].area

    for second in passes:
        for first in range(second):
            consider(first, second)
    while joined:
        first, second = best = max(joined, key=saved)
        passes[first] = joined[best]
        del passes[second]
        joined = {pair: both for pair, both in joined.items() if not {first, second} & set(pair)}
        for other in passes:
            if other != first:
                consider(min(first, other), max(first, other))
    return list(passes.values())


def _joined(one: Pass, two: Pass, side: int, config: SharingConfig) -> Pass | None:
    """The pass that stands for both, None where they are better off apart."""
    scales = min(one.scales[0], two.scales[0]), max(one.scales[1], two.scales[1])
    if scales[1] > config.tolerance * scales[0]:
        return None
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = one.corners.tolist(), two.corners.tolist()
    if min(ax2, bx2) <= max(ax1, bx1) or min(ay2, by2) <= max(ay1, by1):
        return None
    x1, y1, x2, y2 = min(ax1, bx1), min(ay1, by1), max(ax2, bx2), max(ay2, by2)
    scale = math.sqrt(scales[0] * scales[1])
    width, height = (1 + config.step * math.ceil((extent * scale - 1) / config.step) for extent in (x2 - x1, y2 - y1))
    members = tuple(sorted((*one.members, *two.members)))
    if max(width, height) > config.most * side or width * height > (1 - config.saving) * len(members) * side**2:
        return None
    # The rectangle grows to as much of the frame as its whole number of network pixels shows.
    wide, high = round(width / scale), round(height / scale)
    left, top = (x1 + x2 - wide) // 2, (y1 + y2 - high) // 2
    return Pass(members, np.array([left, top, left + wide, top + high]), (height, width), scales)


@dataclass(frozen=True, eq=False)
class Aims:
    """Where several targets look on a frame.

    Attributes:
        regions: each target's; None for extractors of crops.
        passes: through the network that they take; empty where each looks by itself.
    """

    regions: list[Region | None]
    passes: list[Pass]
    _extractors: Sequence[Extractor]
    _places: Sequence[Boxes]

    def look(self, frame: Frame, flow: FlowStack | None) -> list[Look]:
        """What makes each target's view, as `Extractor.look` does; where there are passes the network has run by then.

        Args:
            frame: RGB uint8 (H, W, 3).
            flow: its flow, if there is any.
        """
        if not self.passes:
            return [
                partial(e.look, frame, flow, place) for e, place in zip(self._extractors, self._places, strict=True)
            ]
        batches: dict[tuple[int, int], list[Pass]] = {}
        for one in self.passes:
            batches.setdefault(one.pixels, []).append(one)
        looks: dict[int, Look] = {}
        for pixels, batch in batches.items():
            corners = np.stack([one.corners for one in batch])
            maps = _square(self._extractors[0]).maps(frame, flow, corners, pixels)
            for row, one in enumerate(batch):
                own = _map(maps, operator.itemgetter(slice(row, row + 1)))
                looks |= {member: partial(self._view, member, own, one) for member in one.members}
        return [looks[i] for i in range(len(self._extractors))]

    def _view(self, member: int, maps: Mapping[int, StageMaps], seen: Pass) -> View:
        extractor, region = _square(self._extractors[member]), self.regions[member]
        assert region is not None
        if len(seen.members) > 1:
            left, top = np.rint((region.corners[:2] - seen.corners[:2]) * region.scale).astype(int).tolist()
            parts: dict[int, StageMaps] = {}
            for stage, streams in maps.items():
                stride, size = extractor.stride(stage), extractor.size(stage)
                window = partial(_window, top=top // stride, left=left // stride, size=size)
                parts |= _map({stage: streams}, window)
            maps = parts
        return extractor.view(maps, region)


def aim(extractors: Sequence[Extractor], places: Sequence[Boxes], config: SharingConfig) -> Aims:
    """Where targets look, in as few passes through the network as may be.

    Args:
        extractors: one a target, all of one network and one configuration.
        places: the box (4,) that each looks about.
        config: when a pass is shared.
    """
    regions = [e.aim(place) for e, place in zip(extractors, places, strict=True)]
    if len(extractors) < 2 or not all(isinstance(e, RegionExtractor) for e in extractors):
        return Aims(regions, [], extractors, places)
    first = _square(extractors[0])
    squares = [region_corners(place, first.config.region_scale) for place in places]
    passes = plan(squares, first.config.region_size, config)
    for one in passes:
        if len(one.members) > 1:
            for member in one.members:
                regions[member] = _part(_square(extractors[member]), one, squares[member])
    return Aims(regions, passes, extractors, places)


def _square(extractor: Extractor) -> RegionExtractor:
    assert isinstance(extractor, RegionExtractor)
    return extractor


def _map(maps: Mapping[int, StageMaps], change: Callable[[Tensor], Tensor]) -> dict[int, StageMaps]:
    """Every map, changed."""
    return {
        stage: StageMaps(change(of.appearance), *(None if m is None else change(m) for m in of[1:]))
        for stage, of in maps.items()
    }


def _part(extractor: RegionExtractor, seen: Pass, region: Corners) -> Region:
    """A member's part of a joined pass: as many cells as a view of its own has, about the middle of its region."""
    scale = np.array(seen.pixels[::-1]) / (seen.corners[2:] - seen.corners[:2])
    # The part begins on a cell of every map, so that one origin serves all.
    side, unit = extractor.config.region_size, max(extractor.stride(stage) for stage in extractor.config.stages)
    middle = ((region[:2] + region[2:]) / 2 - seen.corners[:2]) * scale
    origin = seen.corners[:2] + np.rint((middle - side / 2) / unit) * unit / scale
    return extractor.region(np.concatenate([origin, origin + side / scale]), (side, side))


def _window(cells: Tensor, top: int, left: int, size: tuple[int, int]) -> Tensor:
    """Cells (1, C, *size) of a map (1, C, H, W) from a place on; beyond its edge there are more like the outermost."""
    (height, width), (rows, columns) = size, cells.shape[2:]
    if 0 <= top <= rows - height and 0 <= left <= columns - width:
        return cells[:, :, top : top + height, left : left + width]
    across = torch.arange(left, left + width, device=cells.device).clamp(0, columns - 1)
    down = torch.arange(top, top + height, device=cells.device).clamp(0, rows - 1)
    return cells.index_select(2, down).index_select(3, across)
