"""Descriptors of candidates, in two ways behind one interface.

`crop` is the paper's: every candidate, enlarged, is warped to 224x224 and sent through the network. `region` sends
one search region through the network and pools every candidate from its maps, two orders of magnitude faster.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes
from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.models.resnet import STAGE_CHANNELS
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame
from asmd.tracking.components import principal
from asmd.tracking.inputs import Image, crop_corners, cut, region_corners, stream_inputs
from asmd.tracking.network import Backend, FeatureNetwork, Precision
from asmd.tracking.openvino_network import QuantisedGraph
from asmd.tracking.readout import Readout, StageMaps
from asmd.tracking.regions import MapForm, Poolings, Region, in_parts

Components: TypeAlias = Literal["auto", "video"]


@dataclass(frozen=True)
class FeatureConfig:
    """How candidates are described.

    Attributes:
        extractor: "region" or "crop".
        motion: use the motion stream: "auto" uses it where the weights say that it was trained.
        stages: network stages that describe a candidate (region).
        bins: a candidate is pooled in bins x bins parts (region), or its 7x7 map is for box regression (crop).
        region_scale: side of the search region, in mean sides (square root of area) of the target.
        region_size: side of the region in network pixels; 16 k + 1 keeps the cells symmetric.
        channels: principal components of cells that are kept of each stage and stream; 0 keeps all channels (region).
        components: "auto" takes the weights' own where they have as many (the appearance stream alone), "video" finds
            them on each video's first frame.
        context: candidates are enlarged by this before they are described; 107 / 75 is MDNet's padding of 16.
        crop_size: side of a warped candidate in network pixels.
        batch: candidates that go through the network at once (crop).
        backend: what the network runs in: "torch", "openvino", or "auto" for the faster that is there.
        precision: of the network: "float" is the fastest floating type of the device, "auto" int8 where the weights and
            the device have it (region, without the motion stream).
    """

    extractor: Literal["region", "crop"] = "region"
    motion: Literal["auto", "on", "off"] = "auto"
    stages: tuple[int, ...] = (2, 3)
    bins: int = 3
    region_scale: float = 4.5
    region_size: int = 353
    channels: int = 64
    components: Components = "auto"
    context: float = 1.0
    crop_size: int = 224
    batch: int = 32
    backend: Backend = "auto"
    precision: Precision = "float"

    def __post_init__(self) -> None:
        if not self.stages or not set(self.stages) <= {1, 2, 3, 4}:
            raise ConfigError(f"stages must be some of 1, 2, 3, 4, got {self.stages}")
        if min(self.bins, self.batch) < 1 or self.region_size < 64 or self.crop_size < 64:
            raise ConfigError("features need bins and batch of at least 1 and sizes of at least 64 px")
        for name, known in (("backend", Backend), ("precision", Precision), ("components", Components)):
            if (value := getattr(self, name)) not in get_args(known):
                raise ConfigError(f"features.{name} is one of {', '.join(get_args(known))}, not {value!r}")
        if self.region_scale <= 1 or self.context < 1:
            raise ConfigError("features need region_scale above 1 and context of at least 1")


@dataclass(frozen=True)
class Descriptors:
    """What is known of N boxes.

    Attributes:
        identity: (N, D), for the classifier, in the type of the maps that it was read from.
        layout: (N, D') with the spatial layout kept, for box regression; may be the same tensor.
    """

    identity: Tensor
    layout: Tensor


_Place: TypeAlias = tuple[NDArray[np.int64], tuple[int, int]]
"""Corners (4,) of a rectangle of the frame, and the (height, width) that it is resized to."""


class View(Protocol):
    """A frame as the extractor sees it, ready to describe any number of boxes."""

    bounds: Boxes
    """(4,) the part of the frame in which boxes can be described well."""
    lasting: bool
    """Whether it needs neither the frame nor its flow any more, which the next frame takes the place of."""

    def describe(self, boxes: Boxes, poolings: Poolings | None = None) -> Descriptors:
        """What is known of boxes (N, 4); `poolings` are those of the view's region, where they are at hand."""
        ...


class Extractor(Protocol):
    """Looks at frames and gives views."""

    def start(self, frame: Frame, flow: FlowStack | None, target: Boxes) -> tuple[View, View]:
        """Takes the first frame of a video, with the target (4,), before any view is asked for.

        Returns:
            What `look` at the target and `look_everywhere` then give of it.
        """
        ...

    def aim(self, around: Boxes) -> Region | None:
        """The region of the view that `look` gives, where it is one."""
        ...

    def look(self, frame: Frame, flow: FlowStack | None, around: Boxes) -> View:
        """A view of the frame near the box `around` (4,)."""
        ...

    def look_everywhere(self, frame: Frame, flow: FlowStack | None, size: Boxes) -> View:
        """A view of the whole frame for boxes about as large as `size` (4,)."""
        ...


class _Inputs:
    """Cuts both streams' inputs from a frame and its flow; `unit` is whether cells of maps have unit length."""

    def __init__(self, network: FeatureNetwork, motion: bool, unit: bool) -> None:
        self.network, self.motion, self._unit = network, motion, unit

    def streams(
        self, frame: Frame, flow: FlowStack | None, corners: NDArray[np.int64], size: tuple[int, int]
    ) -> tuple[Image, Image | None]:
        """(h, w, 3) uint8 and (h, w, 2L) float32 of one rectangle of the frame."""
        if not self.motion or flow is None:
            return cut(frame, corners, size, replicate=True), None
        return stream_inputs(frame, flow.flows(), flow.scale, corners, size)

    def maps(
        self,
        frame: Frame,
        flow: FlowStack | None,
        corners: NDArray[np.int64],
        size: tuple[int, int],
        stages: tuple[int, ...],
    ) -> dict[int, StageMaps]:
        """Stage -> maps (N, C, h, w) of rectangles (N, 4) of the frame, in one run of the network."""
        cuts = [self.streams(frame, flow, c, size) for c in corners]
        # A lone rectangle, the usual case, is not copied.
        rgb = np.stack([rgb for rgb, _ in cuts]) if len(cuts) > 1 else cuts[0][0][None]
        flows = [motion for _, motion in cuts if motion is not None]
        return self.network.maps(rgb, np.stack(flows) if flows else None, stages, self._unit)


class RegionView:
    """Maps of one rectangle of a frame.

    Attributes:
        region: where it is.
        maps: cells (H, W, C) of each stage and stream, as candidates are pooled from.
        encoded: stage -> cells (H, W, P) as a box-refinement head reads them, and stride.
    """

    lasting = True

    def __init__(self, region: Region, maps: list[Tensor], encoded: dict[int, tuple[Tensor, int]]) -> None:
        self.region, self.maps, self.encoded = region, maps, encoded
        corners = region.corners
        self.bounds = np.array([*corners[:2], *(corners[2:] - corners[:2])], dtype=np.float64)

    def describe(self, boxes: Boxes, poolings: Poolings | None = None) -> Descriptors:
        """Pools every box from every map; see `Descriptors`."""
        if poolings is not None:
            pooled = self._pooled(poolings)
        else:
            pooled = joined([self._pooled(self.region.poolings(part)) for part in in_parts(boxes)], dim=0)
        return Descriptors(pooled, pooled)

    def _pooled(self, poolings: Poolings) -> Tensor:
        """Boxes from every map, (N, D)."""
        maps = iter(self.maps)
        columns = [way.pool(list(itertools.islice(maps, len(way.sizes)))).flatten(1) for way in poolings]
        return joined(columns, dim=1)


def joined(parts: list[Tensor], dim: int) -> Tensor:
    """Tensors one after the other; a lone one is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


class RegionExtractor:
    """One network pass for a search region; candidates are pooled from its maps.

    Cells are scaled to unit length over the channels of each stage and stream, so that no stage outweighs another.
    """

    def __init__(self, network: FeatureNetwork, config: FeatureConfig, motion: bool) -> None:
        self._inputs = _Inputs(network, motion, unit=True)
        self._config = config
        # Whether the network gives components, or those of the video are still to be found.
        self._given = bool(network.readout.components)
        self._bases: list[Tensor] = []

    @property
    def config(self) -> FeatureConfig:
        """The settings."""
        return self._config

    @property
    def precision(self) -> str:
        """What the network computes in: "float" or "int8"."""
        return self._inputs.network.precision

    @property
    def backend(self) -> str:
        """The runtime that the network runs in."""
        return self._inputs.network.backend

    @property
    def dtype(self) -> torch.dtype:
        """Type of the maps."""
        return self._inputs.network.dtype

    def stride(self, stage: int) -> int:
        """Network pixels between neighbouring cells of a stage's map."""
        return self._inputs.network.stride(stage)

    def size(self, stage: int) -> tuple[int, int]:
        """(H, W) of the map of a stage that `look` gives."""
        cells = -(-self._config.region_size // self.stride(stage))
        return cells, cells

    def start(self, frame: Frame, flow: FlowStack | None, target: Boxes) -> tuple[RegionView, RegionView]:
        """Finds the principal components of the first frame's cells, where the weights have none of their own."""
        self._bases = []
        places = (self._near(target), self._everywhere(frame, target))
        seen = [self.maps(frame, flow, corners[None], pixels) for corners, pixels in places]
        if self._config.channels and not self._given:
            for first, second in zip(*map(self._cells, seen), strict=True):
                cells = torch.cat([first.flatten(0, 1), second.flatten(0, 1)]).float()
                self._bases.append(principal(cells.T @ cells, self._config.channels).to(first.dtype))
        near, everywhere = (self.view(maps, self.region(*place)) for maps, place in zip(seen, places, strict=True))
        return near, everywhere

    def aim(self, around: Boxes) -> Region:
        """A square about `around`, `region_scale` mean sides wide."""
        return self.region(*self._near(around))

    def look(self, frame: Frame, flow: FlowStack | None, around: Boxes) -> RegionView:
        """A square view about `around`, `region_scale` mean sides wide."""
        return self._look(frame, flow, self._near(around))

    def look_everywhere(self, frame: Frame, flow: FlowStack | None, size: Boxes) -> RegionView:
        """The whole frame at the scale at which `look` would see such a box, though never over 2.5 regions a side."""
        return self._look(frame, flow, self._everywhere(frame, size))

    def _near(self, around: Boxes) -> _Place:
        size = self._config.region_size
        return region_corners(around, self._config.region_scale), (size, size)

    def _everywhere(self, frame: Frame, size: Boxes) -> _Place:
        wanted = self._config.region_size / (self._config.region_scale * float(np.sqrt(size[2] * size[3])))
        height, width = frame.shape[:2]
        scale = min(wanted, 2.5 * self._config.region_size / max(height, width))
        pixels = (16 * max(4, round(height * scale / 16)) + 1, 16 * max(4, round(width * scale / 16)) + 1)
        return np.array([0, 0, width, height]), pixels

    def _look(self, frame: Frame, flow: FlowStack | None, place: _Place) -> RegionView:
        corners, pixels = place
        return self.view(self.maps(frame, flow, corners[None], pixels), self.region(corners, pixels))

    def region(self, corners: Boxes | NDArray[np.int64], pixels: tuple[int, int]) -> Region:
        """A rectangle (4,) of a frame, x1, y1, x2, y2 in its pixels, that the network sees in (height, width)."""
        scale = np.array([pixels[1] / (corners[2] - corners[0]), pixels[0] / (corners[3] - corners[1])])
        forms = []
        for stage in self._config.stages:
            stride = self.stride(stage)
            channels = self._config.channels if self._bases or self._given else STAGE_CHANNELS[stage - 1]
            form = MapForm(-(-pixels[0] // stride), -(-pixels[1] // stride), channels, stride)
            forms += [form] * (2 if self._inputs.motion else 1)
        network = self._inputs.network
        return Region(corners, scale, tuple(forms), self._config.context, self._config.bins, network.device)

    def maps(
        self, frame: Frame, flow: FlowStack | None, corners: NDArray[np.int64], pixels: tuple[int, int]
    ) -> dict[int, StageMaps]:
        """Stage -> maps (N, C, h, w) of rectangles (N, 4) of a frame, each resized to `pixels` (height, width)."""
        return self._inputs.maps(frame, flow, corners, pixels, self._config.stages)

    def view(self, stages: Mapping[int, StageMaps], region: Region) -> RegionView:
        """A view from maps that are there already.

        Args:
            stages: stage -> maps (1, C, h, w) of one rectangle of a frame, of cells of unit length.
            region: the rectangle.
        """
        cells = self._cells(stages)
        # Windows of a larger map are put together first, which the product would do more slowly.
        maps = [c.contiguous() @ basis for c, basis in zip(cells, self._bases, strict=True)] if self._bases else cells
        read = [(s, stages[s].encoded) for s in self._config.stages]
        encoded = {s: (e[0].permute(1, 2, 0), self.stride(s)) for s, e in read if e is not None}
        return RegionView(region, maps, encoded)

    def _cells(self, stages: Mapping[int, StageMaps]) -> list[Tensor]:
        """Cells (H, W, C) of each stage and stream as the network gives them."""
        streams = (stream for s in self._config.stages for stream in (stages[s].appearance, stages[s].motion))
        return [stream[0].permute(1, 2, 0) for stream in streams if stream is not None]


class CropView:
    """A frame from which every candidate is cropped."""

    lasting = False

    def __init__(self, frame: Frame, flow: FlowStack | None, inputs: _Inputs, config: FeatureConfig) -> None:
        self.bounds = np.array([0, 0, frame.shape[1], frame.shape[0]], dtype=np.float64)
        self._frame, self._flow, self._inputs, self._config = frame, flow, inputs, config

    def describe(self, boxes: Boxes, poolings: Poolings | None = None) -> Descriptors:
        """Sends every box through the network; see `Descriptors`."""
        size = (self._config.crop_size, self._config.crop_size)
        corners = crop_corners(boxes, self._config.context)
        identity, layout = [], []
        for start in range(0, len(boxes), self._config.batch):
            batch = corners[start : start + self._config.batch]
            maps = self._inputs.maps(self._frame, self._flow, batch, size, (4,))[4]
            streams = torch.cat([s.float() for s in (maps.appearance, maps.motion) if s is not None], dim=1)
            identity.append(streams.mean((2, 3)))
            layout.append(torch.nn.functional.adaptive_avg_pool2d(streams, self._config.bins).flatten(1))
        if not identity:
            return self._nothing()
        return Descriptors(torch.cat(identity), torch.cat(layout))

    def _nothing(self) -> Descriptors:
        size = 512 * (2 if self._inputs.motion and self._flow is not None else 1)
        return Descriptors(torch.empty(0, size), torch.empty(0, size * self._config.bins**2))


class CropExtractor:
    """The paper's way: every candidate through the network, warped to a square (its aspect ratio is not kept)."""

    def __init__(self, network: FeatureNetwork, config: FeatureConfig, motion: bool) -> None:
        self._inputs = _Inputs(network, motion, unit=False)
        self._config = config

    def start(self, frame: Frame, flow: FlowStack | None, target: Boxes) -> tuple[CropView, CropView]:
        """Nothing to prepare."""
        return self.look(frame, flow, target), self.look_everywhere(frame, flow, target)

    def aim(self, around: Boxes) -> None:
        """There is no region."""

    def look(self, frame: Frame, flow: FlowStack | None, around: Boxes) -> CropView:
        """The frame itself; `around` does not matter."""
        return CropView(frame, flow, self._inputs, self._config)

    def look_everywhere(self, frame: Frame, flow: FlowStack | None, size: Boxes) -> CropView:
        """The frame itself; `size` does not matter."""
        return CropView(frame, flow, self._inputs, self._config)


def build_extractor(
    network: SpatiotemporalResNet,
    config: FeatureConfig,
    motion: bool,
    device: torch.device,
    quantised: QuantisedGraph | None = None,
    readout: Readout | None = None,
) -> Extractor:
    """The extractor that the settings name.

    Args:
        network: in evaluation mode; it is copied, not changed.
        config: settings.
        motion: whether the motion stream runs.
        device: where the network runs.
        quantised: the same network in int8, if there is one.
        readout: what is known beforehand of how its maps are read; what the settings do not suit is left out.

    Raises:
        ConfigError: if the settings ask for a runtime or a precision that is not there.
    """
    region = config.extractor == "region"
    if motion or not region or quantised is None or quantised.stages != config.stages:
        quantised = None
    read = (readout or Readout()).restricted(config.stages, config.channels if config.components == "auto" else 0)
    if motion:
        # These are of the appearance stream alone, whose maps motion changes.
        read = replace(read, components={})
    runner = FeatureNetwork(
        network, device, None, config.backend, config.precision, quantised, read if region else None
    )
    runner.prepare(config.stages if region else (4,), motion, region, config.region_size if region else None)
    return (RegionExtractor if region else CropExtractor)(runner, config, motion)
