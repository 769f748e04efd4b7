"""Clips for the arrow of time: ten frames, played forward or in reverse (paper, 3.4; Wei et al., CVPR 2018; FACTS 4).

A reversed clip is that of the reversed video: its frames come in reverse, and its flow is measured on them in that
order. What would tell the direction without motion is taken out: black borders are cut off, and clips with a cut or
with nothing that moves are left out. The crop is chosen alike for both directions. Frames are decoded once and never
coded again from one to the next. Camera motion is not taken out, as it is there (FACTS 4 c): no clip is stabilised.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from asmd.boxes import to_center
from asmd.errors import AsmdError, ConfigError, DatasetError, SourceError
from asmd.models.arrow_of_time import STACKS
from asmd.sequence import Frame, Sequence
from asmd.tracking.candidates import SCALE_BASE
from asmd.tracking.inputs import IMAGENET_MEAN, IMAGENET_STD, cut, stream_inputs
from asmd.training.domains import footage_of, usable_frames
from asmd.training.footage import Footage, Reel
from asmd.training.samples import mirrored

_BORDER_FRAMES = 5
"""Uniformly spaced frames of a video on which its borders are looked for."""

_BORDER_MARGIN = 2
"""Pixels beside a border that are cut off with it: coding smears the edge."""

_THUMBNAIL = 64
"""Side of the grey images on which neighbouring frames are compared, so that noise and blocks count little."""

_OPEN = 128
"""Videos that are kept ready to be looked up in."""


@dataclass(frozen=True)
class ClipConfig:
    """What clips are made of. Levels are those of grey images, 0 to 255.

    Attributes:
        frames: of a clip; the paper's ten give nine flows, two stacks of five that share one.
        pairs: clips an iteration that are played forward, and as many in reverse.
        same_clips: the reversed ones are the same clips; else they are others (FACTS 9, row 44).
        size: side of what is shown, in network pixels.
        flip: probability of a mirrored clip.
        smallest: random crops have a side of this to 1, as a share of the shorter side of the frame.
        centred: share of clips that are centred on the target, where the source has boxes.
        region_scale: side of those, in mean sides of the target; that of a search region.
        shift: their shift off the target: standard deviation, in mean sides of the target.
        scale: of their size: greatest exponent of 1.05.
        border: rows and columns at the edge whose mean level stays below this are a black border.
        still: least mean difference of neighbouring frames.
        restless: greatest mean difference of neighbouring frames.
        cut: a single difference of at least this level may be a cut.
        cut_ratio: it is one where it is more than this many times the third greatest of the clip.
        attempts: clips that are tried for one that can be shown.
    """

    frames: int = 10
    pairs: int = 5
    same_clips: bool = False
    size: int = 224
    flip: float = 0.5
    smallest: float = 0.5
    centred: float = 0.5
    region_scale: float = 4.5
    shift: float = 0.3
    scale: float = 5.0
    border: float = 10.0
    still: float = 0.3
    restless: float = 40.0
    cut: float = 12.0
    cut_ratio: float = 3.0
    attempts: int = 100

    def __post_init__(self) -> None:
        if self.frames < 3 or min(self.pairs, self.attempts) < 1 or self.size < 32:
            raise ConfigError("clips need frames of at least 3, pairs and attempts of at least 1, size of at least 32")
        if not (0 <= self.flip <= 1 and 0 <= self.centred <= 1 and 0 < self.smallest <= 1):
            raise ConfigError("clips need flip and centred in 0..1 and smallest above 0, up to 1")
        if self.region_scale <= 0 or min(self.shift, self.scale, self.border, self.cut) < 0 or self.cut_ratio < 1:
            raise ConfigError("clips need a positive region_scale, ranges and levels of at least 0 and cut_ratio >= 1")
        if not 0 <= self.still < self.restless:
            raise ConfigError(f"clips need 0 <= still < restless, got {self.still} and {self.restless}")


@dataclass(frozen=True)
class Clips:
    """Clips as they are shown, those that are played forward first.

    Attributes:
        rgb: (B, 2, size, size, 3) uint8, the last frame of each stack's span.
        flow: (B, 2, size, size, 2L) float16, see `asmd.flow.network_input`; in the order in which it is shown.
        forward: (B,) bool.
        skipped: a line for each source that failed and was replaced.
    """

    rgb: Tensor
    flow: Tensor
    forward: Tensor
    skipped: tuple[str, ...] = ()


class Window(NamedTuple):
    """What a clip takes of a video, whichever way it is then played.

    Attributes:
        reel: the video.
        first: number of the first frame, in the video's own order.
        corners: (4,) integer x1, y1, x2, y2 in pixels of the frame, the same for all frames.
        flip: mirrored.
    """

    reel: Reel
    first: int
    corners: NDArray[np.int64]
    flip: bool = False


class ClipSampler:
    """Draws clips from videos, with or without boxes.

    What is drawn depends on the generator's state and on the files alone: nothing is remembered that changes it.

    Args:
        footage: where frames and flow come from.
        sources: videos, with boxes (N, 4) or without, (0, 4). Tracks of one video share its chance to be drawn.
        config: settings.

    Raises:
        DatasetError: if there is no source.
        ConfigError: if a clip is too short for a stack of flows.
    """

    def __init__(self, footage: Footage, sources: Rows[Sequence], config: ClipConfig | None = None) -> None:
        self.config = config or ClipConfig()
        self.footage = footage
        self.sources = tuple(sources)
        if not self.sources:
            raise DatasetError("the arrow of time needs at least one video")
        if self.config.frames <= footage.flow.length:
            raise ConfigError(f"a clip of {self.config.frames} frames has no {footage.flow.length} flows")
        counts = Counter(footage_of(source) for source in self.sources)
        self.chances = np.array([1 / (len(counts) * counts[footage_of(source)]) for source in self.sources])
        """(S,) probability of each source."""
        self._reels: OrderedDict[int, Reel] = OrderedDict()
        self._areas: dict[str, NDArray[np.int64]] = {}

    def draw(self, rng: np.random.Generator, weights: ArrayLike | None = None) -> Clips:
        """Draws the clips of an iteration; a source that fails is replaced by another.

        Args:
            rng: the run's generator.
            weights: (S,) chances of the sources in proportion; None draws all videos alike.

        Raises:
            ConfigError: if the weights are not one a source, of at least 0 and not all 0.
            DatasetError: if no clip could be shown; the last failure is in the text.
        """
        chances = self.chances if weights is None else self._normalised(np.asarray(weights, dtype=np.float64))
        pairs, skipped = self.config.pairs, list[str]()
        if self.config.same_clips:
            both = [self._one(rng, chances, (True, False), skipped) for _ in range(pairs)]
            shown = [clip[0] for clip in both] + [clip[1] for clip in both]
        else:
            shown = [self._one(rng, chances, (k < pairs,), skipped)[0] for k in range(2 * pairs)]
        forward = torch.arange(2 * pairs) < pairs
        return collate(shown, forward, tuple(dict.fromkeys(skipped)))

    def window(self, source: int, rng: np.random.Generator) -> Window | None:
        """A random clip of a source.

        Returns:
            None if there is a cut in what was drawn, or nothing moves.

        Raises:
            SourceError: if a frame cannot be decoded.
            DatasetError: if the video is too short.
        """
        config, sequence, reel = self.config, self.sources[source], self._reel(source)
        if len(reel) < config.frames:
            raise DatasetError(f"{reel.name} has {len(reel)} frames, a clip takes {config.frames}")
        first = int(rng.integers(len(reel) - config.frames + 1))
        usable = usable_frames(sequence)
        usable = usable[(usable >= first) & (usable < first + config.frames)]
        centred, flip = rng.uniform(size=2) < [config.centred, config.flip]
        area = self.area(reel)
        if centred and len(usable):
            corners = _about(sequence.boxes[usable], area, config, rng)
        else:
            side = rng.uniform(config.smallest, 1) * (area[2:] - area[:2]).min()
            corners = _inside(rng.uniform(area[:2], area[2:] - side), side, area)
        window = Window(reel, first, corners, bool(flip))
        return window if is_whole(frame_differences(window, config.frames), config) else None

    def show(self, window: Window, forward: bool) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """A clip as it is played in one direction, see `show`."""
        return show(window, forward, self.config, self.footage.flow.length)

    def area(self, reel: Reel) -> NDArray[np.int64]:
        """(4,) x1, y1, x2, y2 of a video's frames without black borders; found once a video."""
        if reel.key not in self._areas:
            self._areas[reel.key] = content_area(_spread(reel), self.config.border)
        return self._areas[reel.key]

    def _one(
        self, rng: np.random.Generator, chances: NDArray[np.float64], directions: tuple[bool, ...], skipped: list[str]
    ) -> list[tuple[NDArray[np.uint8], NDArray[np.float16]]]:
        why = "there are cuts in them, or nothing moves"
        for _ in range(self.config.attempts):
            source = int(rng.choice(len(chances), p=chances))
            try:
                window = self.window(source, rng)
                if window is not None:
                    return [self.show(window, forward) for forward in directions]
            except (AsmdError, IndexError) as error:
                why = f"{self.sources[source].name}: {error}"
                skipped.append(why)
        raise DatasetError(f"{self.config.attempts} clips in a row cannot be learnt from: {why}")

    def _normalised(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        good = weights.shape == self.chances.shape and bool(np.isfinite(weights).all()) and weights.min() >= 0
        if not good or weights.sum() == 0:
            raise ConfigError(f"clips need {len(self.chances)} weights of at least 0 that are not all 0")
        return np.asarray(weights / weights.sum())

    def _reel(self, source: int) -> Reel:
        if source not in self._reels:
            self._reels[source] = self.footage.open(self.sources[source].frames or [])
            if len(self._reels) > _OPEN:
                self._reels.popitem(last=False)
        self._reels.move_to_end(source)
        return self._reels[source]


def shown_order(first: int, frames: int, forward: bool) -> range:
    """Numbers of a clip's frames, in the order in which they are shown."""
    return range(first, first + frames) if forward else range(first + frames - 1, first - 1, -1)


def stack_ends(frames: int, length: int) -> list[int]:
    """Places, in a clip, of the frames at which its stacks of `length` flows end: 5 and 9 of ten frames and five flows.

    Flow i leads to frame i of the clip, 0-based, so that these stacks are f1 to f5 and f5 to f9.
    """
    return [round(end) for end in np.linspace(length, frames - 1, STACKS)]


def show(
    window: Window, forward: bool, config: ClipConfig, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """A clip as it is played in one direction.

    Args:
        window: what it takes of the video.
        forward: else the frames come in reverse, with the flow between them in that order.
        config: settings.
        length: L, flows in a stack.

    Returns:
        (2, size, size, 3) uint8 and (2, size, size, 2L) float16, see `Clips`.

    Raises:
        SourceError: if a frame cannot be decoded.
    """
    reel = window.reel
    order = shown_order(window.first, config.frames, forward)
    images, motion = [], []
    for end in stack_ends(config.frames, length):
        flows = [reel.flow(i, backward=not forward) for i in order[end - length + 1 : end + 1]]
        frame = reel.frame(order[end])
        known = [flow for flow in flows if flow is not None]
        assert len(known) == length  # only the frame that is shown first has none
        rgb, flow = stream_inputs(frame, known, reel.scale(frame), window.corners, (config.size, config.size))
        if window.flip:
            rgb, flow = mirrored(rgb, flow)
        images.append(rgb)
        motion.append(flow)
    return np.stack(images).astype(np.uint8), np.stack(motion).astype(np.float16)


def collate(
    shown: Rows[tuple[NDArray[np.uint8], NDArray[np.float16]]], forward: Tensor, skipped: tuple[str, ...] = ()
) -> Clips:
    """Clips that `show` gave, as one batch."""
    rgb, flow = (torch.from_numpy(np.stack(part)) for part in zip(*shown, strict=True))
    return Clips(rgb, flow, forward, skipped)


def network_tensors(rgb: Tensor, flow: Tensor, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Clips as the network takes them.

    Args:
        rgb: (B, 2, H, W, 3) uint8.
        flow: (B, 2, H, W, 2L).
        device: where they go.

    Returns:
        (B, 2, 3, H, W), normalised as for ImageNet, and (B, 2, 2L, H, W), both float32.
    """
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    image = rgb.to(device).movedim(-1, -3).float() / 255
    return (image - mean) / deviation, flow.to(device).movedim(-1, -3).float()


def frame_differences(window: Window, frames: int) -> NDArray[np.float64]:
    """(frames - 1,) mean absolute differences of neighbouring frames inside a window, in grey levels.

    Raises:
        SourceError: if a frame cannot be decoded.
    """
    small = [
        cv2.cvtColor(cut(window.reel.frame(i), window.corners, (_THUMBNAIL, _THUMBNAIL), True), cv2.COLOR_RGB2GRAY)
        for i in range(window.first, window.first + frames)
    ]
    return np.asarray(np.abs(np.diff(np.stack(small).astype(np.float64), axis=0)).mean((1, 2)))


def is_whole(differences: NDArray[np.float64], config: ClipConfig) -> bool:
    """Whether a clip with these differences of neighbouring frames moves and has no cut; the order is of no account."""
    if not config.still <= differences.mean() <= config.restless:
        return False
    ordered = np.sort(differences)
    # The third greatest, as a cut may be blended over two steps, and as every other frame may be a repeated one.
    usual = ordered[max(-3, -len(ordered))]
    return not (ordered[-1] >= config.cut and ordered[-1] > config.cut_ratio * usual)


def content_area(frames: Rows[Frame], level: float) -> NDArray[np.int64]:
    """The part of a video's frames inside its black borders.

    Args:
        frames: some frames of the video; a border is black in all of them.
        level: rows and columns with a mean grey level below this are black.

    Returns:
        (4,) x1, y1, x2, y2; the whole frame where so little is left that the video is dark rather than bordered.

    Raises:
        SourceError: if the frame size changes.
    """
    if len({frame.shape for frame in frames}) != 1:
        raise SourceError("the frame size changes")
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    height, width = grey.shape[1:]
    x1, x2 = _bright(grey.mean(1).max(0), level)
    y1, y2 = _bright(grey.mean(2).max(0), level)
    if x2 - x1 < width / 4 or y2 - y1 < height / 4:
        x1, y1, x2, y2 = 0, 0, width, height
    return np.array([x1, y1, x2, y2])


def _bright(means: NDArray[np.float64], level: float) -> tuple[int, int]:
    """First and one past the last place that is bright enough, with a margin where there is a border."""
    bright = np.flatnonzero(means >= level)
    if len(bright) == 0:
        return 0, 0
    first, last = int(bright[0]), int(bright[-1]) + 1
    return first + _BORDER_MARGIN * (first > 0), last - _BORDER_MARGIN * (last < len(means))


def _spread(reel: Reel) -> list[Frame]:
    """A few frames of the whole video, but for those that are damaged."""
    frames, failure = [], SourceError(f"{reel.name} holds no frame")
    for index in np.linspace(0, reel.total - 1, _BORDER_FRAMES).round().astype(int):
        try:
            frames.append(reel.whole[int(index)])
        except SourceError as error:
            failure = error
    reel.close()
    if not frames:
        raise failure
    return frames


def _about(
    boxes: NDArray[np.float64], area: NDArray[np.int64], config: ClipConfig, rng: np.random.Generator
) -> NDArray[np.int64]:
    """A square about a target, from its boxes in all of a clip, so that it tells nothing of the direction."""
    mean = to_center(boxes).mean(0)
    side = float(np.sqrt(mean[2] * mean[3]))
    centre = mean[:2] + rng.normal(0, config.shift, 2) * side
    side *= config.region_scale * SCALE_BASE ** rng.uniform(-config.scale, config.scale)
    return _inside(centre - side / 2, side, area)


def _inside(low: NDArray[np.float64], side: float, area: NDArray[np.int64]) -> NDArray[np.int64]:
    """The square of that corner and side, made smaller and moved as far as it takes to lie inside the area."""
    whole = int(np.clip(round(side), 2, max(2, (area[2:] - area[:2]).min())))
    start = np.clip(np.round(low).astype(np.int64), area[:2], np.maximum(area[:2], area[2:] - whole))
    return np.concatenate([start, start + whole])
