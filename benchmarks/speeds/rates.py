"""Frames a second of each preset and each peer, in turn on the same video, everything counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asmd.evaluation.peers import peer
from asmd.sequence import Sequence
from asmd.tracking.result import TrackerLike
from asmd.tracking.tracker import Tracker
from speeds.clips import Footage
from speeds.timing import Times, in_turn, middle, now

BLOCK = 20
"""Frames that one tracker has before it is the next one's turn."""


def rates(
    footage: Footage, presets: tuple[str, ...], peers: tuple[str, ...], nanotrack: Path | None
) -> list[dict[str, Any]]:
    """Each tracker decodes for itself, as a user's would; times are from one frame to the next.

    Args:
        footage: sequences, and how much of each.
        presets: of ours. `paper` has a twentieth of the frames.
        peers: of OpenCV's.
        nanotrack: folder of that peer's weights; it is left out where None.

    Returns:
        A row for each tracker and sequence, and one for each tracker with the medians over all, `sequence` "all".
    """
    trackers: dict[str, TrackerLike] = {name: Tracker.from_pretrained(preset=name) for name in presets}
    trackers |= {name: peer(name, nanotrack) for name in peers if name != "nanotrack" or nanotrack}
    rows: list[dict[str, Any]] = []
    for sequence in footage.chosen():
        first: dict[str, float] = {}
        runs = {
            name: _run(tracker, name, sequence, footage.frames // (20 if name == "paper" else 1), first)
            for name, tracker in trackers.items()
        }
        for name, seconds in in_turn(runs, BLOCK).items():
            row = {"tracker": name, "sequence": sequence.name, "first_frame_s": round(first[name], 3)}
            rows.append(row | Times.of(seconds).row())
            print(f"{sequence.name:16} {name:11} {rows[-1]['fps']:7.1f} fps", flush=True)
    return rows + summary(rows)


def _run(tracker: TrackerLike, name: str, sequence: Sequence, frames: int, first: dict[str, float]) -> Iterator[float]:
    started = now()
    for index, frame in zip(range(min(max(3, frames), len(sequence))), sequence.frames, strict=False):
        if index == 0:
            tracker.init(frame, sequence.init_box)
            first[name] = now() - started
        else:
            tracker.update(frame)
            if isinstance(tracker, Tracker) and index % BLOCK == 0:
                tracker.settle()  # before the next one's turn, on whose time it would go on learning
            yield now() - started
        started = now()


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the sequences, and the slowest and fastest."""
    by_tracker: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_tracker[row["tracker"]].append(row)
    return [
        {
            "tracker": name,
            "sequence": "all",
            "sequences": len(own),
            "fps": middle([r["fps"] for r in own]),
            "median_fps": round(1e3 / middle([r["median"] for r in own]), 3),
            "slowest": min(r["fps"] for r in own),
            "fastest": max(r["fps"] for r in own),
            "p95_over_median": round(middle([r["p95"] / r["median"] for r in own]), 3),
            "first_frame_s": middle([r["first_frame_s"] for r in own]),
        }
        for name, own in by_tracker.items()
    ]
