"""How a run tells of itself: a progress bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

    from asmd.tracking.result import TrackResult

_STYLES = {"found": "green", "uncertain": "yellow", "lost": "red"}


@dataclass(frozen=True)
class Report:
    """How a run went.

    Attributes:
        frames: how many were tracked.
        learning_seconds: that the tracker took for the first frame.
        tracking_seconds: that it took for all others.
        seconds: of wall clock, for all of it, decoding and writing included.
        statuses: number of frames of each status.
        weights: what the tracker ran on.
        written: the files.
    """

    frames: int
    learning_seconds: float
    tracking_seconds: float
    seconds: float
    statuses: dict[str, int]
    weights: str
    written: tuple[Path, ...]

    @property
    def fps(self) -> float:
        """Frames a second in the tracker, once the target is learnt."""
        return (self.frames - 1) / self.tracking_seconds if self.tracking_seconds else 0.0


class Reporter:
    """Says nothing; the others build on it."""

    def start(self, about: Mapping[str, Any], frames: int | None) -> None:
        """Told before the first frame what is being run, and how many frames are expected."""

    def frame(self, result: TrackResult) -> None:
        """Told of each frame."""

    def end(self, report: Report) -> None:
        """Told at the end, when the files are in place."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Lines(Reporter):
    """One JSON object a line on stdout: events `start`, `frame` (one a frame) and `end`."""

    def start(self, about: Mapping[str, Any], frames: int | None) -> None:
        """See Reporter."""
        self._say("start", {**about, "frames": frames})

    def frame(self, result: TrackResult) -> None:
        """See Reporter."""
        from asmd.boxfiles import as_record

        self._say("frame", as_record(result))

    def end(self, report: Report) -> None:
        """See Reporter."""
        self._say(
            "end",
            {
                "frames": report.frames,
                "learning_seconds": round(report.learning_seconds, 3),
                "seconds": round(report.seconds, 3),
                "fps": round(report.fps, 2),
                "statuses": report.statuses,
                "written": [str(p) for p in report.written],
            },
        )

    def _say(self, event: str, values: Mapping[str, Any]) -> None:
        print(json.dumps({"event": event, **values}), flush=True)


class Bar(Reporter):
    """A progress bar with speed and status on stderr, and a summary on stdout."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def start(self, about: Mapping[str, Any], frames: int | None) -> None:
        """See Reporter."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        print(f"tracking in {about['source']} with {about['preset']} on {about['weights']}", file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("learning the target", total=frames, fps="")

    def frame(self, result: TrackResult) -> None:
        """See Reporter."""
        assert self._progress is not None
        speed = self._progress.tasks[self._task].speed
        word = f"[{_STYLES[result.status]}]{result.status:<9}[/] {result.score:.2f}"
        fps = f"{speed:.1f} fps" if speed else ""
        self._progress.update(self._task, advance=1, description=word, fps=fps)

    def end(self, report: Report) -> None:
        """See Reporter."""
        statuses = ", ".join(f"{name} {count}" for name, count in report.statuses.items())
        times = f"{report.learning_seconds:.1f} s to learn the target, then {report.fps:.1f} fps"
        print(f"{report.frames} frames: {statuses}; {times}; {report.seconds:.1f} s in all")
        for path in report.written:
            print(f"wrote {path}")

    def __enter__(self) -> Reporter:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def reporter(quiet: bool, json_lines: bool) -> Reporter:
    """The reporter that the flags ask for."""
    return Lines() if json_lines else Reporter() if quiet else Bar()
