from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moving_scene import Scene

from asmd.boxes import Boxes, iou
from asmd.errors import BoxError, ConfigError, FrameError, TrackerStateError
from asmd.flow import FlowStack
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig
from asmd.sequence import Frame
from asmd.tracking import tracker as trackers
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.config import FeatureConfig, SamplingConfig, SearchConfig, TrackerConfig
from asmd.tracking.learner import Learner
from asmd.tracking.perceptron import Scorer
from asmd.tracking.result import Status
from asmd.tracking.tracker import Tracker

SMALL = replace(
    TrackerConfig.realtime(),
    features=replace(TrackerConfig.realtime().features, region_size=129),
    sampling=replace(
        TrackerConfig.realtime().sampling,
        initial_near=SampleConfig("uniform", 1, 10, 400, max_iou=0.5),
        initial_whole=200,
    ),
)
"""The preset with a smaller region and fewer samples, to be quick."""


KINDS: tuple[Literal["gaussian"], Literal["uniform"]] = ("gaussian", "uniform")


def run(tracker: Tracker, scene: Scene, frames: int, hidden: range = range(0)) -> list[tuple[Boxes, float, Status]]:
    results = [tracker.init(scene.frame(0), scene.box(0))]
    results += [tracker.update(scene.frame(t, visible=t not in hidden)) for t in range(1, frames)]
    assert [r.index for r in results] == list(range(frames))
    return [(r.box, r.score, r.status) for r in results]


def test_it_follows_a_plain_object(network: SpatiotemporalResNet, scene: Scene) -> None:
    results = run(Tracker(network, SMALL), scene, 25)
    overlap = [float(iou(box, scene.box(t))) for t, (box, _, _) in enumerate(results)]
    assert np.mean(overlap) > 0.7
    assert min(overlap) > 0.5
    assert all(status is Status.FOUND for _, _, status in results)


def test_it_says_when_the_object_is_gone(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    results = run(tracker, scene, 24, hidden=range(10, 24))
    seen = [score for _, score, _ in results[1:10]]
    gone = [score for _, score, _ in results[12:]]
    assert min(seen) > max(gone)
    assert results[-1][2] is Status.LOST
    lost = [box[2:] for box, _, status in results if status is Status.LOST]
    assert (np.array(lost) <= SMALL.search.resize * tracker._last_seen[2:] + 1e-6).all()


def test_it_finds_a_lost_object_again_elsewhere(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    tracker.init(scene.frame(0), scene.box(0))
    for _ in range(9):
        lost = tracker.update(scene.frame(0, visible=False))
    assert lost.status is Status.LOST
    results = [tracker.update(scene.frame(28)) for _ in range(14)]
    assert results[-1].status is Status.FOUND
    assert iou(results[-1].box, scene.box(28)) > 0.5


def test_a_lost_object_is_looked_for_where_it_was_last(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the look at the whole frame finds nothing, as with a small object in a large frame."""

    monkeypatch.setattr(Tracker, "_look_everywhere", lambda *_: None)
    tracker = Tracker(network, SMALL)
    tracker.init(scene.frame(0), scene.box(0))
    for _ in range(9):
        tracker.update(scene.frame(0, visible=False))
    tracker._box = np.array([120.0, 80, 28, 28])  # meanwhile it has drifted off
    results = [tracker.update(scene.frame(0)) for _ in range(14)]
    assert results[-1].status is Status.FOUND
    assert iou(results[-1].box, scene.box(0)) > 0.5


def test_same_seed_same_boxes_bit_for_bit(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL, seed=4)
    first = run(tracker, scene, 8)
    again = run(tracker, scene, 8)  # the same object, started afresh
    other = run(Tracker(network, SMALL, seed=4), scene, 8)
    for (a, s, _), (b, t, _), (c, u, _) in zip(first, again, other, strict=True):
        assert (a == b).all() and (a == c).all() and s == t == u
    tracker.reseed(5)
    different = run(tracker, scene, 8)
    assert any((a != b).any() for (a, _, _), (b, _, _) in zip(first, different, strict=True))


def test_what_goes_wrong_with_learning_is_said_on_the_next_frame(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker(network, SMALL)
    tracker.init(scene.frame(0), scene.box(0))
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise ZeroDivisionError("by a test")

        patched.setattr(tracker._learner._updates, "after", fail)
        tracker.update(scene.frame(1))
        with pytest.raises(ZeroDivisionError):
            tracker.settle()
        tracker.settle()
        tracker.update(scene.frame(2))
        with pytest.raises(ZeroDivisionError):
            tracker.update(scene.frame(3))
        # It goes on from there, and a new video knows nothing of it.
        assert iou(tracker.update(scene.frame(3)).box, scene.box(3)) > 0.5
        tracker.init(scene.frame(0), scene.box(0))
    assert iou(tracker.update(scene.frame(1)).box, scene.box(1)) > 0.5


@pytest.mark.parametrize("extractor", ["region", "crop"])
def test_a_caller_may_use_its_frame_again(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch, extractor: str
) -> None:
    """As soon as it has its answer, even if what the frame taught is not learnt by then."""
    learn = Learner.later

    def slowly(*arguments: object) -> None:
        time.sleep(0.02)
        learn(*arguments)  # type: ignore[arg-type]

    few = {"min_iou": 0.7}, {"max_iou": 0.5}
    positives, negatives = (SampleConfig(kind, 0.3, 5, 12, **limits) for kind, limits in zip(KINDS, few, strict=True))
    config = replace(
        SMALL,
        features=replace(SMALL.features, extractor=extractor, crop_size=64),
        search=replace(SMALL.search, candidates=12),
        sampling=replace(
            SMALL.sampling,
            initial_positives=positives,
            initial_near=negatives,
            initial_whole=12,
            memory_negatives=negatives,
            update_positives=positives,
            update_negatives=negatives,
            interval=1,
        ),
        memory=replace(SMALL.memory, short_interval=1),
        overlap=replace(SMALL.overlap, candidates=0),
        regression=replace(SMALL.regression, samples=20),
    )
    monkeypatch.setattr(Learner, "later", slowly)
    kept, reused = Tracker(network, config, seed=3), Tracker(network, config, seed=3)
    buffer = scene.frame(0).copy()
    kept.init(scene.frame(0), scene.box(0))
    reused.init(buffer, scene.box(0))
    for t in range(1, 6):
        buffer[:] = scene.frame(t)
        one, other = kept.update(scene.frame(t)), reused.update(buffer)
        buffer[:] = 0
        assert (one.box == other.box).all() and one.score == other.score


def fail_on(tracker: Tracker, frame: Frame, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """An update that fails in the network while what goes on beside it, of that name, takes its time."""
    usual = getattr(owner, name)

    def slowly(*arguments: object) -> object:
        time.sleep(0.1)
        return usual(*arguments)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by a test")

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, slowly)
        patched.setattr(tracker.extractor, "look", fail)
        with pytest.raises(ZeroDivisionError):
            tracker.update(frame)


def test_a_frame_that_fails_leaves_nothing_under_way(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was got ready for it draws from the generator, which is the next video's by the time that it is done."""
    fresh, tracker = Tracker(network, SMALL, seed=3), Tracker(network, SMALL, seed=3)
    expected = run(fresh, scene, 4)
    tracker.init(scene.frame(0), scene.box(0))
    fail_on(tracker, scene.frame(1), monkeypatch, Tracker, "_draw")
    for (one, _, _), (other, _, _) in zip(run(tracker, scene, 4), expected, strict=True):
        assert (one == other).all()


def test_what_is_learnt_beside_is_there_for_the_next_frame(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: boxes are those of a tracker that waits for it at once."""
    learn, step = Learner.later, Learner.step

    def slowly(*arguments: object) -> None:
        time.sleep(0.02)
        learn(*arguments)  # type: ignore[arg-type]

    def slow_step(learner: Learner) -> None:
        time.sleep(0.02)
        step(learner)

    quick, slow = Tracker(network, SMALL, seed=3), Tracker(network, SMALL, seed=3)
    quick.init(scene.frame(0), scene.box(0))
    slow.init(scene.frame(0), scene.box(0))
    for t in range(1, 13):
        expected = quick.update(scene.frame(t)).box
        quick.settle()
        with monkeypatch.context() as patched:
            patched.setattr(Learner, "later", slowly)
            patched.setattr(Learner, "step", slow_step)
            assert (slow.update(scene.frame(t)).box == expected).all()


@pytest.mark.parametrize("judged", [0, 16])
def test_the_classifier_does_not_change_while_it_scores(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch, judged: int
) -> None:
    """It learns beside, even before the scoring begins; what scores is what had been learnt up to the frame.

    While the tracker looks for a lost target that is late, since both draw at random.
    """
    torch.manual_seed(0)
    head = BoxRefinement(RefinementConfig(projected=4, grid=4, width=8, hidden=16)).eval()
    search, again = replace(SMALL.search, judged=judged), replace(SMALL.redetection, interval=1)
    tracker = Tracker(network, replace(SMALL, search=search, redetection=again), refinement=head)
    done: list[str] = []
    used: list[Scorer] = []
    score, scored, step = Tracker._score, trackers.scored_by, Learner.step

    def scores_late(self: Tracker, *arguments: object) -> object:
        time.sleep(0.05)  # long enough for what has begun beside to be through
        return score(self, *arguments)  # type: ignore[arg-type]

    def scores(x: torch.Tensor, by: Scorer) -> torch.Tensor:
        done.append("score")
        used.append(by)
        return scored(x, by)

    def steps(self: Learner) -> None:
        step(self)
        done.append("step")

    monkeypatch.setattr(Tracker, "_score", scores_late)
    monkeypatch.setattr(trackers, "scored_by", scores)
    monkeypatch.setattr(Learner, "step", steps)
    tracker.init(scene.frame(0), scene.box(0))
    learnt = 0
    for t in range(1, 10):
        lost = tracker._confidence.status is Status.LOST
        done.clear()
        used.clear()
        tracker.settle()
        known = tracker._learner.scorer()
        tracker.update(scene.frame(t, visible=t < 3))
        tracker.settle()
        assert used and all(torch.equal(by.weight1, known.weight1) for by in used)
        learnt += not torch.equal(tracker._learner.scorer().weight1, known.weight1)
        assert done.count("step") == 1
        if lost:
            assert done[-1] == "step"
        elif judged:
            assert done[0] == "step"
    assert lost and learnt and (done.count("score") > 2 or not judged)


def test_a_frame_that_fails_does_not_reach_the_next_video(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does its grey image, which is made beside."""
    tracker = Tracker(network, SMALL, seed=3)
    for start in (tracker.init, tracker.correct):
        tracker.init(scene.frame(0), scene.box(0))
        fail_on(tracker, scene.frame(1), monkeypatch, FlowStack, "_keep")
        start(scene.frame(9), scene.box(9))
        assert tracker._flow is not None and tracker._flow.shows(scene.frame(9))
        assert (tracker._flow.moved(scene.box(9)) == scene.box(9)).all(), "flow begins anew"


def test_proposals_are_asked_only_when_lost(network: SpatiotemporalResNet, scene: Scene) -> None:
    calls: list[Boxes] = []

    def propose(frame: Frame, box: Boxes, rng: np.random.Generator) -> Boxes:
        calls.append(box)
        return scene.box(20)[None]

    config = replace(SMALL, redetection=replace(SMALL.redetection, enabled=False, interval=1))
    tracker = Tracker(network, config, proposals=propose)
    tracker.init(scene.frame(0), scene.box(0))
    tracker.update(scene.frame(1))
    assert not calls
    for _ in range(9):
        tracker.update(scene.frame(1, visible=False))
    assert calls
    for _ in range(4):
        result = tracker.update(scene.frame(20))
    assert iou(result.box, scene.box(20)) > 0.4


def test_paper_preset_runs(network: SpatiotemporalResNet, scene: Scene) -> None:
    config = TrackerConfig.paper()
    assert config.features.extractor == "crop" and config.features.motion == "on"
    assert config.overlap.candidates == 0 and config.mining.interval == 1
    quick = replace(
        config,
        features=replace(config.features, crop_size=64),
        search=replace(config.search, candidates=16),
        sampling=replace(
            config.sampling,
            initial_positives=SampleConfig("gaussian", 0.1, 5, 20, min_iou=0.7),
            initial_near=SampleConfig("uniform", 1, 10, 20, max_iou=0.5),
            initial_whole=20,
            memory_negatives=SampleConfig("uniform", 2, 5, 20, max_iou=0.5),
        ),
        regression=replace(config.regression, samples=20),
    )
    results = run(Tracker(network, quick), scene, 3)
    assert all(np.isfinite(box).all() for box, _, _ in results)


def test_size_is_found_again(network: SpatiotemporalResNet, scene: Scene) -> None:
    """A state that has shrunk grows back where the overlap decides, within what two looks can change it."""

    def size_after(candidates: int) -> float:
        tracker = Tracker(network, replace(SMALL, overlap=replace(SMALL.overlap, candidates=candidates)))
        tracker.init(scene.frame(0), scene.box(0))
        box = scene.box(1)
        tracker._box = np.concatenate([box[:2] + 0.15 * box[2:], 0.7 * box[2:]])
        for t in range(1, 9):
            tracker.update(scene.frame(t))
        return float(np.log(tracker._box[2:] / scene.box(8)[2:]).mean())

    assert abs(size_after(64)) < 0.12
    assert abs(size_after(64)) < abs(size_after(0))


@pytest.mark.parametrize("motion", ["on", "auto", "off"])
def test_motion_stream(network: SpatiotemporalResNet, scene: Scene, motion: str) -> None:
    config = replace(SMALL, features=replace(SMALL.features, motion=motion))  # type: ignore[arg-type]
    plain = run(Tracker(network, config), scene, 3)
    trained = run(Tracker(network, config, motion_trained=True), scene, 3)
    same = all((a == b).all() for (a, _, _), (b, _, _) in zip(plain, trained, strict=True))
    assert same == (motion != "auto")


@pytest.mark.parametrize("name", ["paper", "accurate", "realtime"])
def test_presets_by_name(name: str) -> None:
    assert TrackerConfig.preset(name) == getattr(TrackerConfig, name)()


def test_stage_and_stride_are_settings(scene: Scene) -> None:
    """Layer 4 at stride 16 instead of 32: another network form from the same weights."""
    config = replace(SMALL, network=STResNetConfig(dilate_layer4=True), features=replace(SMALL.features, stages=(3, 4)))
    results = run(Tracker.from_pretrained("random", preset=config), scene, 4)
    assert iou(results[-1][0], scene.box(3)) > 0.3


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="choose paper, accurate, realtime"):
        TrackerConfig.preset("fast")


def test_update_before_init(network: SpatiotemporalResNet, scene: Scene) -> None:
    with pytest.raises(TrackerStateError, match="before init"):
        Tracker(network, SMALL).update(scene.frame(0))


def test_a_box_or_frame_that_cannot_be_tracked_is_refused(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    with pytest.raises(BoxError, match="no area"):
        tracker.init(scene.frame(0), (10, 10, 0, 20))
    with pytest.raises(FrameError, match="RGB uint8"):
        tracker.init(scene.frame(0)[..., 0], scene.box(0))
    with pytest.raises(TrackerStateError, match="before init"):
        tracker.update(scene.frame(0))


def test_a_frame_of_another_size_is_refused_and_nothing_is_lost(network: SpatiotemporalResNet, scene: Scene) -> None:
    tracker = Tracker(network, SMALL)
    tracker.init(scene.frame(0), scene.box(0))
    with pytest.raises(FrameError, match="changed from 160x120 to 80x60"):
        tracker.update(np.zeros((60, 80, 3), np.uint8))
    assert iou(tracker.update(scene.frame(1)).box, scene.box(1)) > 0.5


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(24, 200),
    st.integers(24, 200),
    st.tuples(st.floats(-0.5, 1), st.floats(-0.5, 1), st.floats(0.02, 2), st.floats(0.02, 2)),
    st.sampled_from(["noise", "black", "cut"]),
    st.sampled_from([2, 3, 5]),
    st.booleans(),
)
def test_any_box_in_any_video_gives_finite_boxes_that_touch_the_frame(
    network: SpatiotemporalResNet,
    height: int,
    width: int,
    shape: tuple[float, float, float, float],
    kind: str,
    best: int,
    flow: bool,
) -> None:
    rng = np.random.default_rng(0)
    box = np.array(shape) * [width, height, width, height]
    search = replace(SMALL.search, candidates=24, best=best, flow_share=0.5 if flow else 0.0)
    tracker = Tracker(network, replace(SMALL, search=search, features=replace(SMALL.features, region_size=65)))
    frames = [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(7)]
    if kind == "black":
        frames = [frames[0], *[np.zeros_like(f) for f in frames[1:]]]
    elif kind == "cut":
        frames = [np.full_like(f, 40 * i) for i, f in enumerate(frames)]
    try:
        results = [tracker.init(frames[0], box)]
    except BoxError:
        return
    results += [tracker.update(f) for f in frames[1:]]
    for result in results:
        x, y, w, h = result.box
        assert np.isfinite(result.box).all()
        assert w > 0 and h > 0
        assert x < width and y < height and x + w > 0 and y + h > 0
        assert 0 <= result.score <= 1


def test_memory_does_not_grow(network: SpatiotemporalResNet, scene: Scene) -> None:
    config = replace(
        SMALL, memory=replace(SMALL.memory, short_frames=3, long_frames=4, short_interval=100, long_interval=100)
    )
    tracker = Tracker(network, config)
    tracker.init(scene.frame(0), scene.box(0))

    def held() -> int:
        return sum(len(t) for part in (tracker._learner._memory.short(), tracker._learner._memory.long()) for t in part)

    start = held()
    kept = []
    for t in range(1, 12):
        tracker.update(scene.frame(t))
        tracker.settle()
        kept.append(held())
    # Every second frame is remembered, of which the memories hold the last three and any four.
    assert start == kept[0] < kept[1] == kept[2] < kept[3] == kept[4] < kept[5] == kept[6] < kept[7]
    assert kept[7:] == kept[7:8] * 4


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="1 <= best <= candidates"):
        SearchConfig(candidates=2, best=5)
    assert SamplingConfig().initial_positives.count == 500
    assert FeatureConfig().bins == 3
    assert torch.device("cpu").type == "cpu"
