"""Updates of the classifier are made a few steps a frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
from moving_scene import Scene

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.classifier import Course
from asmd.tracking.config import TrackerConfig
from asmd.tracking.tracker import MOST_COURSES, Tracker

REALTIME = TrackerConfig.realtime()
SMALL = replace(
    REALTIME,
    features=replace(REALTIME.features, region_size=97),
    sampling=replace(
        REALTIME.sampling,
        initial_near=SampleConfig("uniform", 1, 10, 200, max_iou=0.5),
        initial_whole=0,
        augmentations=(),
    ),
)


def steps_by_frame(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch, pace: int, interval: int
) -> tuple[Tracker, list[int]]:
    """A tracker after 12 frames, and the steps that its classifier made in each."""
    config = replace(
        SMALL,
        classifier=replace(SMALL.classifier, pace=pace, init_steps=5),
        memory=replace(SMALL.memory, short_interval=interval, failure_interval=0),
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
    return tracker, made[1:]


def test_steps_are_made_at_the_pace(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=4, interval=6)
    assert made == [0, 0, 0, 0, 0, 4, 4, 2, 0, 0, 0, 4]
    assert len(tracker._courses) == 1


def test_without_a_pace_all_are_made_at_once(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=0, interval=6)
    assert made == [0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 10]
    assert not tracker._courses


def test_updates_do_not_pile_up(network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, made = steps_by_frame(network, scene, monkeypatch, pace=1, interval=1)
    assert len(tracker._courses) <= MOST_COURSES
    assert sum(made) + sum(c.remaining for c in tracker._courses) == 12 * 10
