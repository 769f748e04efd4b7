"""Updates of the classifier are made a few steps a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving_scene import Scene
from quick_preset import QUICK

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.classifier import Course
from asmd.tracking.tracker import Tracker
from asmd.tracking.updates import MOST_COURSES, due


def steps_by_frame(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch, pace: int, interval: int
) -> tuple[Tracker, list[int]]:
    """A tracker after 12 frames, and the steps that its classifier made in each."""
    config = replace(
        QUICK,
        classifier=replace(QUICK.classifier, pace=pace, init_steps=5),
        memory=replace(QUICK.memory, short_interval=interval, failure_interval=0),
    )
    made, advance = [0], Course.advance

    def counted(course: Course, steps: int) -> float:
        made[-1] += min(steps, course.remaining)
        return advance(course, steps)

    monkeypatch.setattr(Course, "advance", counted)
    tracker = Tracker(network, config)
    tracker.init(scene.frame(0), scene.box(0))
    for t in range(1, 13):
        made.append(0)
        tracker.update(scene.frame(t))
        tracker.settle()
    return tracker, made[1:]


def test_steps_are_made_at_the_pace(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=4, interval=6)
    # They begin on the sixth frame, which prepares them.
    assert made == [0, 0, 0, 0, 0, 0, 4, 4, 2, 0, 0, 0]
    assert len(tracker._learner._updates.courses) == 1


def test_without_a_pace_all_are_made_at_once(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=0, interval=6)
    assert made == [0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 10]
    assert not tracker._learner._updates.courses


def test_updates_do_not_pile_up(network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=1, interval=1)
    assert len(tracker._learner._updates.courses) <= MOST_COURSES
    assert sum(made) + sum(c.remaining for c in tracker._learner._updates.courses) == 12 * 10


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_whatever_the_phase_it_is_due_once_in_each_interval(interval: int, phase: float) -> None:
    frames = [index for index in range(1, 3 * interval + 1) if due(index, interval, phase)]
    assert len(frames) == 3 and set(np.diff(frames)) == {interval}
    assert frames[0] == interval - int(phase * interval)
