"""Learn features from videos of your own, and track with them.

Run: python examples/train_on_your_videos.py FOLDER RUN [STEPS]

FOLDER holds at least two videos (or folders of images), each with a text file of boxes beside it: `walk.mp4` and
`walk.txt`. RUN is the folder of the run, which goes on where it was stopped. `asmd train` does the same, with a bar and
with a flag for every setting.
"""

import sys
from dataclasses import replace
from pathlib import Path

import asmd
from asmd.training.config import TrainingConfig, ValidationConfig, local
from asmd.training.domains import DataConfig, DataSource, TrainingData, gather
from asmd.training.trainer import Report, Trainer

VIDEOS = DataConfig((DataSource("folder"),))


def settings(data: TrainingData, steps: int, start: str = "") -> TrainingConfig:
    """The recipe `local`, with less in an iteration and no pause for validation."""
    recipe = local()
    return replace(
        recipe,
        videos=VIDEOS,
        start=start,
        batch=replace(recipe.batch, domains=min(4, len(data.domains))),
        clips=replace(recipe.clips, pairs=1),
        schedule=replace(recipe.schedule, steps=steps),
        optimiser=replace(recipe.optimiser, heads_first=steps // 10),
        validation=ValidationConfig(),
        workers=0,
    )


def show(report: Report) -> None:
    """A line every few iterations."""
    print(f"{report.step}/{report.steps}: loss {report.values.get('domain', float('nan')):.3f}")


def main(folder: str, run: str, steps: str = "300", start: str = "") -> None:
    """Train, then follow the first video's target with what came of it."""
    data = gather(VIDEOS, Path(folder))
    weights = Trainer(settings(data, int(steps), start), data, Path(run)).run(resume=True, watch=show)
    sequence = data.domains[0]
    tracker = asmd.Tracker.from_pretrained(weights, preset="realtime")
    frames = iter(sequence.frames)
    tracker.init(next(frames), sequence.boxes[0])
    for result in map(tracker.update, frames):
        print(f"{sequence.name} {result.index}: {result.box.round(1)} {result.status} {result.score:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
