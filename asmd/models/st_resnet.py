"""The two-stream Spatiotemporal ResNet (paper, 3.2; Feichtenhofer et al., NIPS 2016).

One ResNet-18 sees the RGB image, the other a stack of L optical flows (2L channels). Motion is added to what the
residual branch of the appearance blocks sees, while their shortcut stays pure appearance (FACTS 2):

    x_a <- relu(x_a + F(x_a + x_m))

The paper's "a residual link for each ResNet block" is read as one link a stage, at the second block of each (4 links);
`links="block"` puts one at every block (8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from asmd.errors import WeightsError
from asmd.models.resnet import BLOCKS_PER_STAGE, STAGE_CHANNELS, ResNet18

STREAMS = ("appearance", "motion")


@dataclass(frozen=True)
class STResNetConfig:
    """What the network is made of.

    Attributes:
        flows: L, the number of stacked flows; the motion stream has 2L input channels.
        links: "stage" links the second block of each stage (4), "block" every block (8), "none" leaves two separate
            streams.
        fusion: "add" is the paper's; "multiply" is the later ST-Multiplier form.
        dilate_layer4: layer4 at stride 16 with dilation, instead of stride 32.
    """

    flows: int = 5
    links: Literal["stage", "block", "none"] = "stage"
    fusion: Literal["add", "multiply"] = "add"
    dilate_layer4: bool = False


def check_tensors(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuses tensors that a network cannot take.

    Args:
        given: name -> tensor; may lack some.
        expected: name -> tensor of the shape that it has to have.

    Raises:
        WeightsError: if a name is not among the expected ones, or its tensor has another shape.
    """
    for name, tensor in given.items():
        if name not in expected:
            raise WeightsError(f"unknown tensor {name}")
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)}, expected {tuple(expected[name].shape)}"
            raise WeightsError(f"wrong shape for {name}: {shapes}")


class StreamMaps(NamedTuple):
    """Feature maps of one stage; `motion` is None where the motion stream did not run."""

    appearance: Tensor
    motion: Tensor | None


class SpatiotemporalResNet(nn.Module):
    """Two ResNet-18 streams with residual links from motion to appearance.

    With L = 5 it has 22.37 M parameters and gives 512 + 512 features at 7x7 for 224x224 input.

    Attributes:
        name: of the form, in the header of its weights; see `asmd.models.baselines.BACKBONES`.
    """

    name: ClassVar[str] = "st-resnet"

    def __init__(self, config: STResNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or STResNetConfig()
        self.appearance = ResNet18(3, self.config.dilate_layer4)
        self.motion = ResNet18(2 * self.config.flows, self.config.dilate_layer4)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of one stream at each stage."""
        return tuple(
            self.appearance.blocks(stage)[-1].conv2.out_channels for stage in range(1, len(STAGE_CHANNELS) + 1)
        )

    @property
    def feature_size(self) -> int:
        """Length of the pooled feature vector: both streams, 1024."""
        return len(STREAMS) * STAGE_CHANNELS[-1]

    def stride(self, stage: int) -> int:
        """Pixels between neighbouring cells of the map of stage 1 to 4."""
        return 16 if stage == 4 and self.config.dilate_layer4 else 2 ** (stage + 1)

    def linked(self, block: int) -> bool:
        """Whether block 0 or 1 of a stage receives a link."""
        return self.config.links == "block" or (self.config.links == "stage" and block == BLOCKS_PER_STAGE - 1)

    def stages(self, rgb: Tensor, flow: Tensor | None, wanted: Iterable[int] = (4,)) -> dict[int, StreamMaps]:
        """Feature maps of the wanted stages; nothing beyond the last of them is computed.

        Args:
            rgb: (B, 3, H, W), normalised as for ImageNet.
            flow: (B, 2L, H, W), see `asmd.flow`; None runs the appearance stream alone, unlinked.
            wanted: stages in 1..4, at strides 4, 8, 16 and 32 (layer4 at 16 where dilated).

        Returns:
            A map from stage to its `StreamMaps`.
        """
        wanted = set(wanted)
        maps: dict[int, StreamMaps] = {}
        x_a = self.appearance.stem(rgb)
        x_m = None if flow is None else self.motion.stem(flow)
        for stage in range(1, max(wanted) + 1):
            motion_blocks = self.motion.blocks(stage)
            for index, block in enumerate(self.appearance.blocks(stage)):
                branch_input = None
                if x_m is not None and self.linked(index):
                    branch_input = x_a + x_m if self.config.fusion == "add" else x_a * x_m
                x_a = block(x_a, branch_input)
                if x_m is not None:
                    x_m = motion_blocks[index](x_m)
            if stage in wanted:
                maps[stage] = StreamMaps(x_a, x_m)
        return maps

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Pooled features (B, 1024): appearance then motion, each the average of its last map (GAP)."""
        last = self.stages(rgb, flow)[4]
        assert last.motion is not None
        return torch.cat([last.appearance.mean((2, 3)), last.motion.mean((2, 3))], dim=1)

    def load_resnet18(self, weights: Mapping[str, Tensor]) -> list[str]:
        """Starts both streams from one set of ResNet-18 weights with torchvision's names.

        The first motion convolution becomes the channel mean of the RGB one, repeated. A residual branch whose
        convolutions are missing is silenced (its last convolution is set to 0), so that the block passes its shortcut
        on and later training adds to it; random features would bury what the shortcut carries.

        Args:
            weights: full or partial weights; `fc.*` is ignored.

        Returns:
            Names, in torchvision's layout, that the weights lack.

        Raises:
            WeightsError: if a tensor has the wrong shape or a name is not ResNet-18's.
        """
        expected = self.appearance.state_dict()
        given = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
        check_tensors(given, expected)
        if "conv1.weight" not in given:
            raise WeightsError("not ResNet-18 weights: conv1.weight is missing")
        motion = dict(given)
        motion["conv1.weight"] = given["conv1.weight"].mean(1, keepdim=True).repeat(1, 2 * self.config.flows, 1, 1)
        missing = [n for n in expected if n not in given and not n.endswith("num_batches_tracked")]
        for stream, tensors in ((self.appearance, given), (self.motion, motion)):
            stream.load_state_dict(tensors, strict=False)
            for branch in {n.rsplit(".conv", 1)[0] for n in missing if ".conv" in n}:
                nn.init.zeros_(stream.get_parameter(f"{branch}.conv2.weight"))
        return missing
