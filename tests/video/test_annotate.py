"""The drawing says what the result says, at every size of frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asmd.tracking.result import Status, TrackResult
from asmd.video.annotate import COLOURS, Annotator, Pen


def result(box: tuple[float, float, float, float], status: Status = Status.FOUND, score: float = 0.87) -> TrackResult:
    return TrackResult(0, np.array(box, dtype=float), score, status)


def drawn(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where a colour was drawn at full strength."""
    return np.asarray((np.abs(image.astype(int) - colour) <= 8).all(axis=2))


@pytest.mark.parametrize("status", Status)
def test_box_is_where_it_should_be_in_the_colour_of_its_status(status: Status) -> None:
    frame = np.full((240, 320, 3), 128, np.uint8)
    image = Annotator().draw(frame, result((100, 80, 120, 90), status))
    where = drawn(image, COLOURS[status])
    below_label = np.argwhere(where[80:175])
    assert abs(below_label[:, 0].max() + 80 - 170) <= 2
    assert abs(below_label[:, 1].min() - 100) <= 2
    assert abs(below_label[:, 1].max() - 220) <= 2
    middle_of_side = where[125, 97:104].any()
    assert middle_of_side == (status is not Status.LOST)  # corners only where the target is lost
    assert not where[100:150, 120:200].any()


def test_frame_itself_stays_as_it_is() -> None:
    frame = np.full((100, 100, 3), 128, np.uint8)
    Annotator().draw(frame, result((10, 30, 40, 40)))
    assert (frame == 128).all()


def test_trail_follows_the_centres_and_ends_with_a_loss() -> None:
    frame = np.full((240, 320, 3), 128, np.uint8)
    annotator = Annotator()
    for x in range(40, 200, 4):
        image = annotator.draw(frame, result((x, 100, 80, 80)))
    assert (image[138:143, 120:190] != 128).any(axis=(0, 2)).all()
    assert (image[138:143, 284:] == 128).all()  # right of the box
    annotator.draw(frame, result((200, 100, 80, 80), Status.LOST))
    image = annotator.draw(frame, result((200, 100, 80, 80)))
    assert (image[130:150, 100:190] == 128).all()


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 640), (1080, 1920), (2160, 3840)])
def test_lines_and_letters_grow_with_the_frame(height: int, width: int) -> None:
    pen = Pen.for_frame(height, width)
    assert pen.line >= 2
    assert pen.text >= 9
    assert 0.012 < pen.text / (height * width) ** 0.5 < 0.04
    image = Annotator().draw(
        np.zeros((height, width, 3), np.uint8), result((width / 3, height / 3, width / 5, height / 5))
    )
    label = drawn(image, COLOURS[Status.FOUND])[: height // 3 - pen.line - 2]
    assert label.any(axis=1).sum() >= pen.text  # the tag above the box is at least as high as its letters


@pytest.mark.parametrize("box", [(0, 0, 60, 60), (270, 0, 60, 239), (-40, -40, 50, 50), (310, 230, 30, 30)])
def test_label_is_whole_within_the_frame(box: tuple[float, float, float, float]) -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    inside = Annotator().draw(black, result((100, 100, 60, 60)))
    tag = drawn(inside, COLOURS[Status.FOUND])[80:97].sum()
    image = Annotator().draw(black, result(box))
    assert drawn(image, COLOURS[Status.FOUND]).sum() >= tag * 0.9


@given(
    st.tuples(*[st.floats(-2000, 2000)] * 2, *[st.floats(0.01, 3000)] * 2),
    st.sampled_from(Status),
    st.floats(0, 1) | st.just(float("nan")),
    st.tuples(st.integers(8, 90), st.integers(8, 90)),
)
@settings(deadline=None)
def test_any_result_can_be_drawn(
    box: tuple[float, float, float, float], status: Status, score: float, size: tuple[int, int]
) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    image = Annotator().draw(frame, result(box, status, score))
    assert image.shape == frame.shape
    assert image.dtype == np.uint8
