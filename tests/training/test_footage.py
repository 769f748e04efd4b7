"""Footage: what is kept agrees with what tracking measures, and is kept once."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import broken_video, encode, number_of, numbered_frames, save_images

from asmd.datasets.mot import TrackFilter, read_track
from asmd.errors import ConfigError, OutputError, SourceError
from asmd.flow import FLOW_LIMIT, FlowConfig, FlowStack
from asmd.sequence import Frame
from asmd.training.footage import Footage, FootageConfig
from asmd.video import ImageFrames, VideoFrames

STEP = FLOW_LIMIT / 127
COUNT = 11


def wandering(count: int = COUNT, height: int = 96, width: int = 128) -> list[Frame]:
    """A textured plane that wanders, by other steps each time, so that no flow is like another or its own reverse."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0, 255, (height * 2, width * 2)).astype(np.float32)
    plane = np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX), np.uint8)
    places = 20 + np.cumsum(rng.integers(-3, 5, (count, 2)), axis=0)
    return [np.repeat(plane[y : y + height, x : x + width, None], 3, axis=2) for y, x in places]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return encode(tmp_path / "v.mp4", wandering())


def measured(frames: list[Frame], config: FlowConfig) -> list[list[np.ndarray]]:
    """The stack of the tracker's code at every frame."""
    stack, flows = FlowStack(config), []
    for frame in frames:
        stack.push(frame)
        flows.append(stack.flows())
    return flows


@pytest.mark.parametrize("max_side", [480, 64])
@pytest.mark.parametrize("folder", [None, "cache"])
def test_stacks_are_those_of_tracking_at_every_frame(
    tmp_path: Path, video: Path, max_side: int, folder: str | None
) -> None:
    config = FlowConfig(max_side=max_side)
    footage = Footage(None if folder is None else tmp_path / folder, FootageConfig(chunk=4), config)
    reel = footage.open(VideoFrames(video))
    frames = list(VideoFrames(video))
    assert len(reel) == reel.total == COUNT
    assert reel.flow(0) is None
    for i, expected in enumerate(measured(frames, config)):
        found = reel.stack(i)
        assert len(found) == config.length
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, np.clip(other, -FLOW_LIMIT, FLOW_LIMIT), atol=STEP / 2 + 1e-4)
    assert reel.scale(frames[0]) == min(1.0, max_side / 128)


def test_backward_flow_is_that_of_the_reversed_video(tmp_path: Path, video: Path) -> None:
    config = FlowConfig()
    reel = Footage(None, FootageConfig(chunk=4), config).open(VideoFrames(video))
    reverse = measured(list(VideoFrames(video))[::-1], config)
    assert reel.flow(COUNT - 1, backward=True) is None
    differs = 0.0
    for i in range(COUNT - 1):
        found, forward = reel.flow(i, backward=True), reel.flow(i + 1)
        assert found is not None and forward is not None
        expected = np.clip(reverse[COUNT - 1 - i][-1], -FLOW_LIMIT, FLOW_LIMIT)
        np.testing.assert_allclose(found, expected, atol=STEP / 2 + 1e-4)
        differs = max(differs, float(np.abs(found + forward).max()))
    assert differs > 2 * STEP  # measured anew, not the negative of the other


def test_frames_are_the_right_ones_in_any_order(tmp_path: Path) -> None:
    frames = numbered_frames(40)
    reel = Footage(tmp_path / "cache", FootageConfig(chunk=7)).open(VideoFrames(encode(tmp_path / "v.mp4", frames)))
    for i in (39, 0, 20, 7, 6, 38, 13, 14):
        frame = reel.frame(i)
        assert number_of(frame) == i
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - frames[i]).mean() < 3  # kept as JPEG
    with pytest.raises(IndexError, match="no frame 40"):
        reel.frame(40)


def visit(footage: Footage, path: Path) -> list[Frame]:
    reel = footage.open(VideoFrames(path))
    return [reel.frame(i) for i in range(len(reel))]


def test_a_second_visit_decodes_nothing_and_sees_the_same(tmp_path: Path, video: Path) -> None:
    config = FootageConfig(chunk=4)
    first = Footage(tmp_path / "cache", config)
    seen = visit(first, video)
    assert first.decoded == 3
    visit(first, video)
    assert first.decoded == 3
    second = Footage(tmp_path / "cache", config)
    np.testing.assert_array_equal(visit(second, video), seen)
    assert second.decoded == 0


def test_what_changes_is_decoded_anew(tmp_path: Path, video: Path) -> None:
    visit(Footage(tmp_path / "cache"), video)
    for changed in (
        Footage(tmp_path / "cache", flow=FlowConfig(max_side=64)),
        Footage(tmp_path / "cache", FootageConfig(quality=80)),
    ):
        visit(changed, video)
        assert changed.decoded == 1
    encode(video, wandering()[::-1])
    again = Footage(tmp_path / "cache")
    last = visit(again, video)[-1]
    assert again.decoded == 1
    assert np.abs(last.astype(int) - wandering()[0]).mean() < 3


def test_the_budget_is_kept_to(tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = tmp_path / "whole"
    visit(Footage(whole, FootageConfig(chunk=2)), video)
    sizes = [path.stat().st_size for path in whole.glob("*/*.npz")]
    assert len(sizes) == 6
    half = sum(sizes) / 2
    little = Footage(tmp_path / "little", FootageConfig(chunk=2, budget_gb=half / 1e9, remembered=1))
    with caplog.at_level(logging.WARNING):
        visit(little, video)
        visit(little, video)
    kept = list((tmp_path / "little").glob("*/*.npz"))
    assert 0 < len(kept) < 6
    assert sum(path.stat().st_size for path in kept) <= half
    assert little.decoded == 6 + 6 - len(kept)
    assert [record.message for record in caplog.records] == [
        f"the footage cache has reached its budget of {half / 1e9:g} GB"
    ]
    # What an earlier run left counts.
    later = Footage(tmp_path / "little", FootageConfig(chunk=2, budget_gb=half / 1e9))
    visit(later, video)
    assert len(list((tmp_path / "little").glob("*/*.npz"))) <= len(kept)


def test_memory_is_bounded(video: Path) -> None:
    footage = Footage(None, FootageConfig(chunk=2, remembered=2))
    reel = footage.open(VideoFrames(video))
    for i in (0, 2, 0, 4, 0):
        reel.frame(i)
    assert footage.decoded == 3  # the one that is used again and again stays
    reel.frame(2)
    assert footage.decoded == 4


def test_a_damaged_file_is_decoded_anew(tmp_path: Path, video: Path) -> None:
    cache = tmp_path / "cache"
    seen = visit(Footage(cache), video)
    (kept,) = cache.glob("*/*.npz")
    good = kept.read_bytes()
    names_at = good.rindex(b"forward3.npy")  # in the directory at the end
    spoilt = {
        "empty": b"",
        "cut short": good[: len(good) // 2],
        "no archive": b"something else",
        "a byte of a picture": good[:3000] + bytes([good[3000] ^ 1]) + good[3001:],
        "a name": good[:names_at] + b"g" + good[names_at + 1 :],
        "a way to compress": good[: names_at - 36] + b"\x63" + good[names_at - 35 :],
    }
    for how, data in spoilt.items():
        kept.write_bytes(data)
        footage = Footage(cache)
        np.testing.assert_array_equal(visit(footage, video), seen, err_msg=how)
        assert footage.decoded == 1, how
        assert len(kept.read_bytes()) == len(good), how


def test_tracks_of_one_video_share_what_is_kept(tmp_path: Path) -> None:
    encode(tmp_path / "street.mp4", numbered_frames(40))
    rows = [f"{frame},{track},5,5,20,20,1,1,1" for track, start in ((1, 1), (2, 11)) for frame in range(start, 31)]
    annotation = tmp_path / "street.txt"
    annotation.write_text("\n".join(rows) + "\n")
    one, other = (read_track(f"street-{k}", annotation, k, TrackFilter(min_boxes=5), True) for k in (1, 2))
    footage = Footage(tmp_path / "cache", FootageConfig(chunk=8))
    first, second = (footage.open(track.frames) for track in (one, other))
    assert (len(first), len(second), first.total) == (30, 20, 40)
    assert [number_of(first.frame(i)) for i in range(30)] == list(range(30))
    decoded = footage.decoded
    assert [number_of(second.frame(i)) for i in range(20)] == list(range(10, 30))
    assert footage.decoded == decoded == 4
    # A track that starts late has a frame before its first.
    assert first.flow(0) is None
    assert second.flow(0) is not None


def test_images_and_frames_in_memory(tmp_path: Path) -> None:
    frames = numbered_frames(6)
    images = ImageFrames(save_images(tmp_path / "images", frames))
    footage = Footage(tmp_path / "cache")
    assert [number_of(footage.open(images).frame(i)) for i in range(6)] == list(range(6))
    again = Footage(tmp_path / "cache")
    again.open(images).frame(3)
    assert again.decoded == 0
    # Two lists of frames that look alike when printed; neither is of use to another run.
    here, there = footage.open(frames), footage.open(frames[::-1])
    assert [number_of(reel.frame(0)) for reel in (here, there)] == [0, 5]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    path = broken_video(tmp_path / "broken.mp4", count=40, broken=20)
    reel = Footage(tmp_path / "cache", FootageConfig(chunk=8)).open(VideoFrames(path))
    with pytest.raises(SourceError, match=r"broken\.mp4: frame 20 is damaged"):
        reel.frame(22)
    assert number_of(reel.frame(3)) == 3
    assert number_of(reel.frame(35)) == 35
    with pytest.raises(SourceError, match=r"there is no file .*gone\.mp4"):
        len(Footage(None).open(VideoFrames(tmp_path / "gone.mp4")))


def test_a_file_is_not_held_open(video: Path) -> None:
    reel = Footage(None).open(VideoFrames(video))
    reel.frame(0)
    assert isinstance(reel.whole, VideoFrames)
    assert reel.whole._cursor is None  # thousands of videos are opened in one run


def test_a_folder_that_cannot_be_used(tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be made"):
        Footage(tmp_path / "file")
    footage = Footage(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("")
    with caplog.at_level(logging.WARNING):
        assert len(visit(footage, video)) == COUNT
    assert "the footage cache keeps no more" in caplog.text


@pytest.mark.parametrize("bad", [{"budget_gb": -1}, {"chunk": 0}, {"quality": 0}, {"quality": 101}, {"remembered": 0}])
def test_bad_settings(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="footage needs"):
        FootageConfig(**bad)  # type: ignore[arg-type]
