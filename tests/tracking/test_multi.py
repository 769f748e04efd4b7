from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import Scene
from quick_preset import QUICK

from asmd.boxes import Boxes, iou
from asmd.errors import BoxError, FrameError, TargetsFailedError, TrackerStateError
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.features import View
from asmd.tracking.learner import Learner
from asmd.tracking.multi import GOLDEN, MultiTracker
from asmd.tracking.network import FeatureNetwork
from asmd.tracking.result import Status, TrackResult
from asmd.tracking.sharing import SharingConfig
from asmd.tracking.tracker import Tracker

SEPARATE = SharingConfig(tolerance=0.0)


class TwoDiscs(Scene):
    """The scene's disc, and a second one that goes the other way."""

    def __init__(self) -> None:
        super().__init__(height=160, width=220)

    def second(self, index: int) -> Boxes:
        return np.array([150.0 - 2 * index, 100 - index, 28, 28])

    def both(self, index: int, visible: bool = True) -> Frame:
        """With both, or with the second alone."""
        frame = self.frame(index, visible)
        x, y = self.second(index)[:2].astype(int)
        inside = np.hypot(*(np.indices((28, 28)) - 14)) < 14
        frame[y : y + 28, x : x + 28][inside] = [230, 30, 200]
        frame[y + 9 : y + 18, x + 9 : x + 18] = [20, 200, 240]
        return frame


@pytest.fixture(scope="module")
def discs() -> TwoDiscs:
    return TwoDiscs()


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def same(one: TrackResult, other: TrackResult) -> bool:
    return bool((one.box == other.box).all()) and one.score == other.score and one.status == other.status


def test_a_lone_target_has_the_boxes_of_a_tracker_bit_for_bit(network: SpatiotemporalResNet, scene: Scene) -> None:
    single = Tracker(network, QUICK, seed=3)
    multi = MultiTracker(Tracker(network, QUICK), seed=3)
    assert same(single.init(scene.frame(0), scene.box(0)), multi.init(scene.frame(0), [scene.box(0)])[0])
    for t in range(1, 18):
        one, other = single.update(scene.frame(t)), multi.update(scene.frame(t))
        assert list(other) == [0]
        assert same(one, other[0]) and other[0].index == t
    again, corrected = single.correct(scene.frame(4), scene.box(4)), multi.correct(0, scene.frame(4), scene.box(4))
    assert same(again, corrected)
    assert same(single.update(scene.frame(5)), multi.update(scene.frame(5))[0])


def test_two_targets_are_followed(network: SpatiotemporalResNet, discs: TwoDiscs, threads: int) -> None:
    multi = MultiTracker(Tracker(network, QUICK), seed=3)
    first = multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    assert [r.score for r in first.values()] == [1, 1]
    for t in range(1, 14):
        results = multi.update(discs.both(t))
    assert list(results) == [0, 1] == list(multi.targets)
    assert iou(results[0].box, discs.box(13)) > 0.5
    assert iou(results[1].box, discs.second(13)) > 0.5
    assert all(same(multi.results[n], r) for n, r in results.items())
    assert torch.get_num_threads() == threads


def test_the_same_seed_gives_the_same_boxes(network: SpatiotemporalResNet, discs: TwoDiscs, threads: int) -> None:
    def run(multi: MultiTracker) -> list[dict[int, TrackResult]]:
        start = multi.init(discs.both(0), [discs.box(0), discs.second(0), discs.box(0) + 3])
        return [start, *(multi.update(discs.both(t)) for t in range(1, 6))]

    multi = MultiTracker(Tracker(network, QUICK))
    for one, other in zip(run(multi), run(multi), strict=True):
        assert all(same(one[n], other[n]) for n in (0, 1, 2))


def test_without_sharing_targets_do_not_know_of_each_other(network: SpatiotemporalResNet, discs: TwoDiscs) -> None:
    """Each has the boxes of a tracker of its own, but for what a batch of regions may round differently."""
    multi = MultiTracker(Tracker(network, QUICK), sharing=SEPARATE)
    alone = [Tracker(network, QUICK, seed=n) for n in range(2)]
    alone[1].phase = GOLDEN
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    for tracker, box in zip(alone, (discs.box(0), discs.second(0)), strict=True):
        tracker.init(discs.both(0), box)
    for t in range(1, 5):
        results = multi.update(discs.both(t))
        for n, tracker in enumerate(alone):
            np.testing.assert_allclose(results[n].box, tracker.update(discs.both(t)).box, atol=0.05)


def test_overlapping_targets_share_one_pass(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    maps = FeatureNetwork.maps

    def counted(self, rgb, *others):  # type: ignore[no-untyped-def]
        shapes.append(rgb.shape)
        return maps(self, rgb, *others)

    multi = MultiTracker(Tracker(network, QUICK))
    multi.init(scene.frame(0), [scene.box(0), scene.box(0) + np.array([4, 2, 0, 0]), [110, 60, 20, 20]])
    monkeypatch.setattr(FeatureNetwork, "maps", counted)
    multi.update(scene.frame(1))
    assert sorted(shape[0] for shape in shapes) == [1, 1]
    assert sum(shape[1] * shape[2] for shape in shapes) < 3 * 129**2
    shapes.clear()
    multi.sharing = SEPARATE
    multi.update(scene.frame(2))
    assert shapes == [(3, 129, 129, 3)]


def test_flow_is_measured_once_a_frame(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    pushed: list[Frame] = []
    pushing = multi._flow.pushing  # type: ignore[union-attr]
    monkeypatch.setattr(multi._flow, "pushing", lambda frame: (pushed.append(frame), pushing(frame))[1])
    multi.init(scene.frame(0), [scene.box(0), scene.box(0) + 2])
    assert len(pushed) == 1
    multi.update(scene.frame(1))
    assert len(pushed) == 2
    multi.add(scene.frame(1).copy(), scene.box(1) - 2)
    assert len(pushed) == 2, "the frame at hand is not pushed again"
    multi.seek(scene.frame(9))
    assert len(pushed) == 3
    np.testing.assert_array_equal(multi._flow.moved(scene.box(9)), scene.box(9))  # type: ignore[union-attr]


def test_targets_come_and_go(network: SpatiotemporalResNet, discs: TwoDiscs) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    assert multi.add(discs.both(0), discs.box(0)) == 0
    multi.update(discs.both(1))
    assert multi.add(discs.both(1), discs.second(1)) == 1
    assert multi.results[1].index == 1
    results = multi.update(discs.both(2))
    assert [r.index for r in results.values()] == [2, 2]
    multi.remove(0)
    assert multi.targets == (1,) and list(multi.results) == [1]
    assert list(multi.update(discs.both(3))) == [1]
    assert multi.add(discs.both(3), discs.box(3)) == 2, "a number is not used twice"
    multi.remove(1)
    multi.remove(2)
    assert multi.update(discs.both(4)) == {}
    with pytest.raises(TrackerStateError, match="no target 2; there are: none"):
        multi.remove(2)


def test_targets_that_are_not_asked_for_stay(network: SpatiotemporalResNet, discs: TwoDiscs) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    assert list(multi.update(discs.both(1), targets=[1])) == [1]
    assert multi.results[0].index == 0
    with pytest.raises(TrackerStateError, match="no target 7; there are: 0, 1"):
        multi.update(discs.both(2), targets=[7])


def test_a_lost_target_does_not_disturb_the_other(network: SpatiotemporalResNet, discs: TwoDiscs, threads: int) -> None:
    multi = MultiTracker(Tracker(network, QUICK), seed=3)
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    for t in range(1, 16):
        results = multi.update(discs.both(t, visible=False))
    assert results[0].status is Status.LOST
    assert results[1].status is Status.FOUND and iou(results[1].box, discs.second(15)) > 0.5


def test_a_failing_target_does_not_disturb_the_other(
    network: SpatiotemporalResNet, discs: TwoDiscs, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])

    def fail(*_: object) -> TrackResult:
        raise ZeroDivisionError("by a test")

    monkeypatch.setattr(multi._trackers[0]._learner.classifier, "scoring", fail)
    with pytest.raises(TargetsFailedError, match="target 0 failed: ZeroDivisionError: by a test") as caught:
        multi.update(discs.both(1))
    assert list(caught.value.failures) == [0] and list(caught.value.results) == [1]
    assert multi.targets == (1,)
    assert iou(multi.update(discs.both(2))[1].box, discs.second(2)) > 0.5
    multi._trackers[1].settle()
    monkeypatch.setattr(multi._trackers[1]._learner._updates, "after", fail)
    assert list(multi.update(discs.both(3))) == [1]
    with pytest.raises(TargetsFailedError, match="target 1 failed"):
        multi.update(discs.both(4))
    assert multi.targets == ()


def test_what_cannot_be_tracked_changes_nothing(network: SpatiotemporalResNet, discs: TwoDiscs) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    with pytest.raises(TrackerStateError, match="before init"):
        multi.update(discs.both(0))
    multi.init(discs.both(0), [discs.box(0)])
    with pytest.raises(BoxError, match=r"target 1: the box .* has no area"):
        multi.init(discs.both(0), [discs.box(0), (1, 1, 0, 5)])
    with pytest.raises(BoxError):
        multi.add(discs.both(0), (900, 1, 20, 20))
    with pytest.raises(FrameError, match="size changed"):
        multi.update(discs.both(0)[:100])
    assert multi.targets == (0,)
    assert multi.update(discs.both(1))[0].index == 1


def test_a_reset_forgets_the_video(network: SpatiotemporalResNet, discs: TwoDiscs, scene: Scene) -> None:
    multi = MultiTracker(Tracker(network, QUICK))
    multi.init(discs.both(0), [discs.box(0)])
    multi.reset()
    assert multi.targets == () and multi.results == {}
    assert multi.add(scene.frame(0), scene.box(0)) == 0, "of another size"


def test_the_paper_s_crops_need_no_sharing(network: SpatiotemporalResNet, discs: TwoDiscs) -> None:
    config = replace(
        QUICK,
        features=replace(QUICK.features, extractor="crop", crop_size=64),
        search=replace(QUICK.search, candidates=16),
        sampling=replace(
            QUICK.sampling,
            initial_positives=SampleConfig("gaussian", 0.1, 5, 20, min_iou=0.7),
            initial_near=SampleConfig("uniform", 1, 10, 20, max_iou=0.5),
            initial_whole=20,
            memory_negatives=SampleConfig("uniform", 2, 5, 20, max_iou=0.5),
            update_positives=SampleConfig("gaussian", 0.1, 5, 8, min_iou=0.7),
            update_negatives=SampleConfig("uniform", 2, 5, 8, max_iou=0.3),
        ),
        overlap=replace(QUICK.overlap, candidates=0),
        regression=replace(QUICK.regression, samples=20),
    )
    multi = MultiTracker(Tracker(network, config))
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    assert all(np.isfinite(r.box).all() for r in multi.update(discs.both(1)).values())


def test_targets_learn_on_different_frames(
    network: SpatiotemporalResNet, discs: TwoDiscs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no frame has to wait for what all of them have to learn."""
    learnt: list[tuple[int, int]] = []
    remember = Learner._remember

    def noted(self: Learner, view: View, box: Boxes, index: int) -> None:
        learnt.append((id(self), index))
        remember(self, view, box, index)

    monkeypatch.setattr(Learner, "_remember", noted)
    multi = MultiTracker(Tracker(network, QUICK), seed=3)
    multi.init(discs.both(0), [discs.box(0), discs.second(0)])
    for t in range(1, 7):
        multi.update(discs.both(t))
    for tracker in multi._trackers.values():
        tracker.settle()
    frames = [[i for owner, i in learnt if owner == id(t._learner)] for t in multi._trackers.values()]
    assert frames == [[2, 4, 6], [1, 3, 5]]


@pytest.mark.parametrize("count", [1, 2])
def test_the_network_is_through_before_a_classifier_goes_on(
    network: SpatiotemporalResNet, discs: TwoDiscs, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Beside the network its steps would take the cores from it, with a pass of a target's own as with one for all."""
    multi = MultiTracker(Tracker(network, QUICK))
    multi.init(discs.both(0), [discs.box(0), discs.second(0)][:count])
    done: list[str] = []
    maps, go_on = FeatureNetwork.maps, Tracker.go_on

    def watched_maps(*arguments: object) -> object:
        found = maps(*arguments)  # type: ignore[arg-type]
        done.append("network")
        return found

    def watched_go_on(tracker: Tracker) -> None:
        done.append("go on")
        go_on(tracker)

    monkeypatch.setattr(FeatureNetwork, "maps", watched_maps)
    monkeypatch.setattr(Tracker, "go_on", watched_go_on)
    multi.update(discs.both(1))
    assert done[0] == "network" and done[-count:] == ["go on"] * count
