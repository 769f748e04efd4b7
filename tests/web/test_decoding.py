"""Decoding in a process with limits: what is good comes through, what is bad takes only that process down."""

from __future__ import annotations

import os
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from footage import encode, numbered_frames, save_images

from asmd.errors import SourceError
from asmd.web.decoding import CRASHED, RemoteFrames, image_size
from asmd.web.limits import Limits
from asmd.web.worker import Worker

LIMITS = Limits(cpu_seconds=20)


def huge_png(path: Path, width: int = 100_000, height: int = 100_000) -> Path:
    """A PNG that announces ten thousand megapixels, and would compress them well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def refused(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(SourceError) as caught:
        RemoteFrames.start(path, limits)
    assert str(path.parent) not in str(caught.value)  # where files are kept is nobody's business
    return str(caught.value)


def test_frames_come_through_bit_for_bit_in_any_order(tmp_path: Path) -> None:
    frames = numbered_frames(30)
    worker, remote = RemoteFrames.start(encode(tmp_path / "v.mp4", frames, rate=10), LIMITS)
    try:
        assert (remote.opened.count, remote.opened.size, remote.opened.fps) == (30, (64, 48), 10.0)
        for number in (0, 17, 3):
            assert (remote.frame(number) == frames[number]).all()
        forward = [(n, f.copy()) for n, f in remote.walk(range(5, 12))]
        backward = [(n, f.copy()) for n, f in remote.walk(range(20, -1, -1))]
        assert [n for n, _ in forward] == list(range(5, 12))
        assert [n for n, _ in backward] == list(range(20, -1, -1))
        for number, frame in (*forward, *backward):
            assert (frame == frames[number]).all()
        walk = remote.walk(range(30))
        next(walk)
        walk.close()  # broken off: what was asked for is not mistaken for the next answer
        assert (remote.frame(9) == frames[9]).all()
        assert remote.view(1).startswith(b"\xff\xd8")
        with pytest.raises(SourceError):
            remote.frame(30)
        assert (remote.frame(2) == frames[2]).all()  # an error does not end it
    finally:
        worker.close()
    assert not worker.alive


def test_a_header_of_100000_by_100000_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    assert image_size(huge_png(folder / "000000.png")) == (100_000, 100_000)
    assert "frames of 100000x100000 pixels are refused" in refused(folder)


def test_a_huge_image_later_in_a_sequence_is_refused_when_it_comes(tmp_path: Path) -> None:
    save_images(tmp_path / "upload", numbered_frames(2))
    huge_png(tmp_path / "upload" / "2.png")
    worker, remote = RemoteFrames.start(tmp_path / "upload", LIMITS)
    try:
        with pytest.raises(SourceError, match="100000x100000"):
            remote.frame(2)
        assert remote.frame(1).shape == (48, 64, 3)
    finally:
        worker.close()


def test_a_video_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", numbered_frames(3))
    assert "frames of 64x48 pixels are refused" in refused(path, Limits(side=60))
    assert "a video of 3 frames is refused" in refused(path, Limits(frames=2))


def test_damage_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"\x00\x00\x00\x20ftypisom" + os.urandom(3000))
    assert "\n" not in refused(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits of processes")
def test_a_process_that_wants_too_much_memory_fails_alone(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", numbered_frames(2, 2000, 2000), options={"qp": "40"})
    assert refused(path, Limits(memory_bytes=1 << 20))


def test_a_crash_is_told_and_nothing_else_falls(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", numbered_frames(5))
    worker, remote = RemoteFrames.start(path, LIMITS)
    other_worker, other = RemoteFrames.start(path, LIMITS)
    try:
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGSEGV)
        worker.process.join(20)
        with pytest.raises(SourceError, match=CRASHED):
            remote.frame(1)
        assert np.asarray(other.frame(1)).shape == (48, 64, 3)
    finally:
        worker.close()
        other_worker.close()


def spin(connection: object, limits: Limits) -> None:
    from asmd.web.limits import grant_cpu

    grant_cpu(limits)
    while True:
        pass


def test_a_process_that_computes_without_end_is_ended() -> None:
    worker = Worker(spin, Limits(cpu_seconds=1))
    worker.process.join(90)
    assert worker.process.exitcode == -signal.SIGXCPU
    worker.close()
