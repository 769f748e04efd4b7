"""Still images: one file to an RGB frame, and a folder or pattern to files in natural order."""

from __future__ import annotations

import glob
import re
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from asmd.errors import SourceError
from asmd.sequence import Frame
from asmd.video._decoding import on_black
from asmd.video._quiet import quiet_opencv

SUFFIXES = frozenset({".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File name endings that count as images in a folder."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"


def read_image(path: str | Path) -> Frame:
    """Read one image as RGB uint8 (H, W, 3).

    Grey becomes three equal channels; 16 bit is scaled to 8 by the range of the type (65535 -> 255); transparency is
    put on black. A JPEG is turned the way its EXIF tag says.

    Raises:
        SourceError: if the file is missing, damaged, no image, or holds other than 8 or 16 bit integers.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror})") from error
    if not data:
        raise SourceError(f"{path} is empty")
    if data.startswith(_PNG_SIGNATURE):
        _check_png(data, path)
    # Only the colour mode heeds EXIF, and only the unchanged mode keeps alpha; a JPEG has no alpha.
    mode = cv2.IMREAD_COLOR if data.startswith(_JPEG_SIGNATURE) else cv2.IMREAD_UNCHANGED
    with quiet_opencv():
        image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if image is None:
        raise SourceError(f"{path} cannot be decoded: damaged, or no image")
    return _rgb8(np.asarray(image), path)


def _check_png(data: bytes, path: str | Path) -> None:
    """Find damage before libpng does, which would print a line of its own."""
    at = len(_PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = at + 4, at + 8 + length
        if body[1] + 4 > len(data):
            raise SourceError(f"{path} is cut short")
        if zlib.crc32(data[slice(*body)]) != int.from_bytes(data[body[1] : body[1] + 4], "big"):
            raise SourceError(f"{path} is damaged (checksum of its {kind!r} part)")
        at = body[1] + 4


def _rgb8(image: NDArray[np.generic], path: str | Path) -> Frame:
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if image.dtype != np.uint8:
        raise SourceError(f"{path} holds {image.dtype} pixels; 8 and 16 bit integers are read")
    pixels = image.astype(np.uint8, copy=False)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        return on_black(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), dtype=np.uint8))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def list_images(place: str | Path) -> tuple[Path, ...]:
    """Images in a folder, or that match a pattern such as `frames/*.jpg`, in natural order (2 before 10).

    Raises:
        SourceError: if there is none.
    """
    folder = Path(place)
    if folder.is_dir():
        found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    else:
        found = [Path(p) for p in glob.glob(str(place)) if Path(p).suffix.lower() in SUFFIXES]  # noqa: PTH207 - absolute patterns
    if not found:
        raise SourceError(f"there is no image in {place}" if folder.is_dir() else f"no image matches {place}")
    return tuple(sorted(found, key=natural_key))


def natural_key(path: str | Path) -> list[tuple[int, int | str]]:
    """Sort key under which numbers inside a name count as numbers: img2 < img10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(0, int(part)) if i % 2 else (1, part) for i, part in enumerate(parts)]
