from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asmd.tracking.inputs import LARGE, region_corners

NUMBERS = st.floats(-3000, 5000)
SIDES = st.floats(1, 3000)


@given(NUMBERS, NUMBERS, SIDES, SIDES, st.floats(2, 6))
def test_the_region_is_a_square_about_the_box(x: float, y: float, w: float, h: float, scale: float) -> None:
    x1, y1, x2, y2 = region_corners(np.array([x, y, w, h]), scale).tolist()
    side, wanted = x2 - x1, max(2.0, scale * (w * h) ** 0.5)
    assert side == y2 - y1
    assert abs(side - wanted) <= max(0.5, wanted / (2 * LARGE)) + 1e-6
    assert max(abs((x1 + x2) / 2 - x - w / 2), abs((y1 + y2) / 2 - y - h / 2)) <= 1.25 + wanted / (2 * LARGE)


@given(SIDES, st.integers(0, 3))
def test_a_large_region_can_be_halved_as_often_as_it_is_larger(mean_side: float, halvings: int) -> None:
    x1, _, x2, _ = region_corners(np.array([0, 0, mean_side, mean_side]), 4.0)
    if 4.0 * mean_side >= LARGE * 2**halvings:
        assert (x2 - x1) % 2**halvings == 0
