from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from asmd.errors import ConfigError
from asmd.flow import FLOW_LIMIT, FlowConfig, FlowStack, flow_method, network_input
from asmd.sequence import Frame


def textured(height: int = 120, width: int = 160, seed: int = 0) -> Frame:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    grey = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def moved(frame: Frame, dx: float, dy: float) -> Frame:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return np.asarray(cv2.warpAffine(frame, matrix, frame.shape[1::-1], borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize("method", ["dis", "tvl1"])
def test_a_shift_is_measured_in_pixels_with_its_sign(method: str) -> None:
    first = textured()
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (first, moved(first, 3, -2))]
    flow = flow_method(method)(grey[0], grey[1])  # type: ignore[arg-type]
    assert np.median(flow[20:-20, 20:-20], axis=(0, 1)) == pytest.approx([3, -2], abs=0.3)


def test_flow_does_not_depend_on_what_was_measured_before() -> None:
    """Neither on images so small that DIS adapts its patches to them, nor on larger ones."""
    images = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (textured(), moved(textured(), 3, -2))]
    small = [image[:32, :40].copy() for image in images]
    alone, small_alone = flow_method("dis")(*images), flow_method("dis")(*small)
    method = flow_method("dis")
    for _ in range(2):
        assert np.array_equal(method(*small), small_alone)
        assert np.array_equal(method(*images), alone)


def test_values_are_in_pixels_of_the_frame_whatever_the_working_resolution() -> None:
    first = textured(240, 320)
    stack = FlowStack(FlowConfig(max_side=160))
    stack.push(first)
    stack.push(moved(first, 6, 4))
    assert stack.scale == 0.5
    assert stack.latest().shape == (120, 160, 2)
    assert np.median(stack.latest()[20:-20, 20:-20], axis=(0, 1)) == pytest.approx([6, 4], abs=0.5)


def test_first_frame_has_no_flow_and_the_oldest_is_repeated() -> None:
    stack = FlowStack(FlowConfig(length=5))
    frame = textured()
    stack.push(frame)
    assert len(stack.flows()) == 5
    assert not any(f.any() for f in stack.flows())
    for step in (1, 2, 3):
        stack.push(moved(frame, 2 * step, 0))
    flows = stack.flows()
    assert len(flows) == 5
    # Three measured, the oldest of them three times; the first frame's zeros are gone.
    assert flows[0] is flows[1] is flows[2]
    assert flows[2] is not flows[3]
    assert all(np.median(f[20:-20, 20:-20, 0]) == pytest.approx(2, abs=0.4) for f in flows)


def test_the_stack_is_causal_and_bounded() -> None:
    stack, frame = FlowStack(FlowConfig(length=2)), textured()
    for shift in (0, 1, 3, 6):
        stack.push(moved(frame, shift, 0))
    medians = [float(np.median(f[20:-20, 20:-20, 0])) for f in stack.flows()]
    assert medians == pytest.approx([2, 3], abs=0.4)  # oldest first


def test_a_video_that_stands_still_counts_as_measured() -> None:
    stack, frame = FlowStack(FlowConfig(length=3)), textured()
    for _ in range(4):
        stack.push(frame)
    assert len(stack.flows()) == 3


def test_reset_forgets() -> None:
    stack = FlowStack()
    stack.push(textured())
    stack.push(textured(seed=1))
    stack.reset()
    stack.push(textured(60, 80))
    assert not stack.latest().any()


def test_network_input_clips_and_scales() -> None:
    values = network_input(np.array([0, 10, 20, 500, -500], np.float32))
    assert values[0] == 0
    assert values[2] == values[3] == -values[4] == pytest.approx(2 * values[1])
    assert values[2] == pytest.approx(127.5 / (255 * 0.226))
    assert FLOW_LIMIT == 20


def test_shifted_stack_is_constant() -> None:
    stack = FlowStack(FlowConfig(length=4))
    stack.push(textured())
    flows = stack.shifted([1.5, -2]).flows()
    assert len(flows) == 4
    assert all((f == [1.5, -2]).all() for f in flows)
    assert not stack.latest().any()


def test_a_box_is_carried_by_the_flow_inside_it() -> None:
    stack, frame = FlowStack(FlowConfig(max_side=80)), textured()
    stack.push(frame)
    np.testing.assert_allclose(stack.moved(np.array([40.0, 30, 50, 40])), [40, 30, 50, 40])
    stack.push(moved(frame, 4, -3))
    np.testing.assert_allclose(stack.moved(np.array([40.0, 30, 50, 40])), [44, 27, 50, 40], atol=0.6)
    outside = np.array([400.0, 30, 50, 40])
    np.testing.assert_allclose(stack.moved(outside), outside)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="length >= 1"):
        FlowConfig(length=0)
    with pytest.raises(ConfigError, match="unknown flow method"):
        flow_method("farneback")  # type: ignore[arg-type]


@pytest.mark.parametrize("near_side", [48, 400])
def test_flow_about_a_box_carries_it_as_that_of_the_whole_frame(near_side: int) -> None:
    """A textured frame that moves by (6, -4), of which only the part about a box is looked at, reduced or not."""
    frame = textured()
    moved = np.roll(frame, (-4, 6), axis=(0, 1))
    box = np.array([50.0, 40.0, 30.0, 24.0])
    stack = FlowStack(FlowConfig(near_side=near_side), dense=False)
    stack.push(frame)
    np.testing.assert_array_equal(stack.moved(box), box)
    stack.push(moved)
    np.testing.assert_allclose(stack.moved(box), [56, 36, 30, 24], atol=1.0)
    for beyond in ([-500.0, 10, 20, 20], [0.0, 0.0, 1.0, 1.0], [-10.0, -10, 4000, 3000]):
        assert np.isfinite(stack.moved(np.array(beyond))).all()
    stack.reset()
    np.testing.assert_array_equal(stack.moved(box), box)


@pytest.mark.parametrize("shape", [(29, 102), (31, 118), (16, 128), (1, 40), (20, 20)])
def test_low_images_are_measured_without_a_crash(shape: tuple[int, int]) -> None:
    """In a process of its own, since a crash would be the end of this one; OpenCV's was by chance, hence the many."""
    code = (
        "import numpy as np; from asmd.flow import flow_method\n"
        "draw = np.random.default_rng(0)\n"
        "for _ in range(300):\n"
        f"    images = draw.integers(0, 255, (2, *{shape}), np.uint8)\n"
        f"    assert flow_method('dis')(*images).shape == (*{shape}, 2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
