"""`asmd app`: the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Options:
    """Serve a page to track in: open a video, draw a box, watch, correct, take the result away."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but this machine's own, such as 0.0.0.0, asks browsers for a token."""
    port: int = 8080
    """Port to listen on."""
    token: str = ""
    """The token to ask for; one is drawn and printed where not given. ASMD_TOKEN in the environment does as well."""
    preset: Literal["paper", "accurate", "realtime"] = "realtime"
    """Settings of the tracker to begin with."""
    weights: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """A packaged name or a safetensors file; by default the best that are at hand. `random` for a try-out."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, ..."""
    threads: int = 0
    """Threads that compute in each session; 0 lets PyTorch choose."""
    max_upload: Annotated[int, tyro.conf.arg(metavar="MIB")] = 2048
    """Most that a session may upload, in MiB."""
    max_sessions: int = 16
    """Most tabs that are served at once."""
    browser: bool = False
    """Open the page in this machine's browser."""


def run(options: Options) -> int:
    """Serve until Ctrl-C."""
    import os

    from asmd import checkpoints
    from asmd.web.limits import Limits
    from asmd.web.server import Settings, serve
    from asmd.web.tracking import Setup

    checkpoints.load(options.weights)  # better now than when a tracker is wanted
    setup = Setup(options.weights, options.preset, options.device, options.threads)
    limits = Limits(upload_bytes=options.max_upload << 20, sessions=options.max_sessions)
    token = options.token or os.environ.get("ASMD_TOKEN", "")
    serve(Settings(options.host, options.port, token, setup, limits), options.browser)
    return 0
