"""Decoding in a process of its own, which a damaged or malicious file may take down without harm.

The header is looked at before anything is decoded: its dimensions, and for a sequence of images those of each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from asmd.errors import AsmdError, SourceError
from asmd.resizing import resized
from asmd.sequence import Frame
from asmd.video._decoding import open_video
from asmd.video.frames import ImageFrames, VideoFrames
from asmd.video.images import list_images
from asmd.web.limits import Limits, confine_memory, grant_cpu
from asmd.web.worker import Worker

VIEW_SIDE = 960
"""Pixels of the longer side of what is sent to the browser, at most."""

CHUNK_BYTES = 128 << 20
"""Frames that are decoded at once where a video is walked backward, at most."""

CRASHED = "the file made the decoder fail: damaged, or too much to decode"


@dataclass(frozen=True)
class Opened:
    """What is known of a video: how many frames, (width, height), frames a second or None."""

    count: int
    size: tuple[int, int]
    fps: float | None


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) by the header; nothing is decoded.

    Raises:
        SourceError: if it is no image.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limit is our own
    try:
        with Image.open(path) as image:
            size: tuple[int, int] = image.size
            return size
    except Exception as error:
        raise SourceError(f"no image that can be read ({type(error).__name__})") from error


def as_jpeg(frame: Frame, side: int = VIEW_SIDE) -> bytes:
    """The frame, made smaller where it is larger than `side`, for the browser."""
    scale = side / max(frame.shape[:2])
    if scale < 1:
        height, width = (max(1, round(extent * scale)) for extent in frame.shape[:2])
        frame = resized(frame, (height, width))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return data.tobytes()


class _Frames:
    """The frames of a file or of a folder of images; walked backward, a chunk at a time."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._kept: dict[int, Frame] = {}
        self._last = -1
        self._images = path.is_dir()
        self.fps: float | None = None
        self._frames: ImageFrames | VideoFrames
        if self._images:
            self.refresh()
            size = self._check_image(0)
        else:
            size = self._check_video()
            self._frames = VideoFrames(path)
        count = len(self._frames)
        if count > limits.frames:
            raise SourceError(f"a video of {count} frames is refused: {limits.frames} are the most")
        first = self[0]
        self.opened = Opened(count, (first.shape[1], first.shape[0]), self.fps)
        if sorted(self.opened.size) != sorted(size):
            raise SourceError(f"the frames are {self.opened.size}, the header says {size}")

    def refresh(self) -> None:
        """Looks for images that have come since."""
        self._frames = ImageFrames(list_images(self._path))

    def _check_image(self, index: int) -> tuple[int, int]:
        assert isinstance(self._frames, ImageFrames)
        size = image_size(self._frames.paths[index])
        self._limits.check_size(*size)
        return size

    def _check_video(self) -> tuple[int, int]:
        video = open_video(self._path)
        try:
            context = video.stream.codec_context
            self.fps = video.fps
            self._limits.check_size(context.width, context.height)
            return context.width, context.height
        finally:
            video.close()

    def __getitem__(self, index: int) -> Frame:
        if index in self._kept:
            return self._kept[index]
        self._kept.clear()
        if self._images:
            if index >= len(self._frames):
                self.refresh()
            self._check_image(index)
        elif index == self._last - 1:
            frame = self._frames[index]
            chunk = max(1, min(index + 1, 48, CHUNK_BYTES // frame.nbytes))
            for number in range(index + 1 - chunk, index + 1):
                self._kept[number] = self._frames[number]
        self._last = index
        return self._kept[index] if index in self._kept else self._frames[index]


def serve(connection: Connection, path: Path, limits: Limits) -> None:
    """Answers requests for frames until the wire is closed; for a `Worker`.

    A request is ("frame", number) or ("view", number); an answer is ("error", text), or ("frame", shape) followed by
    the bytes of an RGB frame or of a JPEG.
    """
    confine_memory(limits)
    grant_cpu(limits)
    cv2.setNumThreads(1)
    try:
        frames = _Frames(path, limits)
    except (AsmdError, MemoryError, ValueError, OSError) as error:
        connection.send(("error", _plain(error, path)))
        return
    connection.send(("opened", frames.opened))
    while True:
        what, number = connection.recv()
        grant_cpu(limits)
        try:
            frame = np.ascontiguousarray(frames[number])
            data: Any = as_jpeg(frame) if what == "view" else frame.data.cast("B")
        except (AsmdError, MemoryError, ValueError, IndexError, OSError, cv2.error) as error:
            connection.send(("error", _plain(error, path)))
            continue
        connection.send(("frame", frame.shape))
        connection.send_bytes(data)


def _plain(error: BaseException, path: Path) -> str:
    """An error in a line that says nothing of where files are kept."""
    text = str(error) if isinstance(error, AsmdError) else CRASHED
    return text.replace(f"{path}/", "").replace(str(path), "the file")


class RemoteFrames:
    """The frames of an uploaded video, decoded in another process.

    Args:
        connection: to a process that runs `serve`.
        limits: that it is held to.

    Raises:
        SourceError: if it is no video, too large, or the decoder fails on it.
    """

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._wire, self._limits = connection, limits
        self.opened: Opened = self._answer()[1]

    @classmethod
    def start(cls, path: Path, limits: Limits) -> tuple[Worker, RemoteFrames]:
        """Starts a process that decodes a file, or the images of a folder.

        Raises:
            SourceError: if it is no video, too large, or the decoder fails on it.
        """
        worker = Worker(serve, path, limits)
        try:
            return worker, cls(worker.connection, limits)
        except BaseException:
            worker.close()
            raise

    def frame(self, number: int) -> Frame:
        """One frame, RGB uint8 (H, W, 3).

        Raises:
            SourceError: if it cannot be decoded.
        """
        self._ask("frame", number)
        return self._frame()

    def view(self, number: int) -> bytes:
        """One frame as a JPEG for the browser.

        Raises:
            SourceError: if it cannot be decoded.
        """
        self._ask("view", number)
        self._answer()
        return self._bytes()

    def walk(self, numbers: Iterable[int], ahead: int = 1) -> Iterator[tuple[int, Frame]]:
        """Frames one after the other; `ahead` more are decoded while the last is worked on.

        Raises:
            SourceError: while walked, if one cannot be decoded.
        """
        waiting: list[int] = []
        try:
            for number in numbers:
                self._ask("frame", number)
                waiting.append(number)
                if len(waiting) > ahead:
                    frame = self._frame()
                    yield waiting.pop(0), frame
            while waiting:
                frame = self._frame()
                yield waiting.pop(0), frame
        finally:
            for _ in waiting:  # what was asked for and is not wanted any more
                with contextlib.suppress(SourceError):
                    self._frame()

    def _ask(self, what: str, number: int) -> None:
        try:
            self._wire.send((what, number))
        except (OSError, ValueError) as error:
            raise SourceError(CRASHED) from error

    def _frame(self) -> Frame:
        shape = self._answer()[1]
        return np.frombuffer(self._bytes(), np.uint8).reshape(shape)

    def _answer(self) -> Any:
        try:
            # The limit on computing ends the process; this one is for a process that waits.
            if not self._wire.poll(2 * self._limits.cpu_seconds):
                self._wire.close()
                raise SourceError(CRASHED)
            answer = self._wire.recv()
        except (EOFError, OSError) as error:
            raise SourceError(CRASHED) from error
        if answer[0] == "error":
            raise SourceError(answer[1])
        return answer

    def _bytes(self) -> bytes:
        try:
            data: bytes = self._wire.recv_bytes()
            return data
        except (EOFError, OSError) as error:
            raise SourceError(CRASHED) from error
