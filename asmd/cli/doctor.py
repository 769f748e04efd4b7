"""`asmd doctor`: what is installed, what the machine can do, and whether the tracker works here."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instruction sets that decide how fast the network runs on a CPU."""

CODECS: tuple[tuple[str, Literal["r", "w"]], ...] = (
    ("libx264", "w"),
    ("h264", "r"),
    ("hevc", "r"),
    ("vp9", "r"),
    ("av1", "r"),
)
"""Codecs that matter: one to write with, and those that footage comes in."""


@dataclass(frozen=True)
class Options:
    """Say what is installed, what the machine can do, and whether the tracker works here."""

    weights: str | None = None
    """A packaged name or a safetensors file to try; by default the best that are at hand."""


def run(options: Options) -> int:
    """Print a line for each finding; exit status 1 if the tracker does not work."""
    findings: tuple[tuple[str, Callable[[], str]], ...] = (
        ("asmd", lambda: metadata.version("asmd")),
        ("python", platform.python_version),
        ("system", platform.platform),
        ("cores", _cores),
        ("cpu flags", _cpu_flags),
        ("packages", lambda: _versions(_requirements(None))),
        ("torch", _torch),
        ("network", _network),
        ("operations", _operations),
        ("codecs", _codecs),
        ("sample clip", _sample),
        ("extras", _extras),
    )
    for name, find in findings:
        print(f"{name:<12}{find()}")
    good, text = _self_test(options.weights)
    print(f"{'self test':<12}{'ok' if good else 'FAILED'}: {text}")
    return 0 if good else 1


def _cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{os.cpu_count()}, of which {usable} may be used"


def _cpu_flags() -> str:
    try:
        line = next(x for x in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if x.startswith("flags"))
    except (OSError, StopIteration):
        return f"unknown on {platform.machine()}"
    present = set(line.split(":", 1)[1].split())
    return ", ".join(f"{flag} {'yes' if flag in present else 'no'}" for flag in CPU_FLAGS)


def _requirements(extra: str | None) -> list[str]:
    """Names of the distributions that the package, or one of its extras, asks for."""
    wanted = []
    for line in metadata.requires("asmd") or []:
        of = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if (of[1] if of else None) == extra:
            wanted.append(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0])
    return wanted


def _versions(names: list[str]) -> str:
    def version(name: str) -> str:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            return f"{name} MISSING"

    return ", ".join(version(name) for name in names)


def _torch() -> str:
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu only"]
    threads = f"{torch.get_num_threads()} threads, {torch.get_num_interop_threads()} between operations"
    return f"{threads}, {torch.backends.cpu.get_cpu_capability()}, {', '.join(devices)}"


def _network() -> str:
    """What the network runs in, and in which type, where nothing else is asked for."""
    import torch

    from asmd.tracking.network import choose_backend, fast_dtype, multiplies_bytes

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backend, dtype = choose_backend("auto", device), str(fast_dtype(device)).removeprefix("torch.")
    text = f"{backend} on {device.type}, {dtype}"
    if backend == "openvino" and multiplies_bytes():
        text += "; int8 in the preset realtime where the weights have it"
    if backend == "torch" and device.type == "cpu":
        text += "; faster with OpenVINO: pip install 'asmd[openvino]'"
    return text


def _operations() -> str:
    """What the many small operations beside the network run in."""
    from asmd import compiled

    if not compiled.available():
        return "torch; faster on a CPU with Numba: pip install 'asmd[numba]'"
    return f"on a CPU compiled, {_versions(['numba'])}"


def _codecs() -> str:
    import av

    def usable(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            av.codec.Codec(name, mode)
        except ValueError:
            return False
        return True

    found = [f"{name} {'write' if m == 'w' else 'read'} {'yes' if usable(name, m) else 'NO'}" for name, m in CODECS]
    return f"{', '.join(found)} (PyAV {av.__version__})"


def _sample() -> str:
    from asmd.errors import SourceError
    from asmd.samples import cyclist

    try:
        return str(cyclist().path)
    except SourceError as error:
        return str(error)


def _extras() -> str:
    extras = metadata.metadata("asmd").get_all("Provides-Extra") or []

    def state(extra: str) -> str:
        missing = [name for name in _requirements(extra) if not _installed(name)]
        return f"{extra} {'no, lacks ' + ' '.join(missing) if missing else 'yes'}"

    return "; ".join(state(extra) for extra in extras)


def _installed(name: str) -> bool:
    return bool(list(metadata.distributions(name=name))) or util.find_spec(name.replace("-", "_")) is not None


def _self_test(weights: str | None) -> tuple[bool, str]:
    """Track a drawn square for a few frames."""
    from asmd.boxes import iou
    from asmd.errors import WeightsError
    from asmd.samples import drawn_clip
    from asmd.tracking.tracker import Tracker

    frames, boxes = drawn_clip()
    try:
        tracker = Tracker.from_pretrained(weights)
    except WeightsError as error:
        return False, str(error)
    tracker.init(frames[0], boxes[0])
    began = time.perf_counter()
    results = [tracker.update(frame) for frame in frames[1:]]
    rate = len(results) / (time.perf_counter() - began)
    overlap = min(float(iou(r.box, box)) for r, box in zip(results, boxes[1:], strict=True))
    text = f"a drawn square, {len(results)} frames, least overlap {overlap:.2f}, {rate:.1f} fps, {tracker.weights_name}"
    return overlap > 0.5, text
