"""What is read of maps as the network's last step, the same in both runtimes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_scene import Scene

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.network import Backend, FeatureNetwork
from asmd.tracking.readout import Readout

CPU = torch.device("cpu")


def matrix(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


READOUT = Readout({2: matrix(128, 7), 3: matrix(256, 7)}, {3: matrix(256, 4)})


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("motion", [False, True])
def test_maps_are_products_of_cells_of_unit_length(
    network: SpatiotemporalResNet, scene: Scene, backend: Backend, motion: bool
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    rgb = np.stack([scene.frame(0)[:97, :129], scene.frame(5)[:97, :129]])
    flow = np.random.default_rng(0).normal(size=(2, 97, 129, 10)).astype(np.float32) if motion else None
    plain = FeatureNetwork(network, CPU, torch.float32, "torch").maps(rgb, flow, (2, 3), True)
    reading = FeatureNetwork(network, CPU, torch.float32, backend, readout=READOUT)
    read = reading.maps(rgb, flow, (2, 3), True)
    for stage in (2, 3):
        cells = plain[stage].appearance
        assert plain[stage].encoded is None
        wanted = torch.einsum("bchw,cd->bdhw", cells, READOUT.components[stage])
        torch.testing.assert_close(read[stage].appearance, wanted, rtol=1e-3, atol=1e-3)
        assert (read[stage].motion is None) == (not motion)
        if motion:
            torch.testing.assert_close(read[stage].motion, plain[stage].motion, rtol=1e-3, atol=1e-3)
    assert read[2].encoded is None
    wanted = torch.einsum("bchw,cd->bdhw", plain[3].appearance, READOUT.encoders[3])
    torch.testing.assert_close(read[3].encoded, wanted, rtol=1e-3, atol=1e-3)
    # Cells that are not of unit length are given as they are.
    assert reading.maps(rgb, flow, (2,))[2].appearance.shape[1] == 128


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_head_reads_is_in_float32(network: SpatiotemporalResNet, scene: Scene, dtype: torch.dtype) -> None:
    maps = FeatureNetwork(network, CPU, dtype, "torch", readout=READOUT).maps(scene.frame(0)[None], None, (3,), True)[3]
    assert maps.appearance.dtype == dtype
    assert maps.encoded is not None and maps.encoded.dtype == torch.float32


def test_the_usual_size_of_image_has_the_maps_that_others_have(network: SpatiotemporalResNet, scene: Scene) -> None:
    """A graph of its own runs for it; what one run gave, the next leaves as it is."""
    pytest.importorskip("openvino")
    usual, free = (FeatureNetwork(network, CPU, torch.float32, "openvino", readout=READOUT) for _ in range(2))
    usual.prepare((2, 3), False, True, 97)
    one, other = (scene.frame(t)[None, :97, :97] for t in (0, 9))
    first = usual.maps(one, None, (2, 3), True)
    kept = first[3].appearance.clone()
    second = usual.maps(other, None, (2, 3), True)
    assert torch.equal(first[3].appearance, kept) and not torch.equal(second[3].appearance, kept)
    for stage, maps in free.maps(one, None, (2, 3), True).items():
        torch.testing.assert_close(first[stage].appearance, maps.appearance, rtol=1e-4, atol=1e-4)
    assert usual.maps(scene.frame(0)[None, :97, :129], None, (2, 3), True)[3].appearance.shape == (1, 7, 7, 9)


def test_restricted_to_what_settings_ask_for() -> None:
    both = READOUT.restricted((2, 3), 5)
    assert {s: c.shape[1] for s, c in both.components.items()} == {2: 5, 3: 5}
    assert torch.equal(both.components[2], READOUT.components[2][:, :5])
    assert not READOUT.restricted((2, 3), 8).components and not READOUT.restricted((2, 3), 0).components
    assert not READOUT.restricted((1, 2), 5).components
    assert set(READOUT.restricted((2,), 5).encoders) == set() and set(both.encoders) == {3}
