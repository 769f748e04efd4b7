"""What a session may use, and how a process is held to it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from asmd.errors import SourceError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Limits:
    """What a session may use.

    Attributes:
        upload_bytes: of all files that a session uploads.
        files: images of one sequence.
        side: pixels of the longer side of a frame.
        pixels: of a frame.
        frames: of a video.
        memory_bytes: that a decoding process may use beyond what it starts with.
        cpu_seconds: that one request to a decoding process may take.
        sessions: that are open at once.
    """

    upload_bytes: int = 2 << 30
    files: int = 20_000
    side: int = 8192
    pixels: int = 36_000_000
    frames: int = 1_000_000
    memory_bytes: int = 2 << 30
    cpu_seconds: int = 60
    sessions: int = 16

    def check_size(self, width: int, height: int) -> None:
        """Refuses frames that are too large.

        Raises:
            SourceError: saying so.
        """
        if width < 1 or height < 1 or max(width, height) > self.side or width * height > self.pixels:
            most = f"{self.side} a side and {self.pixels:,} in all are the most"
            raise SourceError(f"frames of {width}x{height} pixels are refused: {most}")


def confine_memory(limits: Limits) -> None:
    """Holds this process to `memory_bytes` more than it uses now; it dumps no core, and writes no large file."""
    if resource is None:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def grant_cpu(limits: Limits) -> None:
    """Lets this process compute for `cpu_seconds` more; then the system ends it."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_seconds, hard))
