"""What comes from outside: told by content, counted, and kept under our own names."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from footage import encode, numbered_frames, save_images

from asmd.errors import SourceError
from asmd.web.limits import Limits
from asmd.web.sniffing import HEAD, kind_of
from asmd.web.uploads import TooLargeError, Uploads

PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


async def stream(data: bytes, chunk: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), chunk):
        yield data[at : at + chunk]


def receive(uploads: Uploads, data: bytes, index: int = 0, count: int = 1) -> Path | None:
    return asyncio.run(uploads.receive(stream(data), index, count))


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(lambda: tmp_path, Limits(upload_bytes=100_000, files=5))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".ts", ".mpg"])
def test_videos_are_told(suffix: str, tmp_path: Path) -> None:
    codec, pixels = ("mpeg2video", "yuv420p") if suffix == ".mpg" else ("libx264", "yuv420p")
    options = {} if suffix == ".mpg" else {"crf": "30"}
    path = encode(
        tmp_path / f"v{suffix}", numbered_frames(10), codec=codec, pix_fmt=pixels, options=options or {"b": "1M"}
    )
    kind = kind_of(path.read_bytes()[:HEAD])
    assert kind is not None and kind.medium == "video"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_images_are_told(suffix: str, tmp_path: Path) -> None:
    [path] = save_images(tmp_path / "i", numbered_frames(1), suffix)
    kind = kind_of(path.read_bytes()[:HEAD])
    assert kind is not None and (kind.medium, kind.suffix) == ("image", suffix)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF" + bytes(500),
        b"MZ" + bytes(500),
        b"#!/bin/sh\nrm -rf /\n",
        b"<html><script>",
        b"PK\x03\x04" + bytes(99),
        PLAYLIST,
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\n",
        b"%PDF-1.7",
        b"<svg/>",
    ],
)
def test_what_is_neither_is_refused_whatever_its_name(data: bytes, uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a video nor an image"):
        receive(uploads, data)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_names_are_our_own(uploads: Uploads, tmp_path: Path) -> None:
    """No name is ever sent along, so none can be a path; what is kept lies in the session's folder."""
    data = encode(tmp_path / "v.mp4", numbered_frames(3)).read_bytes()
    path = receive(uploads, data)
    assert path == tmp_path / "upload-1" / "000000.mp4"
    again = receive(uploads, data)
    assert again == tmp_path / "upload-2" / "000000.mp4"
    assert not path.exists()  # what came before is deleted


def test_a_sequence_is_a_folder(uploads: Uploads, tmp_path: Path) -> None:
    images = [p.read_bytes() for p in save_images(tmp_path / "i", numbered_frames(3))]
    assert [receive(uploads, d, n, 3) for n, d in enumerate(images)] == [None, None, tmp_path / "upload-1"]
    assert [p.name for p in sorted((tmp_path / "upload-1").iterdir())] == ["000000.png", "000001.png", "000002.png"]


@pytest.mark.parametrize(("index", "count"), [(-1, 1), (1, 1), (0, 6), (2, 1), (0, 0)])
def test_numbers_out_of_range(index: int, count: int, uploads: Uploads) -> None:
    with pytest.raises(SourceError, match="5 files are the most"):
        receive(uploads, b"x", index, count)


def test_too_much_is_refused_while_it_comes(uploads: Uploads, tmp_path: Path) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b"\x89PNG\r\n\x1a\n"
        while True:
            taken += 1000
            yield bytes(1000)

    with pytest.raises(TooLargeError, match="are the most that can be uploaded"):
        asyncio.run(uploads.receive(endless(), 0, 1))
    assert taken <= 101_000
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_video_among_images_is_refused(uploads: Uploads, tmp_path: Path) -> None:
    video = encode(tmp_path / "v.mp4", numbered_frames(3)).read_bytes()
    [image] = [p.read_bytes() for p in save_images(tmp_path / "i", numbered_frames(1))]
    receive(uploads, image, 0, 2)
    with pytest.raises(SourceError, match="a video comes alone"):
        receive(uploads, video, 1, 2)


def test_camera_frames_are_jpegs(uploads: Uploads, tmp_path: Path) -> None:
    [image] = [p.read_bytes() for p in save_images(tmp_path / "i", numbered_frames(1), ".jpg")]
    assert uploads.camera_frame(image, first=True) == tmp_path / "upload-1"
    uploads.camera_frame(image, first=False)
    assert uploads.camera_frames == 2
    with pytest.raises(SourceError, match="is a JPEG"):
        uploads.camera_frame(b"\x89PNG\r\n\x1a\n" + bytes(100), first=False)
    for _ in range(3):
        uploads.camera_frame(image, first=False)
    with pytest.raises(TooLargeError):
        uploads.camera_frame(image, first=False)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<?xml", "boxes.xml"),
        (b"\xef\xbb\xbf[1]", "boxes.json"),
        (b"frame,x,y,w,h,s", "boxes.csv"),
        (b"1,2,3,4", "boxes.txt"),
    ],
)
def test_files_of_boxes_are_told(data: bytes, name: str, uploads: Uploads) -> None:
    assert asyncio.run(uploads.boxes(stream(data))).name == name


@pytest.mark.parametrize("data", [b"\x7fELF", b"", struct.pack("<I", 0xFFFFFFFF), b"import os"])
def test_other_files_are_no_boxes(data: bytes, uploads: Uploads) -> None:
    with pytest.raises(SourceError, match="no file of boxes"):
        asyncio.run(uploads.boxes(stream(data)))
