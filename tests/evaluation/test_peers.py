"""OpenCV's trackers on a textured patch that slides over noise."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asmd.boxes import iou
from asmd.errors import BoxError, TrackerStateError, WeightsError
from asmd.evaluation.peers import PEERS, OpenCVTracker, peer
from asmd.tracking.result import Status

NANOTRACK = Path(__file__).resolve().parents[3] / "shared" / "peers" / "nanotrack_v2"


def film(frames: int = 8) -> tuple[list[np.ndarray], np.ndarray]:
    """RGB frames of a patch that slides over noise, and its boxes."""
    random = np.random.default_rng(1)
    background = np.full((120, 160), 128.0) + cv2.GaussianBlur(random.normal(0, 60, (120, 160)), (0, 0), 2)
    patch = cv2.GaussianBlur(random.uniform(0, 255, (36, 44)), (0, 0), 1.5) * 2 - 128
    boxes = np.array([[50.0 + 2 * i, 40.0 + i, 44, 36] for i in range(frames)])
    made = []
    for x, y, w, h in boxes.astype(int):
        frame = np.repeat(background[..., None], 3, axis=-1)
        frame[y : y + h, x : x + w] = patch[..., None]
        made.append(np.clip(frame, 0, 255).astype(np.uint8))
    return made, boxes


@pytest.mark.parametrize("name", [name for name in PEERS if name != "nanotrack"])
def test_each_follows_the_patch_and_starts_afresh(name):
    frames, boxes = film()
    tracker = peer(name)
    for _ in range(2):
        cv2.setRNGSeed(0)
        first = tracker.init(frames[0], boxes[0])
        assert (first.index, first.score, first.status) == (0, 1.0, Status.FOUND)
        results = [tracker.update(frame) for frame in frames[1:]]
        assert [r.index for r in results] == list(range(1, len(frames)))
        assert iou(results[-1].box, boxes[-1]) > 0.6
        assert all(0 <= r.score <= 1 and r.seconds > 0 for r in results)


def test_nanotrack_follows_the_patch_and_tells_its_score():
    if not NANOTRACK.is_dir():
        pytest.skip(f"NanoTrack's networks are not at {NANOTRACK}")
    frames, boxes = film()
    tracker = peer("nanotrack", NANOTRACK)
    tracker.init(frames[0], boxes[0] + 0.4)
    results = [tracker.update(frame) for frame in frames[1:]]
    assert iou(results[-1].box, boxes[-1]) > 0.5
    assert 0 < results[-1].score < 1


class Scripted:
    """In place of an OpenCV tracker: answers from a list, keeps the images that it is shown."""

    def __init__(self, answers):
        self.answers, self.images = list(answers), []

    def init(self, image, box):
        self.images.append(image)
        self.box = box
        return True

    def update(self, image):
        self.images.append(image)
        return self.answers.pop(0)


def test_images_go_in_as_bgr_and_a_failure_repeats_the_last_box():
    script = Scripted([(True, (1.5, 2, 3, 4)), (False, (0, 0, 0, 0)), (True, (9, 9, 0, 4)), (True, (5, 6, 7, 8))])
    tracker = OpenCVTracker(lambda: script)
    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 0] = 255
    tracker.init(red, [4.25, 5, 6, 7])
    results = [tracker.update(red) for _ in range(4)]
    assert all((image == [0, 0, 255]).all() for image in script.images)
    assert script.box == (4.25, 5.0, 6.0, 7.0)
    np.testing.assert_array_equal([r.box for r in results], [[1.5, 2, 3, 4]] * 3 + [[5, 6, 7, 8]])
    assert [r.score for r in results] == [1, 0, 0, 1]
    assert [r.status for r in results] == [Status.FOUND, Status.LOST, Status.LOST, Status.FOUND]


def test_whole_pixel_trackers_get_whole_pixels_inside_the_image():
    script = Scripted([])
    OpenCVTracker(lambda: script, whole_pixels=True).init(np.zeros((9, 9, 3), np.uint8), [-0.7, 2.6, 0.4, 3.5])
    assert script.box == (0, 3, 1, 4)


def test_misuse_is_one_clear_error():
    frames, _ = film(1)
    with pytest.raises(TrackerStateError):
        peer("kcf").update(frames[0])
    for box in ([1, 2, 0, 5], [np.nan, 1, 2, 3]):
        with pytest.raises(BoxError, match="not finite or has no area"):
            peer("kcf").init(frames[0], box)
    with pytest.raises(BoxError, match="OpenCV cannot start"):
        peer("kcf").init(frames[0], [500, 500, 20, 20])


def test_nanotrack_without_its_networks_says_which_are_missing(tmp_path):
    with pytest.raises(WeightsError, match=r"needs weights: the folder that holds backbone\.onnx and head\.onnx"):
        peer("nanotrack")
    with pytest.raises(WeightsError, match=r"there is no .*backbone\.onnx"):
        peer("nanotrack", tmp_path)
    for name in ("backbone", "head"):
        (tmp_path / f"{name}.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match="cannot read the networks"):
        peer("nanotrack", tmp_path)
