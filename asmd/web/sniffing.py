"""What a file is, by its first bytes: a name and a browser's word for it count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD = 4096
"""Bytes that are looked at."""


@dataclass(frozen=True)
class Kind:
    """What a file is: a video or an image, and the ending that our own name for it gets."""

    medium: Literal["video", "image"]
    suffix: str


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file; None for anything but the videos and images that are decoded here.

    Playlists and scripts, with which a decoder could be made to read other files, are no kind.

    Args:
        head: the first `HEAD` bytes, or all where there are fewer.
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or (head[4:8] == b"free" and b"mdat" in head[:64]):
        brand = head[8:12]
        return None if brand in (b"avif", b"heic", b"mif1") else Kind("video", ".mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Kind("video", ".mkv")  # and WebM
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Kind("video", ".avi")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind("image", ".webp")
    if head.startswith(b"\x00\x00\x01\xba"):
        return Kind("video", ".mpg")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Kind("video", ".ts")
    if head.startswith(b"\xff\xd8\xff"):
        return Kind("image", ".jpg")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind("image", ".png")
    if (
        head.startswith(b"BM")
        and len(head) > 18
        and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 108, 124)
    ):
        return Kind("image", ".bmp")
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return Kind("image", ".tif")
    return None
