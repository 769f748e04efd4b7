"""Principal components of a network's cells, by which candidates are described with fewer numbers.

Those of training footage serve any video as well as its own do (docs/speed.md), and are known before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asmd.tracking.inputs import Image
from asmd.tracking.network import FeatureNetwork


def principal(gram: Tensor, count: int) -> Tensor:
    """The directions in which cells are longest, the longest last.

    Args:
        gram: (C, C) sum of the cells' products with themselves.
        count: of directions.

    Returns:
        (C, count).
    """
    try:
        vectors: Tensor = torch.linalg.eigh(gram).eigenvectors
    except RuntimeError:
        # The solver gives up on some matrices in float32, such as those of features that hardly anything sets apart.
        vectors = torch.linalg.eigh(gram.double()).eigenvectors.to(gram.dtype)
    return vectors[:, -count:]


def of_images(
    network: FeatureNetwork, images: Sequence[Image], stages: tuple[int, ...], count: int
) -> dict[int, Tensor]:
    """Components of the appearance stream's cells, scaled to unit length, over some images.

    Args:
        network: without a readout.
        images: (H, W, 3) uint8, what it will be shown; a few hundred.
        stages: whose cells.
        count: c.

    Returns:
        stage -> (C, c) float32, the most important first, see `asmd.tracking.readout.Readout`.
    """
    grams: dict[int, Tensor] = {}
    for image in images:
        for stage, maps in network.maps(image[None], None, stages, unit=True).items():
            cells = maps.appearance[0].permute(1, 2, 0).flatten(0, 1).double()
            grams[stage] = grams.get(stage, 0) + cells.T @ cells
    return {stage: principal(gram, count).flip(1).float() for stage, gram in grams.items()}
