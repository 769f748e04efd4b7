"""One pass through the network for search regions that overlap.

Regions of several targets that overlap and whose targets are of a similar size are joined into one rectangle at a
common scale. Its maps are cut into a part for each target, which that target's extractor then reads as if it had looked
by itself. Regions that are not joined go through the network together, as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes
from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.models.st_resnet import StreamMaps
from asmd.sequence import Frame
from asmd.tracking.features import Extractor, RegionExtractor, View
from asmd.tracking.inputs import region_corners

Corners: TypeAlias = NDArray[np.int64]
"""(4,) x1, y1, x2, y2 in pixels of the frame; may reach beyond it."""

Look: TypeAlias = Callable[[], View]
"""Makes a target's view of what the network has given; the looks of several targets may be made at the same time."""


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


def look_at_all(
    frame: Frame,
    flow: FlowStack | None,
    extractors: Sequence[Extractor],
    places: Sequence[Boxes],
    config: SharingConfig,
) -> list[Look]:
    """What `Extractor.look` gives for each target, of as few passes through the network as may be.

    Args:
        frame: RGB uint8 (H, W, 3).
        flow: its flow, if there is any.
        extractors: one a target, all of one network and one configuration.
        places: the box (4,) that each looks about.
        config: when a pass is shared.

    Returns:
        For each target what makes its view. The network has run by then, but for extractors of crops.
    """
    squares = [e for e in extractors if isinstance(e, RegionExtractor)]
    if len(squares) < 2 or len(squares) < len(extractors):
        return [partial(e.look, frame, flow, place) for e, place in zip(extractors, places, strict=True)]
    settings = squares[0].config
    regions = [region_corners(place, settings.region_scale) for place in places]
    passes = plan(regions, settings.region_size, config)
    looks: dict[int, Look] = {}
    alone = [p.members[0] for p in passes if len(p.members) == 1]
    if alone:
        size = (settings.region_size, settings.region_size)
        maps = squares[0].maps(frame, flow, np.stack([regions[i] for i in alone]), size)
        for row, i in enumerate(alone):
            own = _part(maps, slice(row, row + 1))
            looks[i] = partial(squares[i].view, own, regions[i], _scale(regions[i], size))
    for shared in passes:
        if len(shared.members) > 1:
            maps = squares[0].maps(frame, flow, shared.corners[None], shared.pixels)
            looks |= {i: partial(_own_view, squares[i], maps, shared, regions[i]) for i in shared.members}
    return [looks[i] for i in range(len(extractors))]


def _scale(corners: Corners, pixels: tuple[int, int]) -> Boxes:
    """(2,) network pixels per pixel of the frame, across and down."""
    return np.array([pixels[1] / (corners[2] - corners[0]), pixels[0] / (corners[3] - corners[1])])


def _part(maps: Mapping[int, StreamMaps], *index: slice) -> dict[int, StreamMaps]:
    """The same part of every map."""
    return {
        stage: StreamMaps(both.appearance[index], None if both.motion is None else both.motion[index])
        for stage, both in maps.items()
    }


def _own_view(extractor: RegionExtractor, maps: Mapping[int, StreamMaps], shared: Pass, region: Corners) -> View:
    """A member's part of a joined pass."""
    scale = _scale(shared.corners, shared.pixels)
    strides = {stage: extractor.stride(stage) for stage in maps}
    # The part begins on a cell of every map, so that one origin serves all.
    unit = max(strides.values())
    low = np.floor((region[:2] - shared.corners[:2]) * scale / unit).clip(0).astype(int) * unit
    high = (region[2:] - shared.corners[:2]) * scale
    parts: dict[int, StreamMaps] = {}
    for stage, stride in strides.items():
        (left, top), (right, bottom) = low // stride, np.ceil(high / stride).astype(int) + 1
        every, rows, columns = slice(None), slice(top, bottom), slice(left, right)
        parts |= _part({stage: maps[stage]}, every, every, rows, columns)
    origin = shared.corners[:2] + low / scale
    extent = (shared.corners[2:] - origin).clip(max=(high - low) / scale)
    return extractor.view(parts, np.concatenate([origin, origin + extent]), scale)
