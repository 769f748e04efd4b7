"""`asmd quantise`: the network and its head in int8, for weights that have them in float."""

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

    The principal components of its cells go into the file as well, and what the head for box regression needs to be run
    in int8, if there is one. It has to be done again whenever the shared features or the head have been trained. Needs
    OpenVINO and NNCF.
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
    import torch

    from asmd import checkpoints
    from asmd.errors import ConfigError
    from asmd.files import replacing
    from asmd.tracking.components import of_images
    from asmd.tracking.config import TrackerConfig
    from asmd.tracking.network import FeatureNetwork, fold_batch_norm
    from asmd.tracking.quantised import quantise, version
    from asmd.training.calibration import head_limits, search_regions
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
        exact = FeatureNetwork(network, torch.device("cpu"), torch.float32)
        found = of_images(exact, cuts, features.stages, features.channels)
        whole = checkpoints.with_components(whole, found)
        if (head := checkpoints.build_refinement(loaded)) is not None:
            head.limits = head_limits(head, network, domains, options.seed)
            whole = checkpoints.with_refinement(whole, head)
        checkpoints.save(temporary, whole.tensors, whole.metadata)
    print(f"weights in {options.output}")
    return 0
