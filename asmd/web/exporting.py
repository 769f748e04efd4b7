"""What a session gives away: boxes in every format, an annotated video, cut-outs; and boxes that it takes in."""

from __future__ import annotations

import tempfile
import zipfile
from multiprocessing.connection import Connection
from pathlib import Path

from asmd import convert
from asmd.convert import FORMATS, Annotation
from asmd.convert.pictures import write_annotated, write_crops
from asmd.errors import AsmdError, ResultsError
from asmd.video.sources import open_source
from asmd.web.decoding import CRASHED
from asmd.web.limits import Limits, confine_memory, grant_cpu
from asmd.web.worker import Worker

PICTURES = {"mp4": "annotated video (MP4)", "crops": "cut-outs of each target (ZIP of PNG)"}
"""What is drawn rather than written, in a process of its own."""


def write_boxes(annotation: Annotation, format: str, folder: Path) -> Path:
    """Writes boxes as one file to download: a zip where the format makes several.

    Args:
        annotation: with at least one target.
        format: one of `asmd.convert.FORMATS`.
        folder: for the file; its name is our own.

    Raises:
        AsmdError: if it cannot be written.
    """
    if not annotation.targets:
        raise ResultsError("there is no box yet to export")
    known = FORMATS[format]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch) / "tracks"
        if known.suffix and (not known.each or len(annotation.targets) == 1):
            place = place.with_suffix(known.suffix)
        written = convert.write(annotation, place, format)
        if len(written) == 1:
            result = folder / f"{format}{written[0].suffix}"
            written[0].replace(result)
            return result
        return _zipped(Path(scratch), written, folder / f"{format}.zip")


def _zipped(root: Path, files: list[Path], result: Path) -> Path:
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root))
    return result


def draw(connection: Connection, annotation: Annotation, kind: str, video: Path, folder: Path, limits: Limits) -> None:
    """Makes an annotated video or cut-outs; for a `Worker`.

    Sends ("at", frame), then ("done", path) or ("error", text).
    """
    confine_memory(limits)

    def told(number: int) -> None:
        grant_cpu(limits)
        connection.send(("at", number))

    grant_cpu(limits)
    try:
        source = open_source(video)
        if kind == "mp4":
            [result] = write_annotated(annotation, source, folder / "annotated.mp4", told)
        else:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                written = write_crops(annotation, source, Path(scratch) / "crops", told)
                result = _zipped(Path(scratch), written, folder / "crops.zip")
        connection.send(("done", result))
    except AsmdError as error:
        connection.send(("error", str(error).replace(str(video), "the video").replace(f"{folder}/", "")))
    except MemoryError:
        connection.send(("error", CRASHED))


def _read(connection: Connection, path: Path, size: tuple[int, int], limits: Limits) -> None:
    confine_memory(limits)
    grant_cpu(limits)
    try:
        format = convert.guess(path)
        options = {} if FORMATS[format].each else {"size": size}
        annotation = convert.read(path, format, **options)
        if annotation.frames > limits.frames:
            raise ResultsError(f"boxes for {annotation.frames} frames are refused")
        connection.send(("done", annotation))
    except (AsmdError, MemoryError, ValueError, RecursionError) as error:
        text = str(error) if isinstance(error, AsmdError) else "cannot be read"
        connection.send(("error", text.replace(str(path), "the file")))


def read_boxes(path: Path, size: tuple[int, int], limits: Limits) -> Annotation:
    """Reads boxes that came from outside, in a process of their own.

    Raises:
        ResultsError: if they are of no known format, or malformed.
    """
    worker = Worker(_read, path, size, limits)
    try:
        if not worker.connection.poll(limits.cpu_seconds):
            raise ResultsError("the file takes too long to read")
        what, answer = worker.connection.recv()
    except (EOFError, OSError) as error:
        raise ResultsError("the file cannot be read") from error
    finally:
        worker.close()
    if what == "error":
        raise ResultsError(answer)
    annotation: Annotation = answer
    return annotation
