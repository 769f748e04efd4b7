"""The server of the page."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field

from asmd.errors import ConfigError
from asmd.web.limits import Limits
from asmd.web.tracking import Setup


@dataclass(frozen=True)
class Settings:
    """Where the page is served, and on what it runs.

    Attributes:
        host: address to listen on; any but this machine's own asks browsers for a token.
        port: to listen on.
        token: to ask for; drawn where empty.
        setup: what trackers are made from.
        limits: what a session may use.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    setup: Setup = field(default_factory=Setup)
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings, browser: bool = False) -> None:
    """Serves the page until Ctrl-C.

    Args:
        settings: where and on what.
        browser: open it in this machine's browser.

    Raises:
        ConfigError: if NiceGUI is missing, or the address cannot be listened on.
    """
    try:
        from nicegui import app, ui
    except ImportError as error:
        raise ConfigError("the page needs NiceGUI: pip install 'asmd[web]'") from error
    from asmd.web.gate import Gate, is_loopback
    from asmd.web.page import build
    from asmd.web.routes import router
    from asmd.web.sessions import Sessions
    from asmd.web.worker import context, warm_up

    _check_address(settings.host, settings.port)
    context()
    sessions = Sessions(settings.setup, settings.limits)
    token = None if is_loopback(settings.host) else settings.token or secrets.token_urlsafe(24)
    app.include_router(router(sessions))
    app.add_middleware(Gate, token=token)
    app.on_startup(warm_up)
    app.on_shutdown(sessions.end_all)
    ui.page("/", response_timeout=20)(lambda: build(sessions))
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{name}:{settings.port}/" + (f"?token={token}" if token else "")
    app.on_startup(lambda: print(f"open {address} in a browser; Ctrl-C ends it", file=sys.stderr, flush=True))  # noqa: T201
    ui.run(
        host=settings.host,
        port=settings.port,
        title="asmd",
        language="en-US",
        reload=False,
        show=address if browser else False,
        show_welcome_message=False,
        reconnect_timeout=15.0,  # a network that fails for a moment does not cost the session
        tailwind=False,
        uvicorn_logging_level="warning",
        server_header=False,
    )


def _check_address(host: str, port: int) -> None:
    """Raises ConfigError where nothing can listen; the web server itself would say so in many lines."""
    import socket

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror or error})") from error
