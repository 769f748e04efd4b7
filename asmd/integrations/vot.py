"""Our trackers as trackers of the VOT toolkit.

The toolkit starts a tracker as a process of its own and talks to it over TraX (package `vot-trax`, the extra `vot`).
`asmd vot init` writes the `trackers.ini` that makes it run `serve` here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from asmd.boxes import Boxes, polygon_bounds, polygon_to_box
from asmd.errors import ConfigError, OutputError
from asmd.evaluation.one_pass import checked_box, derive_seed, reseed
from asmd.evaluation.results import write_atomic
from asmd.evaluation.spec import TrackerSpec
from asmd.tracking.result import TrackResult
from asmd.video.images import read_image

STACK = "vot2018/shortterm"
"""The toolkit's name for the experiments of VOT2018."""


def serve(
    tracker: str = "asmd", *, preset: str | None = None, weights: str | None = None, device: str = "auto", seed: int = 0
) -> None:
    """Track for the VOT toolkit until it says goodbye; for `trackers.ini`.

    Args:
        tracker: a name that `asmd evaluate --tracker` takes.
        preset: of the `asmd` tracker.
        weights: a name, file or folder.
        device: for the `asmd` tracker.
        seed: each start of the tracker derives one of its own from it, as the toolkit repeats a sequence to see how
            much results vary.

    Raises:
        ConfigError: if the package `vot-trax` is missing, or the tracker is unknown.
    """
    trax = _trax()
    spec = TrackerSpec(tracker, preset, weights, device)
    running = spec.build(seed)
    regions = [trax.Region.RECTANGLE, trax.Region.POLYGON]
    with trax.Server(regions, [trax.Image.PATH], tracker_name=spec.name) as server:
        index = starts = 0
        while True:
            request = server.wait()
            if request.type not in (trax.TraxStatus.INITIALIZE, trax.TraxStatus.FRAME):
                return
            frame = read_image(request.image["color"].path())
            if request.type == trax.TraxStatus.INITIALIZE:
                box, answer, index, starts = box_of_region(request.objects[0][0]), None, 0, starts + 1
                reseed(running, derive_seed(seed, spec.name, starts))
                running.init(frame, box)
            else:
                index += 1
                answer = running.update(frame)
                box = _last(checked_box(answer, index), box)
            told = {"confidence": answer.score} if isinstance(answer, TrackResult) else {}
            server.status([(trax.Rectangle.create(*box.tolist()), told)])


def box_of_region(region: Any) -> Boxes:
    """A region of TraX as a box: a rotated rectangle keeps its centre and its area, as in our own VOT runs."""
    if region.type == "rectangle":
        return np.array(region.bounds())
    points = np.array([region.get(i) for i in range(region.size())]).ravel()
    return (polygon_to_box if len(points) == 8 else polygon_bounds)(points)


def write_workspace(
    folder: Path, spec: TrackerSpec, *, seed: int = 0, stack: str | None = None, sequences: Path | None = None
) -> list[Path]:
    """Make a tracker known to the VOT toolkit.

    Args:
        folder: of the workspace, made where there is none. Trackers that its `trackers.ini` holds already stay.
        spec: of the tracker; its name becomes the tracker's identifier.
        seed: for the tracker.
        stack: with this the workspace is set up as well, for these experiments, as `vot initialize` would but without
            a download.
        sequences: where the sequences are, for that; `sequences` in the workspace where None.

    Returns:
        The files written.

    Raises:
        ConfigError: if the tracker has no name of its own, or cannot be built.
        OutputError: if a file cannot be written, or the workspace is set up already, for something else.
    """
    if spec.source is not None:
        raise ConfigError("the VOT toolkit needs a tracker that can be built by its name")
    spec.build(seed)  # better now than when the toolkit waits for it
    if not spec.name.isidentifier() and not spec.name.replace("-", "_").isidentifier():
        raise ConfigError(f"{spec.name!r} cannot be a tracker of the VOT toolkit: letters, digits, - and _ only")
    written = []
    registry, config = folder / "trackers.ini", folder / "config.yaml"
    if stack is not None:
        lines = ["registry:", "- ./trackers.ini", f"stack: {stack}"]
        lines += [] if sequences is None else [f"sequences: {sequences.resolve()}"]
        content = "\n".join(lines) + "\n"
        if config.exists() and config.read_text(encoding="utf-8") != content:
            raise OutputError(f"{config} is there already; leave out the stack to add a tracker to this workspace")
        write_atomic(config, content)
        written.append(config)
    others = _sections(registry, without=spec.name)
    write_atomic(registry, "\n\n".join([*others, _section(spec, seed)]) + "\n")
    return [registry, *written]


def _section(spec: TrackerSpec, seed: int) -> str:
    said: dict[str, Any] = {"preset": spec.preset, "weights": _absolute(spec.weights), "seed": seed or None}
    said["device"] = None if spec.device == "auto" else spec.device
    arguments = ", ".join([repr(spec.tracker), *(f"{k}={v!r}" for k, v in said.items() if v is not None)])
    return "\n".join(
        [
            f"[{spec.name}]",
            f"label = {spec.name}",
            "protocol = traxpython",
            f"command = from asmd.integrations.vot import serve; serve({arguments})",
            f"python = {sys.executable}",
            "# Seconds for an answer; the first includes the start of the tracker.",
            "timeout = 120",
        ]
    )


def _sections(registry: Path, without: str) -> list[str]:
    """The other trackers of a file, word for word."""
    if not registry.is_file():
        return []
    sections = list[list[str]]([[]])
    for line in registry.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            sections.append([])
        sections[-1].append(line)
    texts = ["\n".join(section).strip() for section in sections]
    return [text for text in texts if text and not text.startswith(f"[{without}]")]


def _absolute(weights: str | None) -> str | None:
    return str(Path(weights).resolve()) if weights and Path(weights).exists() else weights


def _last(box: Boxes, before: Boxes) -> Boxes:
    """The toolkit wants a region for every frame: the last one where the tracker has none."""
    return before if np.isnan(box).any() else box


def _trax() -> Any:
    try:
        import trax
    except ImportError as error:
        raise ConfigError("the VOT toolkit talks over TraX: pip install 'asmd[vot]'") from error
    return trax
