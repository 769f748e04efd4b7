"""`asmd refine`: train the head that tightens boxes, for given weights."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

if TYPE_CHECKING:
    from asmd.training.domains import DataConfig
    from asmd.training.refinement import RefinementProgress, RefinementTrainingConfig


@dataclass(frozen=True)
class Options:
    """Train the head that tightens boxes on frozen weights, and write both into one file for `--weights`.

    The head has to be trained again whenever the shared features have been.
    """

    data: Annotated[Path, arg(metavar="DIR")]
    """The folder with the data sets."""
    output: Annotated[Path, arg(metavar="FILE.safetensors")]
    """The file to write."""
    videos: DataConfig
    settings: Annotated[RefinementTrainingConfig, arg(name="")]
    weights: Annotated[str | None, arg(metavar="NAME|FILE")] = None
    """What the head is trained on; the best at hand where not given."""
    appearance_alone: bool = False
    """Leave out the motion stream and stage 4, which the presets `realtime` and `accurate` do not look at."""
    terms: str = ""
    """On what terms the file may be used; goes into its header."""
    seed: int = 0
    """Decides every random draw."""
    threads: Annotated[int | None, arg(metavar="N")] = None
    """That it computes with; where not given as many as there are processors."""


def preset_options(arguments: list[str]) -> Any:
    """Options to start from: the data of the recipe `local`."""
    global DataConfig, RefinementTrainingConfig  # as in `asmd.cli.train`
    from asmd.training.config import local
    from asmd.training.domains import DataConfig
    from asmd.training.refinement import RefinementTrainingConfig

    del arguments  # none of them decides anything
    settings = RefinementTrainingConfig()
    return Options(data=tyro.MISSING, output=tyro.MISSING, videos=local().videos, settings=settings)


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    import numpy as np

    from asmd import checkpoints
    from asmd.evaluation._workers import available_cores, limit_threads
    from asmd.files import replacing
    from asmd.training.domains import gather
    from asmd.training.refinement import mean_overlaps, train_refinement
    from asmd.training.run_folder import packed

    limit_threads(options.threads or available_cores())
    with replacing(options.output) as temporary:  # a place that cannot be written to is known before the work begins
        loaded = checkpoints.load(options.weights)
        if options.appearance_alone:
            loaded = checkpoints.appearance_alone(loaded)
        trunk, _ = checkpoints.build_network(loaded)
        data = gather(options.videos, options.data)
        print(f"{len(data.domains)} domains, {len(data.clips)} videos, {len(data.held_out)} held out", file=sys.stderr)
        head = train_refinement(
            trunk, data.domains, options.settings, clips=data.clips, seed=options.seed, progress=_show,
            skipped=lambda line: print(f"skipped {line}", file=sys.stderr),
        )  # fmt: skip
        whole = checkpoints.with_refinement(packed(loaded), head)
        facts = {"refinement_seed": str(options.seed), "refinement_domains": str(len(data.domains))}
        facts |= {"terms": options.terms} if options.terms else {}
        checkpoints.save(temporary, whole.tensors, {**whole.metadata, **facts})
    found = mean_overlaps(head, trunk, data.held_out)
    for name, row in found.items():
        print(f"{name}: mean IoU {' -> '.join(f'{value:.3f}' for value in row)}")
    if found:
        means = np.mean([row for row in found.values() if row], axis=0)
        print(f"held out: mean IoU {' -> '.join(f'{value:.3f}' for value in means)}")
    print(f"weights in {options.output}")
    return 0


def _show(progress: RefinementProgress) -> None:
    moved = f"IoU {progress.before:.3f} -> {progress.after:.3f}"
    print(f"[{progress.step}] loss {progress.loss:.3f}, {moved}", file=sys.stderr, flush=True)
