from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from asmd.errors import ConfigError, DatasetError
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame, Sequence
from asmd.training.refinement import (
    RefinementProgress,
    RefinementTrainingConfig,
    jittered,
    mean_overlaps,
    overlaps,
    scattered,
    train_refinement,
)
from asmd.training.refinement_views import ViewConfig, Viewer, textured_box

QUICK = RefinementTrainingConfig(
    model=RefinementConfig(projected=8, grid=6, width=16, hidden=32),
    views=ViewConfig(frames=8, region_size=129),
    steps=120,
    pairs=4,
    boxes=6,
    rate=1e-2,
    warm_up=10,
    dropped=0.0,
    log_every=40,
)


class Broken:
    def __len__(self) -> int:
        return 5

    def __iter__(self) -> object:
        raise DatasetError("spoilt")

    def __getitem__(self, index: int) -> Frame:
        raise DatasetError("spoilt")


def growing(name: str = "growing", count: int = 10) -> Sequence:
    """A chequered rectangle that moves, grows and becomes wider over a soft ground."""
    rng = np.random.default_rng(len(name))
    ground = np.asarray(cv2.resize(rng.integers(60, 140, (4, 4, 3), dtype=np.uint8), (200, 160)))
    tile = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    frames, boxes = [], []
    for t in range(count):
        frame, w, h = ground.copy(), 30 + 4 * t, 30 + 2 * t
        x, y = 40 + 3 * t, 50 + t
        frame[y : y + h, x : x + w] = cv2.resize(tile, (w, h), interpolation=cv2.INTER_NEAREST)
        frames.append(frame)
        boxes.append((x, y, w, h))
    return Sequence(name, frames, np.array(boxes, dtype=float))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trunk() -> SpatiotemporalResNet:
    torch.manual_seed(0)
    return SpatiotemporalResNet().eval()


def test_overlaps_by_hand() -> None:
    one, other = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]]), torch.tensor([[1.0, 0, 2, 2], [2, 0, 1, 1]])
    ratio, general = overlaps(one, other)
    torch.testing.assert_close(ratio, torch.tensor([2 / 6, 0.0]))
    # Hulls of 6 and 3; unions of 6 and 2.
    torch.testing.assert_close(general, torch.tensor([2 / 6, -1 / 3]))


def test_jitter_is_bounded_and_centred() -> None:
    box = torch.tensor([10.0, 20.0, 40.0, 60.0])
    boxes = jittered(box, 4000, 0.1, 0.2, 0.1, np.random.default_rng(0))
    shifts = (boxes[:, :2] + boxes[:, 2:] / 2 - torch.tensor([30.0, 50.0])) / box[2:]
    assert shifts.abs().max() <= 0.2 + 1e-5 and shifts.mean(0).abs().max() < 0.01
    sizes = (boxes[:, 2:] / box[2:]).log()
    assert sizes.abs().max() <= 0.6 + 1e-5
    assert torch.equal(jittered(box, 3, 0, 0, 0, np.random.default_rng(0)), box.expand(3, 4))


def test_boxes_elsewhere_are_as_large_and_within_reach() -> None:
    box = torch.tensor([10.0, 20.0, 40.0, 90.0])
    boxes = scattered(box, 4000, 1.5, np.random.default_rng(0))
    shifts = (boxes[:, :2] + boxes[:, 2:] / 2 - torch.tensor([30.0, 65.0])) / 60
    assert 1.4 < shifts.abs().max() <= 1.5 + 1e-5 and shifts.mean(0).abs().max() < 0.06
    assert (boxes[:, 2:] / box[2:]).log().abs().max() <= 0.2 + 1e-5
    assert scattered(box, 0, 1.5, np.random.default_rng(0)).shape == (0, 4)


@torch.inference_mode()
def fits(head: BoxRefinement, trunk: SpatiotemporalResNet, sequence: Sequence) -> tuple[float, float]:
    """The IoU that a head expects of the target's own box in a later frame, and the mean of boxes beside it."""
    viewer = Viewer(trunk, head.config.stages, ViewConfig(region_size=129))
    first, later = (viewer.plain(sequence.frames[i], sequence.boxes[i], 4.5) for i in (0, 6))
    boxes = scattered(later.box, 200, 1.6, np.random.default_rng(0))
    away = boxes[overlaps(boxes, later.box.expand_as(boxes))[0] < 0.05]
    boxes = torch.cat([later.box[None], away])
    corners = [torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], dim=1) for b in (first.box[None], boxes)]
    target, pooled = (
        head.pool(head.encode(view.maps), c, viewer.strides) for view, c in zip((first, later), corners, strict=True)
    )
    own, *others = head(pooled, target).quality.sigmoid().tolist()
    return own, float(np.mean(others))


def test_it_learns_a_toy_and_is_the_same_again(trunk: SpatiotemporalResNet) -> None:
    told: list[RefinementProgress] = []
    data = [growing(), growing("another one")]
    head = train_refinement(trunk, data, QUICK, seed=3, progress=told.append)
    assert [p.step for p in told] == [40, 80, 120]
    assert told[-1].loss < 0.7 * told[0].loss and told[-1].after > told[-1].before + 0.08
    measured = mean_overlaps(head, trunk, data, frames=4, region_size=129)
    assert set(measured) == {"growing", "another one"}
    assert all(after > before + 0.08 for before, after, _ in measured.values())
    on, elsewhere = fits(head, trunk, data[0])
    assert on > 0.5 > elsewhere + 0.1
    short = replace(QUICK, steps=3)
    first, second, other = (train_refinement(trunk, data, short, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_objects_are_invented_where_nobody_annotated(trunk: SpatiotemporalResNet) -> None:
    clip = Sequence("clip", growing().frames, np.empty((0, 4)))
    viewer = Viewer(trunk, (2, 3), ViewConfig(region_size=129, objects=5))
    pools = viewer.objects([clip], seed=0)
    assert 1 <= len(pools) <= 5
    for pool in pools:
        assert len(pool.views) == 2
        for view in pool.views:
            assert [m.shape for m in view.maps] == [(17, 17, 128), (9, 9, 256)]
    config = replace(QUICK, steps=2, views=replace(QUICK.views, objects=3))
    plain = train_refinement(trunk, [growing()], config, seed=0)
    mixed = train_refinement(trunk, [growing()], config, clips=[clip], seed=0)
    assert not torch.equal(plain.out.weight, mixed.out.weight)


def test_a_view_and_its_mirror_show_the_target_where_they_say(trunk: SpatiotemporalResNet) -> None:
    viewer = Viewer(trunk, (2, 3), ViewConfig(frames=3, region_size=129, scale=(3.0, 3.0), shift=0, squeeze=0))
    straight, mirrored = viewer.pools([growing()], seed=0)
    for pool in (straight, mirrored):
        for view in pool.views:
            # Three mean sides wide and centred: the target has a third of the side, in the middle.
            assert float(view.box[2:].prod().sqrt()) == pytest.approx(43, abs=2)
            torch.testing.assert_close(view.box[:2] + view.box[2:] / 2, torch.full((2,), 64.5), atol=1.5, rtol=0)


def test_tracks_of_one_video_share_its_weight(trunk: SpatiotemporalResNet) -> None:
    tracks = [replace(growing(name), meta={"video": "street"}) for name in "abcd"]
    viewer = Viewer(trunk, (2, 3), ViewConfig(frames=8, region_size=129, balance=0.5))
    pools = viewer.pools([*tracks, growing()], seed=0)
    assert [pool.weight for pool in pools] == [0.5] * 8 + [1.0] * 2
    assert [len(pool.views) for pool in pools] == [4] * 8 + [8] * 2


def test_unreadable_sequences_are_named(trunk: SpatiotemporalResNet) -> None:
    broken = Sequence("broken", Broken(), np.tile([10.0, 10, 30, 30], (5, 1)))  # type: ignore[arg-type]
    said: list[str] = []
    with pytest.raises(DatasetError, match="no sequence with two frames"):
        train_refinement(trunk, [broken], QUICK, skipped=said.append)
    assert said == ["broken: spoilt"]


def test_flat_frames_have_no_object() -> None:
    assert textured_box(np.full((100, 100, 3), 90, np.uint8), np.random.default_rng(0)) is None
    frame = np.asarray(growing().frames[5])
    box = textured_box(frame, np.random.default_rng(0), tries=50)
    assert box is not None and (box[:2] >= 0).all() and (box[:2] + box[2:] <= [200, 160]).all()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"boxes": 1}, {"dropped": 1.0}, {"invented": -0.1}, {"elsewhere": -1}])
def test_impossible_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="refinement needs"):
        RefinementTrainingConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="views need"):
        ViewConfig(scale=(0.5, 3.0))
