"""Every kind of source walks the same way; what is damaged is skipped and said."""

from __future__ import annotations

import functools
import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import (
    broken_video,
    cut_short,
    encode,
    number_of,
    numbered_frames,
    save_images,
    size_changing_video,
    turned_video,
)

from asmd.errors import FrameError, SourceError
from asmd.samples import cyclist
from asmd.sequence import Frame
from asmd.video.sources import Source, open_source


def walked(source: Source, start: int = 0, stop: int | None = None, prefetch: int = 4) -> list[tuple[int, Frame]]:
    with source.frames(start, stop, prefetch) as frames:
        return list(frames)


def numbers(source: Source, start: int = 0, stop: int | None = None) -> list[tuple[int, int]]:
    return [(number, number_of(frame)) for number, frame in walked(source, start, stop)]


def same(wanted: range) -> list[tuple[int, int]]:
    return [(i, i) for i in wanted]


def test_video_file(tmp_path: Path) -> None:
    source = open_source(encode(tmp_path / "v.mp4", numbered_frames(30), rate=30))
    assert (source.fps, source.count, source.live) == (30.0, 30, False)
    assert numbers(source) == same(range(30))
    assert numbers(source, 7, 12) == same(range(7, 12))


@pytest.mark.parametrize("pattern", ["", "*.png", "[0-9]*.png"])
def test_images(tmp_path: Path, pattern: str) -> None:
    save_images(tmp_path / "frames", numbered_frames(12))
    source = open_source(tmp_path / "frames" / pattern)
    assert (source.fps, source.count, source.live) == (None, 12, False)
    assert numbers(source, 2, 11) == same(range(2, 11))


def test_a_single_image_is_a_source_of_one(tmp_path: Path) -> None:
    [path] = save_images(tmp_path, numbered_frames(1))
    assert numbers(open_source(path)) == [(0, 0)]


@pytest.mark.parametrize("damaged", [False, True])
def test_frames_do_not_depend_on_decoding_ahead(tmp_path: Path, damaged: bool) -> None:
    path = cyclist().path
    if damaged:  # half of one packet's bytes lost, so that later frames build on what the decoder makes up
        path = tmp_path / "v.mp4"
        data = bytearray(cyclist().path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
        path.write_bytes(data)
    source = open_source(path)
    runs = [[(n, f.tobytes()) for n, f in walked(source, stop=160, prefetch=ahead)] for ahead in (0, 1, 9)]
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == 160 or damaged


def test_no_more_is_read_than_allowed_ahead(tmp_path: Path) -> None:
    given: list[int] = []

    def read() -> Iterator[tuple[int, Frame]]:
        for i, frame in enumerate(numbered_frames(50)):
            given.append(i)
            yield i, frame

    source = Source("counted", None, None, False, read)
    with source.frames(prefetch=3) as frames:
        for number, _ in frames:
            # One is in hand here, three wait, and one more may be on its way into the queue.
            assert len(given) <= number + 5
            if number == 20:
                break
    assert len(given) < 30


def test_a_broken_frame_is_skipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(broken_video(tmp_path / "v.mp4", 40, 20))
    assert numbers(source) == same(range(20)) + same(range(21, 40))
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path}/v.mp4: frame 20 is skipped: damaged, cannot be decoded"
    ]


def test_a_broken_frame_to_start_on_is_an_error(tmp_path: Path) -> None:
    source = open_source(broken_video(tmp_path / "v.mp4", 40, 20))
    with pytest.raises(SourceError, match="frame 20, on which the track starts"):
        walked(source, start=20)


def test_a_broken_image_is_skipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = save_images(tmp_path, numbered_frames(6))
    cut_short(paths[3], 0.5)
    assert numbers(open_source(tmp_path)) == same(range(3)) + same(range(4, 6))
    assert [r.getMessage() for r in caplog.records] == [f"{tmp_path}: frame 3 is skipped: {paths[3]} is cut short"]


@pytest.mark.parametrize(
    ("name", "muxing", "announced"),
    [
        ("v.mp4", {"movflags": "faststart"}, "announces 40 frames"),
        ("v.mkv", {}, r"announces 1\.6 s"),
    ],
)
def test_a_truncated_file_gives_what_it_has_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, muxing: dict[str, str], announced: str
) -> None:
    path = encode(tmp_path / name, numbered_frames(40), options={"qp": "0", "g": "1"}, muxing=muxing)
    got = numbers(open_source(cut_short(path, 0.6)))
    assert 20 <= len(got) < 30
    assert got == same(range(len(got)))
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert any("is cut short" in text for text in said)
    assert any(path.name in text for text in said)


def test_a_whole_file_brings_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("v.mp4", "v.mkv", "v.ts", "v.avi"):
        codec = {"codec": "mpeg4", "pix_fmt": "yuv420p", "options": {"b": "4M"}} if name == "v.avi" else {}
        assert len(walked(open_source(encode(tmp_path / name, numbered_frames(40), **codec)))) == 40  # type: ignore[arg-type]
    assert not caplog.records


def test_mp4_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    path = cut_short(encode(tmp_path / "v.mp4", numbered_frames(20)), 0.8)
    with pytest.raises(SourceError, match=r"v\.mp4 holds no video: .*cut short"):
        open_source(path)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_that_the_file_asks_for(tmp_path: Path, degrees: int) -> None:
    frames = numbered_frames(3)
    path = turned_video(tmp_path / "v.mp4", frames, degrees)
    _, frame = walked(open_source(path))[1]
    np.testing.assert_array_equal(frame, np.rot90(frames[1], -degrees // 90))
    capture = cv2.VideoCapture(str(path))  # OpenCV turns frames too
    _, bgr = capture.read()
    capture.release()
    assert bgr.shape == frame.shape


@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_size_that_changes_is_an_error_with_its_frame(tmp_path: Path, kind: str) -> None:
    if kind == "video":
        place = size_changing_video(tmp_path / "v.h264", 5)
    else:
        place = tmp_path
        save_images(place, numbered_frames(5))
        cv2.imwrite(str(place / "5.png"), np.zeros((80, 96, 3), np.uint8))
    with open_source(place).frames() as frames:
        seen = []
        with pytest.raises(FrameError, match=r"frame 5 is 96x80 pixels, those before it 64x48"):
            seen.extend(number for number, _ in frames)
    assert open_source(place).count in (None, 6)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("ffv1", "gray16le"), ("ffv1", "gray"), ("png", "rgba"), ("png", "rgb48be")]
)
def test_videos_of_unusual_pixels_become_rgb(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    path = encode(tmp_path / "v.nut", numbered_frames(5), codec=codec, pix_fmt=pix_fmt, options={"threads": "1"})
    for number, frame in walked(open_source(path)):
        assert frame.shape == (48, 64, 3)
        assert frame.dtype == np.uint8
        assert number_of(frame) == number


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("absent.mp4", "there is no file"),
        ("absent.png", "there is no file"),
        ("absent*.png", "no image matches"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "cannot be opened as a video"),
        ("folder", "there is no image"),
        ("sound.wav", "holds no video"),
    ],
)
def test_what_is_no_source_says_why(tmp_path: Path, place: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello " * 500)
    (tmp_path / "folder").mkdir()
    header = b"RIFF\x2c\1\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\x00\1\0\0"
    (tmp_path / "sound.wav").write_bytes(header + bytes(256))
    with pytest.raises(SourceError, match=reason):
        open_source(tmp_path / place)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("place", [97, "97", "/dev/video97"])
def test_a_camera_that_is_not_there(place: str | int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 97 cannot be opened"):
        open_source(place)
    assert capfd.readouterr().err == ""


def test_start_behind_the_end(tmp_path: Path) -> None:
    source = open_source(encode(tmp_path / "v.mp4", numbered_frames(5)))
    with pytest.raises(SourceError, match="holds no frame number 9"):
        walked(source, start=9)


def test_file_over_http(tmp_path: Path) -> None:
    encode(tmp_path / "v.mp4", numbered_frames(10))
    with served(tmp_path) as address:
        source = open_source(f"{address}/v.mp4")
        assert not source.live
        assert numbers(source) == same(range(10))
        with pytest.raises(SourceError, match=r"none\.mp4"):
            open_source(f"{address}/none.mp4")


def test_a_live_stream_drops_what_is_not_fetched_in_time(tmp_path: Path) -> None:
    data = encode(tmp_path / "v.ts", numbered_frames(60), options={"qp": "0", "g": "1"}).read_bytes()
    with sent_over_tcp(data) as address:
        source = open_source(address)
        assert source.live
        with source.frames() as frames:
            first = next(frames)
            threading.Event().wait(0.5)  # meanwhile the rest arrives
            rest = list(frames)
    got = [first[0]] + [number for number, _ in rest]
    assert got == sorted(set(got))
    assert got[-1] == 59
    assert len(got) < 60
    assert all(number_of(frame) == number for number, frame in rest)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def sent_over_tcp(data: bytes) -> Iterator[str]:
    """A listener that sends the same bytes to whoever connects: `open_source` looks first, the walk comes after."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.sendall(data)
                except OSError:
                    return  # whoever only looked has gone

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # the listener is closed
                threading.Thread(target=send, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
