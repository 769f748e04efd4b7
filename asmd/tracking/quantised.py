"""The network in int8, which on a CPU that multiplies bytes is faster than any floating type (docs/speed.md).

NNCF's post-training quantisation makes it once, from the network in float and cuts of training footage. The graph then
lies in the weights' own file, so that the two cannot part, and OpenVINO runs it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from asmd.errors import ConfigError
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.tracking.inputs import Image
from asmd.tracking.openvino_network import QuantisedGraph, build, load_openvino


def quantise(network: SpatiotemporalResNet, images: Sequence[Image], stages: tuple[int, ...]) -> QuantisedGraph:
    """Quantises weights and activations of a network's appearance stream.

    Args:
        network: in float32 on the CPU, its batch norms folded.
        images: (H, W, 3) uint8, what it will be shown; a few hundred.
        stages: whose maps are wanted.

    Raises:
        ConfigError: if OpenVINO or NNCF is not installed.
    """
    ov, nncf = load_openvino(), _load_nncf()
    calibration = nncf.Dataset([image[None] for image in images])
    model = build(network, stages, motion=False, unit=True)
    mixed = nncf.QuantizationPreset.MIXED  # weights symmetric, activations not: they are none of them negative
    quantised = nncf.quantize(model, calibration, preset=mixed, subset_size=len(images))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        ov.save_model(quantised, path)
        topology, constants = (
            torch.from_numpy(np.fromfile(file, np.uint8)) for file in (path, path.with_suffix(".bin"))
        )
    return QuantisedGraph(stages, topology, constants)


def version() -> str:
    """Of NNCF.

    Raises:
        ConfigError: if OpenVINO or NNCF is not installed.
    """
    return str(_load_nncf().__version__)


def _load_nncf() -> ModuleType:
    load_openvino()  # first, since it sees to it that nothing is reported to anyone
    try:
        import nncf
    except ImportError as error:
        raise ConfigError("quantisation needs NNCF: pip install 'asmd[int8]'") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    module: ModuleType = nncf
    return module
