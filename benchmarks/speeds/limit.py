"""The feature pass against what this machine can do."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from asmd import checkpoints
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import RegionExtractor
from asmd.tracking.network import fast_dtype
from asmd.tracking.threads import computing_threads
from asmd.tracking.tracker import Tracker
from speeds.timing import best_median

SIDE = 2048
"""Of the square matrices whose product is measured."""


def matrix_rate(seconds: float) -> float:
    """Arithmetic operations a second of a large matrix product in the network's type, two for each multiplication."""
    dtype = fast_dtype(torch.device("cpu"))
    a, b = torch.randn(SIDE, SIDE).to(dtype), torch.randn(SIDE, SIDE).to(dtype)
    with torch.inference_mode():
        return 2e3 * SIDE**3 / best_median(lambda: a @ b, seconds).low


def arithmetic(config: TrackerConfig) -> int:
    """Operations of one pass through the appearance stream, two for each multiplication."""
    network, _ = checkpoints.build_network(checkpoints.load(None), config.network)
    side = config.features.region_size
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.stages(torch.zeros(1, 3, side, side), None, config.features.stages)
    return int(counter.get_total_flops())


def limit(presets: tuple[str, ...], threads: int, seconds: float) -> list[dict[str, Any]]:
    """Each preset's feature pass: its time, OpenVINO's for the same network, and the time of its bare arithmetic.

    Returns:
        A row for each preset. `pass` is from a cut of the frame to maps; `openvino` is what OpenVINO's own
        benchmark_app says of that network at that size and precision, absent where it is not installed.
    """
    rows = []
    for preset in presets:
        config = TrackerConfig.preset(preset)
        tracker = Tracker.from_pretrained(preset=preset)
        extractor, side = tracker.extractor, config.features.region_size
        if not isinstance(extractor, RegionExtractor):
            continue
        frame = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        corners = np.array([[0, 0, side, side]])
        with computing_threads(1):  # as in the tracker: the rest of a frame is computed in one
            ours = best_median(lambda: extractor.maps(frame, None, corners, (side, side)), seconds)  # noqa: B023
        work, rate = arithmetic(config), matrix_rate(seconds)
        bare = 1e3 * work / rate
        row: dict[str, Any] = {"preset": preset, "side": side, "threads": threads, "gflop": round(work / 1e9, 3)}
        row |= {"matrix_gflops": round(rate / 1e9, 1), "arithmetic_ms": round(bare, 3), "pass_ms": ours.median}
        row["pass_over_arithmetic"] = round(ours.median / bare, 2)
        row["precision"] = extractor.precision
        theirs = benchmark_app(config, extractor.precision, threads, seconds)
        if theirs is not None:
            row |= {"openvino_ms": theirs, "pass_over_openvino": round(ours.median / theirs, 3)}
        rows.append(row)
        print(
            f"{preset:9} {side} px  pass {ours.median:.2f} ms, benchmark_app {theirs or float('nan'):.2f} ms, "
            f"bare arithmetic {bare:.2f} ms ({row['gflop']:.2f} GFLOP at {rate / 1e9:.0f} GFLOP/s)",
            flush=True,
        )
    return rows


def benchmark_app(config: TrackerConfig, precision: str, threads: int, seconds: float) -> float | None:
    """Median latency, in milliseconds, that OpenVINO's tool reports for the network; None where it is not there."""
    try:
        import openvino
    except ImportError:
        return None
    weights = checkpoints.load(None)
    side, stages = config.features.region_size, config.features.stages
    if precision == "int8":
        graph = checkpoints.quantised_graph(weights)
        assert graph is not None
        model = graph.model()
        model.reshape([1, side, side, 3])
    else:
        network, _ = checkpoints.build_network(weights, config.network)
        maps = _Maps(network, stages).eval()
        model = openvino.convert_model(maps, example_input=torch.zeros(1, 3, side, side), input=[1, 3, side, side])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        openvino.save_model(model, path)
        tool = Path(sys.executable).with_name("benchmark_app")
        if not tool.is_file():
            return None
        options = ["-hint", "none", "-nstreams", "1", "-api", "sync", "-infer_precision", "bf16"]
        command = [str(tool), "-m", str(path), "-d", "CPU", *options, "-nthreads", str(threads)]
        said = subprocess.run([*command, "-t", str(round(max(2, seconds)))], capture_output=True, text=True, check=True)
    found = re.search(r"Median:\s+([\d.]+) ms", said.stdout)
    return float(found.group(1)) if found else None


class _Maps(torch.nn.Module):
    """The appearance stream's maps of the wanted stages, as a network of its own."""

    def __init__(self, network: Any, stages: tuple[int, ...]) -> None:
        super().__init__()
        self._network, self._stages = network, stages

    def forward(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        return [maps.appearance for maps in self._network.stages(rgb, None, self._stages).values()]
