"""What is read of the appearance stream: products of its cells with matrices that no video changes.

They are the last step of the network's pass, whose threads compute them, so that no more leaves it than is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class StageMaps(NamedTuple):
    """Maps of one stage, of images (B, ...).

    Attributes:
        appearance: (B, C, h, w); C is that of the stage, or that of the readout's components.
        motion: likewise with all channels; None where the motion stream did not run.
        encoded: (B, P, h, w) float32, what a box-refinement head reads; None where nothing does.
    """

    appearance: Tensor
    motion: Tensor | None
    encoded: Tensor | None


@dataclass(frozen=True, eq=False)
class Readout:
    """Matrices that cells of unit length of the appearance stream are multiplied by.

    Attributes:
        components: stage -> (C, c) float32, directions along which candidates are described, those that matter most
            first (`asmd.tracking.components`). Where there are none, all channels are given.
        encoders: stage -> (C, P) float32, a box-refinement head's projection.
    """

    components: Mapping[int, Tensor] = field(default_factory=dict)
    encoders: Mapping[int, Tensor] = field(default_factory=dict)

    def restricted(self, stages: Sequence[int], channels: int) -> Readout:
        """That of some stages; without components where they are not `channels` or more at each of these."""
        found = [self.components.get(stage) for stage in stages]
        enough = [c[:, :channels].contiguous() for c in found if c is not None and 0 < channels <= c.shape[1]]
        components = dict(zip(stages, enough, strict=True)) if len(enough) == len(found) else {}
        return Readout(components, {stage: e for stage, e in self.encoders.items() if stage in stages})
