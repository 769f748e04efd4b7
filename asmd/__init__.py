"""Single-object visual tracking: one box on the first frame, that object's box in every frame after it.

    import asmd

    for result in asmd.track("clip.mp4", box=(10, 20, 80, 60)):
        print(result.index, result.box, result.score, result.status)

Names are imported when first used, so that `import asmd` (and `asmd --help`) costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asmd import boxes as boxes
    from asmd import convert as convert
    from asmd import datasets as datasets
    from asmd import errors as errors
    from asmd import evaluation as evaluation
    from asmd import video as video
    from asmd.errors import AsmdError as AsmdError
    from asmd.evaluation.runner import evaluate as evaluate
    from asmd.online import track as track
    from asmd.sequence import Sequence as Sequence
    from asmd.tracking.config import TrackerConfig as TrackerConfig
    from asmd.tracking.multi import MultiTracker as MultiTracker
    from asmd.tracking.result import Status as Status
    from asmd.tracking.result import TrackResult as TrackResult
    from asmd.tracking.tracker import Tracker as Tracker

_EXPORTS = {
    "AsmdError": "asmd.errors",
    "MultiTracker": "asmd.tracking.multi",
    "Sequence": "asmd.sequence",
    "Status": "asmd.tracking.result",
    "TrackResult": "asmd.tracking.result",
    "Tracker": "asmd.tracking.tracker",
    "TrackerConfig": "asmd.tracking.config",
    "evaluate": "asmd.evaluation.runner",
    "track": "asmd.online",
}
"""Each public name and the module that it lives in; the imports above say the same to type checkers."""

_SUBMODULES = frozenset({"boxes", "convert", "datasets", "errors", "evaluation", "video"})
"""Public modules that may be used after a bare `import asmd`."""

__all__ = [
    "AsmdError",
    "MultiTracker",
    "Sequence",
    "Status",
    "TrackResult",
    "Tracker",
    "TrackerConfig",
    "boxes",
    "convert",
    "datasets",
    "errors",
    "evaluate",
    "evaluation",
    "track",
    "video",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"asmd.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("asmd")
    raise AttributeError(f"module 'asmd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
