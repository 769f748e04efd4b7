from __future__ import annotations

import numpy as np
import pytest

from asmd.errors import BoxError, FrameError
from asmd.tracking.checks import check_box, check_frame


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, 10, 0, 20), "no area"),
        ((10, 10, -5, 20), "no area"),
        ((float("nan"), 10, 20, 20), "not finite"),
        ((10, 10, float("inf"), 20), "not finite"),
        ((10, 10, 2, 2), "too small"),
        ((500, 10, 20, 20), "outside the frame of 160x120"),
        ((-30, 10, 20, 20), "outside the frame"),
        ((159, 10, 20, 20), "too small"),
        ((10, 10, 20), "four numbers"),
        ("ten", "four numbers"),
    ],
)
def test_bad_boxes(box: object, reason: str) -> None:
    with pytest.raises(BoxError, match=reason) as caught:
        check_box(box, (120, 160))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((120, 160), np.uint8),
        np.zeros((120, 160, 4), np.uint8),
        np.zeros((120, 160, 3), np.uint16),
        np.zeros((120, 160, 3), np.float32),
        np.zeros((5, 5, 3), np.uint8),
        None,
    ],
)
def test_bad_frames(frame: object) -> None:
    with pytest.raises(FrameError):
        check_frame(frame)


def test_a_frame_of_another_size() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    assert check_frame(frame, (60, 80)) is frame
    with pytest.raises(FrameError, match="changed from 160x120 to 80x60"):
        check_frame(frame, (120, 160))


def test_a_box_is_clipped_to_the_frame() -> None:
    np.testing.assert_array_equal(check_box((-10, 100, 30, 40), (120, 160)), [0, 100, 20, 20])
