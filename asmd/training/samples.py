"""Labelled samples: frames of several domains, with boxes on and off the target (paper, 3.5).

What the network is shown is cut by the code that tracks: a search region from which samples are pooled ("region"), or a
crop for each sample ("crop", the paper's form). A batch is a function of the run's seed, the step and the place in the
batch alone, so that training can be stopped, resumed and spread over machines without changing what is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, enlarge, from_center, to_center, to_corners
from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.sequence import Frame, Sequence
from asmd.tracking import candidates
from asmd.tracking.candidates import SCALE_BASE, SampleConfig
from asmd.tracking.inputs import Image, crop_corners, region_corners, stream_inputs
from asmd.training.domains import MIN_SIDE, footage_of, usable_frames
from asmd.training.footage import Footage, Reel

ATTEMPTS = 8
"""Domains that are tried for a place in a batch before it stays empty."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of what is shown; each is a probability or a range.

    Attributes:
        flip: mirror image and flow, whose horizontal component changes sign.
        grey: show the image in grey (the paper trains on GOT-10k "and its greyscale version", FACTS 9, row 13).
        blur: motion blur of the image, along or across.
        brightness: greatest change of gain, as a share, and of level, as a share of 255.
        still: the motion stream sees no motion, as on a first frame (FACTS 9, row 20).
        shift: of the search region about the target: standard deviation, in mean sides of the target.
        scale: of the search region's size: greatest exponent of 1.05.
    """

    flip: float = 0.5
    grey: float = 0.5
    blur: float = 0.2
    brightness: float = 0.2
    still: float = 0.1
    shift: float = 0.3
    scale: float = 5.0

    def __post_init__(self) -> None:
        chances = (self.flip, self.grey, self.blur, self.still)
        if not all(0 <= p <= 1 for p in chances) or min(self.brightness, self.shift, self.scale) < 0:
            raise ConfigError("augmentation needs probabilities in 0..1 and ranges of at least 0")


@dataclass(frozen=True)
class BatchConfig:
    """What a supervised iteration is made of.

    Attributes:
        extractor: "region" pools samples from one pass over a search region, "crop" sends each through the network.
        domains: frames in a batch, each of another domain (FACTS 3 says why domains are mixed).
        positives: samples on the target a frame, IoU of at least 0.7.
        negatives: samples off it a frame, IoU of at most 0.5.
        balance: a video with n domains, as with many annotated tracks, is drawn as if it had n^(1 - balance); 0 draws
            all domains alike, 1 all videos.
        hardest: of the negatives, how many of the highest scores are learnt from; 0 takes all.
        region_scale: side of a search region, in mean sides of the target; that of the tracker.
        region_size: side of a region in network pixels; that of the tracker.
        crop_size: side of a crop in network pixels.
        context: samples are enlarged by this before they are described.
        augmentation: random changes.
    """

    extractor: Literal["region", "crop"] = "region"
    domains: int = 8
    positives: SampleConfig = SampleConfig("gaussian", 0.3, 5, 50, min_iou=0.7)
    negatives: SampleConfig = SampleConfig("uniform", 1.5, 10, 200, max_iou=0.5)
    balance: float = 0.0
    hardest: int = 96
    region_scale: float = 4.5
    region_size: int = 257
    crop_size: int = 224
    context: float = 1.0
    augmentation: AugmentationConfig = AugmentationConfig()

    def __post_init__(self) -> None:
        if self.extractor not in ("region", "crop"):
            raise ConfigError(f"samples come from a region or a crop, got {self.extractor!r}")
        if self.domains < 1 or self.hardest < 0 or min(self.region_size, self.crop_size) < 32:
            raise ConfigError("a batch needs domains of at least 1, hardest of at least 0 and sizes of at least 32 px")
        if self.positives.count < 1 or self.negatives.count < 1:
            raise ConfigError("a batch needs positives and negatives")


class Batch(NamedTuple):
    """Frames of several domains with their samples, in the order of the batch's places.

    Attributes:
        rgb: (V, H, W, 3) uint8, views: regions, or crops of one sample each.
        flow: (V, H, W, 2L) float16, see `asmd.flow.network_input`.
        view_domains: (V,) int64.
        corners: (N, 4) float32 of the samples, in pixels of their view; None where each view is a sample.
        view: (N,) int64, the view of each sample; None likewise.
        labels: (N,) int64, 1 for the target.
        skipped: a line for each domain that failed, and so was replaced or left out.
    """

    rgb: Tensor
    flow: Tensor
    view_domains: Tensor
    corners: Tensor | None
    view: Tensor | None
    labels: Tensor
    skipped: tuple[str, ...]


class _Shown(NamedTuple):
    """What one frame adds: views, and samples in pixels of the view."""

    rgb: list[Image]
    flow: list[Image]
    corners: NDArray[np.float32] | None
    labels: NDArray[np.int64]


class SampleDrawer:
    """Draws batches from domains.

    Args:
        footage: where frames and flow come from.
        domains: K sequences; their place is the number of the domain.
        config: settings.
        seed: of the run.
        partitions: parts into which the domains are divided (domain k is in part k mod partitions), each of which fills
            an equal share of every batch; as many as there are processes that share the training.

    Raises:
        ConfigError: if the batch cannot be shared out, or asks for more domains than there are.
    """

    def __init__(
        self, footage: Footage, domains: Rows[Sequence], config: BatchConfig, seed: int = 0, partitions: int = 1
    ) -> None:
        self.config = config
        self._footage = footage
        self._frames = [s.frames for s in domains]
        self._reels: dict[int, Reel] = {}
        self._names = [s.name for s in domains]
        self._boxes = [s.boxes for s in domains]
        self._usable = [usable_frames(s) for s in domains]
        videos = [footage_of(s) for s in domains]
        counts = Counter(videos)
        self._weights = np.array([counts[video] ** -config.balance for video in videos])
        self._seed = seed
        self._partitions = partitions
        if config.domains % partitions:
            raise ConfigError(f"{config.domains} domains a batch cannot be shared by {partitions} processes")
        if len(domains) // partitions < config.domains // partitions:
            raise ConfigError(f"a batch of {config.domains} domains needs as many, got {len(domains)}")

    def draw(self, step: int, places: Rows[int]) -> Batch:
        """Some places of the batch of a step; those for which nothing can be read are left out.

        Args:
            step: number of the supervised iteration.
            places: of 0 .. domains - 1; place i belongs to partition i mod partitions.

        Raises:
            DatasetError: if that is all of them; the last error is in the text.
        """
        orders = {}
        shown: list[_Shown] = []
        numbers: list[int] = []
        skipped: list[str] = []
        for place in places:
            part = place % self._partitions
            if part not in orders:
                orders[part] = self._order(np.random.default_rng([self._seed, step, part]), part)
            found = self._fill(step, place, orders[part], skipped)
            if found is not None:
                numbers.append(found[0])
                shown.append(found[1])
        if not shown:
            raise DatasetError(f"no sequence of a whole batch can be learnt from; the last is {skipped[-1]}")
        return _collate(shown, numbers, list(dict.fromkeys(skipped)))

    def _order(self, rng: np.random.Generator, part: int) -> NDArray[np.intp]:
        """The domains of a partition in random order, heavier ones earlier on the whole."""
        own = np.arange(part, len(self._frames), self._partitions)
        # Successive sampling without replacement by exponential clocks (Efraimidis and Spirakis, 2006).
        return own[np.argsort(rng.exponential(size=len(own)) / self._weights[own], kind="stable")]

    def _fill(self, step: int, place: int, order: NDArray[np.intp], skipped: list[str]) -> tuple[int, _Shown] | None:
        """The domain at a place of the batch; one that fails is replaced by one that no other place can take.

        Where there is none left, another of its own frames is tried.
        """
        share, own = self.config.domains // self._partitions, place // self._partitions
        for attempt in range(ATTEMPTS):
            index = own + attempt * share
            number = int(order[index if index < len(order) else own])
            rng = np.random.default_rng([self._seed, step, place, attempt])
            try:
                return number, self._show(number, rng)
            except (AsmdError, IndexError) as error:
                skipped.append(f"{self._names[number]}: {error}")
        return None

    def _reel(self, domain: int) -> Reel:
        if domain not in self._reels:
            self._reels[domain] = self._footage.open(self._frames[domain])
        return self._reels[domain]

    def _show(self, domain: int, rng: np.random.Generator) -> _Shown:
        reel, config = self._reel(domain), self.config
        index = int(rng.choice(self._usable[domain]))
        frame, target = reel.frame(index), self._boxes[domain][index]
        size = (frame.shape[0], frame.shape[1])
        wanted = (config.positives, config.negatives)
        boxes = [candidates.samples(target, size, kind, rng, MIN_SIDE) for kind in wanted]
        if not len(boxes[0]):
            raise DatasetError(f"no sample of the target of frame {index} can be drawn")
        labels = np.repeat([1, 0], [len(b) for b in boxes]).astype(np.int64)
        changes = _Changes.draw(config.augmentation, rng)
        if config.extractor == "crop":
            return self._crops(reel, index, frame, np.concatenate(boxes), labels, changes)
        return self._region(reel, index, frame, target, np.concatenate(boxes), labels, changes, rng)

    def _region(
        self,
        reel: Reel,
        index: int,
        frame: Frame,
        target: Boxes,
        boxes: Boxes,
        labels: NDArray[np.int64],
        changes: _Changes,
        rng: np.random.Generator,
    ) -> _Shown:
        config, augmentation = self.config, self.config.augmentation
        centred = to_center(target)
        centred[:2] += rng.normal(0, 1, 2) * augmentation.shift * target[2:].mean()
        centred[2:] *= SCALE_BASE ** rng.uniform(-augmentation.scale, augmentation.scale)
        corners = region_corners(from_center(centred), config.region_scale)
        side = config.region_size
        rgb, flow = stream_inputs(frame, reel.stack(index), reel.scale(frame), corners, (side, side))
        rgb, flow = changes.apply(rgb, flow)
        shown = (to_corners(enlarge(boxes, config.context)) - np.tile(corners[:2], 2)) * (
            side / (corners[2] - corners[0])
        )
        if changes.flip:
            shown[:, [0, 2]] = side - shown[:, [2, 0]]
        return _Shown([rgb], [flow], shown.astype(np.float32), labels)

    def _crops(
        self, reel: Reel, index: int, frame: Frame, boxes: Boxes, labels: NDArray[np.int64], changes: _Changes
    ) -> _Shown:
        size = (self.config.crop_size, self.config.crop_size)
        stack, scale = reel.stack(index), reel.scale(frame)
        views = [
            changes.apply(*stream_inputs(frame, stack, scale, corners, size))
            for corners in crop_corners(boxes, self.config.context)
        ]
        return _Shown([rgb for rgb, _ in views], [flow for _, flow in views], None, labels)


@dataclass(frozen=True)
class _Changes:
    """One draw of augmentation, the same for all views of a frame."""

    flip: bool
    grey: bool
    blur: tuple[int, int] | None
    gain: float
    level: float
    still: bool

    @classmethod
    def draw(cls, config: AugmentationConfig, rng: np.random.Generator) -> _Changes:
        flip, grey, blur, still = rng.uniform(size=4) < [config.flip, config.grey, config.blur, config.still]
        length = 2 * int(rng.integers(1, 5)) + 1
        kernel = (length, 1) if rng.uniform() < 0.5 else (1, length)
        gain, level = 1 + config.brightness * rng.uniform(-1, 1), 255 * config.brightness * rng.uniform(-1, 1)
        return cls(bool(flip), bool(grey), kernel if blur else None, float(gain), float(level), bool(still))

    def apply(self, rgb: Image, flow: Image) -> tuple[Image, Image]:
        """Changed (H, W, 3) uint8 and (H, W, 2L) float32."""
        if self.grey:
            rgb = np.repeat(cv2.cvtColor(np.asarray(rgb, np.uint8), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if self.blur is not None:
            rgb = np.asarray(cv2.blur(np.asarray(rgb, np.uint8), self.blur))
        if self.gain != 1 or self.level != 0:
            table = np.clip(np.arange(256) * self.gain + self.level, 0, 255).astype(np.uint8)
            rgb = table[rgb]
        if self.still:
            flow = np.zeros_like(flow)
        return mirrored(rgb, flow) if self.flip else (rgb, flow)


def mirrored(rgb: Image, flow: Image) -> tuple[Image, Image]:
    """Left and right exchanged; of flow (H, W, 2L) the horizontal components, 0, 2, ..., change their sign."""
    sign = np.tile(np.array([-1, 1], flow.dtype), flow.shape[2] // 2)
    return np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(flow[:, ::-1] * sign)


def _collate(shown: list[_Shown], numbers: list[int], skipped: list[str]) -> Batch:
    rgb = torch.from_numpy(np.stack([view for one in shown for view in one.rgb]).astype(np.uint8))
    flow = torch.from_numpy(np.stack([view for one in shown for view in one.flow]).astype(np.float16))
    per_view = torch.tensor([number for one, number in zip(shown, numbers, strict=True) for _ in one.rgb])
    labels = torch.from_numpy(np.concatenate([one.labels for one in shown]))
    corners = [one.corners for one in shown if one.corners is not None]
    if not corners:
        return Batch(rgb, flow, per_view, None, None, labels, tuple(skipped))
    view = torch.repeat_interleave(torch.arange(len(shown)), torch.tensor([len(c) for c in corners]))
    return Batch(rgb, flow, per_view, torch.from_numpy(np.concatenate(corners)), view, labels, tuple(skipped))
