from pathlib import Path

import pytest
import torch

from asmd import checkpoints
from asmd.errors import WeightsError
from asmd.models.baselines import BACKBONES, SpatiotemporalConv, TwoStreamConv, VggM
from asmd.models.private_shared import PrivateSharedConfig, PrivateSharedNetwork, Views
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig
from asmd.tracking.network import FeatureNetwork
from asmd.training.run_folder import write_weights


def convolution(inputs: int, filters: int, *sides: int) -> int:
    """Parameters of a convolution by its line in a layer table."""
    size = 1
    for side in sides:
        size *= side
    return filters * (inputs * size + 1)


VGG_M_3 = convolution(3, 96, 7, 7) + convolution(96, 256, 5, 5) + convolution(256, 512, 3, 3)
LAST_TWO = 2 * convolution(512, 512, 3, 3)


def vgg_m(inputs: int) -> int:
    return convolution(inputs, 96, 7, 7) + convolution(96, 256, 5, 5) + convolution(256, 512, 3, 3) + LAST_TWO


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vgg-m", VGG_M_3),
        ("two-stream-conv", vgg_m(3) + vgg_m(10) + convolution(1024, 512, 1, 1)),
        (
            "spatiotemporal-conv",
            convolution(5, 96, 3, 11, 11) + convolution(96, 256, 2, 5, 5) + convolution(256, 384, 2, 3, 3)
            + convolution(384, 384, 3, 3) + convolution(384, 256, 3, 3),
        ),
        ("st-resnet", 22_374_976),
    ],
)  # fmt: skip
def test_parameters_are_those_of_the_layer_tables(name: str, parameters: int):
    network = BACKBONES[name](None)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_three_convolutions_of_vgg_m_have_1_8_million():
    assert VGG_M_3 == 14_208 + 614_656 + 1_180_160  # MDNet's conv1 to conv3


@pytest.mark.parametrize("name", list(BACKBONES))
def test_maps_have_the_strides_and_channels_that_they_tell(name: str):
    network = BACKBONES[name](STResNetConfig(flows=5)).eval()
    side = 65
    with torch.no_grad():
        maps = network.stages(torch.randn(2, 3, side, side), torch.randn(2, 10, side, side), (1, 2, 3, 4))
    for stage, (appearance, motion) in maps.items():
        cells = (side - 1) // network.stride(stage) + 1  # cell i is centred on pixel stride * i
        assert appearance.shape == (2, network.channels[stage - 1], cells, cells)
        assert motion is None or motion.shape == appearance.shape


@pytest.mark.parametrize("kind", [VggM, TwoStreamConv, SpatiotemporalConv])
def test_cells_see_what_lies_at_their_centre(kind):
    torch.manual_seed(0)
    network = kind().eval()
    side = 257
    image = torch.zeros(1, 3, side, side)
    (stage,) = set(network.described) - {2}
    stride = network.stride(stage)
    with torch.no_grad():
        empty = network.stages(image, None, (stage,))[stage].appearance
        image[..., 8 * stride, 9 * stride] = 50
        change = (network.stages(image, None, (stage,))[stage].appearance - empty).abs().sum(1)[0]
    rows, columns = torch.nonzero(change > 0, as_tuple=True)
    assert (rows.min() + rows.max(), columns.min() + columns.max()) == (16, 18)  # symmetric about the pixel's cell


def test_flow_changes_what_networks_with_motion_say():
    torch.manual_seed(0)
    rgb, flow = torch.randn(1, 3, 65, 65), torch.randn(1, 10, 65, 65)
    for kind, moves in ((VggM, False), (TwoStreamConv, True), (SpatiotemporalConv, True)):
        network = kind().eval()
        one, other = (network.stages(rgb, x, (4,))[4].appearance for x in (flow, -flow))
        assert torch.equal(one, other) != moves


def test_in_half_precision_features_stay_close():
    torch.manual_seed(0)
    picture = torch.randint(0, 255, (1, 65, 65, 3), dtype=torch.uint8).numpy()
    for kind in (VggM, TwoStreamConv, SpatiotemporalConv):
        network = kind().eval()
        whole, half = (
            FeatureNetwork(network, torch.device("cpu"), dtype, "torch") for dtype in (torch.float32, torch.bfloat16)
        )
        one, other = (n.maps(picture, None, (3,))[3].appearance.float() for n in (whole, half))
        assert (one - other).norm() < 0.03 * one.norm()


def test_each_trains_in_the_place_of_the_shared_network():
    for kind in (VggM, SpatiotemporalConv):
        trunk = kind(STResNetConfig(flows=5)).to(memory_format=torch.channels_last)
        network = PrivateSharedNetwork.build(trunk, 2, PrivateSharedConfig("ASPS", stages=(4,)))
        views = Views(torch.randn(2, 3, 33, 33), torch.randn(2, 10, 33, 33), torch.tensor([0, 1]))
        described = network(views)
        clips = network.arrow(torch.randn(1, 2, 3, 33, 33), torch.randn(1, 2, 10, 33, 33))
        network.terms(described, torch.tensor([0, 1]), clips, torch.tensor([True])).total().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trunk.parameters() if p.ndim > 1)


def test_weights_say_which_network_they_are_of(tmp_path: Path):
    network = VggM()
    write_weights(tmp_path / "w.safetensors", network, {})
    loaded = checkpoints.load(tmp_path / "w.safetensors")
    built, missing = checkpoints.build_network(loaded)
    assert isinstance(built, VggM) and not missing
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(built.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    loaded.metadata["backbone"] = "vgg-19"
    with pytest.raises(WeightsError, match=r"w\.safetensors: there is no network 'vgg-19'; there are st-resnet"):
        checkpoints.build_network(loaded)
    write_weights(tmp_path / "plain.safetensors", SpatiotemporalResNet(), {})
    assert "backbone" not in checkpoints.read_metadata(tmp_path / "plain.safetensors")
