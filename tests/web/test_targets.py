"""What the page's process asks of the tracker, frame by frame."""

from __future__ import annotations

import pytest
from quick_preset import QUICK

from asmd.boxes import iou
from asmd.errors import TargetsFailedError
from asmd.samples import drawn_clip
from asmd.web.tracking import Box, Setup, Targets

FRAMES, SQUARES = drawn_clip()


def square(frame: int) -> Box:
    x, y, w, h = (float(v) for v in SQUARES[frame])
    return x, y, w, h


@pytest.fixture
def targets() -> Targets:
    made = Targets(Setup(weights="random", preset=QUICK))  # type: ignore[arg-type]
    made.warm_up()
    return made


def test_a_run_of_two_targets(targets: Targets) -> None:
    ground: Box = (10.0, 10.0, 30.0, 30.0)
    first = targets.take(0, FRAMES[0], {5: square(0), 9: ground}, [])
    assert list(first) == [5, 9] and first[5].box.tolist() == list(square(0))
    for number in (1, 2, 3):
        results = targets.take(number, FRAMES[number], {}, [5, 9])
    assert list(results) == [5, 9]
    assert iou(results[5].box, SQUARES[3]) > 0.5
    only = targets.take(4, FRAMES[4], {}, [5])
    assert list(only) == [5]


def test_a_run_that_goes_on_where_the_last_one_stopped_changes_nothing(targets: Targets) -> None:
    targets.take(0, FRAMES[0], {1: square(0)}, [])
    stopped = targets.take(1, FRAMES[1], {}, [1])[1]
    x, y, w, h = (float(v) for v in stopped.box)
    assert targets.take(1, FRAMES[1], {1: (x, y, w, h)}, []) == {}
    assert iou(targets.take(2, FRAMES[2], {}, [1])[1].box, SQUARES[2]) > 0.5


def test_a_box_that_a_person_drew_is_the_truth_while_others_are_followed(targets: Targets) -> None:
    targets.take(0, FRAMES[0], {1: square(0), 2: (10.0, 10.0, 30.0, 30.0)}, [])
    results = targets.take(1, FRAMES[1], {2: (20.0, 12.0, 32.0, 30.0)}, [1])
    assert results[2].box.tolist() == [20, 12, 32, 30] and results[2].score == 1
    assert iou(results[1].box, SQUARES[1]) > 0.5
    assert sorted(targets.take(2, FRAMES[2], {}, [1, 2])) == [1, 2]


def test_a_target_that_failed_starts_afresh_from_its_next_box(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets.take(0, FRAMES[0], {1: square(0)}, [])

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    [tracker] = targets._tracker._trackers.values()
    monkeypatch.setattr(tracker, "advance", fail)
    with pytest.raises(TargetsFailedError):
        targets.take(1, FRAMES[1], {}, [1])
    assert targets.take(2, FRAMES[2], {1: square(2)}, [])[1].score == 1
    assert iou(targets.take(3, FRAMES[3], {}, [1])[1].box, SQUARES[3]) > 0.5
