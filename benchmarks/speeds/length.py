"""A long video: memory and speed on the way."""

from __future__ import annotations

import resource
from typing import Any

from asmd.tracking.tracker import Tracker
from speeds.clips import Clip, resident_megabytes
from speeds.timing import Times, clocked


def length(clip: Clip, frames: int, preset: str = "realtime", parts: int = 20) -> list[dict[str, Any]]:
    """Plays a clip forward and backward, so that the object never jumps, and follows it for so long.

    Returns:
        A row for each twentieth: resident memory at its end, the peak so far, and the times of its frames.
    """
    tracker = Tracker.from_pretrained(preset=preset)
    walk = clip.to_and_fro()
    tracker.init(next(walk), clip.box)
    rows: list[dict[str, Any]] = []
    seconds: list[float] = []
    every = max(1, frames // parts)
    for index, frame in zip(range(1, frames + 1), walk, strict=False):
        seconds.append(clocked(lambda frame=frame: tracker.update(frame)))
        if index % every == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            row = {"frames": index, "megabytes": round(resident_megabytes(), 1), "peak_megabytes": round(peak, 1)}
            rows.append(row | Times.of(seconds).row())
            seconds.clear()
            print(f"{index:6} frames  {row['megabytes']:7.1f} MB  {rows[-1]['median']:6.2f} ms", flush=True)
    return rows
