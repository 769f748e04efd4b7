"""Where weights have a head for box regression, it has a say in which candidate is best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import Scene
from quick_preset import QUICK

from asmd.boxes import to_center
from asmd.models.box_refinement import BoxRefinement, Refined, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.box_regression import LearnedRegressor
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import RegionView
from asmd.tracking.tracker import Tracker

ALONE = replace(QUICK.regression, learnt=1.0, iterations=1)


def settings(judged: int, judgement: float) -> TrackerConfig:
    search = replace(QUICK.search, judged=judged, judgement=judgement, best=1)
    return replace(QUICK, search=search, regression=ALONE)


class Opinion:
    """Stands for the head: likes boxes the more the further right they are, and leaves all where they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[np.ndarray] = []
        monkeypatch.setattr(LearnedRegressor, "judge", self.judge)

    def judge(self, view: RegionView, boxes: np.ndarray) -> Refined:
        self.asked.append(boxes)
        return Refined(torch.zeros(len(boxes), 4), torch.from_numpy(boxes[:, 0]).float())


def second_frame(network: SpatiotemporalResNet, scene: Scene, config: TrackerConfig) -> tuple[Tracker, np.ndarray]:
    torch.manual_seed(0)
    head = BoxRefinement(RefinementConfig(projected=4, grid=4, width=8, hidden=16)).eval()
    tracker = Tracker(network, config, refinement=head)
    tracker.init(scene.frame(0), scene.box(0))
    return tracker, tracker.update(scene.frame(1)).box


def test_its_say_grows_with_its_weight(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    opinion = Opinion(monkeypatch)
    _, deaf = second_frame(network, scene, settings(16, 0.0))
    (judged,) = opinion.asked
    assert judged.shape == (16, 4)
    # What is reported is the mean of the best five; it was asked of the classifier's best first.
    np.testing.assert_allclose(to_center(deaf)[:2], to_center(judged[:5]).mean(axis=0)[:2], atol=1e-6)
    _, swayed = second_frame(network, scene, settings(16, 1e3))
    right = judged[np.argsort(-judged[:, 0])[:5]]
    np.testing.assert_allclose(to_center(swayed)[:2], to_center(right).mean(axis=0)[:2], atol=1e-6)


def test_it_takes_the_place_of_the_overlap(network: SpatiotemporalResNet, scene: Scene) -> None:
    assert second_frame(network, scene, settings(16, 2.0))[0]._learner.overlap is None
    assert second_frame(network, scene, settings(0, 2.0))[0]._learner.overlap is not None
    unrefined = replace(settings(16, 2.0), regression=replace(ALONE, enabled=False))
    assert second_frame(network, scene, unrefined)[0]._learner.overlap is not None


def test_it_is_asked_once_of_a_box(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first move of a candidate is that which came with the judgement."""
    opinion = Opinion(monkeypatch)
    second_frame(network, scene, replace(settings(16, 2.0), regression=replace(ALONE, iterations=2)))
    assert [len(boxes) for boxes in opinion.asked] == [16, 1]
    opinion.asked.clear()
    # Too few were judged for all that box regression averages.
    second_frame(network, scene, replace(settings(3, 2.0), regression=ALONE))
    assert [len(boxes) for boxes in opinion.asked] == [3, 5]
