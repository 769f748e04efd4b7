"""Clips: the right frames and flows either way, and nothing but motion that tells which way."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from footage import broken_video, encode, number_of, numbered_frames

from asmd.errors import ConfigError, DatasetError
from asmd.flow import FLOW_LIMIT, NETWORK_SCALE, Flow, FlowConfig
from asmd.sequence import Frame, Sequence
from asmd.training.clips import (
    ClipConfig,
    ClipSampler,
    Window,
    content_area,
    frame_differences,
    is_whole,
    network_tensors,
    show,
    shown_order,
    stack_ends,
)
from asmd.training.footage import Footage, FootageConfig, Reel
from asmd.video import VideoFrames

NO_BOXES = np.empty((0, 4))
STEP = FLOW_LIMIT / 127 * NETWORK_SCALE
WHOLE = np.array([0, 0, 64, 64])
PLAIN = ClipConfig(size=64, still=0.0, restless=255.0, cut=255.0)


class NumberedReel(Reel):
    """Frames and flows that say which they are: the flow to frame i is (i, 0), in reverse (-i, i / 2)."""

    def __init__(self, count: int) -> None:
        super().__init__(Footage(None), numbered_frames(count, 64, 64), numbered_frames(count, 64, 64), 0, "numbered")

    def flow(self, index: int, backward: bool = False) -> Flow | None:
        if index == (len(self) - 1 if backward else 0):
            return None
        level = (-index, index / 2) if backward else (index, 0.0)
        return np.broadcast_to(np.array(level, np.float32), (64, 64, 2))


def wandering(count: int = 24, height: int = 80, width: int = 112, seed: int = 0) -> list[Frame]:
    """A textured plane that wanders about, and a disc that crosses it."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 255, (height * 3, width * 3)).astype(np.float32)
    plane = np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX), np.uint8)
    places = np.clip(60 + np.cumsum(rng.integers(-3, 4, (count, 2)), axis=0), 0, 2 * height)
    frames = []
    for i, (y, x) in enumerate(places):
        frame = np.repeat(plane[y : y + height, x : x + width, None], 3, axis=2)
        frames.append(np.asarray(cv2.circle(frame.copy(), (20 + 3 * i, 40), 12, (250, 40, 40), -1), np.uint8))
    return frames


def unlabelled(path: Path) -> Sequence:
    return Sequence(path.stem, VideoFrames(path), NO_BOXES)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return encode(tmp_path / "v.mp4", wandering())


def test_order_and_stacks_by_hand() -> None:
    assert list(shown_order(7, 10, True)) == [7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    assert list(shown_order(7, 10, False)) == [16, 15, 14, 13, 12, 11, 10, 9, 8, 7]
    assert list(shown_order(0, 3, False)) == [2, 1, 0]
    assert stack_ends(10, 5) == [5, 9]  # the sixth and the tenth frame; f1 to f5 and f5 to f9


@pytest.mark.parametrize(
    ("forward", "images", "flows"),
    [
        # Frames 3 .. 12. Forward: f1 leads to frame 4, so that the stacks lead to frames 4 to 8, and 8 to 12.
        (True, [8, 12], [[4, 5, 6, 7, 8], [8, 9, 10, 11, 12]]),
        # In reverse frame 12 comes first and f1 leads from it to frame 11.
        (False, [7, 3], [[11, 10, 9, 8, 7], [7, 6, 5, 4, 3]]),
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_frames_and_flows_by_number(forward: bool, images: list[int], flows: list[list[int]], flip: bool) -> None:
    rgb, flow = show(Window(NumberedReel(16), 3, WHOLE, flip), forward, PLAIN, 5)
    assert rgb.shape == (2, 64, 64, 3)
    assert rgb.dtype == np.uint8
    assert flow.shape == (2, 64, 64, 10)
    assert flow.dtype == np.float16
    assert [number_of(image[:, ::-1] if flip else image) for image in rgb] == images
    at_centre = flow[:, 32, 32].astype(np.float64) / NETWORK_SCALE
    u, v = np.array(flows, float), np.array(flows) / 2.0
    np.testing.assert_allclose(at_centre[:, 0::2], (u if forward else -u) * (-1 if flip else 1), rtol=2e-3)
    np.testing.assert_allclose(at_centre[:, 1::2], 0 * v if forward else v, rtol=2e-3)


def test_a_reversed_clip_is_the_clip_of_the_reversed_video(tmp_path: Path) -> None:
    frames = wandering()
    one, other = (
        Footage(None, FootageConfig(chunk=4)).open(VideoFrames(encode(tmp_path / name, order)))
        for name, order in (("there.mp4", frames), ("back.mp4", frames[::-1]))
    )
    corners = np.array([20, 8, 80, 68])
    for flip in (False, True):
        # Frames 5 .. 14 of 24 are frames 9 .. 18 of the reversed video.
        reversed_clip = show(Window(one, 5, corners, flip), False, PLAIN, 5)
        clip = show(Window(other, 9, corners, flip), True, PLAIN, 5)
        np.testing.assert_array_equal(reversed_clip[0], clip[0])
        np.testing.assert_allclose(reversed_clip[1], clip[1], atol=STEP)
        forward = show(Window(one, 5, corners, flip), True, PLAIN, 5)
        assert np.abs(forward[1].astype(float) - clip[1]).mean() > 2 * STEP


def test_a_mirrored_clip_has_mirrored_motion(video: Path) -> None:
    reel, corners = Footage(None).open(VideoFrames(video)), np.array([20, 8, 80, 68])
    (rgb, flow), (mirrored_rgb, mirrored_flow) = (
        show(Window(reel, 2, corners, flip), True, PLAIN, 5) for flip in (False, True)
    )
    np.testing.assert_array_equal(mirrored_rgb, rgb[:, :, ::-1])
    np.testing.assert_array_equal(mirrored_flow[..., 0::2], -flow[:, :, ::-1, 0::2])
    np.testing.assert_array_equal(mirrored_flow[..., 1::2], flow[:, :, ::-1, 1::2])
    assert np.abs(flow).max() > 5 * STEP


def test_a_batch(video: Path) -> None:
    sampler = ClipSampler(Footage(None), [unlabelled(video)], ClipConfig(size=32))
    clips = sampler.draw(np.random.default_rng(0))
    assert clips.rgb.shape == (10, 2, 32, 32, 3)
    assert clips.rgb.dtype == torch.uint8
    assert clips.flow.shape == (10, 2, 32, 32, 10)
    assert clips.flow.dtype == torch.float16
    assert clips.forward.tolist() == [True] * 5 + [False] * 5
    assert clips.skipped == ()
    rgb, flow = network_tensors(clips.rgb, clips.flow)
    assert rgb.shape == (10, 2, 3, 32, 32)
    assert flow.shape == (10, 2, 10, 32, 32)
    assert rgb[1, 1, 2, 3, 4] == pytest.approx((float(clips.rgb[1, 1, 3, 4, 2]) / 255 - 0.406) / 0.225)
    assert flow[1, 1, 7, 3, 4] == clips.flow[1, 1, 3, 4, 7]


def test_the_same_clips_both_ways(video: Path) -> None:
    config = ClipConfig(size=32, pairs=3, same_clips=True)
    clips = ClipSampler(Footage(None), [unlabelled(video)], config).draw(np.random.default_rng(0))
    assert clips.forward.tolist() == [True] * 3 + [False] * 3
    # Frames 0 .. 9: shown are the sixth and tenth, of the reversed clip the fifth and the first, in the same rectangle;
    # f5 is measured between the same two frames.
    back = clips.flow[3:, 0, ..., 8:].float()
    there = clips.flow[:3, 0, ..., 8:].float()
    assert (back + there).abs().mean() < 0.2 * there.abs().mean()


def draws(sampler: ClipSampler, rng: np.random.Generator, count: int) -> list[bytes]:
    clips = [sampler.draw(rng) for _ in range(count)]
    return [c.rgb.numpy().tobytes() + c.flow.numpy().tobytes() for c in clips]


def test_a_draw_is_a_function_of_the_generator_and_the_files(tmp_path: Path) -> None:
    paths = [encode(tmp_path / f"{k}.mp4", wandering(seed=k)) for k in range(3)]
    paths.append(broken_video(tmp_path / "broken.mp4"))
    config = ClipConfig(size=32, pairs=1)

    def sampler(folder: str | None) -> ClipSampler:
        footage = Footage(None if folder is None else tmp_path / folder, FootageConfig(chunk=8, remembered=2))
        return ClipSampler(footage, [unlabelled(path) for path in paths], config)

    rng = np.random.default_rng(7)
    one = sampler("cache")
    first = draws(one, rng, 2)
    state = rng.bit_generator.state
    rest = draws(one, rng, 2)
    assert len(set(first + rest)) == 4
    # Resumed in another process, with a warm cache or with none.
    for folder in ("cache", None):
        resumed = np.random.default_rng(0)
        resumed.bit_generator.state = state
        assert draws(sampler(folder), resumed, 2) == rest


def test_a_broken_video_is_skipped_and_named(tmp_path: Path, video: Path) -> None:
    gone = unlabelled(tmp_path / "gone.mp4")
    short = unlabelled(encode(tmp_path / "short.mp4", wandering(9)))
    broken = unlabelled(broken_video(tmp_path / "broken.mp4", count=12, broken=6))
    sources = [unlabelled(video), gone, short, broken]
    sampler = ClipSampler(Footage(None), sources, ClipConfig(size=32))
    clips = sampler.draw(np.random.default_rng(0))
    assert len(clips.rgb) == 10
    told = " | ".join(clips.skipped)
    assert len(clips.skipped) == 3  # each once
    assert "gone: there is no file" in told
    assert "short.mp4 has 9 frames, a clip takes 10" in told
    assert "broken.mp4: frame 6 is damaged" in told
    with pytest.raises(DatasetError, match="100 clips in a row cannot be learnt from: gone: there is no file"):
        sampler.draw(np.random.default_rng(0), [0, 1, 0, 0])


def test_videos_are_drawn_alike_however_many_tracks_they_have() -> None:
    sources = [Sequence("alone", (), NO_BOXES)]
    sources += [Sequence(f"street-{k}", (), NO_BOXES, meta={"video": "street"}) for k in range(3)]
    assert ClipSampler(Footage(None), sources).chances.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_bad_weights(video: Path, weights: list[float]) -> None:
    sampler = ClipSampler(Footage(None), [unlabelled(video)] * 2)
    with pytest.raises(ConfigError, match="clips need 2 weights"):
        sampler.draw(np.random.default_rng(0), weights)


def test_stills_and_cuts_are_left_out(tmp_path: Path) -> None:
    still = encode(tmp_path / "still.mp4", wandering()[:1] * 24)
    with pytest.raises(DatasetError, match="cuts in them, or nothing moves"):
        ClipSampler(Footage(None), [unlabelled(still)], ClipConfig(size=32)).draw(np.random.default_rng(0))
    # Two shots of 15 frames: whole clips begin at 0 .. 5 and 15 .. 20.
    shots = [*wandering(15, seed=0), *(255 - frame // 4 for frame in wandering(15, seed=1))]
    sampler = ClipSampler(Footage(None), [unlabelled(encode(tmp_path / "cut.mp4", shots))])
    rng = np.random.default_rng(0)
    windows = [window for _ in range(200) if (window := sampler.window(0, rng)) is not None]
    assert {window.first for window in windows} == {*range(6), *range(15, 21)}


def test_differences_and_what_is_made_of_them() -> None:
    frames = [np.full((80, 80, 3), level, np.uint8) for level in (10, 14, 14, 34)]
    reel = Footage(None).open(frames)
    np.testing.assert_allclose(frame_differences(Window(reel, 0, WHOLE), 4), [4, 0, 20], atol=1)
    config = ClipConfig(still=0.5, restless=30, cut=8, cut_ratio=3)

    def whole(*differences: float) -> bool:
        one, other = (is_whole(np.array(order, float), config) for order in (differences, differences[::-1]))
        assert one == other  # the same of the reversed clip
        return one

    assert whole(2, 2, 3, 2, 2, 2, 3, 2, 2)
    assert not whole(0, 0, 0, 0.5, 0, 0, 0, 0, 0)  # nothing moves
    assert not whole(40, 35, 38, 30, 35, 36, 30, 31, 32)  # all is noise
    assert not whole(2, 2, 60, 2, 2, 2, 3, 2, 2)  # a cut
    assert not whole(2, 2, 30, 30, 2, 2, 3, 2, 2)  # one that is blended over two steps
    assert whole(0.1, 0.1, 7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)  # something that starts and stops
    assert whole(0, 12, 0, 12, 0, 12, 0, 12, 0)  # every frame twice


def test_black_borders_are_found() -> None:
    frames = [np.pad(f, ((12, 20), (8, 0), (0, 0))) for f in wandering(5)]
    assert frames[0].shape == (112, 120, 3)
    # Two pixels more than the border, where there is one.
    assert content_area(frames, 10).tolist() == [10, 14, 120, 90]
    assert content_area(wandering(5), 10).tolist() == [0, 0, 112, 80]
    # One bright frame shows that it is not a border, and a dark video is no border.
    frames[3] = np.full_like(frames[3], 40)
    assert content_area(frames, 10).tolist() == [0, 0, 120, 112]
    assert content_area([np.full((60, 80, 3), 3, np.uint8)] * 5, 10).tolist() == [0, 0, 80, 60]


def test_no_crop_shows_a_border(tmp_path: Path) -> None:
    frames = [np.pad(np.maximum(f, 60), ((16, 16), (24, 24), (0, 0))) for f in wandering()]
    path = encode(tmp_path / "v.mp4", frames)
    boxes = np.tile([30.0, 20, 24, 24], (24, 1))  # near the corner: a region about it would reach over the border
    for sequence in (unlabelled(path), Sequence("boxes", VideoFrames(path), boxes)):
        sampler = ClipSampler(Footage(None), [sequence], ClipConfig(size=32, pairs=8, centred=1.0, region_scale=2))
        clips = sampler.draw(np.random.default_rng(1))
        assert int(clips.rgb.float().mean(-1).min()) > 40


def test_crops_about_a_target_stay_with_it_and_tell_nothing_of_the_direction(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", wandering(24, 160, 224))
    x = 8 + 3.0 * np.arange(24)  # the disc
    boxes = np.stack([x, np.full(24, 28.0), np.full(24, 24.0), np.full(24, 24.0)], axis=1)
    boxes[:4] = np.nan
    config = ClipConfig(centred=1.0, shift=0.0, scale=0.0, region_scale=1.5, flip=0.0)
    sampler = ClipSampler(Footage(None), [Sequence("disc", VideoFrames(path), boxes)], config)
    rng = np.random.default_rng(0)
    for _ in range(20):
        window = sampler.window(0, rng)
        assert window is not None
        seen = np.arange(max(4, window.first), window.first + 10)
        # The middle of the whole clip, so that it is the same rectangle for the reversed one.
        middle = np.array([x[seen].mean() + 12, 40])
        side = window.corners[2] - window.corners[0]
        assert side == 36
        np.testing.assert_allclose((window.corners[:2] + window.corners[2:]) / 2, middle, atol=1)
    away = ClipConfig(centred=0.0, smallest=1.0)
    window = ClipSampler(sampler.footage, sampler.sources, away).window(0, rng)
    assert window is not None
    assert window.corners[3] - window.corners[1] == 160


def test_random_crops_vary_within_the_frame(video: Path) -> None:
    sampler = ClipSampler(Footage(None), [unlabelled(video)], ClipConfig(smallest=0.5))
    rng = np.random.default_rng(0)
    windows = [window for _ in range(60) if (window := sampler.window(0, rng)) is not None]
    corners = np.array([window.corners for window in windows])
    sides = corners[:, 2] - corners[:, 0]
    np.testing.assert_array_equal(sides, corners[:, 3] - corners[:, 1])
    assert corners.min() >= 0
    assert (corners[:, 2:] <= [112, 80]).all()
    assert (sides.min(), sides.max()) == (pytest.approx(40, abs=4), pytest.approx(80, abs=4))
    assert {window.flip for window in windows} == {True, False}
    assert {window.first for window in windows} == set(range(15))


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"frames": 2}, "frames of at least 3"),
        ({"pairs": 0}, "pairs and attempts"),
        ({"flip": 1.5}, "flip and centred in 0..1"),
        ({"smallest": 0.0}, "smallest above 0"),
        ({"region_scale": 0.0}, "region_scale"),
        ({"still": 50.0}, "0 <= still < restless"),
    ],
)
def test_bad_settings(bad: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ClipConfig(**bad)  # type: ignore[arg-type]


def test_nothing_to_draw_from_and_clips_that_are_too_short() -> None:
    with pytest.raises(DatasetError, match="at least one video"):
        ClipSampler(Footage(None), [])
    footage = Footage(None, flow=FlowConfig(length=5))
    with pytest.raises(ConfigError, match="a clip of 5 frames has no 5 flows"):
        ClipSampler(footage, [Sequence("a", (), NO_BOXES)], ClipConfig(frames=5))


def test_real_clips_have_no_borders_and_no_cuts(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "unlabeled"
    bordered, cuts = (
        Sequence(name, VideoFrames(folder / f"{name}.mp4"), NO_BOXES)
        for name in ("ProPainter__test-sample3", "VideoLLaMA2__sample_demo_3")
    )
    sampler = ClipSampler(Footage(None), [bordered, cuts])
    assert sampler.area(sampler.footage.open(bordered.frames)).tolist()[1] == 36  # 34 black rows, and two
    # The sixth frame of this one begins another shot.
    reel = sampler.footage.open(cuts.frames)
    assert not is_whole(frame_differences(Window(reel, 0, np.array([0, 0, 270, 270])), 10), ClipConfig(still=0))
