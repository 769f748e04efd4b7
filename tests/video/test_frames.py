"""Frames by number: the right ones, in any order, from any container."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import broken_video, encode, number_of, numbered_frames, save_images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asmd.errors import SourceError
from asmd.samples import cyclist
from asmd.sequence import FrameSource
from asmd.video import ImageFrames, VideoFrames

COUNT = 40


def test_frames_come_back_bit_for_bit(tmp_path: Path) -> None:
    frames = numbered_frames(COUNT)
    video = VideoFrames(encode(tmp_path / "v.mp4", frames))
    assert isinstance(video, FrameSource)
    assert len(video) == COUNT
    for read, written in zip(video, frames, strict=True):
        assert read.dtype == np.uint8
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, written)
    np.testing.assert_array_equal(video[17], frames[17])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bframes.mp4", {"g": "12", "bf": "4"}),
        ("open.mp4", {"g": "10", "bf": "3", "x264-params": "open-gop=1"}),
        ("intra.mp4", {"g": "1"}),
        ("one_key.mkv", {"g": "1000", "bf": "3"}),
        ("stream.ts", {"g": "9", "bf": "2"}),
        ("no_stamps.h264", {"g": "9", "bf": "2"}),
    ],
)
def test_any_order_gives_what_walking_gives(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = encode(
        tmp_path / name, numbered_frames(COUNT), codec="libx264", pix_fmt="yuv420p", options={"crf": "10", **options}
    )
    video = VideoFrames(path)
    walked = list(video)
    assert [number_of(f) for f in walked] == list(range(COUNT))
    order = [*range(COUNT), *range(COUNT - 1, -1, -1), *range(0, COUNT, 7)]
    random.Random(0).shuffle(order)
    for i in order:
        np.testing.assert_array_equal(video[i], walked[i], err_msg=f"frame {i}")


@given(start=st.integers(0, 50), stop=st.none() | st.integers(0, 50), step=st.integers(1, 20))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_range_is_that_of_a_slice(tmp_path: Path, start: int, stop: int | None, step: int) -> None:
    path = tmp_path / "v.mp4"
    if not path.exists():
        encode(tmp_path / "v.mp4", numbered_frames(COUNT))
    video = VideoFrames(path, start, stop, step)
    wanted = list(range(COUNT))[start:stop:step]
    assert len(video) == len(wanted)
    assert [number_of(f) for f in video] == wanted
    if wanted:
        assert number_of(video[-1]) == wanted[-1]
    with pytest.raises(IndexError):
        video[len(wanted)]


def test_pickled_in_use_it_reads_on_elsewhere(tmp_path: Path) -> None:
    video = VideoFrames(encode(tmp_path / "v.mp4", numbered_frames(COUNT)), start=5)
    assert number_of(video[3]) == 8
    copy = pickle.loads(pickle.dumps(video))
    assert number_of(copy[4]) == 9
    assert number_of(video[4]) == 9


def test_a_frame_handed_out_is_the_callers_own(tmp_path: Path) -> None:
    video = VideoFrames(encode(tmp_path / "v.mp4", numbered_frames(3)))
    video[1][:] = 0
    assert number_of(video[1]) == 1


@pytest.mark.parametrize("arguments", [{"start": -1}, {"stop": -1}, {"step": 0}])
def test_ranges_that_cannot_be(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        VideoFrames("v.mp4", **arguments)


@pytest.mark.parametrize("content", [None, b"", b"not a video at all" * 100])
def test_what_is_no_video_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "v.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"v\.mp4"):
        len(VideoFrames(path))


def test_a_damaged_frame_is_named_not_passed_over(tmp_path: Path) -> None:
    video = VideoFrames(broken_video(tmp_path / "v.mp4", COUNT, 20))
    assert len(video) == COUNT
    with pytest.raises(SourceError, match="frame 20 is damaged"):
        list(video)
    with pytest.raises(SourceError, match="frame 20 is damaged"):
        video[20]
    assert number_of(video[19]) == 19
    assert number_of(video[21]) == 21


@pytest.mark.parametrize("name", ["test/OTB/Jumping", "test/OTB/Couple", "train/DAVIS/bmx-trees"])
def test_real_footage_has_a_frame_for_each_box(shared_data: Path, name: str) -> None:
    video = VideoFrames(shared_data / f"{name}.mp4")
    boxes = (shared_data / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert len(video) == len(boxes)
    walked = [f[::4, ::4].copy() for f in video]
    assert len(walked) == len(boxes)
    for i in random.Random(1).sample(range(len(boxes)), 6):
        np.testing.assert_array_equal(video[i][::4, ::4], walked[i])


def test_pixels_are_those_that_opencv_reads() -> None:
    path = cyclist().path
    capture = cv2.VideoCapture(str(path))
    for frame in VideoFrames(path, stop=3):
        _, bgr = capture.read()
        difference = np.abs(frame.astype(int) - cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        assert difference.mean() < 1.0  # the two scale chroma by other filters
    capture.release()


def test_image_frames(tmp_path: Path) -> None:
    paths = save_images(tmp_path, numbered_frames(5))
    images = pickle.loads(pickle.dumps(ImageFrames(paths)))
    assert isinstance(images, FrameSource)
    assert len(images) == 5
    assert [number_of(f) for f in images] == [0, 1, 2, 3, 4]
    assert number_of(images[-1]) == 4
