"""Frames and their optical flow, decoded and measured once and kept on disk within a budget.

Frames are kept as JPEG without chroma subsampling, flow in 8 bits over +-20 px, as the two-stream literature keeps it
(FACTS 2): beyond that the network's input is clipped anyway. Flow is measured both ways, since a clip that is shown in
reverse needs the flow of its reversed frames, which is not the negative of the other (FACTS 4).
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from asmd.errors import ConfigError, OutputError, SourceError
from asmd.files import replacing
from asmd.flow import FLOW_LIMIT, Flow, FlowConfig, filled, flow_method, working_image
from asmd.sequence import Frame, FrameSource
from asmd.video import ImageFrames, VideoFrames

log = logging.getLogger(__name__)

_LEVELS = 127.0
"""Steps of kept flow on either side of zero; one is 0.16 px."""

_SUFFIX = ".npz"

_HEADERS = 300
"""Bytes that an array takes in a file beside its own, or a few fewer."""


@dataclass(frozen=True)
class FootageConfig:
    """What is kept of videos.

    Attributes:
        folder: where it is kept, for several runs to share; "" for a folder of the run's own.
        budget_gb: most that the folder may hold, in units of 10^9 bytes; what comes after that is decoded each time.
        chunk: neighbouring frames that are decoded and kept together.
        quality: of JPEG, 1 to 100.
        remembered: chunks that are held in memory.
    """

    folder: str = ""
    budget_gb: float = 20.0
    chunk: int = 16
    quality: int = 95
    remembered: int = 64

    def __post_init__(self) -> None:
        if self.budget_gb < 0 or self.chunk < 1 or not 1 <= self.quality <= 100 or self.remembered < 1:
            raise ConfigError(
                "footage needs budget_gb of at least 0, chunk and remembered of at least 1, quality 1-100"
            )


@dataclass(frozen=True)
class _Chunk:
    """Neighbouring frames, coded: RGB, flow that leads to each forward, and backward; None at a video's ends."""

    rgb: tuple[NDArray[np.uint8], ...]
    forward: tuple[NDArray[np.uint8] | None, ...]
    backward: tuple[NDArray[np.uint8] | None, ...]


class Footage:
    """A folder of decoded videos. Several processes may use one folder at the same time.

    Args:
        folder: made if missing; None keeps nothing on disk.
        config: settings.
        flow: how flow is measured; part of what a kept file goes by, so that a change makes new ones.

    Raises:
        OutputError: if the folder cannot be made.
    """

    def __init__(
        self, folder: Path | None, config: FootageConfig | None = None, flow: FlowConfig | None = None
    ) -> None:
        self.config = config or FootageConfig()
        self.flow = flow or FlowConfig()
        self._folder = folder
        self._memory: OrderedDict[tuple[str, int], _Chunk] = OrderedDict()
        self._room = self.config.budget_gb * 1e9
        self.decoded = 0
        """Chunks that had to be decoded so far, by this process."""
        self._passing = count()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{folder} cannot be made ({error.strerror})") from error
            self._room -= sum(path.stat().st_size for path in folder.glob(f"*/*{_SUFFIX}"))

    def open(self, frames: FrameSource) -> Reel:
        """A video to look frames and flow up in."""
        if isinstance(frames, VideoFrames):
            facts = [str(frames.path.resolve()), *_stamp(frames.path)]
            if frames.step == 1:
                # By number in the file, so that all tracks of one video share what is kept.
                return Reel(self, VideoFrames(frames.path), frames, frames.first, self._key(facts))
            return Reel(self, frames, frames, 0, self._key([*facts, repr(frames)]))
        if isinstance(frames, ImageFrames):
            facts = [str(path.resolve()) for path in frames.paths]
            return Reel(self, frames, frames, 0, self._key(facts + [x for p in frames.paths[:1] for x in _stamp(p)]))
        # Nothing tells such frames from others in another run.
        return Reel(self, frames, frames, 0, f"passing-{next(self._passing)}", keep=False)

    def _key(self, facts: Sequence[object]) -> str:
        config = self.config
        text = repr((facts, self.flow.method, self.flow.max_side, config.chunk, config.quality))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def chunk(self, reel: Reel, number: int) -> _Chunk:
        """Frames chunk * number and on of a whole video, from memory, disk or the video itself.

        Raises:
            SourceError: if a frame of it cannot be decoded.
        """
        place = (reel.key, number)
        if place in self._memory:
            self._memory.move_to_end(place)
            return self._memory[place]
        path = None
        if self._folder is not None and reel.keep:
            path = self._folder / reel.key / f"{number:06d}{_SUFFIX}"
        found = _read(path, self._names(reel, number)) if path is not None else None
        if found is None:
            found = self._decode(reel, number)
            self.decoded += 1
            if path is not None:
                self._keep(path, found)
        self._memory[place] = found
        if len(self._memory) > self.config.remembered:
            self._memory.popitem(last=False)
        return found

    def _own(self, reel: Reel, number: int) -> range:
        """Numbers of the frames of a chunk."""
        first = number * self.config.chunk
        return range(first, min(first + self.config.chunk, reel.total))

    def _names(self, reel: Reel, number: int) -> set[str]:
        """Arrays that the file of a chunk has."""
        own = self._own(reel, number)
        names = {f"rgb{i}" for i in range(len(own))}
        names |= {f"forward{i}" for i, frame in enumerate(own) if frame > 0}
        return names | {f"backward{i}" for i, frame in enumerate(own) if frame < reel.total - 1}

    def _decode(self, reel: Reel, number: int) -> _Chunk:
        own = self._own(reel, number)
        first, last = own.start, own.stop
        wanted = range(max(0, first - 1), min(last + 1, reel.total))
        try:
            frames = {i: reel.whole[i] for i in wanted}
        finally:
            reel.close()
        if len({frame.shape for frame in frames.values()}) > 1:
            raise SourceError(f"{reel.name}: the frame size changes between frames {wanted[0]} and {wanted[-1]}")
        grey = {i: working_image(frame, self.flow) for i, frame in frames.items()}
        measure = flow_method(self.flow.method)

        def between(one: int, other: int) -> NDArray[np.uint8] | None:
            if one not in grey or other not in grey:
                return None
            scale = grey[one][1]
            return _code_flow(np.asarray(measure(grey[one][0], grey[other][0]) / scale, dtype=np.float32))

        return _Chunk(
            tuple(_code_frame(frames[i], self.config.quality) for i in own),
            tuple(between(i - 1, i) for i in own),
            tuple(between(i + 1, i) for i in own),
        )

    def _keep(self, path: Path, chunk: _Chunk) -> None:
        arrays = {}
        for kind, items in (("rgb", chunk.rgb), ("forward", chunk.forward), ("backward", chunk.backward)):
            arrays.update({f"{kind}{i}": item for i, item in enumerate(items) if item is not None})
        size = sum(array.nbytes + _HEADERS for array in arrays.values())
        if size > self._room:
            if self._room > 0:
                log.warning("the footage cache has reached its budget of %g GB", self.config.budget_gb)
            self._room = 0
            return
        self._room -= size
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                np.savez(temporary, **arrays)  # type: ignore[arg-type]
        except (OutputError, OSError) as error:
            # Training needs no cache; a full disk is the checkpoints' business to tell of.
            log.warning("the footage cache keeps no more: %s", error)
            self._room = 0


class Reel:
    """One video of a `Footage`: its frames and its flow, by number.

    Attributes:
        name: for error messages.
        key: what its files in the cache go by.
        whole: all frames of the file, of which the reel may be a part.
        keep: its frames may be kept on disk.
    """

    def __init__(
        self, footage: Footage, whole: FrameSource, part: FrameSource, start: int, key: str, keep: bool = True
    ) -> None:
        self._footage, self._part, self._start = footage, part, start
        self.whole, self.key, self.keep = whole, key, keep
        self.name = str(getattr(part, "path", part)) if keep else f"a {type(part).__name__} of frames"
        self._counts: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self._count()[0]

    @property
    def total(self) -> int:
        """Frames of the whole file."""
        return self._count()[1]

    def _count(self) -> tuple[int, int]:
        if self._counts is None:
            self._counts = len(self._part), len(self.whole)
        return self._counts

    def frame(self, index: int) -> Frame:
        """RGB uint8 (H, W, 3).

        Raises:
            SourceError: if it cannot be decoded.
        """
        chunk, place = self._find(index)
        return np.asarray(cv2.cvtColor(_image(chunk.rgb[place], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)

    def flow(self, index: int, backward: bool = False) -> Flow | None:
        """The flow that leads to a frame, (h, w, 2) in pixels of the original frame, within +-20.

        Args:
            index: of the frame.
            backward: the video is played in reverse: flow from the frame after this one.

        Returns:
            None for the first frame that is shown.
        """
        chunk, place = self._find(index)
        coded = (chunk.backward if backward else chunk.forward)[place]
        return None if coded is None else _decode_flow(coded)

    def stack(self, index: int) -> list[Flow]:
        """The causal stack of the last L flows as `asmd.flow.FlowStack` has it when tracking starts at frame 0."""
        length = self._footage.flow.length
        flows = [self.flow(i) for i in range(max(1, index - length + 1), index + 1)]
        known = [flow for flow in flows if flow is not None]
        if not known:
            grey, _ = working_image(self.frame(index), self._footage.flow)
            known = [np.zeros((*grey.shape, 2), np.float32)]
        return filled(known, length)

    def scale(self, frame: Frame) -> float:
        """Pixels of the flow per pixel of the frame."""
        return min(1.0, float(self._footage.flow.max_side / max(frame.shape[:2])))

    def close(self) -> None:
        """Releases the file, so that any number of reels may be kept; it is opened again when it is needed."""
        if isinstance(self.whole, VideoFrames):
            self.whole.close()

    def _find(self, index: int) -> tuple[_Chunk, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has no frame {index}")
        number, place = divmod(self._start + index, self._footage.config.chunk)
        return self._footage.chunk(self, number), place


def _stamp(path: Path) -> list[int]:
    """Size and time of last change of a file."""
    stat = path.stat() if path.is_file() else None
    return [stat.st_size, stat.st_mtime_ns] if stat else []


def _code_frame(frame: Frame, quality: int) -> NDArray[np.uint8]:
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return np.asarray(cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)[1], np.uint8)


def _image(coded: NDArray[np.uint8], flags: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(coded, flags)
    assert image is not None
    return np.asarray(image, np.uint8)


def _code_flow(flow: Flow) -> NDArray[np.uint8]:
    levels = np.rint(np.clip(flow / FLOW_LIMIT, -1, 1) * _LEVELS).astype(np.int16) + 128
    # Both components one above the other in a grey image, which compresses better than two channels.
    plane = np.concatenate([levels[..., 0], levels[..., 1]]).astype(np.uint8)
    return np.asarray(cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1], np.uint8)


def _decode_flow(coded: NDArray[np.uint8]) -> Flow:
    plane = _image(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    u, v = np.split((plane - 128) * (FLOW_LIMIT / _LEVELS), 2)
    return np.stack([u, v], axis=2)


def _read(path: Path, names: set[str]) -> _Chunk | None:
    """A kept chunk with arrays of these names; None where there is none, or what is there is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError):  # the last by zipfile, of flags
        return None
    if set(arrays) != names:
        return None
    own = range(sum(name.startswith("rgb") for name in names))
    return _Chunk(
        tuple(arrays[f"rgb{i}"] for i in own),
        tuple(arrays.get(f"forward{i}") for i in own),
        tuple(arrays.get(f"backward{i}") for i in own),
    )
