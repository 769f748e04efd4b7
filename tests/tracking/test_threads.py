from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from moving_scene import Scene
from quick_preset import QUICK

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking import tracker as trackers
from asmd.tracking.threads import NOTHING, _beside, beside, computing_threads, opencv
from asmd.tracking.tracker import Tracker


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_number_is_put_back() -> None:
    with computing_threads(1), computing_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), computing_threads(1):
        _ = 1 / 0
    assert torch.get_num_threads() == 2


def test_opencv_computes_in_one_thread_until_the_last_is_done() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        with opencv.in_one_thread(False):
            assert cv2.getNumThreads() == 2
        first, second = opencv.in_one_thread(), opencv.in_one_thread()
        first.__enter__()
        with second:
            first.__exit__(None, None, None)  # as another thread's frame may end in the midst of this one's
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 2
        with pytest.raises(ZeroDivisionError), opencv.in_one_thread():
            _ = 1 / 0
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("motion", ["on", "off"])
def test_flow_about_a_target_is_measured_in_one_thread(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch, motion: Literal["on", "off"]
) -> None:
    """That of whole frames, for the motion stream, in as many as OpenCV has."""
    before, seen = cv2.getNumThreads(), set()
    limit = trackers.candidates.limit

    def watched(*arguments: object) -> object:
        seen.add(cv2.getNumThreads())
        return limit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trackers.candidates, "limit", watched)
    tracker = Tracker(network, replace(QUICK, features=replace(QUICK.features, motion=motion)))
    try:
        cv2.setNumThreads(2)
        tracker.init(scene.frame(0), scene.box(0))
        seen.clear()
        tracker.update(scene.frame(1))
        assert seen == {2 if motion == "on" else 1} and cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_frame_is_computed_in_one_thread_and_the_network_in_all(
    network: SpatiotemporalResNet, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {"network": set(), "rest": set()}
    stages, limit = SpatiotemporalResNet.stages, trackers.candidates.limit

    def watched_stages(self: SpatiotemporalResNet, *arguments: object) -> object:
        seen["network"].add(torch.get_num_threads())
        return stages(self, *arguments)  # type: ignore[arg-type]

    def watched_limit(*arguments: object) -> object:
        seen["rest"].add(torch.get_num_threads())
        return limit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SpatiotemporalResNet, "stages", watched_stages)
    monkeypatch.setattr(trackers.candidates, "limit", watched_limit)
    tracker = Tracker(network, replace(QUICK, features=replace(QUICK.features, backend="torch")))
    tracker.init(scene.frame(0), scene.box(0))
    tracker.update(scene.frame(1))
    assert seen == {"network": {2}, "rest": {1}}


def test_boxes_do_not_depend_on_the_number_of_threads(network: SpatiotemporalResNet, scene: Scene) -> None:
    pytest.importorskip("openvino")

    def boxes(count: int) -> np.ndarray:
        torch.set_num_threads(count)
        tracker = Tracker(network, replace(QUICK, features=replace(QUICK.features, backend="openvino")))
        tracker.init(scene.frame(0), scene.box(0))
        return np.array([tracker.update(scene.frame(t)).box for t in range(1, 20)])

    np.testing.assert_array_equal(boxes(1), boxes(2))


def test_what_is_done_beside_is_done_in_order_and_in_one_thread() -> None:
    done: list[int] = []

    def note(number: int) -> tuple[int, int]:
        time.sleep(0.01 if number == 0 else 0)
        done.append(number)
        return threading.get_ident(), torch.get_num_threads()

    seen = {beside(lambda n=n: note(n)) for n in range(5)}  # type: ignore[misc]
    (thread,) = {future.result() for future in seen}
    assert done == [0, 1, 2, 3, 4]
    assert thread[0] != threading.get_ident() and thread[1] == 1
    assert torch.get_num_threads() == 2
    assert NOTHING.result() is None
    with pytest.raises(ZeroDivisionError):
        beside(lambda: 1 / 0).result()


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    beside(lambda: None).result()
    assert _beside(os.getpid()) is _beside(os.getpid()) is not _beside(-1)
