"""A network and a scene for the tests of the tracker."""

from __future__ import annotations

import pytest
import torch
from moving_scene import Scene

from asmd.models.st_resnet import SpatiotemporalResNet


@pytest.fixture(scope="session")
def network() -> SpatiotemporalResNet:
    """Random but fixed weights: random features are good enough to follow a plain object."""
    torch.manual_seed(0)
    return SpatiotemporalResNet().eval()


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene()
