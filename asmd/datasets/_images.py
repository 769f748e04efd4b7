"""Images in a sequence's folder, found by the numbers in their names. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from asmd.errors import DatasetError
from asmd.video import ImageFrames
from asmd.video.images import SUFFIXES


def numbered_images(folder: Path) -> dict[int, Path]:
    """Images `<number>.<ending>` in a folder by their number, in the order of the numbers (2 before 10).

    Leading zeros and the ending may vary: OTB's Board has five digits where others have four.

    Raises:
        DatasetError: if the folder is missing or holds no such image, or two with the same number.
    """
    try:
        files = list(folder.iterdir())
    except FileNotFoundError:
        raise DatasetError(f"{folder} is missing") from None
    except OSError as error:
        raise DatasetError(f"{folder} cannot be listed ({error.strerror})") from error
    found: dict[int, Path] = {}
    for file in files:
        if file.suffix.lower() in SUFFIXES and file.stem.isascii() and file.stem.isdigit():
            number = int(file.stem)
            if number in found:
                raise DatasetError(f"{folder} has two images of number {number}: {found[number].name} and {file.name}")
            found[number] = file
    if not found:
        raise DatasetError(f"{folder} holds no numbered image")
    return dict(sorted(found.items()))


def pick(images: Mapping[int, Path], wanted: Iterable[int], folder: Path) -> list[Path]:
    """The images of these numbers.

    Raises:
        DatasetError: naming the first that is missing and how many are.
    """
    wanted = list(wanted)
    lost = [n for n in wanted if n not in images]
    if lost:
        more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise DatasetError(f"{folder}: image {lost[0]} is missing{more}; {len(wanted)} are expected")
    return [images[n] for n in wanted]


def every_image(folder: Path, rows: int, annotation: Path) -> ImageFrames:
    """All images of a folder, which must be as many as the annotation has rows and numbered without a gap.

    Raises:
        DatasetError: if they are not.
    """
    images = numbered_images(folder)
    first, last = min(images), max(images)
    pick(images, range(first, last + 1), folder)
    if len(images) != rows:
        raise DatasetError(f"{annotation} has {rows} rows, {folder} has {len(images)} images")
    return ImageFrames(list(images.values()))
