"""From a video file or stream to numbered RGB frames, by PyAV."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from asmd.errors import SourceError
from asmd.sequence import Frame

logger = logging.getLogger(__name__)

Numbered: TypeAlias = tuple[int, VideoFrame | None]
"""Number of a frame in its video, and the frame; None where it is damaged."""

NETWORK_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class OpenVideo:
    """A container, its video stream, and the name to use in messages."""

    container: InputContainer
    stream: VideoStream
    name: str

    @property
    def fps(self) -> float | None:
        """Frames a second, None where the container does not say."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate else None

    def close(self) -> None:
        """Release the file."""
        self.container.close()


def open_video(source: str | Path) -> OpenVideo:
    """Open a video file or a stream address.

    Raises:
        SourceError: if it is missing, empty, not a video, or without a video stream.
    """
    name = str(source)
    if "://" not in name:
        _check_file(Path(source))
    try:
        container = av.open(name, timeout=NETWORK_TIMEOUT_SECONDS if "://" in name else None)
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror or str(error)
        raise SourceError(f"{name} cannot be opened as a video ({reason}): cut short, or no video at all?") from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        container.close()
        raise SourceError(f"{name} holds no video: sound only, or cut short")
    # One codec thread: with frame threads a damaged stream decodes to other pixels than without, so that the result
    # would depend on the number of cores. The overlap with tracking comes from prefetching instead.
    stream.codec_context.thread_count = 1
    return OpenVideo(container, stream, name)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"there is no file {path}")
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video file")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{path} is empty")


def decode(video: OpenVideo) -> Iterator[Numbered]:
    """Decode from where the container stands to its end, in order of presentation.

    A packet that the decoder refuses, or a frame that it marks as corrupt, keeps its number and comes as None.
    """
    return _decode(packet for packet in video.container.demux(video.stream))


def decode_whole(video: OpenVideo) -> Iterator[Numbered]:
    """`decode` from the start of a file, with a warning where the file breaks off before the end that it announces."""
    packets = _Counted(video)
    yield from _decode(packets)
    packets.tell_if_cut_short()


def _decode(packets: Iterable[av.Packet[VideoStream]]) -> Iterator[Numbered]:
    number = 0
    refused: list[int] = []  # time stamps of refused packets; frames leave the decoder in the order of these stamps
    for packet in packets:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            if packet.pts is None:
                yield number, None
                number += 1
            else:
                heapq.heappush(refused, packet.pts)
            continue
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            while refused and frame.pts is not None and refused[0] < frame.pts:
                heapq.heappop(refused)
                yield number, None
                number += 1
            yield number, None if frame.is_corrupt else frame
            number += 1
    for _ in refused:
        yield number, None
        number += 1


class _Counted:
    """The packets of a whole file, counted, to be held against what the container announces."""

    def __init__(self, video: OpenVideo) -> None:
        self._video = video
        self._packets = 0
        self._end = 0

    def __iter__(self) -> Iterator[av.Packet[VideoStream]]:
        packets = self._video.container.demux(self._video.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                logger.warning("%s: reading stopped (%s); what comes after is lost", self._video.name, error.strerror)
                return
            if packet.size:
                self._packets += 1
                self._end = max(self._end, (packet.pts or 0) + (packet.duration or 0))
            yield packet

    def tell_if_cut_short(self) -> None:
        name, stream = self._video.name, self._video.stream
        if stream.frames:
            if self._packets < stream.frames:
                text = "%s is cut short: it announces %d frames and ends after %d"
                logger.warning(text, name, stream.frames, self._packets)
            return
        # Matroska announces no number of frames but a duration.
        seconds = _announced_seconds(self._video)
        reached = float(self._end * stream.time_base) if stream.time_base else 0.0
        if seconds is not None and reached < seconds - max(0.5, 0.02 * seconds):
            logger.warning("%s is cut short: it announces %.1f s and ends after %.1f s", name, seconds, reached)


def _announced_seconds(video: OpenVideo) -> float | None:
    tag = video.stream.metadata.get("DURATION", "")
    if tag.count(":") == 2:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    # The container's duration is that of its longest stream, which need not be this one.
    if video.container.duration is not None and len(video.container.streams) == 1:
        return video.container.duration / av.time_base
    return None


def to_rgb(frame: VideoFrame) -> Frame:
    """An RGB uint8 array, turned the way the file says it is to be shown.

    Deeper pixels are scaled to 8 bit by the range of their type; transparent ones are put on black.
    """
    if any(component.is_alpha for component in frame.format.components):
        image = on_black(frame.to_ndarray(format="rgba"))
    else:
        image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise, as in numpy
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def on_black(image: NDArray[np.generic]) -> Frame:
    """Colours times opacity: (H, W, 4) uint8 with alpha last -> (H, W, 3) uint8."""
    colour, alpha = image[..., :3].astype(np.uint16), image[..., 3:].astype(np.uint16)
    return np.asarray((colour * alpha + 127) // 255, dtype=np.uint8)
