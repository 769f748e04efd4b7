"""The one exception tree of the package.

Every error that a user can cause is an `AsmdError` whose text is a single line that names the cause. The command line
prints that line and exits non-zero; a program catches the class that it cares about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asmd.tracking.result import TrackResult


class AsmdError(Exception):
    """Base of every error raised on purpose by this package."""


class BoxError(AsmdError, ValueError):
    """A box is not finite, has no area, is too small to track, or lies outside the frame."""


class FrameError(AsmdError, ValueError):
    """A frame is not RGB uint8 (H, W, 3), or its size is not that of the frames before it."""


class SourceError(AsmdError):
    """A video, image folder, camera or stream cannot be opened or holds no frame."""


class OutputError(AsmdError):
    """A result cannot be written where it was asked for."""


class WeightsError(AsmdError):
    """Weights are missing, unsafe, damaged or of another architecture."""


class DatasetError(AsmdError):
    """A data set is missing, incomplete or malformed; the text names the file and, where there is one, the row."""


class ResultsError(AsmdError):
    """Raw results are malformed or belong to another data set; the text names the file and the row."""


class ConfigError(AsmdError, ValueError):
    """A setting has a value that cannot work."""


class TrackerStateError(AsmdError, RuntimeError):
    """`update` was called before `init`."""


class TargetsFailedError(AsmdError):
    """Some targets of a `MultiTracker` failed on a frame and are no longer tracked; the others went on.

    Attributes:
        failures: what went wrong, by target.
        results: of the other targets, by target, as `update` would have returned them.
    """

    def __init__(self, failures: Mapping[int, Exception], results: Mapping[int, TrackResult]) -> None:
        self.failures, self.results = failures, results
        target, first = next(iter(failures.items()))
        many = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        super().__init__(f"target {target}{many} failed: {type(first).__name__}: {first}")
