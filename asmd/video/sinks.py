"""Annotated or plain video to a file, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from asmd.errors import FrameError, OutputError
from asmd.files import replacing
from asmd.sequence import Frame

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""File name endings that can be written, and their containers."""

DEFAULT_FPS = 25.0


class VideoWriter:
    """Writes RGB frames of one size as H.264; made by `write_video`."""

    def __init__(self, container: OutputContainer, name: str, fps: float, options: dict[str, str]) -> None:
        self._container = container
        self._name = name
        self._rate = Fraction(fps).limit_denominator(1001)
        self._options = options
        self._stream: VideoStream | None = None
        self._size: tuple[int, int] | None = None

    def write(self, frame: Frame) -> None:
        """Add a frame.

        Args:
            frame: RGB uint8 (H, W, 3). H.264 wants even sides: an odd one is made even by repeating its last row or
                column.

        Raises:
            FrameError: if its size is not that of the frames before it.
        """
        size = frame.shape[0], frame.shape[1]
        if self._stream is None:
            self._size = size
            self._stream = self._open_stream(*size)
        if size != self._size:
            raise FrameError(f"a frame of {size[1]}x{size[0]} pixels in a video of {self._size}")
        even = np.pad(frame, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_ndarray(even, format="rgb24")
        # Said and done as BT.709: players assume one matrix or another by size where a file does not say.
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        self._encode(self._stream, picture)

    def finish(self) -> None:
        """Write what the encoder still holds.

        Raises:
            OutputError: if no frame was written.
        """
        if self._stream is None:
            raise OutputError("a video without a frame cannot be written")
        self._encode(self._stream, None)

    def _encode(self, stream: VideoStream, picture: VideoFrame | None) -> None:
        try:
            self._container.mux(stream.encode(picture))
        except av.FFmpegError as error:
            raise OutputError(f"{self._name} cannot be written ({error.strerror})") from error

    def _open_stream(self, height: int, width: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate, options=self._options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1  # BT.709
        context.color_range = ColorRange.MPEG
        return stream


@contextmanager
def write_video(
    path: str | Path, fps: float | None = None, crf: int = 20, options: Mapping[str, str] | None = None
) -> Iterator[VideoWriter]:
    """Write a video that appears under its name when it is complete, and never if anything goes wrong.

    Args:
        path: the file; its ending (.mp4, .m4v, .mov, .mkv) decides the container.
        fps: frames a second; 25 where None.
        crf: quality of H.264, 0 (lossless) to 51.
        options: of libx264, beside or in place of these, such as `{"g": "1"}` for key frames alone.

    Raises:
        OutputError: if the ending is another one, or the file cannot be written.
    """
    target = Path(path)
    kind = FORMATS.get(target.suffix.lower())
    if kind is None:
        raise OutputError(f"{target}: a video's name ends in {', '.join(FORMATS)}")
    with replacing(target) as temporary:
        muxing = {"movflags": "faststart"} if kind in ("mp4", "mov") else {}
        coding = {"preset": "veryfast", "crf": str(crf), **(options or {})}
        with av.open(str(temporary), "w", format=kind, options=muxing) as container:
            writer = VideoWriter(container, str(target), fps or DEFAULT_FPS, coding)
            yield writer
            writer.finish()
