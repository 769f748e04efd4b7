"""Which stage takes how much of a frame."""

from __future__ import annotations

import itertools
from typing import Any

from asmd.tracking.tracker import Tracker
from asmd.video.sources import open_source
from speeds.clips import Clip, decoding_seconds, video_of
from speeds.stages import StageTimer
from speeds.timing import Times


def shares(clip: Clip, presets: tuple[str, ...], frames: int) -> list[dict[str, Any]]:
    """Tracks a video file with each preset, as `asmd track` does, with every stage timed.

    Frames are decoded ahead in a thread of their own: the stage "decoding" is what is left to wait for. `paper` has a
    twentieth of the frames.

    Returns:
        A row for each preset and stage; `share` is of the sum over all frames. The row of the stage "all" is the whole
        frame. Rows of "<stage>, beside" are no part of it, and have a share of 0; that of decoding is what it takes by
        itself.
    """
    rows: list[dict[str, Any]] = []
    decoding = decoding_seconds(clip)
    for preset in presets:
        timer = StageTimer()
        tracker = Tracker.from_pretrained(preset=preset)
        count = max(3, frames // (20 if preset == "paper" else 1))
        with video_of(itertools.islice(clip.to_and_fro(), count + 2)) as path, open_source(path).frames() as walk:
            tracker.init(next(walk)[1], clip.box)
            tracker.update(next(walk)[1])
            with timer.watching():
                for _ in range(count):
                    with timer.stage("decoding"):
                        _, frame = next(walk)
                    tracker.update(frame)
                    timer.close_frame()
        stages = {name: [f.get(name, 0.0) for f in timer.frames] for name in {k for f in timer.frames for k in f}}
        per_frame = [sum(parts) for parts in zip(*stages.values(), strict=True)]
        whole = sum(per_frame)
        for name, seconds in sorted(stages.items(), key=lambda item: -sum(item[1])):
            row = {"preset": preset, "stage": name, "mean": round(1e3 * sum(seconds) / len(seconds), 3)}
            rows.append(row | {"share": round(sum(seconds) / whole, 4)} | _spread(seconds))
        rows.append({"preset": preset, "stage": "all", "mean": round(1e3 * whole / len(per_frame), 3), "share": 1.0})
        rows[-1] |= Times.of(per_frame).row()
        beside = {
            name: [f.get(name, 0.0) for f in timer.beside] for name in sorted({k for f in timer.beside for k in f})
        }
        for name, seconds in {"decoding": decoding, **beside}.items():
            row = {"preset": preset, "stage": f"{name}, beside", "mean": round(1e3 * sum(seconds) / len(seconds), 3)}
            rows.append(row | {"share": 0.0} | _spread(seconds))
        for row in rows:
            if row["preset"] == preset:
                print(f"{preset:9} {row['stage']:18} {row['mean']:8.2f} ms  {100 * row['share']:5.1f} %", flush=True)
    return rows


def _spread(seconds: list[float]) -> dict[str, float]:
    row = Times.of([max(s, 1e-9) for s in seconds]).row()
    return {name: row[name] for name in ("median", "low", "high", "p95")}
