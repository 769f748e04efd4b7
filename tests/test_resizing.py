from __future__ import annotations

import cv2
import numpy as np
import pytest

from asmd.resizing import resized

DRAW = np.random.default_rng(0)


def test_halving_is_the_mean_of_four() -> None:
    image = DRAW.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    means = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(resized(image, (4, 6)) - means).max() <= 0.5
    grey = DRAW.normal(size=(16, 8)).astype(np.float32)
    np.testing.assert_allclose(resized(grey, (4, 2)), grey.reshape(4, 4, 2, 4).mean(axis=(1, 3)), atol=1e-6)


@pytest.mark.parametrize("size", [(50, 70), (99, 99), (150, 210), (37, 260), (400, 60)])
def test_other_sizes_are_opencvs(size: tuple[int, int]) -> None:
    """Odd images are never halved; those with fewer rows are means over areas, others bilinear."""
    image = DRAW.integers(0, 256, (201, 263, 3), dtype=np.uint8)
    how = cv2.INTER_AREA if size[0] < 201 else cv2.INTER_LINEAR
    assert (resized(image, size) == cv2.resize(image, size[::-1], interpolation=how)).all()


def test_what_is_halved_first_is_the_mean_over_areas_as_well() -> None:
    """But for rounding, and for pixels that an edge of the new ones goes through."""
    rows, columns = np.mgrid[:480, :640]
    image = np.stack([127 + 100 * np.sin(rows / 30), 127 + 100 * np.sin(columns / 20), columns / 3], 2).astype(np.uint8)
    area = cv2.resize(image, (150, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(resized(image, (100, 150)).astype(int) - area).max() <= 2


def test_what_has_the_size_is_given_back() -> None:
    image = np.zeros((5, 6, 3), np.uint8)
    assert resized(image, (5, 6)) is image
