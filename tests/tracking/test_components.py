"""Principal components of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_scene import Scene

from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.components import of_images, principal
from asmd.tracking.network import FeatureNetwork

CELLS = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5, 2, 9, 3, 1])


def test_they_are_the_directions_in_which_cells_are_longest() -> None:
    found = principal(CELLS.T @ CELLS, 2)
    assert found.abs().argmax(0).tolist() == [1, 3]
    _, _, directions = np.linalg.svd(CELLS.numpy())
    np.testing.assert_allclose(abs(np.sum(directions[[1, 0]].T * found.numpy(), axis=0)), 1, atol=1e-4)


def test_they_are_found_where_the_solver_gives_up_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = torch.linalg.eigh

    def gives_up(matrix: torch.Tensor) -> object:
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("failed to converge")  # a RuntimeError
        return solve(matrix)

    gram = CELLS.T @ CELLS
    wanted = principal(gram, 2)
    monkeypatch.setattr(torch.linalg, "eigh", gives_up)
    found = principal(gram, 2)
    assert found.dtype == torch.float32
    assert torch.allclose((found * wanted).sum(0).abs(), torch.ones(2), atol=1e-4)


def test_of_images_they_keep_what_they_can_of_the_cells(network: SpatiotemporalResNet, scene: Scene) -> None:
    runner = FeatureNetwork(network, torch.device("cpu"), torch.float32)
    images = [scene.frame(t)[:129, :129] for t in (0, 20)]
    found = of_images(runner, images, (2, 3), 16)
    assert {stage: tuple(c.shape) for stage, c in found.items()} == {2: (128, 16), 3: (256, 16)}
    for stage, components in found.items():
        assert torch.allclose(components.T @ components, torch.eye(16), atol=1e-4)
        maps = [runner.maps(image[None], None, (stage,), True)[stage].appearance[0] for image in images]
        cells = torch.cat([m.permute(1, 2, 0).flatten(0, 1) for m in maps])
        kept = (cells @ components).square().sum(0)
        # The most important come first, and no others would keep more.
        assert (kept.diff() <= 1e-3).all()
        best = torch.linalg.svdvals(cells.double())[:16].square()
        assert kept.sum().item() == pytest.approx(best.sum().item(), rel=1e-4)
