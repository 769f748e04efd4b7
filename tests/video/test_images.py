"""Still images of every kind become RGB uint8, and files come in natural order."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import cut_short, number_of, numbered_frames, save_images
from hypothesis import given
from hypothesis import strategies as st

from asmd.errors import SourceError
from asmd.video import list_images, read_image
from asmd.video.images import natural_key


def write(path: Path, array: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), array)
    return path


def test_colours_are_rgb(tmp_path: Path) -> None:
    bgr = np.zeros((4, 5, 3), np.uint8)
    bgr[..., 0] = 200  # blue
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.png", bgr))[0, 0], [0, 0, 200])


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".tif", ".bmp", ".jpg"])
def test_grey_is_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    image = read_image(write(tmp_path / f"a{suffix}", np.full((6, 7), 91, np.uint8)))
    assert image.shape == (6, 7, 3)
    assert image.dtype == np.uint8
    assert abs(image.astype(int) - 91).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bit_is_scaled_by_the_range_of_its_type(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 128, 257, 32768, 65535 - 129, 65535]], np.uint16)
    image = read_image(write(tmp_path / f"a{suffix}", deep))
    np.testing.assert_array_equal(image[0, :, 0], [0, 0, 1, 128, 254, 255])
    assert image.shape == (1, 6, 3)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_transparency_is_put_on_black(tmp_path: Path, dtype: type, top: int) -> None:
    bgra = np.array([[[0, 0, top, top], [0, 0, top, 0], [0, 0, top, round(top * 0.4)]]], dtype)
    image = read_image(write(tmp_path / "a.png", bgra))
    np.testing.assert_array_equal(image[0, :, 0], [255, 0, 102])
    assert image.shape == (1, 3, 3)


def test_float_pixels_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.tiff holds float32"):
        read_image(write(tmp_path / "a.tiff", np.zeros((4, 4), np.float32)))


def test_jpeg_is_turned_as_its_tag_says(tmp_path: Path) -> None:
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[:, :32] = 255
    path = write(tmp_path / "a.jpg", frame)
    data = path.read_bytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn clockwise
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + data[2:])
    turned = read_image(path)
    assert turned.shape == (64, 32, 3)
    assert turned[:28].min() > 200 > 50 > turned[36:].max()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_cut_short_is_refused_without_other_noise(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    [path] = save_images(tmp_path, numbered_frames(1), suffix)
    with pytest.raises(SourceError, match=rf"0\{suffix}"):
        read_image(cut_short(path, 0.6))
    assert capfd.readouterr().err == ""


def test_flipped_bits_in_a_png_are_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    [path] = save_images(tmp_path, numbered_frames(1))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match="damaged"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"", "is empty"), (b"text" * 9, "no image")])
def test_what_is_no_image_says_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.png.*{reason}"):
        read_image(path)


def test_folder_is_in_natural_order_and_only_images(tmp_path: Path) -> None:
    save_images(tmp_path, numbered_frames(12))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert [number_of(read_image(p)) for p in list_images(tmp_path)] == list(range(12))


def test_pattern_selects(tmp_path: Path) -> None:
    save_images(tmp_path, numbered_frames(12))
    assert [p.name for p in list_images(f"{tmp_path}/1*.png")] == ["1.png", "10.png", "11.png"]


@pytest.mark.parametrize("place", ["", "none*.png"])
def test_nothing_found_says_where(tmp_path: Path, place: str) -> None:
    with pytest.raises(SourceError, match=str(tmp_path)):
        list_images(tmp_path / place)


@given(st.lists(st.integers(0, 10**7), unique=True, min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_numbers_in_names_count_as_numbers(numbers: list[int], shuffler: random.Random) -> None:
    names = [f"seq2/img_{n}.jpg" for n in numbers]
    shuffler.shuffle(names)
    ordered = sorted(names, key=natural_key)
    assert ordered == [f"seq2/img_{n}.jpg" for n in sorted(numbers)]


@given(st.lists(st.text(alphabet="a1.-_é²٣", max_size=6), max_size=6))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    ordered = sorted(names, key=natural_key)
    for before, after in itertools.pairwise(ordered):
        assert natural_key(before) <= natural_key(after)
