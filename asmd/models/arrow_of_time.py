"""Telling a clip from the same clip played backward (paper, 3.4 and figure 4; Wei et al., CVPR 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from asmd.models.st_resnet import SpatiotemporalResNet

STACKS = 2
"""Flow stacks a clip is cut into: ten frames give nine flows, in two stacks of five that share one."""


class ArrowOfTimeHead(nn.Module):
    """The last maps of a clip's stacks joined, averaged over the map (GAP), and one linear layer to one logit.

    Args:
        features: channels of the last map of both streams together.
        join: "concatenate" puts the stacks' channels one after the other in temporal order, so that the order of
            appearances counts, too; "average" takes their mean, which leaves the direction to motion alone and has half
            the parameters.
        stacks: number of stacks a clip has.
    """

    def __init__(
        self, features: int, join: Literal["concatenate", "average"] = "concatenate", stacks: int = STACKS
    ) -> None:
        super().__init__()
        self.join = join
        self.stacks = stacks
        self.output = nn.Linear(features * (stacks if join == "concatenate" else 1), 1)

    def forward(self, network: SpatiotemporalResNet, rgb: Tensor, flow: Tensor) -> Tensor:
        """Runs the network on every stack and says how much a clip looks played forward.

        Of a clip that is shown in reverse the frames are reversed first and the flow computed from them anew.

        Args:
            network: the shared network.
            rgb: (B, stacks, 3, H, W), the last frame of each stack's span.
            flow: (B, stacks, 2L, H, W), the stacks in the order in which they are shown.

        Returns:
            (B,) logits, above 0 for forward.
        """
        last = network.stages(rgb.flatten(0, 1), flow.flatten(0, 1))[4]
        motion = torch.zeros_like(last.appearance) if last.motion is None else last.motion  # of a network of one stream
        maps = torch.cat([last.appearance, motion], 1)
        maps = maps.reshape(len(rgb), self.stacks, *maps.shape[1:])
        joined = maps.flatten(1, 2) if self.join == "concatenate" else maps.mean(1)
        logits: Tensor = self.output(joined.mean((2, 3)))
        return logits.squeeze(1)


@torch.no_grad()
def arrow_accuracy(logits: Tensor, forward: Tensor) -> float:
    """Share of clips (B,) whose direction is told rightly, in 0..1; chance is a half, NaN where B is 0."""
    return float(((logits > 0) == (forward > 0)).float().mean())
