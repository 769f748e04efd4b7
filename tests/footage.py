"""Small videos for tests, made on the spot, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from asmd.sequence import Frame


def numbered_frames(count: int, height: int = 48, width: int = 64) -> list[Frame]:
    """Frames that all differ; `number_of` tells which is which, also after lossy coding."""
    ramp = np.arange(width * height).reshape(height, width) % 97
    frames = []
    for i in range(count):
        frame = np.stack([ramp, ramp[::-1], np.full_like(ramp, 60)], axis=2).astype(np.uint8)
        for bit in range(8):  # eight blocks, black or white, along the top
            frame[:16, bit * 8 : bit * 8 + 8] = 255 if i >> bit & 1 else 0
        frames.append(frame)
    return frames


def number_of(frame: Frame) -> int:
    """The number of a frame of `numbered_frames`."""
    return sum(1 << bit for bit in range(8) if frame[4:12, bit * 8 + 2 : bit * 8 + 6].mean() > 127)


def encode(
    path: Path,
    frames: Sequence[Frame],
    codec: str = "libx264rgb",
    pix_fmt: str = "rgb24",
    rate: int = 25,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Write a video; by default lossless RGB H.264, so that frames come back bit for bit."""
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {"qp": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def save_images(folder: Path, frames: Sequence[Frame], suffix: str = ".png") -> list[Path]:
    """Write frames as 0.png, 1.png, ... 10.png, ..."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}{suffix}" for i in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return paths


def broken_video(path: Path, count: int = 40, broken: int = 20) -> Path:
    """Numbered frames, every one a key frame, of which one is zeroed in the file."""
    encode(path, numbered_frames(count), options={"qp": "0", "g": "1"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    position, size = packets[broken]
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path


def cut_short(path: Path, share: float) -> Path:
    """Cut a file down to a share of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def turned_video(path: Path, frames: Sequence[Frame], degrees: int) -> Path:
    """An mp4 that asks to be shown turned clockwise by 90, 180 or 270 degrees, as a phone held upright writes it."""
    encode(path, frames)
    data = bytearray(path.read_bytes())
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix comes 40 bytes into the box
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)
    return path


def size_changing_video(path: Path, count: int) -> Path:
    """Frames of 64x48, then of 96x80, in one raw H.264 stream."""
    parts = []
    for name, height, width in (("a.h264", 48, 64), ("b.h264", 80, 96)):
        part = encode(path.with_name(name), numbered_frames(count, height, width))
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path
