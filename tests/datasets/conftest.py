"""Small instances of the official layouts: an image's grey is its number, so that a test can tell which one it got."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

WriteImages = Callable[..., None]
WriteVideo = Callable[..., None]


@pytest.fixture
def write_images() -> WriteImages:
    """write_images(folder, "img{}.jpg" or "%08d.jpg", numbers): flat images of 40 x 30 pixels."""

    def write(folder: Path, pattern: str, numbers: Iterable[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for n in numbers:
            assert cv2.imwrite(str(folder / (pattern % n)), np.full((30, 40, 3), n % 250, np.uint8))

    return write


@pytest.fixture
def write_video() -> WriteVideo:
    """write_video(path, frames, fps=10, size=(64, 48)): frame n has the grey n."""

    def write(path: Path, frames: int, fps: int = 10, size: tuple[int, int] = (64, 48)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for n in range(frames):
                image = np.full((size[1], size[0], 3), n % 250, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))

    return write


@pytest.fixture
def write_text() -> Callable[[Path, str], Path]:
    """Write a file and the folders above it."""

    def write(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def footage() -> Path:
    """The shared footage beside the project."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared footage is not beside the project (../shared/data)")
    return folder
