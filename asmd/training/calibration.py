"""Training footage as the tracker would see it, on which activations of the network and of a head are measured."""

from __future__ import annotations

from collections.abc import Sequence as Several

import numpy as np
import torch
from torch import Tensor, nn

from asmd.boxes import to_corners
from asmd.errors import ConfigError
from asmd.models.box_refinement import BoxRefinement
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Sequence
from asmd.tracking.features import FeatureConfig
from asmd.tracking.inputs import Image, cut, region_corners
from asmd.training.domains import usable_frames
from asmd.training.refinement import jittered
from asmd.training.refinement_views import View, ViewConfig, Viewer


def search_regions(sequences: Several[Sequence], config: FeatureConfig, count: int, seed: int) -> list[Image]:
    """Search regions about targets of frames drawn at random, as even a number from every sequence as can be.

    Args:
        sequences: annotated; those without a frame to learn from are passed over.
        config: side and scale of the region.
        count: N.
        seed: decides which frames.

    Returns:
        N cuts (region_size, region_size, 3) uint8.

    Raises:
        ConfigError: if no sequence has such a frame.
    """
    rng = np.random.default_rng(seed)
    usable = [(sequence, frames) for sequence in sequences if len(frames := usable_frames(sequence))]
    if not usable:
        raise ConfigError("there is no annotated frame to calibrate on")
    size = (config.region_size, config.region_size)
    cuts = []
    for number in range(count):
        sequence, frames = usable[number % len(usable)]
        index = int(rng.choice(frames))
        corners = region_corners(sequence.boxes[index], config.region_scale)
        cuts.append(cut(sequence.frames[index], corners, size, replicate=True))
    return cuts


@torch.inference_mode()
def head_limits(
    head: BoxRefinement, trunk: SpatiotemporalResNet, sequences: Several[Sequence], seed: int
) -> tuple[float, ...]:
    """The greatest inputs of a head's inner layers, over boxes about the targets of two frames of each sequence.

    Args:
        head: in evaluation mode.
        trunk: the network that it reads, likewise.
        sequences: annotated.
        seed: decides which frames and boxes.

    Returns:
        One for each of `BoxRefinement.inner`.

    Raises:
        ConfigError: if no sequence has two frames to learn from.
    """
    viewer, rng = Viewer(trunk, head.config.stages, ViewConfig(frames=2)), np.random.default_rng(seed)
    pools = viewer.pools(sequences, seed)
    if not pools:
        raise ConfigError("there are no two annotated frames of a video to calibrate on")
    inner = head.inner
    most = torch.zeros(len(inner))

    def watch(number: int) -> torch.utils.hooks.RemovableHandle:
        def measure(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            most[number] = torch.maximum(most[number], given[0].max())

        return inner[number].register_forward_pre_hook(measure)

    def pooled(view: View, boxes: Tensor) -> Tensor:
        corners = torch.from_numpy(to_corners(boxes.numpy()))
        return head.pool(head.encode(view.maps), corners, viewer.strides)

    handles = [watch(number) for number in range(len(inner))]
    try:
        for pool in pools:
            first, second, *_ = pool.views
            target = pooled(first, first.box[None])
            # Those that a tracker has judged miss the target by a little more than these at worst.
            head(pooled(second, jittered(second.box, 16, 0.2, 0.3, 0.2, rng)), target, torch.zeros(1, 4))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(most.tolist())
