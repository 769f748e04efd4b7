"""Frames that can be counted and reached by number, for data sets: see `asmd.sequence.FrameSource`.

Annotation goes by frame number, so here a damaged frame is an error, where a source to be tracked skips it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.video.frame import VideoFrame

from asmd.errors import SourceError
from asmd.sequence import Frame
from asmd.video._decoding import Numbered, OpenVideo, decode, open_video, to_rgb
from asmd.video.images import read_image


class ImageFrames:
    """Image files as frames; each is read when it is asked for."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = tuple(Path(p) for p in paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        return map(read_image, self.paths)

    def __getitem__(self, index: int) -> Frame:
        return read_image(self.paths[index])

    def __repr__(self) -> str:
        first = f", first {self.paths[0]}" if self.paths else ""
        return f"ImageFrames({len(self)} images{first})"


class VideoFrames:
    """Frames `start`, `start + step`, ... below `stop` of a video file.

    Iteration decodes once from front to back; `frames[i]` decodes from the key frame before it, or goes on from the
    frame decoded last where that is nearer. Nothing is opened before it is needed, and pickling keeps the file's name
    and index only, so that worker processes open the file for themselves.

    Args:
        path: the video file.
        start: number of the first frame, 0-based.
        stop: number of the frame after the last, or None for all.
        step: take every step-th frame, 1 or more.

    Raises:
        SourceError: on use, if the file cannot be read or a frame is damaged.
        ValueError: if `start` is negative or `step` is not positive.
    """

    def __init__(self, path: str | Path, start: int = 0, stop: int | None = None, step: int = 1) -> None:
        if start < 0 or step < 1 or (stop is not None and stop < 0):
            raise ValueError(f"start and stop must be 0 or more and step 1 or more, got {start}, {stop}, {step}")
        self.path = Path(path)
        self._slice = slice(start, stop, step)
        self._index: _Index | None = None
        self._cursor: _Cursor | None = None

    @property
    def first(self) -> int:
        """Number, in the file, of the first of these frames."""
        return int(self._slice.start)

    @property
    def step(self) -> int:
        """Distance, in the file, between neighbours."""
        return int(self._slice.step)

    @property
    def _numbers(self) -> range:
        if self._index is None:
            self._index = _Index.of(self.path)
        return range(len(self._index))[self._slice]

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Frame]:
        numbers = self._numbers
        if not numbers:
            return
        video = open_video(self.path)
        try:
            for number, frame in decode(video):
                if number in numbers:
                    yield _whole(frame, self.path, number)
                if number >= numbers[-1]:
                    return
            raise SourceError(f"{self.path} ends before frame {numbers[-1]}, which its index lists")
        finally:
            video.close()

    def __getitem__(self, index: int) -> Frame:
        number = self._numbers[index]
        assert self._index is not None
        if self._cursor is None:
            self._cursor = _Cursor(self.path, self._index)
        return self._cursor.fetch(number)

    def close(self) -> None:
        """Release the file that `frames[i]` keeps open."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cursor": None}

    def __repr__(self) -> str:
        return f"VideoFrames({str(self.path)!r}, {self._slice.start}, {self._slice.stop}, {self._slice.step})"


def _whole(frame: VideoFrame | None, path: Path, number: int) -> Frame:
    if frame is None:
        raise SourceError(f"{path}: frame {number} is damaged")
    return to_rgb(frame)


class _Index:
    """Time stamps of a file's frames in order of presentation; None where stamps cannot tell frames apart."""

    def __init__(self, count: int, stamps: list[int] | None) -> None:
        self.count = count
        self.stamps = stamps

    def __len__(self) -> int:
        return self.count

    @classmethod
    def of(cls, path: Path) -> _Index:
        """Read the packets of a file without decoding them."""
        first, countable = _first_frame(path)
        stamps = cls._stamps(path) if countable else None
        if stamps is None or first.pts is None:
            return cls(_count_by_decoding(path), None)
        # Pictures that lead the first key frame of a cut stream cannot be decoded: the first decoded is the first.
        stamps = stamps[bisect.bisect_left(stamps, first.pts) :]
        return cls(len(stamps), stamps)

    @staticmethod
    def _stamps(path: Path) -> list[int] | None:
        video = open_video(path)
        stamps: list[int | None] = []
        try:
            with suppress(av.FFmpegError):  # a file that breaks off has the frames up to there
                stamps += [p.pts for p in video.container.demux(video.stream) if p.size and not p.is_discard]
        finally:
            video.close()
        known = sorted(s for s in stamps if s is not None)
        return known if len(set(known)) == len(stamps) else None


def _first_frame(path: Path) -> tuple[VideoFrame, bool]:
    """The first frame that can be decoded, and whether the file's packets may be counted as frames."""
    video = open_video(path)
    try:
        first = next((frame for _, frame in decode(video) if frame is not None), None)
        if first is None:
            raise SourceError(f"{path} holds no frame that can be decoded")
        # A VP8 stream has packets that are not to be shown.
        return first, video.stream.codec_context.name != "vp8"
    finally:
        video.close()


def _count_by_decoding(path: Path) -> int:
    video = open_video(path)
    try:
        return sum(1 for _ in decode(video))
    finally:
        video.close()


class _Cursor:
    """An open file and the frame that it stands at."""

    REACH = 48
    """Frames that are decoded onward rather than sought: about what going back to a key frame costs."""

    REORDERING = 16
    """Most pictures that may come out of coding order (the limit of H.264 and HEVC)."""

    def __init__(self, path: Path, index: _Index) -> None:
        self._path = path
        self._index = index
        self._video: OpenVideo = open_video(path)
        self._frames: Iterator[Numbered] = decode(self._video)
        self._next = 0
        self._sought = False
        self._last: tuple[int, Frame] | None = None

    def close(self) -> None:
        self._video.close()
        self._last = None

    def fetch(self, number: int) -> Frame:
        if self._last is None or self._last[0] != number:
            if not self._next <= number < self._next + self.REACH:
                self._go_to(number)
            frame = self._read_until(number)
            if frame is None and self._sought:
                self._rewind()
                frame = self._read_until(number)
            self._last = number, _whole(frame, self._path, number)
        return self._last[1].copy()

    def _read_until(self, number: int) -> VideoFrame | None:
        for counted, frame in self._frames:
            position = self._position(counted, frame)
            if position is None:
                continue
            self._next = position + 1
            if position >= number:
                return frame if position == number else None
        self._next = len(self._index) + 1
        return None

    def _position(self, counted: int, frame: VideoFrame | None) -> int | None:
        """Number of a frame; None for a damaged one after a jump, when nothing tells which it is."""
        stamps = self._index.stamps
        if stamps is None:
            return counted
        return None if frame is None or frame.pts is None else bisect.bisect_left(stamps, frame.pts)

    def _go_to(self, number: int) -> None:
        stamps = self._index.stamps
        if stamps is None:
            self._rewind()
            return
        # Containers seek by coding order: aim early enough that the key frame found is shown before the frame wanted.
        margin = self.REORDERING if self._video.stream.codec_context.has_b_frames else 0
        self._video.container.seek(stamps[max(0, number - margin)], stream=self._video.stream)
        self._frames = decode(self._video)
        self._next = number  # unknown until the first frame is out; `number` is what will be read next
        self._sought = True

    def _rewind(self) -> None:
        self._video.close()
        self._video = open_video(self._path)
        self._frames = decode(self._video)
        self._next = 0
        self._sought = False
