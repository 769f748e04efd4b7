"""Files from outside: counted while they come, told by their content, kept under names of our own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from asmd.errors import SourceError
from asmd.web.limits import Limits
from asmd.web.sniffing import HEAD, kind_of

BOXES_BYTES = 64 << 20
"""Of a file of boxes, at most."""

CAMERA_BYTES = 8 << 20
"""Of one frame of a camera, at most."""


class TooLargeError(SourceError):
    """More bytes than a session may upload."""


class Uploads:
    """The files of one session.

    Args:
        folder: makes the session's folder, or gives it.
        limits: what the session may use.

    Attributes:
        camera_frames: how many frames have come from the camera.
    """

    def __init__(self, folder: Callable[[], Path], limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._batch: Path | None = None
        self._batches = 0
        self._used = 0
        self._images = False
        self.camera_frames = 0

    def _begin(self) -> Path:
        """A folder for what comes next; what came before is deleted."""
        if self._batch is not None:
            shutil.rmtree(self._batch, ignore_errors=True)
        self._batches += 1
        self._batch = self._folder() / f"upload-{self._batches}"
        self._batch.mkdir()
        self._used, self.camera_frames = 0, 0
        return self._batch

    async def receive(self, stream: AsyncIterator[bytes], index: int, count: int) -> Path | None:
        """One file of a video, or of a sequence of images.

        Args:
            stream: its bytes.
            index: which it is, 0 for the first, which takes the place of what was uploaded before.
            count: how many come.

        Returns:
            After the last: the file, or the folder of images. None before.

        Raises:
            SourceError: if it is refused: no video or image by its content, or out of order.
            TooLargeError: if it is more than a session may upload.
        """
        if not 0 <= index < count <= self._limits.files:
            raise SourceError(f"{self._limits.files} files are the most")
        if index == 0:
            self._begin()
        batch = self._batch
        if batch is None or (index and not self._images):
            raise SourceError("a video comes alone; several files are images")
        path = batch / f"{index:06d}.part"
        suffix = await self._write(path, stream, several=count > 1)
        path = path.rename(path.with_suffix(suffix))
        if index < count - 1:
            return None
        return batch if self._images else path

    async def _write(self, path: Path, stream: AsyncIterator[bytes], several: bool) -> str:
        head, suffix = b"", ""
        try:
            with path.open("xb") as file:
                async for chunk in stream:
                    self._used += len(chunk)
                    if self._used > self._limits.upload_bytes:
                        raise TooLargeError(f"{self._limits.upload_bytes >> 20} MiB are the most that can be uploaded")
                    file.write(chunk)
                    if not suffix:
                        head += chunk
                        if len(head) >= HEAD:
                            suffix = self._kind(head, several)
            return suffix or self._kind(head, several)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _kind(self, head: bytes, several: bool) -> str:
        kind = kind_of(head[:HEAD])
        if kind is None:
            raise SourceError("this is neither a video nor an image that can be read here")
        if several and kind.medium != "image":
            raise SourceError("a video comes alone; several files are images")
        self._images = kind.medium == "image"
        return kind.suffix

    async def boxes(self, stream: AsyncIterator[bytes]) -> Path:
        """A file of boxes, for `asmd.convert`.

        Raises:
            SourceError: if it is none by its content, or too large.
        """
        data = bytearray()
        async for chunk in stream:
            data += chunk
            if len(data) > BOXES_BYTES:
                raise TooLargeError(f"a file of boxes has {BOXES_BYTES >> 20} MiB at most")
        path = self._folder() / f"boxes{_boxes_suffix(bytes(data[:HEAD]))}"
        path.write_bytes(data)
        return path

    def camera_frame(self, data: bytes, first: bool) -> Path:
        """A frame of the browser's camera; returns the folder that they are in.

        Args:
            data: a JPEG.
            first: whether it begins a new recording.

        Raises:
            SourceError: if it is no JPEG, or there are too many.
        """
        kind = kind_of(data[:HEAD])
        if kind is None or kind.suffix != ".jpg" or len(data) > CAMERA_BYTES:
            raise SourceError("a frame of the camera is a JPEG")
        batch = self._begin() if first or self._batch is None else self._batch
        self._used += len(data)
        if self.camera_frames >= self._limits.files or self._used > self._limits.upload_bytes:
            raise TooLargeError("the recording is full")
        (batch / f"{self.camera_frames:06d}.jpg").write_bytes(data)
        self.camera_frames += 1
        return batch


def _boxes_suffix(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return ".xml"
    if text.startswith((b"[", b"{")):
        return ".json"
    if text.startswith(b"frame,x,y,w,h"):
        return ".csv"
    if text[:1] in b"-0123456789n" and text[:1]:
        return ".txt"
    raise SourceError("this is no file of boxes that can be read here")
