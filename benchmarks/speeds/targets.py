"""Cost against the number of targets in one video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asmd.boxes import Boxes, clip_to_frame
from asmd.sequence import Frame
from asmd.tracking.multi import MultiTracker
from asmd.tracking.sharing import SharingConfig
from asmd.tracking.tracker import Tracker
from speeds.clips import Clip
from speeds.crowds import pedestrians
from speeds.timing import Times, clocked, in_turn

BLOCK = 10
"""Frames that one number of targets has before it is the next one's turn."""


class _Separately:
    """A tracker for each target that shares nothing, as one would do it without `MultiTracker`."""

    def __init__(self, preset: str) -> None:
        self._preset = preset
        self._trackers: list[Tracker] = []

    def init(self, frame: Frame, boxes: list[Boxes]) -> None:
        self._trackers = [Tracker.from_pretrained(preset=self._preset, seed=n) for n in range(len(boxes))]
        for tracker, box in zip(self._trackers, boxes, strict=True):
            tracker.init(frame, box)

    def update(self, frame: Frame) -> None:
        for tracker in self._trackers:
            tracker.update(frame)


def targets(
    clip: Clip, counts: tuple[int, ...], frames: int, preset: str = "realtime", mot: Path | None = None
) -> list[dict[str, Any]]:
    """Frame times of so many targets.

    Args:
        clip: a video with one target. "close" targets stand about it, half a side apart; "apart" are boxes of the same
            size as far from each other as they go.
        counts: numbers of targets; has 1.
        frames: to track.
        preset: settings.
        mot: a folder of MOTChallenge's videos; where given, "pedestrians" are those of the video with most.

    Returns:
        A row for each layout, number, and way: "shared", "not shared" (flow and threads alone), and "separate".
    """
    layouts: dict[str, tuple[list[Frame], list[Boxes]]] = {
        "close": (clip.frames, _close(clip, max(counts))),
        "apart": (clip.frames, _apart(clip, max(counts))),
    }
    crowds = pedestrians(mot, max(counts), len(clip.frames)) if mot else []
    if crowds:
        crowd = max(crowds, key=lambda c: len(c.truths))
        layouts["pedestrians"] = (list(crowd.frames()), [truth[0] for truth in crowd.truths])
    rows: list[dict[str, Any]] = []
    for layout, (images, boxes) in layouts.items():
        runs: dict[tuple[int, str], Iterator[float]] = {}
        for count in (n for n in counts if n <= len(boxes)):
            for way in ("shared", "not shared", "separate"):
                runs[count, way] = _timed(_make(way, preset), Clip(layout, images, boxes[0]), boxes[:count], frames)
        for (count, way), seconds in in_turn(runs, BLOCK).items():
            rows.append({"layout": layout, "targets": count, "way": way} | Times.of(seconds).row())
        one = next(r["fps"] for r in rows if r["layout"] == layout and r["targets"] == 1 and r["way"] == "separate")
        for row in rows:
            if row["layout"] == layout:
                row["times_one"] = round(one / row["fps"], 3)
                print(
                    f"{layout:11} {row['targets']} targets, {row['way']:10} {row['median']:7.2f} ms "
                    f"{row['times_one']:5.2f} times one",
                    flush=True,
                )
    return rows


def _make(way: str, preset: str) -> MultiTracker | _Separately:
    if way == "separate":
        return _Separately(preset)
    sharing = SharingConfig() if way == "shared" else replace(SharingConfig(), tolerance=0.0)
    return MultiTracker.from_pretrained(preset=preset, sharing=sharing)


def _timed(tracker: MultiTracker | _Separately, clip: Clip, boxes: list[Boxes], frames: int) -> Iterator[float]:
    walk = clip.to_and_fro()
    tracker.init(next(walk), boxes)
    tracker.update(next(walk))
    for frame in itertools.islice(walk, frames):
        yield clocked(lambda frame=frame: tracker.update(frame))


def _close(clip: Clip, count: int) -> list[Boxes]:
    """Boxes on a grid of half a side about the target, the nearest first."""
    steps = sorted(itertools.product(range(-2, 3), repeat=2), key=lambda s: (s[0] ** 2 + s[1] ** 2, s))
    return _inside(clip, [clip.box + np.concatenate([np.array(s) * clip.box[2:] / 2, [0, 0]]) for s in steps], count)


def _apart(clip: Clip, count: int) -> list[Boxes]:
    """The target, and boxes of its size, each as far from all before it as can be."""
    height, width = clip.frames[0].shape[:2]
    places = itertools.product(np.linspace(0, width - clip.box[2], 9), np.linspace(0, height - clip.box[3], 9))
    free = [np.array([x, y, *clip.box[2:]]) for x, y in places]
    chosen = [clip.box]
    while len(chosen) < count:
        chosen.append(max(free, key=lambda box: min(float(np.hypot(*(box - c)[:2])) for c in chosen)))
    return chosen


def _inside(clip: Clip, boxes: list[Boxes], count: int) -> list[Boxes]:
    """The first `count` that lie in the frame to the greater part."""
    size = (clip.frames[0].shape[0], clip.frames[0].shape[1])
    kept = [b for b in boxes if np.prod(clip_to_frame(b, size)[2:]) > 0.6 * np.prod(b[2:])]
    return kept[:count]
