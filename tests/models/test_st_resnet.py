from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asmd.errors import WeightsError
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig


@pytest.fixture(scope="module")
def network() -> SpatiotemporalResNet:
    torch.manual_seed(0)
    return SpatiotemporalResNet().eval()


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 65, 65, generator=generator), torch.randn(2, 10, 65, 65, generator=generator)


def test_parameter_counts(network: SpatiotemporalResNet) -> None:
    """FACTS 2: 11.18 M + 11.20 M = 22.37 M; ResNet-18 without its classifier has 11,176,512."""
    counts = [sum(p.numel() for p in s.parameters()) for s in (network.appearance, network.motion)]
    assert counts == [11_176_512, 11_176_512 + 7 * 64 * 49]
    assert sum(counts) == pytest.approx(22.37e6, abs=1e4)


@torch.no_grad()
def test_sizes_at_224(network: SpatiotemporalResNet) -> None:
    maps = network.stages(torch.zeros(1, 3, 224, 224), torch.zeros(1, 10, 224, 224), (1, 2, 3, 4))
    assert [tuple(maps[s].appearance.shape[1:]) for s in (1, 2, 3, 4)] == [
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]
    assert network(torch.zeros(1, 3, 224, 224), torch.zeros(1, 10, 224, 224)).shape == (1, 1024)


@torch.no_grad()
def test_link_by_hand(network: SpatiotemporalResNet, inputs: tuple[Tensor, Tensor]) -> None:
    """x_a <- relu(x_a + F(x_a + x_m)): the branch sees the sum, the shortcut does not, the motion stream sees
    nothing.
    """
    rgb, flow = inputs
    first_a, second_a = network.appearance.blocks(1)
    first_m, second_m = network.motion.blocks(1)
    x_a, x_m = first_a(network.appearance.stem(rgb)), first_m(network.motion.stem(flow))
    branch = second_a.bn2(second_a.conv2(torch.relu(second_a.bn1(second_a.conv1(x_a + x_m)))))
    maps = network.stages(rgb, flow, (1,))[1]
    assert torch.allclose(maps.appearance, torch.relu(x_a + branch), atol=1e-5)
    assert maps.motion is not None
    assert torch.allclose(maps.motion, second_m(x_m), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("links", "blocks"), [("stage", {1}), ("block", {0, 1}), ("none", set())])
def test_number_of_links(links: str, blocks: set[int], inputs: tuple[Tensor, Tensor]) -> None:
    net = SpatiotemporalResNet(STResNetConfig(links=links)).eval()  # type: ignore[arg-type]
    rgb, flow = inputs
    seen = []
    for stage in range(1, 5):
        for index, block in enumerate(net.appearance.blocks(stage)):
            block.register_forward_hook(
                lambda _m, args, _o, key=(stage, index): seen.append(key) if args[1] is not None else None
            )
    net.stages(rgb, flow, (4,))
    assert seen == [(s, b) for s in range(1, 5) for b in sorted(blocks)]


@torch.no_grad()
def test_multiplicative_link_with_unit_motion_is_no_link(inputs: tuple[Tensor, Tensor]) -> None:
    net = SpatiotemporalResNet(STResNetConfig(fusion="multiply")).eval()
    _, second = net.appearance.blocks(1)
    x = torch.rand(1, 64, 5, 5)
    assert torch.equal(second(x, x * torch.ones_like(x)), second(x))


@torch.no_grad()
def test_without_flow_motion_is_left_out(network: SpatiotemporalResNet, inputs: tuple[Tensor, Tensor]) -> None:
    assert network.stages(inputs[0], None, (2,))[2].motion is None


@torch.no_grad()
def test_dilated_layer4_keeps_the_stride(inputs: tuple[Tensor, Tensor]) -> None:
    net = SpatiotemporalResNet(STResNetConfig(dilate_layer4=True)).eval()
    maps = net.stages(inputs[0], None, (3, 4))
    assert maps[4].appearance.shape[2:] == maps[3].appearance.shape[2:]


def test_gradients_reach_the_motion_stream_through_the_links(inputs: tuple[Tensor, Tensor]) -> None:
    net = SpatiotemporalResNet()
    net.stages(inputs[0], inputs[1], (2,))[2].appearance.sum().backward()
    grad = net.motion.conv1.weight.grad
    assert grad is not None and grad.abs().sum() > 0


def weights(drop: tuple[str, ...] = ()) -> dict[str, Tensor]:
    torch.manual_seed(2)
    state = SpatiotemporalResNet().appearance.state_dict()
    return {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in state.items() if k not in drop}


def test_motion_conv1_is_the_channel_mean() -> None:
    net, given = SpatiotemporalResNet(), weights()
    assert net.load_resnet18(given) == []
    assert torch.equal(net.motion.conv1.weight, given["conv1.weight"].mean(1, keepdim=True).expand(-1, 10, -1, -1))
    assert torch.equal(net.motion.layer2[0].conv1.weight, given["layer2.0.conv1.weight"])
    assert torch.equal(net.appearance.conv1.weight, given["conv1.weight"])


@torch.no_grad()
def test_missing_convolutions_are_named_and_silenced() -> None:
    net = SpatiotemporalResNet().eval()
    assert net.load_resnet18(weights(drop=("layer4.1.conv2.weight",))) == ["layer4.1.conv2.weight"]
    _, second = net.appearance.blocks(4)
    assert not second.conv2.weight.any()
    assert second.bn1.weight.any()


def test_wrong_weights_are_refused() -> None:
    net = SpatiotemporalResNet()
    with pytest.raises(WeightsError, match=r"conv1\.weight: \(64, 1, 7, 7\), expected \(64, 3, 7, 7\)"):
        net.load_resnet18({**weights(), "conv1.weight": torch.zeros(64, 1, 7, 7)})
    with pytest.raises(WeightsError, match=r"unknown tensor layer1\.2"):
        net.load_resnet18({**weights(), "layer1.2.conv1.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"conv1\.weight is missing"):
        net.load_resnet18({})
