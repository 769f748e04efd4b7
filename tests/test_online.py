"""The lazy generator: numbers, laziness, refusals."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from fake_tracker import ScriptedTracker
from footage import broken_video, encode, numbered_frames, size_changing_video
from hypothesis import given
from hypothesis import strategies as st

import asmd
from asmd.errors import BoxError, ConfigError, FrameError, SourceError
from asmd.online import follow, parse_box

BOX = (10, 12, 20, 20)


def test_a_result_a_frame_numbered_as_in_the_source(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", numbered_frames(20))
    results = list(asmd.track(path, BOX, start=4, frames=10, tracker=ScriptedTracker()))
    assert [r.index for r in results] == list(range(4, 14))
    np.testing.assert_array_equal(results[0].box, BOX)
    np.testing.assert_array_equal(results[3].box, [13, 12, 20, 20])


def test_a_skipped_frame_leaves_a_gap(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = broken_video(tmp_path / "v.mp4", 30, 20)
    numbers = [r.index for r in asmd.track(path, BOX, tracker=ScriptedTracker())]
    assert numbers == [*range(20), *range(21, 30)]
    assert "frame 20 is skipped" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_nothing_is_tracked_before_it_is_asked_for() -> None:
    tracker = ScriptedTracker()
    given = []

    def frames():  # type: ignore[no-untyped-def]
        for i, frame in enumerate(numbered_frames(9)):
            given.append(i)
            yield i, frame

    results = follow(frames(), tracker, BOX)
    assert given == []
    next(results)
    next(results)
    assert given == [0, 1]


def test_leaving_early_lets_go_of_the_source(tmp_path: Path) -> None:
    import threading

    path = encode(tmp_path / "v.mp4", numbered_frames(200))
    for result in asmd.track(path, BOX, tracker=ScriptedTracker()):
        if result.index == 3:
            break
    del result
    assert not [t for t in threading.enumerate() if t.name == "asmd-decode"]


@pytest.mark.parametrize(
    ("box", "start", "frames", "error"),
    [
        ((10, 10, 0, 20), 0, None, BoxError),
        ((10, 10, 2, 2), 0, None, BoxError),
        ((100, 10, 20, 20), 0, None, BoxError),
        ((np.nan, 10, 20, 20), 0, None, BoxError),
        ((10, 10, 20), 0, None, BoxError),
        (BOX, -1, None, ConfigError),
        (BOX, 0, 0, ConfigError),
        (BOX, 20, None, SourceError),
    ],
)
def test_refusals(
    tmp_path: Path, box: tuple[float, ...], start: int, frames: int | None, error: type[Exception]
) -> None:
    path = encode(tmp_path / "v.mp4", numbered_frames(20))
    with pytest.raises(error):
        list(asmd.track(path, box, start=start, frames=frames, tracker=ScriptedTracker()))


def test_frames_of_another_size_are_refused_after_those_before(tmp_path: Path) -> None:
    results = asmd.track(size_changing_video(tmp_path / "v.h264", 5), BOX, tracker=ScriptedTracker())
    seen = []
    with pytest.raises(FrameError, match="frame 5 is 96x80"):
        seen.extend(r.index for r in results)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_a_box_is_read_as_written(numbers: list[float]) -> None:
    assert parse_box(",".join(map(repr, numbers))) == tuple(numbers)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1 2 3 4", "a,b,c,d", "1,2,3,"])
def test_what_is_no_box_is_quoted(text: str) -> None:
    with pytest.raises(BoxError, match="X,Y,W,H") as refused:
        parse_box(text)
    assert repr(text) in str(refused.value)
