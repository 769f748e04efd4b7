from __future__ import annotations

import numpy as np
import pytest
from moving_scene import Scene

from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.tracking.augmentation import KINDS, augmented


def changed(scene: Scene, kind: str, flow: FlowStack | None = None) -> list[tuple[np.ndarray, np.ndarray, object]]:
    return list(augmented(scene.frame(0), scene.box(0), flow, (kind,), np.random.default_rng(0)))


def test_a_mirrored_frame_has_its_box_mirrored(scene: Scene) -> None:
    [(frame, box, _)] = changed(scene, "flip")
    assert (frame == scene.frame(0)[:, ::-1]).all()
    x, y, w, h = scene.box(0)
    np.testing.assert_allclose(box, [160 - x - w, y, w, h])
    inside = frame[int(box[1]) : int(box[1] + h), int(box[0]) : int(box[0] + w)]
    assert (inside == scene.frame(0)[int(y) : int(y + h), int(x) : int(x + w)][:, ::-1]).all()


@pytest.mark.parametrize("kind", ["blur", "rotate"])
def test_the_target_stays_where_it_is(scene: Scene, kind: str) -> None:
    versions = changed(scene, kind)
    assert len(versions) == 2
    x, y, w, h = scene.box(0).astype(int)
    for frame, box, _ in versions:
        assert (box == scene.box(0)).all()
        assert frame.shape == scene.frame(0).shape and frame.dtype == np.uint8
        centre = (slice(y + h // 2 - 2, y + h // 2 + 2), slice(x + w // 2 - 2, x + w // 2 + 2))
        assert np.abs(frame[centre].mean((0, 1)) - scene.frame(0)[centre].mean((0, 1))).max() < 60
        assert (frame != scene.frame(0)).any()


def test_pretended_flow_needs_a_motion_stream(scene: Scene) -> None:
    assert changed(scene, "shift-flow") == []
    stack = FlowStack()
    stack.push(scene.frame(0))
    versions = changed(scene, "shift-flow", stack)
    assert len(versions) == 2
    for frame, _, flow in versions:
        assert (frame == scene.frame(0)).all()
        assert isinstance(flow, FlowStack) and flow.latest().any()


def test_unknown_kinds_are_named(scene: Scene) -> None:
    with pytest.raises(ConfigError, match=f"choose from {', '.join(KINDS)}"):
        changed(scene, "melt")
