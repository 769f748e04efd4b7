"""What a person's correction does to the tracker."""

from __future__ import annotations

import numpy as np
import pytest
from moving_scene import Scene
from test_tracker import SMALL, run

from asmd.boxes import iou
from asmd.errors import BoxError, FrameError, TrackerStateError
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.result import Status
from asmd.tracking.tracker import Tracker


def test_it_goes_on_from_the_corrected_box(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    run(tracker, scene, 12, hidden=range(2, 12))  # now it is lost, and looks in the wrong place
    result = tracker.correct(scene.frame(30), scene.box(30))
    assert (result.box == scene.box(30)).all()
    assert (result.score, result.status, result.index) == (1.0, Status.FOUND, 11)
    results = [tracker.update(scene.frame(t)) for t in range(31, 36)]
    assert [r.index for r in results] == list(range(12, 17))
    assert min(float(iou(r.box, scene.box(t))) for t, r in enumerate(results, 31)) > 0.5
    assert all(r.status is Status.FOUND for r in results)


def test_it_teaches_the_classifier(network: SpatiotemporalResNet, scene: Scene) -> None:
    """A piece of background that a person calls the target scores as such afterwards."""
    tracker = Tracker(network, SMALL)
    tracker.init(scene.frame(0), scene.box(0))
    elsewhere = np.array([100.0, 10, 28, 28])
    frame = scene.frame(0)

    def score() -> float:
        view = tracker._extractor.look(frame, tracker._flow, elsewhere)
        return float(tracker._learner.classifier.margins(view.describe(elsewhere[None]).identity)[0])

    before = score()
    tracker.correct(frame, elsewhere)
    assert before < 0 < score()


def test_the_same_correction_gives_the_same_boxes(network: SpatiotemporalResNet, scene: Scene) -> None:
    def boxes() -> list[list[float]]:
        tracker = Tracker(network, SMALL, seed=3)
        tracker.init(scene.frame(0), scene.box(0))
        tracker.update(scene.frame(1))
        tracker.correct(scene.frame(1), scene.box(1) + 3)
        return [tracker.update(scene.frame(t)).box.tolist() for t in (2, 3)]

    assert boxes() == boxes()


def test_what_cannot_be_a_correction_is_refused(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    with pytest.raises(TrackerStateError, match="before init"):
        tracker.correct(scene.frame(0), scene.box(0))
    tracker.init(scene.frame(0), scene.box(0))
    with pytest.raises(BoxError, match="no area"):
        tracker.correct(scene.frame(0), [10, 10, 0, 5])
    with pytest.raises(FrameError, match="size changed"):
        tracker.correct(scene.frame(0)[:100], scene.box(0))
    assert tracker.update(scene.frame(1)).index == 1
