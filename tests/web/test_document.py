"""Targets, their boxes, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from asmd.convert import Annotation, Target
from asmd.errors import BoxError, ConfigError
from asmd.tracking.result import Status, TrackResult
from asmd.web.document import MOST_TARGETS, UNDO, Document


def document() -> Document:
    return Document(10, (100, 80), 25.0)


def test_targets_have_names_and_colours_of_their_own() -> None:
    made = document()
    subjects = [made.add() for _ in range(5)] + [made.add("target 1")]
    assert len({s.name for s in subjects}) == len({s.colour for s in subjects}) == 6
    assert made.rename(2, "target 1") not in {s.name for s in subjects if s.identity != 2}
    made.recolour(1, "red; }")
    made.recolour(2, "#010203")
    assert made.subjects[1].colour.startswith("#") and made.subjects[2].colour == "#010203"
    while len(made.subjects) < MOST_TARGETS:
        made.add()
    with pytest.raises(ConfigError, match="are the most"):
        made.add()


def test_a_drawn_box_is_clipped_and_checked() -> None:
    made = document()
    identity = made.add().identity
    made.draw(identity, 3, [90, 70, 30, 30])
    assert made.subjects[identity].box(3) == (90, 70, 10, 10)
    assert made.drawn_boxes(identity) == {3: (90, 70, 10, 10)}
    for frame, box in ((10, [1, 1, 9, 9]), (-1, [1, 1, 9, 9]), (0, [1, 1, 0, 9]), (0, [float("nan"), 1, 9, 9])):
        with pytest.raises(BoxError):
            made.draw(identity, frame, box)


def test_undo_and_redo() -> None:
    made = document()
    made.remember()
    identity = made.add().identity
    made.draw(identity, 0, [1, 1, 9, 9])
    made.remember()
    made.draw(identity, 0, [2, 2, 9, 9])
    made.undo()
    assert made.subjects[identity].box(0) == (1, 1, 9, 9)
    made.redo()
    assert made.subjects[identity].box(0) == (2, 2, 9, 9)
    made.undo()
    made.undo()
    assert not made.subjects and made.can_redo and not made.can_undo
    made.undo()  # nothing is left
    made.redo()
    made.remember()
    assert not made.can_redo  # another way was taken
    for _ in range(3 * UNDO):
        made.remember()
    assert len(made._past) == UNDO


def test_a_longer_video_after_undo() -> None:
    made = document()
    made.remember()
    identity = made.add().identity
    made.undo()
    made.lengthen(12)
    made.redo()
    assert len(made.subjects[identity].boxes) == 12


def test_the_timeline_shows_the_worst_of_frames_put_together() -> None:
    made = Document(4000, (100, 80))
    subject = made.add()
    for frame in range(4000):
        subject.put(frame, TrackResult(frame, np.array([1.0, 1, 9, 9]), 0.9, Status.FOUND))
    subject.put(2000, TrackResult(2000, np.array([1.0, 1, 9, 9]), 0.1, Status.LOST))
    subject.clear(0)
    line = subject.timeline(400)
    assert len(line["score"]) == len(line["status"]) == 400
    assert line["status"].count("l") == 1 and line["status"][200] == "l" and line["score"][200] == 0.1
    assert line["status"][0] == "f"
    assert Document(3, (9, 9)).add().timeline()["status"] == "---"


def test_out_and_in_again() -> None:
    made = document()
    subject = made.add("a")
    made.add("empty")
    made.draw(subject.identity, 2, [1, 2, 30, 40])
    annotation = made.annotation()
    assert [t.name for t in annotation.targets] == ["a"]
    longer = Annotation.of([Target("a", np.tile([1.0, 2, 30, 40], (15, 1)))])
    assert made.take(longer) == 1
    taken = list(made.subjects.values())[-1]
    assert taken.name == "a 2" and taken.has_box(9)
