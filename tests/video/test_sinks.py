"""Video out: whole, of the right colours, or not there."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from footage import number_of, numbered_frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asmd.errors import FrameError, OutputError
from asmd.video import VideoFrames
from asmd.video.sinks import FORMATS, write_video


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    with write_video(path, fps=30000 / 1001) as video:
        for frame in numbered_frames(20):
            video.write(frame)
    read = VideoFrames(path)
    assert [number_of(f) for f in read] == list(range(20))
    assert left_in(tmp_path) == [path.name]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate or 0) == pytest.approx(30000 / 1001, rel=1e-3)


def test_colours_come_back(tmp_path: Path) -> None:
    patches = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255), (0, 0, 0), (250, 190, 40)]
    frame = np.concatenate([np.full((32, 32, 3), p, np.uint8) for p in patches], axis=1)
    with write_video(tmp_path / "v.mp4", crf=1) as video:
        video.write(frame)
    read = VideoFrames(tmp_path / "v.mp4")[0]
    for i, patch in enumerate(patches):
        np.testing.assert_allclose(read[16, 32 * i + 16], patch, atol=6)


@given(height=st.integers(2, 61), width=st.integers(2, 61))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_odd_sizes_grow_to_even_ones(tmp_path: Path, height: int, width: int) -> None:
    frame = np.full((height, width, 3), 130, np.uint8)
    with write_video(tmp_path / "v.mp4") as video:
        video.write(frame)
        video.write(frame)
    first = VideoFrames(tmp_path / "v.mp4")[0]
    assert first.shape == (height + height % 2, width + width % 2, 3)
    assert abs(first.astype(int) - 130).max() <= 4


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_when_it_goes_wrong(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), write_video(tmp_path / "v.mp4") as video:
        video.write(numbered_frames(1)[0])
        raise error
    assert left_in(tmp_path) == []


def test_what_stood_there_stays_when_it_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"before")
    with pytest.raises(RuntimeError), write_video(tmp_path / "v.mp4") as video:
        video.write(numbered_frames(1)[0])
        raise RuntimeError
    assert (tmp_path / "v.mp4").read_bytes() == b"before"


def test_a_video_of_no_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="without a frame"), write_video(tmp_path / "v.mp4"):
        pass
    assert left_in(tmp_path) == []


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="96x80"), write_video(tmp_path / "v.mp4") as video:
        video.write(numbered_frames(1)[0])
        video.write(numbered_frames(1, 80, 96)[0])
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["v.avi", "v.gif", "v"])
def test_other_endings_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=rf"{name}: a video's name ends in \.mp4"), write_video(tmp_path / name):
        pass
