"""What the box-refinement head learns from: search regions with the target's box, as the trunk's maps.

The trunk is frozen, so its maps are made once and kept in memory, in fp16: about 0.4 MB a view.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, to_center, to_corners
from asmd.errors import AsmdError, ConfigError
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame, Sequence
from asmd.tracking.inputs import cut
from asmd.tracking.network import FeatureNetwork
from asmd.training.domains import MIN_SIDE, footage_of, usable_frames


@dataclass(frozen=True)
class ViewConfig:
    """How footage becomes views.

    Attributes:
        frames: of each video; each gives a view and a mirrored one.
        balance: each of n tracks of one video has frames * n^-balance, and as much less weight.
        region_size: side of a view in network pixels.
        scale: least and greatest side of a view, in mean sides of the target; wider than one tracker's, so that one
            head serves several sizes of region.
        shift: of the view about the target: standard deviation, in mean sides of the target.
        squeeze: greatest change of the view's aspect, as an exponent of e.
        objects: boxes on whatever lies there, of each video, with or without annotation. Two looks at one such box on
            one frame make a pair: they teach to match what was never annotated.
    """

    frames: int = 64
    balance: float = 0.5
    region_size: int = 257
    scale: tuple[float, float] = (2.6, 6.0)
    shift: float = 0.25
    squeeze: float = 0.12
    objects: int = 12

    def __post_init__(self) -> None:
        if self.frames < 2 or not 0 <= self.balance <= 1 or self.region_size < 64 or self.objects < 0:
            raise ConfigError("views need frames of at least 2, balance in 0..1 and region_size of at least 64 px")
        if not 1 < self.scale[0] <= self.scale[1] or min(self.shift, self.squeeze) < 0:
            raise ConfigError("views need 1 < least scale <= greatest, and shift and squeeze of at least 0")


@dataclass(frozen=True)
class View:
    """One look at a target.

    Attributes:
        maps: cells (h, w, C) fp16 of unit length, one map a stage.
        box: (4,) float32 x, y, w, h in pixels of the view.
    """

    maps: tuple[Tensor, ...]
    box: Tensor


@dataclass(frozen=True)
class Pool:
    """Views of one target, any two of which make a pair, and how often it is drawn."""

    name: str
    views: tuple[View, ...]
    weight: float


class Viewer:
    """Turns frames into views.

    Args:
        trunk: in evaluation mode; copied.
        stages: whose maps are kept.
        config: settings.
    """

    def __init__(self, trunk: SpatiotemporalResNet, stages: tuple[int, ...], config: ViewConfig) -> None:
        self.config = config
        self._network = FeatureNetwork(trunk, torch.device("cpu"))
        self._stages = stages
        self.strides = [self._network.stride(stage) for stage in stages]

    def pools(self, sequences: Rows[Sequence], seed: int, report: Callable[[str], None] = lambda _: None) -> list[Pool]:
        """Views of annotated targets, a pool for each target and way of mirroring.

        Args:
            sequences: with boxes; those that cannot be read are reported and left out.
            seed: decides, with a sequence's name, every draw.
            report: told of each sequence that is left out.
        """
        counts = Counter(footage_of(s) for s in sequences)
        found: list[Pool] = []
        for sequence in sequences:
            share = counts[footage_of(sequence)] ** -self.config.balance
            wanted = max(2, round(self.config.frames * share))
            rng = _generator(seed, sequence.name)
            try:
                pairs = [self._pair(frame, box, rng) for frame, box in _spread(sequence, wanted, rng)]
            except AsmdError as error:
                report(f"{sequence.name}: {error}")
                continue
            if len(pairs) >= 2:
                found += [Pool(sequence.name, views, share) for views in zip(*pairs, strict=True)]
        return found

    def objects(
        self, sequences: Rows[Sequence], seed: int, report: Callable[[str], None] = lambda _: None
    ) -> list[Pool]:
        """Pairs of looks at boxes of textured parts of frames, a pool each; of tracks of one video the first counts."""
        found: list[Pool] = []
        for sequence in {footage_of(s): s for s in reversed(sequences) if len(s.frames)}.values():
            rng = _generator(seed, f"objects of {sequence.name}")
            try:
                for frame in _frames(sequence, np.sort(rng.integers(0, len(sequence.frames), self.config.objects))):
                    box = textured_box(frame, rng)
                    if box is not None:
                        mirror = bool(rng.integers(2))
                        pair = tuple(self._view(frame, box, rng, mirror) for _ in range(2))
                        found.append(Pool(sequence.name, pair, 1.0))
            except AsmdError as error:
                report(f"{sequence.name}: {error}")
        return found

    def plain(self, frame: Frame, box: Boxes, scale: float) -> View:
        """A view centred on a box, `scale` mean sides wide, unchanged."""
        half = scale * float(np.sqrt(box[2] * box[3])) / 2
        return self._cut(frame, box, np.array([half, half]), to_center(box)[:2])

    def _pair(self, frame: Frame, box: Boxes, rng: np.random.Generator) -> tuple[View, View]:
        return self._view(frame, box, rng, False), self._view(frame, box, rng, True)

    def _view(self, frame: Frame, box: Boxes, rng: np.random.Generator, mirror: bool) -> View:
        config = self.config
        mean = float(np.sqrt(box[2] * box[3]))
        half = mean / 2 * np.exp(rng.uniform(*np.log(config.scale)))
        aspect = np.exp(rng.uniform(-config.squeeze, config.squeeze))
        centre = to_center(box)[:2] + config.shift * mean * rng.standard_normal(2).clip(-2, 2)
        return self._cut(frame, box, half * np.array([aspect, 1 / aspect]), centre, mirror, rng)

    def _cut(
        self,
        frame: Frame,
        box: Boxes,
        half: Boxes,
        centre: Boxes,
        mirror: bool = False,
        rng: np.random.Generator | None = None,
    ) -> View:
        size = self.config.region_size
        low = np.floor(centre - half).astype(np.int64)
        corners = np.concatenate([low, low + np.maximum(2, np.round(2 * half)).astype(np.int64)])
        rgb = np.asarray(cut(frame, corners, (size, size), replicate=True), np.uint8)
        shown = (to_corners(box) - np.tile(low, 2)) * (size / np.tile(corners[2:] - low, 2))
        if mirror:
            rgb = np.ascontiguousarray(rgb[:, ::-1])
            shown = np.array([size - shown[2], shown[1], size - shown[0], shown[3]])
        if rng is not None:
            rgb = recoloured(rgb, rng)
        stages = self._network.maps(rgb[None], None, self._stages)
        maps = tuple(
            torch.nn.functional.normalize(stages[s].appearance[0].permute(1, 2, 0).float(), dim=2).half().contiguous()
            for s in self._stages
        )
        return View(maps, torch.from_numpy(np.concatenate([shown[:2], shown[2:] - shown[:2]]).astype(np.float32)))


def recoloured(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other light, sometimes grey or blurred by motion: (H, W, 3) -> (H, W, 3)."""
    image: NDArray[np.floating] = rgb.astype(np.float32)
    if rng.random() < 0.7:
        image = image * rng.uniform(0.7, 1.3) + rng.uniform(-25, 25)
    if rng.random() < 0.3:
        image = image * rng.uniform(0.85, 1.15, 3)
    if rng.random() < 0.15:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.2:
        length = int(rng.integers(3, 8))
        image = np.asarray(cv2.blur(image, (length, 1) if rng.random() < 0.5 else (1, length)))
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def textured_box(frame: Frame, rng: np.random.Generator, tries: int = 6) -> Boxes | None:
    """Of some random boxes the one whose grey values vary most, (4,); None where all are flat."""
    height, width = frame.shape[:2]
    best, box = 8.0, None
    for _ in range(tries):
        side = min(height, width) * np.exp(rng.uniform(np.log(0.06), np.log(0.4)))
        stretch = np.exp(rng.uniform(-0.45, 0.45))
        w, h = max(MIN_SIDE, side * stretch), max(MIN_SIDE, side / stretch)
        if w > 0.7 * width or h > 0.7 * height:
            continue
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        deviation = float(frame[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].mean(axis=2).std())
        if deviation > best:
            best, box = deviation, np.array([x, y, w, h])
    return box


def _spread(sequence: Sequence, wanted: int, rng: np.random.Generator) -> Iterator[tuple[Frame, Boxes]]:
    """A random frame of each of `wanted` equal parts of the usable ones."""
    usable = usable_frames(sequence)
    edges = np.linspace(0, len(usable), min(wanted, len(usable)) + 1).astype(int)
    picks = np.array([usable[rng.integers(a, b)] for a, b in pairwise(edges)], dtype=int)
    for index, frame in zip(picks, _frames(sequence, picks), strict=True):
        yield frame, sequence.boxes[index]


def _frames(sequence: Sequence, indices: NDArray[np.integer]) -> Iterator[Frame]:
    """Frames by ascending number; the file is closed after the last."""
    try:
        for index in indices:
            yield sequence.frames[int(index)]
    finally:
        if close := getattr(sequence.frames, "close", None):
            close()


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "big")])
