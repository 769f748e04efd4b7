"""`asmd export`: the tracker's arithmetic for other runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Options:
    """Write the feature network, the classifier and its training step, each checked against torch.

    Writes DIRECTORY/features, classifier and classifier_step (.onnx, or .xml and .bin), and export.json about them.
    """

    runtime: Positional[Literal["onnx", "openvino"]]
    """For which runtime."""
    directory: Annotated[Positional[Path], arg(metavar="DIRECTORY")]
    """The folder to write in; made where it is missing."""
    weights: Annotated[str | None, arg(metavar="NAME|FILE")] = None
    """A packaged name or a safetensors file; by default the best that are at hand."""
    preset: Literal["paper", "accurate", "realtime"] = "realtime"
    """Whose sizes and stages."""
    motion: Literal["auto", "on", "off"] = "auto"
    """The motion stream: auto writes it where the weights say that it was trained."""


def run(options: Options) -> int:
    """Write and check; a line for each graph."""
    from asmd.integrations.export import export

    motion = {"auto": None, "on": True, "off": False}[options.motion]
    written = export(options.runtime, options.directory, weights=options.weights, preset=options.preset, motion=motion)
    for graph in written:
        print(f"{graph.path}: differs from torch by {graph.difference:.1e} of the largest entry")
    return 0
