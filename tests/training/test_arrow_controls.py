"""Controls of the arrow of time: what an honest classifier gets, and what one that reads the coding does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from footage import broken_video, encode
from models.narrow_networks import FLOWS, narrow_trunk
from torch import Tensor

from asmd.errors import ConfigError, DatasetError
from asmd.flow import FlowConfig
from asmd.models.private_shared import PrivateSharedConfig, PrivateSharedNetwork
from asmd.sequence import Frame, Sequence
from asmd.training import arrow_controls
from asmd.training.arrow_controls import (
    CODED,
    CODED_IN_REVERSE,
    HELD_OUT,
    MEANINGS,
    PAN_INTER,
    PAN_INTRA,
    PAN_RAW,
    STATIC,
    ArrowReport,
    ControlConfig,
    DirectionScore,
    measure,
    panned,
)
from asmd.training.clips import ClipConfig, ClipSampler
from asmd.training.footage import Footage
from asmd.video import VideoFrames
from asmd.video.sinks import VideoWriter, write_video

QUICK = ControlConfig(clips=2, control_clips=2, length=12, resamples=200)
LEAST = ControlConfig(videos=1, clips=1, control_clips=1, length=7, resamples=1)


def textured(height: int, width: int, seed: int) -> Frame:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    return np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 30, 225, cv2.NORM_MINMAX), np.uint8)


def rightward(path: Path, seed: int, count: int = 20) -> Sequence:
    """A video in which all moves to the right, 2 px a frame."""
    plane = textured(64, 96 + 2 * count, seed)
    encode(path, [plane[:, 2 * (count - i) : 2 * (count - i) + 96] for i in range(count)])
    return Sequence(path.stem, VideoFrames(path), np.empty((0, 4)))


@pytest.fixture
def sampler(tmp_path: Path) -> ClipSampler:
    sources = [rightward(tmp_path / f"{k}.mp4", k) for k in range(2)]
    footage = Footage(tmp_path / "cache", flow=FlowConfig(length=FLOWS))
    return ClipSampler(footage, sources, ClipConfig(size=33, flip=0.0, frames=7))


def to_the_right(rgb: Tensor, flow: Tensor) -> Tensor:
    return flow[:, :, 0::2].mean((1, 2, 3, 4))


def brighter(rgb: Tensor, flow: Tensor) -> Tensor:
    return (rgb[:, 1] - rgb[:, 0]).mean((1, 2, 3))


def haphazard(rgb: Tensor, flow: Tensor) -> Tensor:
    """Depends on everything that it is given, and on the direction, in no sensible way."""
    weights = torch.randn(rgb[0].numel() + flow[0].numel(), generator=torch.Generator().manual_seed(0))
    return torch.cat([rgb.flatten(1), flow.flatten(1)], 1) @ weights


def test_motion_that_tells_the_direction_tells_it_on_held_out_videos_alone(sampler: ClipSampler) -> None:
    report = measure(to_the_right, sampler, QUICK)
    assert [score.name for score in report.scores] == list(MEANINGS)
    assert report.skipped == ()
    # In the world all moves to the right; coding it against time changes nothing.
    for name in (HELD_OUT, CODED, CODED_IN_REVERSE):
        assert report[name].accuracy == report[name].paired == (1, 1, 1), name
        assert report[name].videos == ("0", "0", "1", "1")
    # A pan to the left follows every pan to the right.
    for name in (PAN_INTRA, PAN_RAW):
        assert report[name].accuracy == report[name].paired == (0.5, 0.5, 0.5), name
    assert len(report[PAN_INTER].videos) == len(report[PAN_RAW].videos) == 8


def test_controls_without_coding_are_the_same_both_ways_to_anything(sampler: ClipSampler) -> None:
    report = measure(haphazard, sampler, QUICK)
    for name in (PAN_INTRA, PAN_RAW):
        score = report[name]
        assert score.accuracy.value == score.paired.value == 0.5
        # Not because both directions look alike, but because each is the other's reverse.
        assert np.abs(score.forward - score.reverse).min() > 1e-3
        np.testing.assert_allclose(np.sort(score.forward), np.sort(score.reverse), atol=1e-4)


def test_one_that_reads_the_coding_is_found_out(sampler: ClipSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coding that leaves a mark: every picture is a little brighter than the one before it."""

    @contextmanager
    def marking(path: Path, crf: int, options: Mapping[str, str]) -> Iterator[VideoWriter]:
        with write_video(path, crf=1) as video:
            written = [0]
            plain = video.write

            def write(frame: Frame) -> None:
                plain(np.clip(frame.astype(int) - 20 + 4 * written[0], 0, 255).astype(np.uint8))
                written[0] += 1

            monkeypatch.setattr(video, "write", write)
            yield video

    monkeypatch.setattr(arrow_controls, "write_video", marking)
    report = measure(brighter, sampler, QUICK)
    found = {score.name: score.accuracy.value for score in report.scores}
    del found[HELD_OUT]
    assert found == {STATIC: 1, PAN_INTER: 1, PAN_INTRA: 1, PAN_RAW: 0.5, CODED: 1, CODED_IN_REVERSE: 0}


def test_the_same_seed_shows_the_same_clips(sampler: ClipSampler) -> None:
    first, again, other = (measure(haphazard, sampler, QUICK, seed=seed) for seed in (1, 1, 2))
    for name in (HELD_OUT, PAN_INTRA, PAN_RAW):  # inter-coding does not always write the same twice
        np.testing.assert_array_equal(first[name].forward, again[name].forward)
        assert first[name].accuracy == again[name].accuracy
    assert not np.array_equal(first[HELD_OUT].forward, other[HELD_OUT].forward)


def test_a_network_is_asked_and_left_as_it_was(sampler: ClipSampler) -> None:
    network = PrivateSharedNetwork.build(narrow_trunk(), 2, PrivateSharedConfig(variant="ASPS"))
    network.train()
    report = measure(network, sampler, LEAST)
    assert network.training
    assert all(np.isfinite(score.forward).all() for score in report.scores)
    assert report[PAN_RAW].accuracy.value == 0.5
    plain = PrivateSharedNetwork.build(narrow_trunk(), 2, PrivateSharedConfig(variant="APS"))
    with pytest.raises(ConfigError, match="variant APS does not learn the arrow of time"):
        measure(plain, sampler, LEAST)


def test_a_pan_reversed_is_the_opposite_pan() -> None:
    image = textured(60, 100, 0)
    seen = set()
    for seed in range(20):
        frames = panned(image, 8, 3, np.random.default_rng(seed))
        assert len(frames) == 8
        height, width = frames[0].shape[:2]
        assert 60 - height in (0, 7, 14, 21)
        assert 100 - width in (0, 7, 14, 21)
        places = [
            np.unravel_index(int(cv2.matchTemplate(image, frame, cv2.TM_SQDIFF).argmin()), (61 - height, 101 - width))
            for frame in frames
        ]
        steps = {tuple(step) for step in np.diff(places, axis=0).tolist()}
        assert len(steps) == 1
        assert steps != {(0, 0)}
        seen |= steps
    assert len(seen) > 10
    # An image that is too small for the speed is panned more slowly, one that is tiny not at all.
    assert panned(textured(30, 30, 0), 8, 9, np.random.default_rng(0))[0].shape[0] >= 15
    assert panned(textured(8, 8, 0), 8, 3, np.random.default_rng(0))[0].shape == (8, 8, 3)


def test_scores_by_hand() -> None:
    forward, reverse = np.array([2.0, 1.0, -1.0, -3.0]), np.array([-1.0, 3.0, -1.0, -2.0])
    score = DirectionScore.of(HELD_OUT, forward, reverse, ["a", "a", "b", "b"], ControlConfig(resamples=500))
    # Right: forward yes, yes, no, no; reversed yes, no, yes, yes. In pairs: yes, no, a draw, no.
    assert score.accuracy.value == 5 / 8
    assert score.paired.value == 1.5 / 4
    # Video a: 3/4 and 1/2; video b: 1/2 and 1/4. Drawn twice the same, these are the ends.
    assert score.accuracy[1:] == (0.5, 0.75)
    assert score.paired[1:] == (0.25, 0.5)
    alone = DirectionScore.of(HELD_OUT, forward, reverse, ["a"] * 4)
    assert alone.accuracy.value == 5 / 8
    assert np.isnan(alone.accuracy[1:]).all()  # one video says nothing of others
    text = str(ArrowReport((score,)).table())
    assert "held out" in text
    assert "0.625" in text
    assert "0.375" in text
    with pytest.raises(KeyError):
        ArrowReport((score,))[STATIC]


def test_videos_that_fail_are_named(sampler: ClipSampler, tmp_path: Path) -> None:
    still = encode(tmp_path / "still.mp4", [textured(64, 96, 0)] * 12)
    broken = broken_video(tmp_path / "broken.mp4", count=7, broken=3)
    bad = [Sequence(path.stem, VideoFrames(path), np.empty((0, 4))) for path in (still, broken)]
    report = measure(to_the_right, ClipSampler(sampler.footage, [*sampler.sources, *bad], sampler.config), QUICK)
    assert set(report[HELD_OUT].videos) == {"0", "1"}
    assert len(report.skipped) == 2
    assert report.skipped[0] == "still: there are cuts in it, or nothing moves"
    assert "broken.mp4: frame 3 is damaged" in report.skipped[1]
    with pytest.raises(DatasetError, match="no clip to tell the direction of: broken"):
        measure(to_the_right, ClipSampler(sampler.footage, bad, sampler.config), QUICK)


def test_no_more_videos_than_asked_for(sampler: ClipSampler) -> None:
    chosen = [measure(to_the_right, sampler, LEAST, seed=seed)[HELD_OUT].videos for seed in range(4)]
    assert set(chosen) == {("0",), ("1",)}


@pytest.mark.parametrize("bad", [{"clips": 0}, {"quality": 52}, {"confidence": 1.0}])
def test_bad_settings(sampler: ClipSampler, bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="controls need"):
        ControlConfig(**bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a control of 6 frames is shorter than a clip of 7"):
        measure(to_the_right, sampler, ControlConfig(length=6))
