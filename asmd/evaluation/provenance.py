"""Where results come from: the code, the machine, the settings."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import asmd

LIBRARIES = ("numpy", "opencv-contrib-python-headless", "torch", "openvino")
"""Whose versions can change a result."""


def code_version() -> dict[str, str]:
    """The installed version of asmd, and the commit where it runs from a git checkout."""
    found = {"asmd": _version("asmd")}
    here = Path(asmd.__file__).parent
    commit = _git(here, "rev-parse", "HEAD")
    if commit and _git(
        here, "ls-files", "__init__.py"
    ):  # not just any repository that an installation happens to be in
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", ".")
        found["commit"] = commit + (" with changes" if changed else "")
    return found


def machine() -> dict[str, Any]:
    """What the results and the times were made on."""
    libraries = {name: _version(name) for name in LIBRARIES}
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: value for name, value in libraries.items() if value},
    }


def tracker_facts(tracker: object) -> dict[str, Any]:
    """What a tracker tells of itself: the `config` that it runs with and the name of its weights."""
    facts: dict[str, Any] = {}
    config = getattr(tracker, "config", None)
    if is_dataclass(config) and not isinstance(config, type):
        facts["config"] = asdict(config)
    if isinstance(name := getattr(tracker, "weights_name", None), str):
        facts["weights_name"] = name
    return facts


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
