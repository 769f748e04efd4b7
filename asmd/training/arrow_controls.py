"""Whether the arrow of time is learnt from motion, and not from what coding leaves in a video (FACTS 4).

Video coding is causal: a picture is predicted from those before it. A classifier that sees that needs no motion. So it
is asked about videos that were held out, and about controls: videos that look the same played in reverse, but for their
coding. On these an honest classifier is right half of the time, whatever it has learnt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Rows
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.evaluation.tables import Column, Table
from asmd.models.private_shared import PrivateSharedNetwork
from asmd.sequence import Frame, FrameSource
from asmd.training.clips import ClipSampler, Window, collate, network_tensors, show
from asmd.training.domains import footage_of
from asmd.training.footage import Footage, FootageConfig
from asmd.video import VideoFrames
from asmd.video.sinks import write_video

Classifier: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Images (B, 2, 3, H, W) and flow (B, 2, 2L, H, W), see `network_tensors` -> (B,) logits, above 0 for forward."""

HELD_OUT = "held out"
STATIC = "still image, inter-coded"
PAN_INTER = "pan, inter-coded"
PAN_INTRA = "pan, key frames alone"
PAN_RAW = "pan, not coded"
CODED = "held out, coded again"
CODED_IN_REVERSE = "held out, coded in reverse"

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        HELD_OUT: "videos as they are",
        STATIC: "one frame repeated and coded; away from a half, coding is read",
        PAN_INTER: "a still image that moves evenly, both ways alike; away from a half, coding is read",
        PAN_INTRA: "the same, each frame coded for itself and all alike; a half, whatever the classifier",
        PAN_RAW: "the same, not coded; a half, whatever the classifier",
        CODED: "coded once more in the order of time",
        CODED_IN_REVERSE: "coded once more against it; worse than in the order of time, coding is read",
    }
)
"""What is measured, and what to expect."""

_INTER = {"preset": "medium", "x264-params": "threads=1"}
"""libx264 as it is unasked, but for its threads, which gain nothing on a few small frames."""


@dataclass(frozen=True)
class ControlConfig:
    """How thoroughly is measured.

    Attributes:
        videos: most videos that are looked at; a random choice where there are more.
        clips: of each video.
        control_clips: of each control made from a video.
        length: frames of a control.
        speed: greatest of a pan, in px a frame.
        quality: of coding, 0 (lossless) to 51; 23 is what libx264 does unasked.
        batch: clips that are classified at once.
        resamples: of the bootstrap over videos.
        confidence: of the intervals.
    """

    videos: int = 20
    clips: int = 8
    control_clips: int = 3
    length: int = 16
    speed: int = 4
    quality: int = 23
    batch: int = 8
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        least = min(self.videos, self.clips, self.control_clips, self.length, self.speed, self.batch, self.resamples)
        if least < 1 or not 0 <= self.quality <= 51 or not 0 < self.confidence < 1:
            raise ConfigError("controls need numbers of at least 1, quality in 0..51 and confidence between 0 and 1")


class Estimate(NamedTuple):
    """A share with its interval by bootstrap over videos; the interval is NaN where there is but one video."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DirectionScore:
    """What a classifier said of N clips, each shown in both directions.

    Attributes:
        name: a key of `MEANINGS`.
        forward: (N,) logits of the clips played forward.
        reverse: (N,) logits of the same clips in reverse.
        videos: (N,) the video that each is from.
        accuracy: share of the 2N that were told rightly; chance is a half.
        paired: share of the N that look more forward when they are played forward; a draw counts a half.
    """

    name: str
    forward: NDArray[np.float64]
    reverse: NDArray[np.float64]
    videos: tuple[str, ...]
    accuracy: Estimate
    paired: Estimate

    @classmethod
    def of(
        cls,
        name: str,
        forward: NDArray[np.float64],
        reverse: NDArray[np.float64],
        videos: Rows[str],
        config: ControlConfig | None = None,
        seed: int = 0,
    ) -> DirectionScore:
        """Scores logits."""
        config = config or ControlConfig()
        right = ((forward > 0).astype(float) + (reverse <= 0)) / 2
        better = (forward > reverse) + (forward == reverse) / 2
        estimates = (_bootstrap(values, videos, config, seed) for values in (right, better))
        return cls(name, forward, reverse, tuple(videos), *estimates)


@dataclass(frozen=True)
class ArrowReport:
    """All that was measured.

    Attributes:
        scores: in the order of `MEANINGS`; those of which there was no clip are left out.
        skipped: a line for each video that failed, or that gave no clip.
    """

    scores: tuple[DirectionScore, ...]
    skipped: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> DirectionScore:
        """The score of that name."""
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)

    def table(self) -> Table:
        """For reading; chance is 0.5 in every row."""
        names = ("clips", "videos", "accuracy", "from", "to", "in pairs", "from", "to")
        columns = (Column("clips of"), *(Column(name) for name in names))
        rows = tuple((s.name, len(s.videos), len(set(s.videos)), *s.accuracy, *s.paired) for s in self.scores)
        notes = [f"{score.name}: {MEANINGS[score.name]}." for score in self.scores]
        notes.append("In pairs: how often a clip looks more forward played forward than in reverse.")
        return Table("Arrow of time", columns, rows, "\n".join(notes))


def measure(
    classifier: PrivateSharedNetwork | Classifier,
    sampler: ClipSampler,
    config: ControlConfig | None = None,
    seed: int = 0,
) -> ArrowReport:
    """Measures how well a classifier tells the direction of held-out videos, and of controls made from them.

    Args:
        classifier: a network, which is asked in evaluation mode and left in the mode it was in; or a function.
        sampler: of the held-out videos; its settings say how clips are cut.
        config: settings.
        seed: decides which clips are looked at; the same seed gives the same clips to any classifier. Inter-coded
            controls differ slightly from run to run all the same: libx264 does not always write the same twice.

    Raises:
        DatasetError: if no video gave a clip; the last reason is in the text.
        ConfigError: if a control is shorter than a clip.
    """
    config = config or ControlConfig()
    if config.length < sampler.config.frames:
        raise ConfigError(f"a control of {config.length} frames is shorter than a clip of {sampler.config.frames}")
    skipped: list[str] = []
    logits: dict[str, list[tuple[float, float, str]]] = {name: [] for name in MEANINGS}
    with torch.no_grad(), _asking(classifier) as (ask, device):
        pairs = _pairs(sampler, config, seed, skipped)
        while some := list(islice(pairs, config.batch)):
            shown = collate([p.forward for p in some] + [p.reverse for p in some], torch.arange(2 * len(some)))
            answers = ask(*network_tensors(shown.rgb, shown.flow, device)).double().cpu().tolist()
            for pair, forward, reverse in zip(some, answers, answers[len(some) :], strict=False):
                logits[pair.name].append((forward, reverse, pair.video))
    scores = []
    for name, found in logits.items():
        if found:
            forward, reverse, videos = zip(*found, strict=True)
            scores.append(DirectionScore.of(name, np.array(forward), np.array(reverse), videos, config, seed))
    if not scores:
        raise DatasetError(f"no clip to tell the direction of: {skipped[-1]}")
    return ArrowReport(tuple(scores), tuple(skipped))


class _Pair(NamedTuple):
    """A clip in both directions."""

    name: str
    video: str
    forward: tuple[NDArray[np.uint8], NDArray[np.float16]]
    reverse: tuple[NDArray[np.uint8], NDArray[np.float16]]


def _pairs(sampler: ClipSampler, config: ControlConfig, seed: int, skipped: list[str]) -> Iterator[_Pair]:
    """All clips, video by video."""
    by_video: dict[str, list[int]] = {}
    for number, source in enumerate(sampler.sources):
        by_video.setdefault(footage_of(source), []).append(number)
    names = list(by_video)
    rng = np.random.default_rng(seed)
    for place in np.sort(rng.permutation(len(names))[: config.videos]):
        own = np.random.default_rng([seed, int(place)])
        try:
            yield from _of_video(sampler, config, names[place], by_video[names[place]], own)
        except (AsmdError, IndexError) as error:
            skipped.append(f"{names[place]}: {error}")


def _of_video(
    sampler: ClipSampler, config: ControlConfig, video: str, sources: list[int], rng: np.random.Generator
) -> Iterator[_Pair]:
    windows: list[Window] = []
    for _ in range(sampler.config.attempts):
        window = sampler.window(int(rng.choice(sources)), rng)
        windows += [] if window is None else [window]
        if len(windows) == config.clips:
            break
    if not windows:
        raise DatasetError("there are cuts in it, or nothing moves")
    for window in windows:
        yield _Pair(HELD_OUT, video, sampler.show(window, True), sampler.show(window, False))
    for name, frames, corners, starts in _controls(sampler, config, windows, rng):
        # Frames are held in memory, one control at a time.
        footage = Footage(None, FootageConfig(chunk=config.length), sampler.footage.flow)
        reel = footage.open(frames)
        against = name == CODED_IN_REVERSE  # what is played forward there is the reverse of the world
        for start in starts:
            window = Window(reel, start, corners)
            yield _Pair(
                name,
                video,
                *(show(window, way != against, sampler.config, sampler.footage.flow.length) for way in (True, False)),
            )


class _Control(NamedTuple):
    """Frames of a control, the rectangle that is shown of them, and the first frames of the clips."""

    name: str
    frames: FrameSource
    corners: NDArray[np.int64]
    starts: list[int]


def _controls(
    sampler: ClipSampler, config: ControlConfig, windows: list[Window], rng: np.random.Generator
) -> Iterator[_Control]:
    last = config.length - sampler.config.frames
    starts = [int(start) for start in rng.integers(last + 1, size=config.control_clips)]
    mirrored = [last - start for start in starts]  # the same clips of frames in reverse
    reel = windows[0].reel
    x1, y1, x2, y2 = sampler.area(reel)
    image = reel.frame(int(rng.integers(len(reel))))[y1:y2, x1:x2]
    pan = panned(image, config.length, config.speed, rng)
    with tempfile.TemporaryDirectory() as folder:

        def coded(name: str, frames: Rows[Frame], options: dict[str, str]) -> FrameSource:
            path = Path(folder) / f"{name}.mp4"
            with write_video(path, crf=config.quality, options=options) as video:
                for frame in frames:
                    video.write(frame)
            return VideoFrames(path)

        # By a constant quantiser, as the usual rate control treats the first frames unlike the rest.
        intra = {**_INTER, "g": "1", "crf": "-1", "qp": str(config.quality)}
        yield _Control(STATIC, coded("still", [image] * config.length, _INTER), _middle(image), starts)
        for way, frames, first in (("there", pan, starts), ("back", pan[::-1], mirrored)):
            corners = _middle(frames[0])
            yield _Control(PAN_INTER, coded(f"inter-{way}", frames, _INTER), corners, first)
            yield _Control(PAN_INTRA, coded(f"intra-{way}", frames, intra), corners, first)
            yield _Control(PAN_RAW, frames, corners, first)
        for number, window in enumerate(windows[: config.control_clips]):
            stretch = _stretch(window, sampler.config.frames, config.length)
            frames = [window.reel.frame(i) for i in stretch]
            start = window.first - stretch.start
            yield _Control(CODED, coded(f"again-{number}", frames, _INTER), window.corners, [start])
            start = len(frames) - sampler.config.frames - start
            against = coded(f"against-{number}", frames[::-1], _INTER)
            yield _Control(CODED_IN_REVERSE, against, window.corners, [start])


def panned(image: Frame, count: int, speed: int, rng: np.random.Generator) -> list[Frame]:
    """A camera that moves over a still image at constant speed, by whole pixels, in a random direction.

    Args:
        image: RGB uint8 (H, W, 3).
        count: of frames.
        speed: greatest, in px a frame; less where the image is too small for it.
        rng: decides direction and speed.

    Returns:
        Frames of one size, at least half as high and as wide as the image. In reverse they are the opposite pan.
    """
    size = np.array(image.shape[:2])
    most = np.minimum(speed, size // 2 // max(1, count - 1))
    step = np.zeros(2, np.int64)
    while not step.any():
        step = rng.integers(-most, most + 1)
        if not most.any():
            break
    travel = np.abs(step) * (count - 1)
    start = np.where(step < 0, travel, 0)
    height, width = size - travel
    places = [start + i * step for i in range(count)]
    return [np.ascontiguousarray(image[y : y + height, x : x + width]) for y, x in places]


def _middle(frame: Frame) -> NDArray[np.int64]:
    """(4,) the largest square in the middle of a frame."""
    height, width = frame.shape[:2]
    side = min(height, width)
    low = np.array([(width - side) // 2, (height - side) // 2])
    return np.concatenate([low, low + side])


def _stretch(window: Window, frames: int, length: int) -> range:
    """Frames about a clip, as many as a control has or the video gives."""
    first = max(0, window.first - (length - frames) // 2)
    return range(first, min(first + length, len(window.reel)))


@contextmanager
def _asking(
    classifier: PrivateSharedNetwork | Classifier,
) -> Iterator[tuple[Classifier, torch.device | None]]:
    """A classifier as a function, and the device that it runs on."""
    if not isinstance(classifier, PrivateSharedNetwork):
        yield classifier, None
        return
    mode = classifier.training
    classifier.train(False)
    try:
        yield classifier.arrow, next(classifier.parameters()).device
    finally:
        classifier.train(mode)


def _bootstrap(values: NDArray[np.float64], videos: Rows[str], config: ControlConfig, seed: int) -> Estimate:
    """The mean of values (N,), with the percentile interval over videos drawn with replacement."""
    _, group = np.unique(np.array(videos), return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    mean = float(values.mean())
    if len(counts) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(len(counts), size=(config.resamples, len(counts)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - config.confidence) / 2, (1 + config.confidence) / 2])
    return Estimate(mean, float(low), float(high))
