"""What the time of a frame depends on: candidates, region, size of the frame, threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from asmd.evaluation._workers import limit_threads
from asmd.tracking.config import TrackerConfig
from asmd.tracking.tracker import Tracker
from speeds.clips import Clip, decoding_seconds, stepped
from speeds.stages import StageTimer
from speeds.timing import Times, clocked, in_turn, middle

BLOCK = 10
"""Frames that one setting has before it is the next one's turn."""

HEIGHTS = {"240p": 240, "480p": 480, "720p": 720, "1080p": 1080, "4K": 2160}


def candidates(clip: Clip, frames: int, preset: str = "realtime") -> list[dict[str, Any]]:
    """Cost against the number of candidates of the first look."""
    config = TrackerConfig.preset(preset)
    settings = {n: replace(config, search=replace(config.search, candidates=n)) for n in (64, 128, 256, 512, 1024)}
    return _compared("candidates", settings, clip, frames)


def regions(clip: Clip, frames: int, preset: str = "realtime") -> list[dict[str, Any]]:
    """Cost against the side of the search region in network pixels."""
    config = TrackerConfig.preset(preset)
    sides = (129, 193, 257, 321, 353, 417, 513)
    settings = {n: replace(config, features=replace(config.features, region_size=n)) for n in sides}
    return _compared("region", settings, clip, frames)


def flow(clip: Clip, frames: int, preset: str = "realtime") -> list[dict[str, Any]]:
    """Cost of flow and of the motion stream, which is as dear with weights that have none as with those that have."""
    shipped = TrackerConfig.preset(preset)
    moving = replace(shipped, features=replace(shipped.features, motion="on"))
    settings = {
        "no flow": replace(shipped, search=replace(shipped.search, flow_share=0.0)),
        "flow about the target": replace(shipped, search=replace(shipped.search, flow_share=0.5)),
        "no flow, the network not in int8": replace(
            shipped,
            search=replace(shipped.search, flow_share=0.0),
            features=replace(shipped.features, precision="float"),
        ),
        "motion stream": moving,
        "motion stream, flow at 240 pixels": replace(moving, flow=replace(moving.flow, max_side=240)),
    }
    return _compared("flow", settings, clip, frames)


def _compared(what: str, settings: Mapping[Any, TrackerConfig], clip: Clip, frames: int) -> list[dict[str, Any]]:
    trackers = {n: Tracker.from_pretrained(preset=config) for n, config in settings.items()}
    found = in_turn({n: _timed(tracker, clip, frames) for n, tracker in trackers.items()}, BLOCK)
    rows = [{what: n} | Times.of(seconds).row() for n, seconds in found.items()]
    for row in rows:
        print(f"{what} {row[what]!s:5}  {row['median']:7.2f} ms", flush=True)
    return rows


def _timed(tracker: Tracker, clip: Clip, frames: int) -> Iterator[float]:
    """Seconds of each frame after the first two, which also warm up."""
    steps = stepped(tracker, clip, frames)
    next(steps)
    next(steps)
    ended = object()
    while True:
        done: list[object] = []
        seconds = clocked(lambda found=done: found.append(next(steps, ended)))
        if done[0] is ended:
            return
        yield seconds


def frame_sizes(clip: Clip, frames: int, preset: str = "realtime") -> list[dict[str, Any]]:
    """Cost against the size of the frame: the clip made smaller and larger, target and all.

    Returns:
        A row for each size: decoding, flow, most of it beside, and everything else that the frame waits for.
    """
    rows = []
    for name, height in HEIGHTS.items():
        sized = Clip(clip.name, clip.frames[:20], clip.box).resized(height)
        timer, tracker = StageTimer(), Tracker.from_pretrained(preset=preset)
        tracker.init(sized.frames[0], sized.box)
        tracker.update(sized.frames[1])
        with timer.watching():
            for index, frame in zip(range(frames + 2), sized.to_and_fro(), strict=False):
                if index > 1:
                    tracker.update(frame)
                    timer.close_frame()
        flow = [f.get("flow", 0.0) + b.get("flow", 0.0) for f, b in zip(timer.frames, timer.beside, strict=True)]
        rest = [sum(f.values()) - f.get("flow", 0.0) for f in timer.frames]
        decoding = decoding_seconds(sized)
        row = {"size": name, "width": sized.frames[0].shape[1], "height": height}
        row |= {"decoding": 1e3 * middle(decoding), "flow": 1e3 * middle(flow), "rest": 1e3 * middle(rest)}
        rows.append(row | {"all": row["decoding"] + row["flow"] + row["rest"]})
        print(
            f"{name:6} decoding {row['decoding']:6.2f} ms  flow {row['flow']:5.2f} ms  rest {row['rest']:6.2f} ms",
            flush=True,
        )
    return rows


def threads(clip: Clip, frames: int, counts: tuple[int, ...], presets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Cost against the number of threads; in turns, so that each count is set anew for each turn."""
    runs: dict[tuple[str, int], Iterator[float]] = {}
    for preset in presets:
        for count in counts:
            limit_threads(count)
            runs[preset, count] = _on_threads(_timed(Tracker.from_pretrained(preset=preset), clip, frames), count)
    found = in_turn(runs, 2 * BLOCK)
    limit_threads(max(counts))
    rows = [{"preset": p, "threads": n} | Times.of(seconds).row() for (p, n), seconds in found.items()]
    for row in rows:
        print(f"{row['preset']:9} {row['threads']} threads  {row['median']:7.2f} ms", flush=True)
    return rows


def _on_threads(run: Iterator[float], count: int) -> Iterator[float]:
    while True:
        limit_threads(count)
        seconds = next(run, None)
        if seconds is None:
            return
        yield seconds
