"""What every format of annotation is turned into, and made from: named targets in one video."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asmd.boxes import Boxes, as_boxes
from asmd.errors import ResultsError
from asmd.tracking.result import Status, TrackResult

_STATUSES = frozenset({"", *(s.value for s in Status)})


@dataclass(frozen=True, eq=False)
class Target:
    """One object through a video of N frames.

    Attributes:
        name: unique in its video; one line of printable text.
        boxes: (N, 4) float64 `(x, y, w, h)`, 0-based; a row of NaN where there is no box.
        scores: (N,) in [0, 1], NaN where not known.
        status: N values of `Status`, or "" where not known.
        drawn: (N,) bool, where a person drew the box.
        seconds: (N,) time that the frame took, NaN where not known.
        colour: `#rrggbb`, or "" for none.
    """

    name: str
    boxes: Boxes
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    status: tuple[str, ...] = ()
    drawn: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    colour: str = ""

    def __post_init__(self) -> None:
        printable = "".join(c if c.isprintable() else " " for c in self.name)
        object.__setattr__(self, "name", " ".join(printable.split()) or "target")
        boxes = as_boxes(self.boxes).reshape(-1, 4)
        rows = len(boxes)
        object.__setattr__(self, "boxes", boxes)
        if not len(self.scores):
            object.__setattr__(self, "scores", np.full(rows, np.nan))
        if not len(self.status):
            object.__setattr__(self, "status", ("",) * rows)
        if not len(self.drawn):
            object.__setattr__(self, "drawn", np.zeros(rows, dtype=bool))
        if not len(self.seconds):
            object.__setattr__(self, "seconds", np.full(rows, np.nan))
        for name in ("scores", "status", "drawn", "seconds"):
            if len(getattr(self, name)) != rows:
                raise ResultsError(f"target {self.name!r}: {len(getattr(self, name))} {name} for {rows} frames")
        if unknown := set(self.status) - _STATUSES:
            raise ResultsError(f"target {self.name!r}: {min(unknown)!r} is not a status")
        if self.colour and not re.fullmatch(r"#[0-9a-f]{6}", self.colour):
            raise ResultsError(f"target {self.name!r}: a colour is #rrggbb, got {self.colour!r}")

    @property
    def there(self) -> NDArray[np.bool_]:
        """(N,) bool: the frame has a box."""
        return np.asarray(np.isfinite(self.boxes).all(axis=1))

    def result(self, frame: int) -> TrackResult:
        """What is known of a frame, as a tracker would say it; found where the status is not known."""
        status = Status(self.status[frame] or "found")
        return TrackResult(frame, self.boxes[frame], float(self.scores[frame]), status, float(self.seconds[frame]))

    @classmethod
    def of_results(
        cls,
        name: str,
        results: Iterable[TrackResult],
        frames: int | None = None,
        *,
        drawn: Iterable[int] = (),
        colour: str = "",
        known: bool = True,
    ) -> Target:
        """A target from a tracker's answers.

        Args:
            name: of the target.
            results: one a frame at most; `index` is the frame's number.
            frames: of the video; up to the last result where None.
            drawn: numbers of frames on which a person drew the box.
            colour: of the target.
            known: whether the results' status is known.

        Raises:
            ResultsError: if a frame's number is out of range.
        """
        listed = list(results)
        count = max((r.index + 1 for r in listed), default=0) if frames is None else frames
        blank = blank_target(name, count, colour)
        status = [""] * count
        for result in listed:
            if not 0 <= result.index < count:
                raise ResultsError(f"target {name!r}: frame {result.index} of a video of {count} frames")
            blank.boxes[result.index] = result.box
            blank.scores[result.index] = result.score
            blank.seconds[result.index] = result.seconds
            status[result.index] = str(result.status) if known else ""
        wanted = [n for n in drawn if 0 <= n < count]
        blank.drawn[wanted] = True
        return replace(blank, status=tuple(status))


def blank_target(name: str, frames: int, colour: str = "") -> Target:
    """A target without a box."""
    return Target(name, np.full((frames, 4), np.nan), colour=colour)


@dataclass(frozen=True, eq=False)
class Annotation:
    """Targets in one video.

    Attributes:
        targets: of as many frames each as the video.
        frames: number of frames.
        size: (width, height) in pixels, None where not known.
        fps: frames a second, None where not known.
        name: of the video.
    """

    targets: tuple[Target, ...]
    frames: int
    size: tuple[int, int] | None = None
    fps: float | None = None
    name: str = "video"

    def __post_init__(self) -> None:
        names = [t.name for t in self.targets]
        if len(set(names)) < len(names):
            raise ResultsError(f"{self.name}: two targets are called {max(names, key=names.count)!r}")
        for target in self.targets:
            if len(target.boxes) != self.frames:
                raise ResultsError(f"{self.name}: {target.name!r} has {len(target.boxes)} frames, not {self.frames}")

    @classmethod
    def of(
        cls,
        targets: Sequence[Target],
        frames: int = 0,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        name: str = "video",
    ) -> Annotation:
        """Targets that need not be of one length: the video is at least as long as the longest."""
        frames = max([frames, *(len(t.boxes) for t in targets)])
        return cls(tuple(lengthened(t, frames) for t in targets), frames, size, fps, name)


def lengthened(target: Target, frames: int) -> Target:
    """The target with frames without a box appended, up to `frames`."""
    more = frames - len(target.boxes)
    if more <= 0:
        return target
    return replace(
        target,
        boxes=np.concatenate([target.boxes, np.full((more, 4), np.nan)]),
        scores=np.concatenate([target.scores, np.full(more, np.nan)]),
        status=target.status + ("",) * more,
        drawn=np.concatenate([target.drawn, np.zeros(more, dtype=bool)]),
        seconds=np.concatenate([target.seconds, np.full(more, np.nan)]),
    )


def interpolated(listed: Mapping[int, tuple[ArrayLike, bool]], frames: int) -> Boxes:
    """Boxes for every frame from those of some: annotation tools list key frames and draw lines between them.

    Args:
        listed: frame -> its box (4,), and whether the object stays from there to the next frame listed.
        frames: of the video.

    Returns:
        (frames, 4) float64; NaN where there is no box. Nothing follows the last frame listed.
    """
    boxes = np.full((frames, 4), np.nan)
    numbers = sorted(listed)
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        box, stays = listed[number]
        start = as_boxes(box)
        boxes[number] = start
        if following is None or not stays or not np.isfinite(start).all():
            continue
        step = (as_boxes(listed[following][0]) - start) / (following - number)
        inner = np.arange(1, following - number)[:, None]
        boxes[number + 1 : following] = start + inner * step
    return boxes


def file_names(targets: Iterable[Target]) -> list[str]:
    """A name for each target that is safe as a file's on any system: no folder, no leading dot, none twice."""
    taken: list[str] = []
    for target in targets:
        base = re.sub(r"[^\w.-]+", "_", target.name).strip("._")[:80] or "target"
        name = next(
            n for n in (base, *(f"{base}-{k}" for k in range(2, 10**6))) if n.lower() not in map(str.lower, taken)
        )
        taken.append(name)
    return taken


def finite_or_none(value: float) -> float | None:
    """A number for JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None
