from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asmd import boxes as bx

COORDINATE = st.floats(-500, 500, allow_nan=False, width=32)
SIDE = st.floats(0.125, 500, allow_nan=False, width=32)


@st.composite
def box_arrays(draw: st.DrawFn, count: int = 5) -> np.ndarray:
    corner = draw(arrays(np.float64, (count, 2), elements=COORDINATE))
    sides = draw(arrays(np.float64, (count, 2), elements=SIDE))
    return np.concatenate([corner, sides], axis=1)


def test_iou_by_hand() -> None:
    # 10x10 and 10x10 shifted by (5, 5): intersection 25, union 175.
    assert bx.iou([0, 0, 10, 10], [5, 5, 10, 10]) == pytest.approx(25 / 175)
    # A box inside another: 4 / 100.
    assert bx.iou([0, 0, 10, 10], [1, 1, 2, 2]) == pytest.approx(0.04)
    # Boxes that touch share nothing.
    assert bx.iou([0, 0, 10, 10], [10, 0, 10, 10]) == 0
    assert np.isnan(bx.iou([np.nan] * 4, [0, 0, 1, 1]))


@given(box_arrays(), box_arrays())
def test_iou_is_symmetric_and_bounded(a: np.ndarray, b: np.ndarray) -> None:
    forward = bx.iou_matrix(a, b)
    assert forward == pytest.approx(bx.iou_matrix(b, a).T)
    assert ((forward >= 0) & (forward <= 1 + 1e-12)).all()
    assert np.diag(bx.iou_matrix(a, a)) == pytest.approx(1)


@given(box_arrays())
def test_conversions_come_back(a: np.ndarray) -> None:
    assert bx.from_corners(bx.to_corners(a)) == pytest.approx(a, abs=1e-9)
    assert bx.from_center(bx.to_center(a)) == pytest.approx(a, abs=1e-9)


@given(box_arrays(), st.integers(1, 400), st.integers(1, 400), st.floats(0, 5))
def test_clipped_boxes_lie_inside_and_show(a: np.ndarray, height: int, width: int, least: float) -> None:
    clipped = bx.to_corners(bx.clip_to_frame(a, (height, width), least))
    assert (clipped[:, :2] >= -1e-9).all()
    assert (clipped[:, 2:] <= np.array([width, height]) + 1e-9).all()
    assert (clipped[:, 2:] - clipped[:, :2] >= np.minimum(least, [width, height]) - 1e-9).all()


def test_clip_keeps_what_is_inside() -> None:
    assert bx.clip_to_frame([-5, 10, 20, 20], (100, 200)) == pytest.approx([0, 10, 15, 20])
    assert bx.clip_to_frame([190, 90, 20, 20], (100, 200)) == pytest.approx([190, 90, 10, 10])


def test_validity() -> None:
    rows = [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, np.nan, 1], [0, 0, -1, 1], [np.inf, 0, 1, 1]]
    assert bx.is_valid(rows).tolist() == [True, False, False, False, False]


def test_enlarge_keeps_the_centre() -> None:
    assert bx.enlarge([10, 20, 10, 20], 2) == pytest.approx([5, 10, 20, 40])


def test_polygons() -> None:
    square = [0, 0, 10, 0, 10, 10, 0, 10]
    assert bx.polygon_bounds(square) == pytest.approx([0, 0, 10, 10])
    # A square on its corner fills half its bounds: sides shrink by sqrt(1/2), plus the pixel of the published rule.
    diamond = [10, 0, 20, 10, 10, 20, 0, 10]
    assert bx.polygon_to_box(diamond)[2:] == pytest.approx(20 / np.sqrt(2) + 1)
    assert bx.to_center(bx.polygon_to_box(diamond))[:2] == pytest.approx([10, 10])


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match="last axis of 4"):
        bx.as_boxes([1, 2, 3])
