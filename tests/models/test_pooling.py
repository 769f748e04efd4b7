from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asmd import compiled
from asmd.models.pooling import Pooling, _bin_cells, bin_weights, pool_boxes


def pool_one(features: torch.Tensor, corners: torch.Tensor, bins: int) -> torch.Tensor:
    return pool_boxes([features], corners[None], bins).flatten(1)


def brute_force(features: np.ndarray, corners: np.ndarray, bins: int, samples: int = 200) -> np.ndarray:
    """Means of the bilinear function by many samples of it."""
    height, width, channels = features.shape
    out = np.empty((len(corners), bins, bins, channels))
    for n, (x1, y1, x2, y2) in enumerate(corners):
        for i in range(bins):
            for j in range(bins):
                part = (np.arange(samples) + 0.5) / samples
                x = np.clip(x1 + (x2 - x1) * (j + part) / bins, 0, width - 1)
                y = np.clip(y1 + (y2 - y1) * (i + part) / bins, 0, height - 1)
                x, y = np.meshgrid(x, y)
                x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
                u, v = (x - x0)[..., None], (y - y0)[..., None]
                values = (features[y0, x0] * (1 - u) + features[y0, x0 + 1] * u) * (1 - v)
                values += (features[y0 + 1, x0] * (1 - u) + features[y0 + 1, x0 + 1] * u) * v
                out[n, i, j] = values.mean(axis=(0, 1))
    return out.reshape(len(corners), -1)


def test_pooling_is_the_mean_of_the_bilinear_function() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(9, 11, 4))
    # Inside; beyond two edges; all of it; thinner than a cell.
    corners = np.array([[2.2, 3.1, 7.7, 6.4], [-3.5, 0.2, 4, 14.0], [0, 0, 10, 8], [5.1, 5.1, 5.4, 5.2]])
    pooled = pool_one(torch.from_numpy(features), torch.from_numpy(corners), 3)
    np.testing.assert_allclose(pooled.numpy(), brute_force(features, corners, 3), atol=2e-3)


@settings(max_examples=50)
@given(st.floats(-20, 20), st.floats(0.01, 30), st.integers(1, 5), st.integers(1, 12))
def test_weights_add_up_to_one(low: float, length: float, bins: int, cells: int) -> None:
    numbers, weights = bin_weights(
        torch.tensor([low], dtype=torch.float64), torch.tensor([low + length], dtype=torch.float64), bins, cells - 1
    )
    assert torch.allclose(weights.sum(0), torch.ones(bins, 1, dtype=torch.float64), atol=1e-9)
    assert (weights >= -1e-9).all()
    assert ((numbers >= 0) & (numbers < cells)).all()


def test_whole_map_by_cells_is_the_plain_average() -> None:
    features = torch.randn(6, 7, 3, dtype=torch.float64)
    # Cell edges lie half a cell beyond the outermost centres.
    corners = torch.tensor([[-0.5, -0.5, 6.5, 5.5]], dtype=torch.float64)
    assert torch.allclose(pool_one(features, corners, 1)[0], features.mean((0, 1)))


def test_no_boxes() -> None:
    assert pool_one(torch.randn(4, 4, 8), torch.empty(0, 4), 3).shape == (0, 72)


def test_a_box_is_pooled_as_if_it_were_alone() -> None:
    """The longest bin decides how many cells are read for all."""
    features = torch.randn(40, 30, 6, dtype=torch.float64)
    corners = torch.tensor(
        [[11.2, 20.1, 14.9, 26.0], [12.0, 22.5, 19.5, 25.5], [-3.0, 35.0, 4.0, 45.0], [0, 0, 29, 39]]
    )
    together = pool_one(features, corners.double(), 3)
    for row, box in enumerate(corners.double()):
        assert torch.allclose(pool_one(features, box[None], 3)[0], together[row])


def test_gradient_reaches_the_map() -> None:
    features = torch.randn(5, 4, 2, dtype=torch.float64, requires_grad=True)
    corners = torch.tensor([[-0.7, 0.4, 2.2, 3.9], [1.1, 1.2, 4.5, 2.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: pool_one(x, corners, 2), (features,))


def test_maps_of_several_sizes_are_pooled_as_if_alone() -> None:
    maps = [torch.randn(9, 7, 5, dtype=torch.float64), torch.randn(4, 6, 5, dtype=torch.float64)]
    corners = torch.tensor([[1.2, -0.1, 4.9, 6.0], [2.0, 2.5, 9.5, 5.5]], dtype=torch.float64)
    corners = torch.stack([corners, corners / 2])
    together = pool_boxes(maps, corners, 3)
    assert together.shape == (2, 2, 9, 5)
    for stage, (one, own) in enumerate(zip(maps, corners, strict=True)):
        assert torch.allclose(together[:, stage].flatten(1), pool_one(one, own, 3))


def test_a_box_of_any_size_is_the_mean_of_what_it_covers() -> None:
    features = torch.randn(4, 5, 2, dtype=torch.float64)
    # So large that nearly all of it is the corner's value, which lasts beyond the map; it must not cost more either.
    huge = torch.tensor([[0.0, 0.0, 1e7, 1e7]], dtype=torch.float64)
    assert torch.allclose(pool_one(features, huge, 1)[0], features[-1, -1], atol=1e-5)
    assert not pool_one(features, torch.tensor([[2.0, 2.0, 2.0, 3.0]], dtype=torch.float64), 3).isnan().any()


def test_huge_on_one_side_and_off_the_map_on_the_other() -> None:
    features = torch.randn(4, 5, 2, dtype=torch.float64)
    # From far left of the map to far right, all of it above; and with the axes swapped.
    wide = torch.tensor([[-300.0, -40.0, 300.0, -30.0]], dtype=torch.float64)
    left, middle, right = (features[0, 0], features[0].mean(0), features[0, -1])
    bins = pool_one(features, wide, 3).view(3, 3, 2)
    assert torch.allclose(bins[:, 0], left) and torch.allclose(bins[:, 2], right)
    # The middle bin is 200 cells long, from -100: 5 of them the map's, each once, the rest beyond it.
    share = (5 * middle + 99.5 * left + 95.5 * right) / 200
    assert torch.allclose(bins[:, 1], share.expand(3, 2))
    tall = wide[:, [1, 0, 3, 2]]
    assert torch.allclose(pool_one(features.transpose(0, 1), tall, 3).view(3, 3, 2), bins.transpose(0, 1))


def test_boxes_are_laid_out_before_the_maps_are_there() -> None:
    maps = [torch.randn(9, 7, 5), torch.randn(4, 6, 5)]
    corners = torch.tensor([[1.2, -0.1, 4.9, 6.0], [2.0, 2.5, 9.5, 5.5]]).expand(2, 2, 4)
    pooling = Pooling.of([(9, 7), (4, 6)], corners, 3)
    assert torch.equal(pooling.pool(maps), pool_boxes(maps, corners, 3))
    ends = [*pooling.starts.tolist()[1:], len(pooling.weights)]
    sums = [pooling.weights[at:end].sum() for at, end in zip(pooling.starts.tolist(), ends, strict=True)]
    torch.testing.assert_close(torch.stack(sums), torch.ones(2 * 2 * 9))
    assert Pooling.of([(9, 7), (4, 6)], corners[:, :0], 3).pool(maps).shape == (0, 2, 9, 5)
    with pytest.raises(ValueError, match="cannot be pooled as those of"):
        pooling.pool(maps[::-1])


@pytest.mark.skipif(not compiled.available(), reason="Numba is not installed")
@given(
    corners=st.lists(
        st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.01, 80), st.floats(0.01, 80)),
        min_size=1,
        max_size=6,
    ),
    bins=st.integers(1, 4),
    far=st.sampled_from([1.0, 1e4]),
)
def test_compiled_weights_are_those_in_torch(
    corners: list[tuple[float, float, float, float]], bins: int, far: float
) -> None:
    draw = torch.Generator().manual_seed(0)
    maps = [torch.randn(9, 7, 3, generator=draw), torch.randn(1, 6, 3, generator=draw)]
    boxes = torch.tensor([[x, y, x + far * w, y + h] for x, y, w, h in corners])
    both = torch.stack([boxes, boxes / 2])
    sizes = [(m.shape[0], m.shape[1]) for m in maps]
    assert compiled.serves(both)
    served = Pooling.of(sizes, both, bins)
    in_torch = Pooling(sizes, bins, *_bin_cells(sizes, both, bins), box_first=False)
    torch.testing.assert_close(served.pool(maps), in_torch.pool(maps), rtol=1e-3, atol=1e-3)
    assert len(served.places) <= len(in_torch.places)
    # More cells than room was made for at first: a box over all of a large map.
    wide = torch.tensor([[[0.0, 0.0, 99.0, 99.0]]])
    large = [torch.randn(100, 100, 2, generator=draw)]
    exact = Pooling([(100, 100)], 1, *_bin_cells([(100, 100)], wide, 1), box_first=False).pool(large)
    torch.testing.assert_close(Pooling.of([(100, 100)], wide, 1).pool(large), exact)


@pytest.mark.skipif(not compiled.available(), reason="Numba is not installed")
def test_what_is_no_box_does_no_harm() -> None:
    """Compiled code would read and write whatever lies where it is told to."""
    cells = torch.rand(5, 4, 2)
    nan, inf = float("nan"), float("inf")
    for box in ([nan] * 4, [0.0, nan, 3.0, 2.0], [3.0, 3.0, 1.0, 1.0], [-inf, 0.0, inf, 2.0], [1e30, 1e30, 2e30, 2e30]):
        pooling = Pooling.of([(5, 4)], torch.tensor([[box, [0.0, 0.0, 2.0, 2.0]]]), 3)
        assert ((pooling.places >= 0) & (pooling.places < 20)).all()
        pooled = pooling.pool([cells])
        assert pooled.shape == (2, 1, 9, 2) and pooled[1].isfinite().all()
        assert pooled[0].isnan().any() == np.isnan(box).any() or np.isinf(box).any()
