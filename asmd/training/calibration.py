"""Cuts of training footage as the tracker would make them, on which the network's activations are measured."""

from __future__ import annotations

from collections.abc import Sequence as Several

import numpy as np

from asmd.errors import ConfigError
from asmd.sequence import Sequence
from asmd.tracking.features import FeatureConfig
from asmd.tracking.inputs import Image, cut, region_corners
from asmd.training.domains import usable_frames


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
