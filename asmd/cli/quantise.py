"""`asmd quantise`: the network in int8, for weights that have it in float."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

if TYPE_CHECKING:
    from asmd.training.domains import DataConfig


@dataclass(frozen=True)
class Options:
    """Quantise the network of given weights to int8, calibrated on training footage, and write both into one file.

    It has to be done again whenever the shared features have been trained. Needs OpenVINO and NNCF.
    """

    data: Annotated[Path, arg(metavar="DIR")]
    """The folder with the data sets."""
    output: Annotated[Path, arg(metavar="FILE.safetensors")]
    """The file to write."""
    videos: DataConfig
    weights: Annotated[str | None, arg(metavar="NAME|FILE")] = None
    """What is quantised; the best at hand where not given."""
    cuts: int = 300
    """Search regions to calibrate on."""
    seed: int = 0
    """Decides which."""


def preset_options(arguments: list[str]) -> Any:
    """Options to start from: the data of the recipe `local`."""
    global DataConfig  # as in `asmd.cli.train`
    from asmd.training.config import local
    from asmd.training.domains import DataConfig

    del arguments  # none of them decides anything
    return Options(data=tyro.MISSING, output=tyro.MISSING, videos=local().videos)


def run(options: Options) -> int:
    """Do it; the answer is the exit status."""
    from asmd import checkpoints
    from asmd.errors import ConfigError
    from asmd.files import replacing
    from asmd.tracking.config import TrackerConfig
    from asmd.tracking.network import fold_batch_norm
    from asmd.tracking.quantised import quantise, version
    from asmd.training.calibration import search_regions
    from asmd.training.domains import gather

    if options.cuts < 1:
        raise ConfigError(f"quantisation needs at least one cut to calibrate on, got {options.cuts}")
    made_with = version()
    with replacing(options.output) as temporary:
        loaded = checkpoints.load(options.weights)
        network, _ = checkpoints.build_network(loaded)
        features = TrackerConfig.realtime().features
        domains = gather(options.videos, options.data).domains
        cuts = search_regions(domains, features, options.cuts, options.seed)
        print(f"{len(cuts)} search regions of {len(domains)} domains", file=sys.stderr)
        graph = quantise(fold_batch_norm(network), cuts, features.stages)
        facts = {"cuts": len(cuts), "domains": len(domains), "seed": options.seed, "nncf": made_with}
        whole = checkpoints.with_quantised(loaded, graph, facts)
        checkpoints.save(temporary, whole.tensors, whole.metadata)
    print(f"weights in {options.output}")
    return 0
