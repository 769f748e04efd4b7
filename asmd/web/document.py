"""What a person and the tracker have said of a video: targets, their boxes, and the way back."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asmd.boxes import Boxes, clip_to_frame
from asmd.convert.annotation import Annotation, Target
from asmd.errors import BoxError, ConfigError
from asmd.tracking.checks import check_box
from asmd.tracking.result import Status, TrackResult

COLOURS = ("#ffb000", "#4cc9f0", "#ff6b9d", "#8be04e", "#c792ff", "#ff8552", "#5eead4", "#f4f06b")
"""Of new targets, in turn; all stand out from the page's dark ground."""

MOST_TARGETS = 32
UNDO = 40
"""Steps that can be undone."""


@dataclass(eq=False)
class Subject:
    """A target that is being worked on: as `asmd.convert.Target`, to write into."""

    identity: int
    name: str
    colour: str
    boxes: Boxes
    scores: NDArray[np.float64]
    status: NDArray[np.object_]
    drawn: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    @classmethod
    def blank(cls, identity: int, name: str, colour: str, frames: int) -> Subject:
        """Without a box."""
        nothing = np.full(frames, np.nan)
        return cls(
            identity,
            name,
            colour,
            np.full((frames, 4), np.nan),
            nothing.copy(),
            np.full(frames, "", dtype=object),
            np.zeros(frames, dtype=bool),
            nothing,
        )

    def has_box(self, frame: int) -> bool:
        """Whether there is a box on a frame."""
        return bool(np.isfinite(self.boxes[frame]).all())

    def box(self, frame: int) -> tuple[float, float, float, float]:
        """The box on a frame that has one."""
        x, y, w, h = (float(v) for v in self.boxes[frame])
        return x, y, w, h

    def put(self, frame: int, result: TrackResult, drawn: bool = False) -> None:
        """Writes what is known of a frame."""
        self.boxes[frame], self.scores[frame] = result.box, result.score
        self.status[frame], self.seconds[frame] = str(result.status), result.seconds
        self.drawn[frame] = drawn

    def clear(self, frame: int) -> None:
        """Takes the box of a frame away."""
        self.boxes[frame] = self.scores[frame] = self.seconds[frame] = np.nan
        self.status[frame], self.drawn[frame] = "", False

    def lengthen(self, frames: int) -> None:
        """Makes room for more frames."""
        more = frames - len(self.boxes)
        if more > 0:
            blank = Subject.blank(0, "", "", more)
            for name in ("boxes", "scores", "status", "drawn", "seconds"):
                setattr(self, name, np.concatenate([getattr(self, name), getattr(blank, name)]))

    def timeline(self, most: int = 1200) -> dict[str, Any]:
        """Scores and status for the page, at most so many; of frames put together the worst counts.

        Returns:
            `score`, a number or None for each; `status`, a letter for each (f, u, l, - where there is no box); `drawn`,
            where a person drew; and the colour.
        """
        frames = len(self.boxes)
        bins = min(frames, most)
        edges = np.linspace(0, frames, bins + 1).astype(int)
        worse = {"": 0, "found": 1, "uncertain": 2, "lost": 3}
        ranks = np.array([worse[s] for s in self.status], dtype=int)
        rank = np.maximum.reduceat(ranks, edges[:-1])
        low = np.fmin.reduceat(self.scores, edges[:-1])
        drawn = np.flatnonzero(np.logical_or.reduceat(self.drawn, edges[:-1]))
        return {
            "score": [round(float(v), 3) if np.isfinite(v) else None for v in low],
            "status": "".join("-ful"[r] for r in rank),
            "drawn": drawn.tolist(),
            "colour": self.colour,
        }

    def target(self) -> Target:
        """For `asmd.convert`."""
        status = tuple(str(s) for s in self.status)
        return Target(self.name, self.boxes, self.scores, status, self.drawn, self.seconds, self.colour)


@dataclass(eq=False)
class Document:
    """The targets of one video.

    Attributes:
        frames: of the video.
        size: (width, height).
        fps: frames a second, None where not known.
        subjects: by identity, in the order in which they were made.
    """

    frames: int
    size: tuple[int, int]
    fps: float | None = None
    subjects: dict[int, Subject] = field(default_factory=dict)
    _made: int = 0
    _past: list[dict[int, Subject]] = field(default_factory=list)
    _future: list[dict[int, Subject]] = field(default_factory=list)

    def remember(self) -> None:
        """Call before a change that can be undone."""
        self._past = [*self._past[-UNDO + 1 :], copy.deepcopy(self.subjects)]
        self._future.clear()

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return bool(self._future)

    def undo(self) -> None:
        """Takes the last change back."""
        if self._past:
            self._future.append(self.subjects)
            self._restore(self._past.pop())

    def redo(self) -> None:
        """Makes the last change that was undone again."""
        if self._future:
            self._past.append(self.subjects)
            self._restore(self._future.pop())

    def _restore(self, subjects: dict[int, Subject]) -> None:
        self.subjects = subjects
        self.lengthen(self.frames)

    def lengthen(self, frames: int) -> None:
        """The video has become longer: a camera's."""
        self.frames = frames
        for subject in self.subjects.values():
            subject.lengthen(frames)

    def add(self, name: str = "", colour: str = "") -> Subject:
        """A new target, with a name and colour that no other has.

        Raises:
            ConfigError: if there are `MOST_TARGETS` already.
        """
        if len(self.subjects) >= MOST_TARGETS:
            raise ConfigError(f"{MOST_TARGETS} targets are the most")
        self._made += 1
        used = {s.colour for s in self.subjects.values()}
        free = [c for c in COLOURS if c not in used] or [COLOURS[self._made % len(COLOURS)]]
        subject = Subject.blank(
            self._made, self._free_name(name or f"target {self._made}"), colour or free[0], self.frames
        )
        self.subjects[self._made] = subject
        return subject

    def _free_name(self, name: str, but: int = 0) -> str:
        wanted = Target(name[:60], np.empty((0, 4))).name
        taken = {s.name for s in self.subjects.values() if s.identity != but}
        return next(n for n in (wanted, *(f"{wanted} {k}" for k in range(2, 10**6))) if n not in taken)

    def rename(self, identity: int, name: str) -> str:
        """Gives a target a name, or the nearest that is free; returns it."""
        self.subjects[identity].name = self._free_name(name, identity)
        return self.subjects[identity].name

    def recolour(self, identity: int, colour: str) -> None:
        """Gives a target a colour, `#rrggbb`; anything else is left out."""
        if re.fullmatch(r"#[0-9a-f]{6}", colour):
            self.subjects[identity].colour = colour

    def draw(self, identity: int, frame: int, box: ArrayLike) -> None:
        """A person's box, clipped to the frame.

        Raises:
            BoxError: if it cannot be tracked.
        """
        if not 0 <= frame < self.frames:
            raise BoxError(f"there is no frame {frame}")
        inside = check_box(box, (self.size[1], self.size[0]))
        self.subjects[identity].put(frame, TrackResult(frame, inside, 1.0, Status.FOUND), drawn=True)

    def drawn_boxes(self, identity: int) -> dict[int, tuple[float, float, float, float]]:
        """All boxes that a person drew of a target, by frame."""
        subject = self.subjects[identity]
        return {int(n): subject.box(int(n)) for n in np.flatnonzero(subject.drawn)}

    def annotation(self, name: str = "video") -> Annotation:
        """For `asmd.convert`: the targets that have a box somewhere."""
        targets = [s.target() for s in self.subjects.values() if np.isfinite(s.boxes).any()]
        return Annotation(tuple(targets), self.frames, self.size, self.fps, name)

    def take(self, annotation: Annotation) -> int:
        """Adds the targets of an annotation, as far as the video goes; returns how many."""
        for target in annotation.targets:
            subject = self.add(target.name, target.colour)
            for frame in np.flatnonzero(target.there[: self.frames]):
                result = target.result(int(frame))
                box = clip_to_frame(result.box, (self.size[1], self.size[0]), 1.0)
                known = TrackResult(result.index, box, result.score, result.status, result.seconds)
                subject.put(int(frame), known, bool(target.drawn[frame]))
        return len(annotation.targets)
