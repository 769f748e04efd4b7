from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asmd.boxes import iou, to_center
from asmd.errors import ConfigError
from asmd.tracking import candidates as cd

FRAME = (240, 320)
BOX = np.array([100.0, 80.0, 40.0, 60.0])

boxes = st.tuples(st.floats(-50, 350), st.floats(-50, 350), st.floats(1, 400), st.floats(1, 400)).map(np.array)


def test_gaussian_has_the_papers_covariance() -> None:
    """diag(0.09 r^2, 0.09 r^2, 0.25), r the mean side, but for the clip at two deviations (which takes 4 % off)."""
    drawn = to_center(cd.gaussian(BOX, 200_000, 0.6, 1.0, np.random.default_rng(0)))
    r = BOX[2:].mean()
    shifts = drawn[:, :2] - to_center(BOX)[:2]
    clipped = np.clip(np.random.default_rng(1).standard_normal(500_000), -2, 2).std()
    assert shifts.std(axis=0) == pytest.approx(0.3 * r * clipped, rel=0.01)
    exponents = np.log(drawn[:, 2] / BOX[2]) / np.log(1.05)
    assert exponents.std() == pytest.approx(0.5 * clipped, rel=0.01)
    assert np.abs(shifts).max() <= 0.6 * r + 1e-9
    np.testing.assert_allclose(drawn[:, 2] / BOX[2], drawn[:, 3] / BOX[3])  # one draw for both sides


def test_uniform_reaches_its_bounds_evenly() -> None:
    drawn = to_center(cd.uniform(BOX, 50_000, 2.0, 5.0, np.random.default_rng(0)))
    shifts = (drawn[:, :2] - to_center(BOX)[:2]) / BOX[2:].mean()
    assert np.abs(shifts).max() == pytest.approx(2, abs=0.01)
    assert shifts.std(axis=0) == pytest.approx(2 / np.sqrt(3), rel=0.01)


def test_aspect_changes_the_sides_apart() -> None:
    drawn = cd.aspect(BOX, 10_000, 0.3, 10, np.random.default_rng(0))
    ratio = np.log((drawn[:, 2] / drawn[:, 3]) / (BOX[2] / BOX[3])) / np.log(1.05)
    assert 3.8 < np.abs(ratio).max() <= 4 + 1e-9


@settings(max_examples=100)
@given(boxes, st.integers(20, 400), st.integers(20, 400), st.floats(1, 12))
def test_limited_boxes_are_sane(box: np.ndarray, height: int, width: int, least: float) -> None:
    limited = cd.limit(box[None], (height, width), least)[0]
    assert np.isfinite(limited).all()
    low = np.minimum(least, np.array([width, height]) / 3)
    assert (limited[2:] >= low - 1e-9).all()
    assert (limited[2:] <= np.array([width, height]) - low + 1e-9).all()
    centre = limited[:2] + limited[2:] / 2
    assert (centre >= -1e-9).all() and (centre <= np.array([width, height]) + 1e-9).all()


def test_limit_leaves_ordinary_boxes() -> None:
    np.testing.assert_allclose(cd.limit(BOX[None], FRAME)[0], BOX)


def test_whole_frame_covers_the_frame() -> None:
    drawn = to_center(cd.whole_frame(BOX, FRAME, 2000, np.random.default_rng(0)))
    assert len(drawn) == 2000
    counts, _, _ = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=4, range=[[0, 320], [0, 240]])
    assert counts.min() > 60
    exponents = np.unique(np.round(np.log(drawn[:, 2] / BOX[2]) / np.log(1.05)).astype(int))
    assert exponents.tolist() == list(range(-5, 6))


def test_whole_frame_without_room() -> None:
    assert cd.whole_frame(np.array([0.0, 0, 320, 240]), (200, 200), 10, np.random.default_rng(0)).shape == (0, 4)


def test_grid_covers_the_frame() -> None:
    everywhere = cd.grid(BOX, FRAME, 0.25, (1.0,))
    assert iou(everywhere, BOX).max() > 0.8
    assert everywhere[:, 0].min() == 0
    assert (everywhere[:, 0] + everywhere[:, 2]).max() == pytest.approx(320)


def test_grid_of_a_small_target_in_a_large_frame_stays_small() -> None:
    drawn = cd.grid(np.array([100.0, 100, 5, 6]), (2160, 3840), 0.25, (0.8, 1.0, 1.25), most=3000)
    assert 2000 < len(drawn) < 4500
    assert drawn[:, 0].min() == 0
    assert (drawn[:, 1] + drawn[:, 3]).max() == pytest.approx(2160)


@pytest.mark.parametrize(
    "config",
    [
        cd.SampleConfig("gaussian", 0.1, 5, 500, min_iou=0.7),
        cd.SampleConfig("uniform", 1, 10, 2500, max_iou=0.5),
        cd.SampleConfig("uniform", 2, 5, 200, max_iou=0.3),
        cd.SampleConfig("aspect", 0.3, 10, 1000, min_iou=0.6),
    ],
)
def test_samples_have_the_wanted_overlap_and_number(config: cd.SampleConfig) -> None:
    drawn = cd.samples(BOX, FRAME, config, np.random.default_rng(0))
    overlap = iou(drawn, BOX)
    assert len(drawn) == config.count
    assert (overlap >= config.min_iou).all() and (overlap <= config.max_iou).all()


def test_a_range_that_no_draw_reaches_gives_nothing() -> None:
    config = cd.SampleConfig("uniform", 0.1, 1, 50, max_iou=0.1)
    assert cd.samples(BOX, FRAME, config, np.random.default_rng(0)).shape == (0, 4)


def test_same_seed_same_boxes() -> None:
    first, second = (cd.gaussian(BOX, 10, 0.6, 1, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="min_iou"):
        cd.SampleConfig("uniform", 1, 1, 10, min_iou=0.8, max_iou=0.5)
    with pytest.raises(ConfigError, match="at least 0"):
        cd.SampleConfig("uniform", -1, 1, 10)


def test_close_boxes_change_shift_size_and_aspect_apart() -> None:
    drawn = to_center(cd.close(BOX, 50_000, 0.1, 2.0, 0.5, np.random.default_rng(0)))
    side = np.sqrt(BOX[2] * BOX[3])
    assert np.abs(drawn[:, :2] - to_center(BOX)[:2]).max() == pytest.approx(0.1 * side)
    logs = np.log(drawn[:, 2:] / BOX[2:]) / np.log(1.05)
    size, stretch = logs.mean(axis=1), (logs[:, 0] - logs[:, 1]) / 2
    assert np.abs(size).max() == pytest.approx(2) and np.abs(stretch).max() == pytest.approx(0.5)
    assert abs(np.corrcoef(size, stretch)[0, 1]) < 0.02
    assert size.mean() == pytest.approx(0, abs=0.02)


def test_fits_cover_every_overlap() -> None:
    """As far, as large and as stretched as promised; each tenth of IoU is there, near boxes being the better ones."""
    drawn = cd.fits(BOX, 2001, np.random.default_rng(0))
    assert drawn.shape == (2001, 4)
    assert (np.histogram(iou(drawn, BOX), np.linspace(0, 1, 11))[0] > 0).all()
    side = np.sqrt(BOX[2] * BOX[3])
    for part, shift, stretch in ((drawn[:1001], 0.4, 4.0), (drawn[1001:], 2.0, 2.0)):
        centres = np.abs(to_center(part)[:, :2] - to_center(BOX)[:2]) / side
        assert 0.9 * shift < centres.max() <= shift + 1e-9
        assert np.median(centres) < 0.4 * shift  # half of evenly spread ones would be below 0.5
        logs = np.log(part[:, 2:] / BOX[2:]) / np.log(1.05)
        for exponents, most in ((logs.mean(axis=1), 8.0), ((logs[:, 0] - logs[:, 1]) / 2, stretch)):
            assert 0.95 * most < np.abs(exponents).max() <= most + 1e-9
            # Even on both sides of 0: the mean of 1000 draws is within five of its deviations.
            assert abs(exponents.mean()) < 5 * most / np.sqrt(3 * len(part))
    near, far = iou(drawn[:1001], BOX), iou(drawn[1001:], BOX)
    assert near.mean() > far.mean()
