"""How fast the tracker is, where the time goes, and what it depends on: one command for all of `docs/speed.md`.

    python benchmarks/speed.py --root ../shared/data/train --nanotrack ../shared/peers/nanotrack_v2 --json speed.json

The parts, each of which can be run by itself into the same file:

    stages      time of each stage of a frame: median, spread, share
    rates       frames a second of presets and OpenCV's trackers, in turn on the same videos, decoding included
    candidates, regions, flow, sizes, threads      what the time of a frame depends on
    targets     several targets in one video
    length      memory and speed over a long video
    limit       the feature pass against OpenVINO's benchmark_app and against this machine's matrix products

`--plots DIR` draws what the file holds, `--tables FILE` writes it as Markdown; with `--parts none` that is all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from speeds import length, limit, rates, scaling, shares, targets
from speeds.clips import Footage
from speeds.plots import draw
from speeds.tables import markdown
from speeds.timing import load, use_clock

from asmd.errors import ConfigError
from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.files import replacing

PARTS = ("stages", "rates", "candidates", "regions", "flow", "sizes", "threads", "targets", "length", "limit")


@dataclass(frozen=True)
class Options:
    """Measure the tracker's speed."""

    root: Path
    """A data set's folder."""
    dataset: str = "folder"
    """Its name."""
    parts: tuple[str, ...] = PARTS
    """What to measure."""
    sequences: tuple[str, ...] | None = None
    """Only these; where not given those that the recipe `local` holds out of training, else all."""
    frames: int = 200
    """Of each sequence, and of each setting, at most."""
    long: int = 10_000
    """Frames of the part `length`."""
    presets: tuple[str, ...] = ("realtime", "accurate")
    """Presets to measure; `paper` has a twentieth of the frames."""
    peers: tuple[str, ...] = ("csrt", "kcf", "mil", "mosse", "medianflow", "tld", "nanotrack")
    """Trackers of OpenCV to measure beside them."""
    nanotrack: Path | None = None
    """Folder of that tracker's weights; without it the tracker is left out."""
    mot: Path | None = None
    """Folder of MOTChallenge's videos, for targets that are pedestrians."""
    counts: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of targets."""
    threads: int = 2
    """To compute with."""
    clock: Literal["wall", "cpu"] = "wall"
    """Time as it passes, or as it is computed in, which other work on the machine does not lengthen; for one thread."""
    seconds: float = 5.0
    """For each figure of the part `limit`."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Figures; parts that it has already and that are not measured stay."""
    plots: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Draw the figures there."""
    tables: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there as Markdown."""


def measurements(options: Options) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """Each part, ready to be run."""
    footage = Footage(options.root, options.dataset, options.sequences, options.frames)
    frames = options.frames
    steps = tuple(sorted({1, options.threads}))
    return {
        "stages": lambda: shares.shares(footage.first(), options.presets, frames),
        "rates": lambda: rates.rates(footage, options.presets, options.peers, options.nanotrack),
        "candidates": lambda: scaling.candidates(footage.first(), frames),
        "regions": lambda: scaling.regions(footage.first(), frames),
        "flow": lambda: scaling.flow(footage.first(), frames),
        "sizes": lambda: scaling.frame_sizes(footage.first(), frames),
        "threads": lambda: scaling.threads(footage.first(), frames, steps, options.presets),
        "targets": lambda: targets.targets(footage.first(), options.counts, frames, mot=options.mot),
        "length": lambda: length.length(footage.first(), options.long),
        "limit": lambda: limit.limit(options.presets, options.threads, options.seconds),
    }


def main(options: Options) -> None:
    """Measures, prints, writes and draws."""
    if unknown := set(options.parts) - {*PARTS, "none"}:
        raise ConfigError(f"unknown part {min(unknown)!r}: choose from {', '.join(PARTS)}")
    known = options.json is not None and options.json.is_file()
    record: dict[str, Any] = json.loads(options.json.read_text()) if options.json and known else {}
    use_clock(options.clock)
    for part in (p for p in options.parts if p != "none"):
        limit_threads(options.threads)
        print(f"-- {part}", flush=True)
        before = load()
        rows = measurements(options)[part]()
        record[part] = {
            "machine": provenance.machine(),
            "code": provenance.code_version(),
            "time": provenance.now(),
            "load_before": before,
            "load_after": load(),
            "threads": options.threads,
            "clock": options.clock,
            "frames": options.long if part == "length" else options.frames,
            "rows": rows,
        }
        if options.json:
            with replacing(options.json) as temporary:
                temporary.write_text(json.dumps(record, indent=1) + "\n")
    if options.plots:
        for path in draw(record, options.plots):
            print(f"wrote {path}")
    if options.tables:
        with replacing(options.tables) as temporary:
            temporary.write_text(markdown(record))
        print(f"wrote {options.tables}")


if __name__ == "__main__":
    main(tyro.cli(Options))
