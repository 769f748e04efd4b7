"""Whatever holds frames to track: a video file, images, a camera, a stream. One way to walk them all."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from av.video.frame import VideoFrame

from asmd.errors import FrameError, SourceError
from asmd.sequence import Frame
from asmd.video._decoding import OpenVideo, decode, decode_whole, open_video, to_rgb
from asmd.video._prefetch import ahead
from asmd.video._quiet import quiet_opencv
from asmd.video.images import SUFFIXES, list_images, read_image

logger = logging.getLogger(__name__)

Numbered: TypeAlias = tuple[int, Frame]
"""Number of a frame in its source, 0-based, and the frame."""

_Reader: TypeAlias = Callable[[], Iterator[tuple[int, VideoFrame | Path | Frame | None]]]
"""Starts to read; gives frames not yet converted to RGB, None where a frame is damaged."""


@dataclass(frozen=True, eq=False)
class Source:
    """Frames of one video, in order, decoded while they are walked.

    Attributes:
        name: what to call it in messages.
        fps: frames a second, None where unknown (images, most cameras).
        count: how many frames it announces, None where unknown. What comes may be fewer.
        live: frames come in their own time, so that one not fetched in time is dropped.
    """

    name: str
    fps: float | None
    count: int | None
    live: bool
    _read: _Reader

    @contextmanager
    def frames(self, start: int = 0, stop: int | None = None, prefetch: int = 4) -> Iterator[Iterator[Numbered]]:
        """Walk the frames from number `start` on, below `stop`.

        A damaged frame is skipped with a warning; its number stays its own. Frames before `start` are decoded, not
        converted. Memory is bounded by `prefetch`; the frames are the same for any value of it.

        Args:
            start: number of the first frame wanted.
            stop: number of the frame after the last, or None for all.
            prefetch: how many frames a thread may decode ahead; 0 does without a thread. A live source always has one.

        Yields:
            An iterator of (number, frame).

        Raises:
            SourceError: while walked, if the source holds no frame at `start` or none at all.
            FrameError: while walked, if the size of the frames changes.
        """
        if self.live or prefetch:
            with ahead(lambda: self._walk(start, stop), max(1, prefetch), newest_only=self.live) as frames:
                yield frames
        else:
            yield self._walk(start, stop)

    def _walk(self, start: int, stop: int | None) -> Iterator[Numbered]:
        size: tuple[int, ...] | None = None
        number = -1
        for number, raw in islice(self._read(), start, stop):
            try:
                frame = _convert(raw)
            except SourceError as error:
                if number == start:
                    raise SourceError(f"{self.name}: frame {number}, on which the track starts: {error}") from error
                logger.warning("%s: frame %d is skipped: %s", self.name, number, error)
                continue
            if size is not None and frame.shape != size:
                now, before = f"{frame.shape[1]}x{frame.shape[0]}", f"{size[1]}x{size[0]}"
                raise FrameError(f"{self.name}: frame {number} is {now} pixels, those before it {before}")
            size = frame.shape
            yield number, frame
        if size is None:
            raise SourceError(f"{self.name} holds no frame" + (f" number {start}" if start else " that can be decoded"))


def _convert(raw: VideoFrame | Path | Frame | None) -> Frame:
    match raw:
        case None:
            raise SourceError("damaged, cannot be decoded")
        case VideoFrame():
            return to_rgb(raw)
        case Path():
            return read_image(raw)
        case _:
            return raw


def open_source(place: str | Path | int) -> Source:
    """Find out what a source is and that it can be opened.

    Args:
        place: a video file; a folder of images or a pattern such as `frames/*.jpg` (natural order); a camera's number;
            or a stream's address, `rtsp://...` or `http://...`.

    Raises:
        SourceError: if it is missing, empty, no video, or cannot be opened.
    """
    text = str(place)
    path = Path(place) if not isinstance(place, int) else None
    if path is None or (text.isdecimal() and not path.exists()):
        return _camera(int(text))
    if device := re.fullmatch(r"/dev/video(\d+)", text):
        return _camera(int(device[1]))
    if "://" in text:
        return _video(text)
    if path.is_dir() or path.suffix.lower() in SUFFIXES or (_is_pattern(text) and not path.exists()):
        return _images(text)
    return _video(text)


def _is_pattern(text: str) -> bool:
    return any(c in text for c in "*?[")


def _images(place: str) -> Source:
    path = Path(place)
    files = (path,) if path.is_file() or not (path.is_dir() or _is_pattern(place)) else list_images(place)
    if not files[0].is_file():
        raise SourceError(f"there is no file {files[0]}")
    return Source(place, None, len(files), False, lambda: iter(enumerate(files)))


def _video(place: str) -> Source:
    with _closing(place) as video:
        fps, count = video.fps, video.stream.frames or None
        # What announces neither a length nor a number of frames, and comes over a network, is watched as it happens.
        live = "://" in place and count is None and video.container.duration is None

    def read() -> Iterator[tuple[int, VideoFrame | None]]:
        with _closing(place) as video:
            yield from decode(video) if live else decode_whole(video)

    return Source(place, fps, count, live, read)


@contextmanager
def _closing(place: str) -> Iterator[OpenVideo]:
    video = open_video(place)
    try:
        yield video
    finally:
        video.close()


def _camera(number: int) -> Source:
    with _capture(number) as capture:
        fps = capture.get(cv2.CAP_PROP_FPS) or None

    def read() -> Iterator[tuple[int, Frame]]:
        with _capture(number) as capture:
            index = 0
            while True:
                there, image = capture.read()
                if not there:
                    logger.warning("camera %d: no more frames", number)
                    return
                yield index, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
                index += 1

    return Source(f"camera {number}", fps, None, True, read)


@contextmanager
def _capture(number: int) -> Iterator[cv2.VideoCapture]:
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise SourceError(f"camera {number} cannot be opened: is it connected, and not in use?")
    try:
        yield capture
    finally:
        capture.release()
