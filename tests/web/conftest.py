"""A real server and a real browser for the tests of the page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from footage import encode
from person import FLAGS, PATIENCE, Clip, Server

from asmd.samples import drawn_clip


def missing(what: str) -> None:
    """Skips, but not on CI, where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    frames, boxes = drawn_clip(24, (120, 160))
    return Clip(encode(tmp_path_factory.mktemp("clip") / "clip.mp4", frames), boxes, 160, 120)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("nicegui", reason="NiceGUI is not installed")
    folder = tmp_path_factory.mktemp("sessions")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "asmd", "app", "--port", str(port), "--weights", "random", "--threads", "1"]
    environment = {**os.environ, "TMPDIR": str(folder), "NICEGUI_STORAGE_PATH": str(folder / "nicegui")}
    # NiceGUI goes by this to serve a simulated user in place of a browser.
    for name in ("PYTEST_CURRENT_TEST", "NICEGUI_SCREEN_TEST_PORT"):
        environment.pop(name, None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for_port(port, process, folder / "log")
        yield Server(f"http://127.0.0.1:{port}", process, folder)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer:\n" + log.read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Gone after the module: while Playwright is there an event loop runs, and tests that run one of their own fail."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()
