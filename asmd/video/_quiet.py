"""OpenCV without lines of its own on stderr, where its failures are ours to tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_lock = threading.Lock()
_inside = 0
_level_outside = 0


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's log; the level comes back when the last thread is out."""
    global _inside, _level_outside
    with _lock:
        if _inside == 0:
            _level_outside = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                cv2.utils.logging.setLogLevel(_level_outside)
