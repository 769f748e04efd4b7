"""Files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asmd.errors import OutputError

_DISK_TROUBLE = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS})


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` at the end, removed on any exception.

    The temporary file is made at once, so that a place that cannot be written to is known before long work begins.

    Yields:
        The temporary file's path; it ends as `path` does, for libraries that go by a file's suffix.

    Raises:
        OutputError: if `path` is a folder, its folder is missing, nothing can be written there, or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{os.getpid()}.part.{target.name}")
    if target.is_dir():
        raise OutputError(f"{target} is a folder, not a file to write to")
    if not target.parent.is_dir():
        raise OutputError(f"{target} cannot be written: there is no folder {target.parent}")
    try:
        temporary.touch()
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error.strerror})") from error
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if error.errno in _DISK_TROUBLE or error.filename in (temporary, str(temporary)):
            raise OutputError(f"{target} cannot be written ({error.strerror})") from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(path: str | Path) -> Path:
    """A folder to write in, made with those above it where they are missing.

    Raises:
        OutputError: if it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made ({error.strerror})") from error
    return folder
