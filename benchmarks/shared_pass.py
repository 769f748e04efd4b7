"""What sharing a pass through the network does to accuracy and to time, in videos with several targets.

    python benchmarks/shared_pass.py --root ../shared/data/train

`MultiTracker` follows the same targets once for each tolerance; below 1 nothing is shared. Two kinds of footage: MOT
videos with several annotated pedestrians, and the sequences that the recipe `local` holds out of training, whose target
is given unannotated company that forces it to share. AUC is OTB's, over the annotated targets.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from speeds.crowds import Crowd, company, pedestrians

from asmd.datasets import load
from asmd.evaluation import provenance
from asmd.evaluation._workers import limit_threads
from asmd.evaluation.protocols import protocol
from asmd.evaluation.scoring import each, score_sequence
from asmd.tracking.multi import MultiTracker
from asmd.tracking.sharing import SharingConfig
from asmd.training.config import LOCAL_HELD_OUT


@dataclass(frozen=True)
class Options:
    """Compare tracking with and without shared passes."""

    root: Path
    """A folder with videos of MOTChallenge's and the held-out sequences below it, in the format of `folder`."""
    preset: str = "realtime"
    """Settings."""
    tolerances: tuple[float, ...] = (0.0, 1.1, 1.25, 1.5)
    """Of `SharingConfig`."""
    targets: int = 4
    """In a video."""
    frames: int = 80
    """Of each video."""
    repeats: int = 2
    """Runs with different seeds."""
    kinds: tuple[str, ...] = ("mot", "company")
    """Footage."""
    sequences: str | None = None
    """Only these videos, separated by commas."""
    threads: int = 1
    """To compute with."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the figures there as well."""


def crowds(options: Options) -> list[tuple[str, Crowd]]:
    """Kind of footage, and a stretch of it."""
    found: list[tuple[str, Crowd]] = []
    if "mot" in options.kinds:
        found += [("mot", crowd) for crowd in pedestrians(options.root, options.targets, options.frames)]
    if "company" in options.kinds:
        every = load("folder", options.root)
        held_out = every.select(name for name in LOCAL_HELD_OUT if name in every)
        found += [("company", company(s, options.targets, options.frames)) for s in held_out]
    wanted = options.sequences.split(",") if options.sequences else None
    return [(kind, crowd) for kind, crowd in found if wanted is None or crowd.name in wanted]


def follow(tracker: MultiTracker, crowd: Crowd) -> tuple[list[Any], float]:
    """Boxes (N, 4) of each target that is scored, and the median time of a frame."""
    boxes: list[list[Any]] = [[] for _ in range(crowd.scored)]
    seconds = []
    for index, frame in enumerate(crowd.frames()):
        started = time.perf_counter()
        results = tracker.update(frame) if index else tracker.init(frame, [truth[0] for truth in crowd.truths])
        seconds.append(time.perf_counter() - started)
        for target, rows in enumerate(boxes):
            rows.append(results[target].box)
    return [np.stack(rows) for rows in boxes], statistics.median(seconds[1:])


def main(options: Options) -> None:
    """Tracks, prints and writes."""
    limit_threads(options.threads)
    rules = protocol("otb")
    tracker = MultiTracker.from_pretrained(preset=options.preset)
    auc: dict[tuple[str, float], list[float]] = defaultdict(list)
    seconds: dict[tuple[str, float], list[float]] = defaultdict(list)
    rows = []
    for kind, crowd in crowds(options):
        for tolerance in options.tolerances:
            tracker.sharing = replace(SharingConfig(), tolerance=tolerance)
            runs = []
            for repeat in range(options.repeats):
                tracker.reseed(1000 * repeat)
                boxes, median = follow(tracker, crowd)
                runs.append(boxes)
                seconds[kind, tolerance].append(median)
            scores = [
                each(score_sequence(rules, sequence, [run[i] for run in runs])).measures(rules)["auc"].tolist()
                for i, sequence in enumerate(crowd.sequences())
            ]
            auc[kind, tolerance] += [statistics.fmean(of_target) for of_target in scores]
            rows.append({"kind": kind, "video": crowd.name, "tolerance": tolerance, "auc": scores})
            text = " ".join(f"{statistics.fmean(s):.3f}" for s in scores)
            print(f"{kind:8} {crowd.name:16} tolerance {tolerance:4.2f}  AUC {text}", flush=True)
    summary = [
        {
            "kind": kind,
            "tolerance": tolerance,
            "targets": len(values),
            "auc": statistics.fmean(values),
            "frame_ms": 1e3 * statistics.median(seconds[kind, tolerance]),
        }
        for (kind, tolerance), values in auc.items()
    ]
    for row in summary:
        print(
            f"{row['kind']:8} tolerance {row['tolerance']:4.2f}: mean AUC {row['auc']:.4f} "
            f"over {row['targets']} targets, {row['frame_ms']:.1f} ms a frame"
        )
    if options.json:
        record = {
            "machine": provenance.machine(),
            "code": provenance.code_version(),
            "time": provenance.now(),
            "weights": tracker.weights_name,
            "options": {k: v for k, v in vars(options).items() if k not in ("root", "json")},
            "summary": summary,
            "videos": rows,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
