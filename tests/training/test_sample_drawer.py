"""Labelled samples: where they lie, what is shown of them, and what decides which are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training.small_run import small_batch

from asmd.boxes import iou, to_corners
from asmd.errors import ConfigError, DatasetError, SourceError
from asmd.flow import FlowConfig
from asmd.samples import drawn_clip
from asmd.sequence import Frame, Sequence
from asmd.tracking import candidates
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.features import CropExtractor, FeatureConfig, RegionExtractor
from asmd.tracking.readout import Readout, StageMaps
from asmd.training.footage import Footage, Reel
from asmd.training.samples import ATTEMPTS, AugmentationConfig, Batch, BatchConfig, SampleDrawer

PLAIN = AugmentationConfig(flip=0, grey=0, blur=0, brightness=0, still=0, shift=0, scale=0)


def drawn(name: str = "drawn", seed: int = 0, **meta: str) -> Sequence:
    frames, boxes = drawn_clip(6, (96, 128), seed)
    return Sequence(name, frames, boxes, meta=meta)


def marked(box: tuple[int, int, int, int], size: tuple[int, int] = (120, 160)) -> Sequence:
    """A white target on black."""
    frame = np.zeros((*size, 3), np.uint8)
    x, y, w, h = box
    frame[y : y + h, x : x + w] = 255
    return Sequence("marked", [frame, frame], np.array([box, box], float))


class Broken:
    """Frames of which none can be read."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[Frame]:
        raise SourceError("it is broken")

    def __getitem__(self, index: int) -> Frame:
        raise SourceError("it is broken")


def broken(name: str = "broken") -> Sequence:
    return replace(drawn(name), frames=Broken())


def drawer(*domains: Sequence, seed: int = 0, partitions: int = 1, **changes: Any) -> SampleDrawer:
    config = small_batch(**{"domains": 1, "augmentation": PLAIN, **changes})
    return SampleDrawer(Footage(None, flow=FlowConfig(length=2)), domains, config, seed, partitions)


def assert_same(one: Batch, other: Batch) -> None:
    for name, mine, theirs in zip(Batch._fields, one, other, strict=True):
        same = torch.equal(mine, theirs) if isinstance(mine, Tensor) else mine == theirs
        assert same, name


FULL = {
    "positives": SampleConfig("gaussian", 0.3, 5, 50, min_iou=0.7),
    "negatives": SampleConfig("uniform", 1.5, 10, 200, max_iou=0.5),
    "region_size": 257,
}


@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize("box", [(60, 40, 40, 30), (4, 4, 44, 24), (124, 78, 30, 38)])
def test_samples_lie_on_and_off_the_target_where_it_is_shown(box: tuple[int, int, int, int], flip: float) -> None:
    """The target is found in what is shown, also where the region reaches far beyond the frame."""
    augmentation = replace(PLAIN, flip=flip, shift=0.3, scale=5.0)
    source = drawer(marked(box), augmentation=augmentation, **FULL)
    places = []
    for step in range(4):
        batch = source.draw(step, [0])
        assert batch.corners is not None
        assert batch.rgb.shape == (1, 257, 257, 3) and batch.flow.shape == (1, 257, 257, 4)
        assert torch.bincount(batch.labels).tolist() == [200, 50]
        ys, xs = np.nonzero(batch.rgb[0, :, :, 0].numpy() > 127)
        target = np.array([xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()], float)
        corners = batch.corners.numpy().astype(float)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        assert (boxes[:, 2:] > 0).all()
        overlap = iou(boxes, target)
        positive = batch.labels.numpy() == 1
        assert overlap[positive].min() > 0.7 - 0.05
        assert overlap[~positive].max() < 0.5 + 0.05
        assert overlap[positive].max() > 0.8
        places.append(target[0])
    assert np.ptp(places) > 5  # the region moves about the target


def test_small_targets_have_samples() -> None:
    batch = drawer(marked((60, 40, 8, 8)), **FULL).draw(0, [0])
    assert torch.bincount(batch.labels).tolist() == [200, 50]


def test_a_flip_mirrors_image_flow_and_samples() -> None:
    frames, boxes = drawn_clip(6, (96, 128))
    straight = drawer(Sequence("a", frames, boxes)).draw(0, [0])
    mirror = drawer(Sequence("a", frames, boxes), augmentation=replace(PLAIN, flip=1)).draw(0, [0])
    assert torch.equal(mirror.rgb, straight.rgb.flip(2))
    sign = torch.tensor([-1, 1, -1, 1], dtype=torch.float16)
    assert torch.equal(mirror.flow, straight.flow.flip(2) * sign)
    assert float(straight.flow[..., 0].abs().max()) > 0.01
    assert straight.corners is not None and mirror.corners is not None
    x1, y1, x2, y2 = straight.corners.unbind(1)
    assert torch.allclose(mirror.corners, torch.stack([33 - x2, y1, 33 - x1, y2], 1))


def test_grey_blur_brightness_and_still() -> None:
    plain = drawer(drawn()).draw(0, [0])
    grey = drawer(drawn(), augmentation=replace(PLAIN, grey=1)).draw(0, [0])
    assert not torch.equal(plain.rgb[..., 0], plain.rgb[..., 1])
    assert torch.equal(grey.rgb[..., 0], grey.rgb[..., 1]) and torch.equal(grey.rgb[..., 1], grey.rgb[..., 2])
    blurred = drawer(drawn(), augmentation=replace(PLAIN, blur=1)).draw(0, [0])
    assert blurred.rgb.float().std() < plain.rgb.float().std()
    brightness = drawer(drawn(), augmentation=replace(PLAIN, brightness=0.4))
    means = [float(brightness.draw(step, [0]).rgb.float().mean()) for step in range(6)]
    assert np.ptp(means) > 20
    still = drawer(drawn(), augmentation=replace(PLAIN, still=1)).draw(0, [0])
    assert plain.flow.any() and not still.flow.any()
    for changed in (grey, blurred):
        assert torch.equal(changed.flow, plain.flow)
    assert torch.equal(still.rgb, plain.rgb)


class Capture:
    """A network that keeps what it is shown."""

    device = torch.device("cpu")
    readout = Readout()

    def maps(self, rgb: np.ndarray, flow: np.ndarray, stages: tuple[int, ...], unit: bool) -> dict[int, StageMaps]:
        self.rgb, self.flow = rgb, flow
        return {stage: StageMaps(torch.zeros(len(rgb), 1, 7, 7), None, None) for stage in stages}

    def stride(self, stage: int) -> int:
        return 8


class Flows:
    """Flow as the tracker's extractor asks for it, out of the footage."""

    def __init__(self, reel: Reel, index: int) -> None:
        self._reel, self._index = reel, index
        self.scale = reel.scale(reel.frame(index))

    def flows(self) -> list[np.ndarray]:
        return self._reel.stack(self._index)


BOXES = np.array([[50.3, 30.2, 41, 39.7], [-3.5, 60, 30, 50], [100, 10, 40, 20]])


@pytest.fixture
def boxes_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "samples", lambda *_: BOXES)


@pytest.mark.usefixtures("boxes_are_given")
@pytest.mark.parametrize("context", [1.0, 107 / 75])
def test_crops_are_those_of_the_tracker(context: float) -> None:
    frames, boxes = drawn_clip(6, (96, 128))
    only = Sequence("a", frames, np.where(np.arange(6)[:, None] == 3, boxes, np.nan))
    source = drawer(only, extractor="crop", context=context)
    batch = source.draw(0, [0])
    reel, network = source._reel(0), Capture()
    extractor = CropExtractor(network, FeatureConfig(extractor="crop", crop_size=64, context=context), motion=True)  # type: ignore[arg-type]
    object.__setattr__(extractor._config, "crop_size", 33)
    extractor.look(reel.frame(3), Flows(reel, 3), boxes[3]).describe(BOXES)  # type: ignore[arg-type]
    assert batch.corners is None and batch.view is None
    assert batch.view_domains.tolist() == [0] * 6 and batch.labels.tolist() == [1, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(batch.rgb[:3].numpy(), network.rgb)
    np.testing.assert_array_equal(batch.flow[3:].numpy(), network.flow.astype(np.float16))


@pytest.mark.usefixtures("boxes_are_given")
def test_regions_are_those_of_the_tracker() -> None:
    frames, boxes = drawn_clip(6, (96, 128))
    only = Sequence("a", frames, np.where(np.arange(6)[:, None] == 3, boxes, np.nan))
    source = drawer(only, region_size=65)
    batch = source.draw(0, [0])
    reel, network = source._reel(0), Capture()
    config = FeatureConfig(region_size=65, region_scale=source.config.region_scale, channels=0)
    view = RegionExtractor(network, config, motion=True).look(reel.frame(3), Flows(reel, 3), boxes[3])  # type: ignore[arg-type]
    np.testing.assert_array_equal(batch.rgb.numpy(), network.rgb)
    np.testing.assert_array_equal(batch.flow.numpy(), network.flow.astype(np.float16))
    assert batch.corners is not None
    np.testing.assert_allclose(batch.corners[:3].numpy(), view.region.pixels(to_corners(BOXES)).numpy(), atol=1e-4)


def several(count: int) -> list[Sequence]:
    return [drawn(f"clip{k}", k) for k in range(count)]


def test_a_batch_depends_on_seed_step_and_place_alone() -> None:
    settings = {"domains": 4, "augmentation": AugmentationConfig()}
    one, other = drawer(*several(6), **settings), drawer(*several(6), **settings)
    first = [one.draw(step, range(4)) for step in (0, 1)]
    assert_same(other.draw(1, range(4)), first[1])
    assert_same(other.draw(0, range(4)), first[0])
    assert not torch.equal(first[0].rgb, first[1].rgb)
    assert not torch.equal(first[0].rgb, drawer(*several(6), seed=1, **settings).draw(0, range(4)).rgb)
    alone = other.draw(1, [2])
    assert torch.equal(alone.rgb[0], first[1].rgb[2])
    assert len(set(first[0].view_domains.tolist())) == 4


def test_partitions_share_a_batch() -> None:
    settings = {"domains": 4, "partitions": 2}
    joint = drawer(*several(7), **settings).draw(5, range(4))
    for part in (0, 1):
        own = drawer(*several(7), **settings).draw(5, range(part, 4, 2))
        assert torch.equal(own.rgb, joint.rgb[part::2])
        assert own.view_domains.tolist() == joint.view_domains[part::2].tolist()
        assert {k % 2 for k in own.view_domains.tolist()} == {part}
    with pytest.raises(ConfigError, match="4 domains a batch cannot be shared by 3"):
        drawer(*several(7), domains=4, partitions=3)
    with pytest.raises(ConfigError, match="a batch of 4 domains needs as many, got 3"):
        drawer(*several(3), domains=4)


def test_a_broken_video_is_replaced_and_named() -> None:
    domains = [*several(2), broken(), drawn("last", 9)]
    source = drawer(*domains, domains=2)
    seen: set[int] = set()
    skipped = 0
    for step in range(12):
        batch = source.draw(step, range(2))
        numbers = batch.view_domains.tolist()
        assert len(set(numbers)) == 2 and 2 not in numbers
        assert set(batch.skipped) <= {"broken: it is broken"}
        skipped += len(batch.skipped)
        seen.update(numbers)
    assert seen == {0, 1, 3}
    assert 0 < skipped < 12


def test_a_place_that_cannot_be_filled_stays_empty() -> None:
    batch = drawer(drawn("good"), broken(), domains=2).draw(0, range(2))
    assert batch.view_domains.tolist() == [0] and len(batch.rgb) == 1
    assert batch.skipped == ("broken: it is broken",)
    with pytest.raises(DatasetError, match="no sequence of a whole batch can be learnt from; the last is b"):
        drawer(broken("b"), broken("b")).draw(0, [0])
    assert ATTEMPTS > 1


def test_annotations_longer_than_the_video_are_no_trouble() -> None:
    sequence = drawn()
    longer = replace(sequence, frames=sequence.frames[:4])  # type: ignore[index]
    batches = [drawer(longer).draw(step, [0]) for step in range(8)]
    assert any("has no frame" in line for batch in batches for line in batch.skipped)


def frequencies(source: SampleDrawer, count: int, steps: int) -> np.ndarray:
    numbers = [source.draw(step, [0]).view_domains[0] for step in range(steps)]
    return np.bincount(numbers, minlength=count) / steps


@pytest.mark.parametrize(("balance", "expected"), [(0.0, 0.75), (1.0, 0.5)])
def test_videos_with_many_tracks_may_count_less(balance: float, expected: float) -> None:
    tracks = [drawn(f"track{k}", 0, video="street") for k in range(3)]
    few = SampleConfig("gaussian", 0.3, 5, 1, min_iou=0.7)
    source = drawer(*tracks, drawn("other", 1), balance=balance, positives=few, negatives=replace(few, min_iou=0.0))
    shares = frequencies(source, 4, 300)
    assert (shares > 0).all()  # every domain has its turn
    assert abs(shares[:3].sum() - expected) < 0.1  # 3.5 standard deviations


@pytest.mark.parametrize(
    "bad",
    [{"extractor": "whole"}, {"domains": 0}, {"hardest": -1}, {"region_size": 16}, {"crop_size": 0}],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        BatchConfig(**bad)
    with pytest.raises(ConfigError, match="probabilities"):
        AugmentationConfig(flip=2)
