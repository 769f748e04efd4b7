"""What a person does on the page, for the tests and the pictures of the documentation."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE = 120_000
"""Milliseconds; a busy machine is no failure."""

FLAGS = (  # noqa: SIM905
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()


@dataclass(frozen=True)
class Clip:
    """A video of a drawn square, and where it is."""

    path: Path
    boxes: np.ndarray
    width: int
    height: int


@dataclass(frozen=True)
class Server:
    """A running `asmd app`."""

    address: str
    process: subprocess.Popen[bytes]
    folder: Path


class Person:
    """Has a browser of its own (cookies and all), and a tab open."""

    def __init__(self, browser: Any, address: str, width: int = 1280, height: int = 900, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.address = address
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", self._see)
        self.page.goto(address, timeout=PATIENCE)
        self.page.get_by_role("button", name="Choose a file").wait_for()

    def _see(self, request: Any) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "blob:", "data:")):
            self.foreign.append(request.url)

    def close(self) -> None:
        """Closes the tab and forgets the cookies."""
        self.context.close()

    @property
    def session(self) -> str:
        """The identity of the session that the page has."""
        return str(self.page.evaluate("window.asmd.stage.sid"))

    def js(self, expression: str) -> Any:
        """The value of an expression in which `stage` is the page's stage."""
        return self.page.evaluate(f"(() => {{ const stage = window.asmd.stage; return {expression}; }})()")

    def until(self, expression: str) -> None:
        """Waits for an expression to be true."""
        self.page.wait_for_function(f"(() => {{ const stage = window.asmd.stage; return {expression}; }})()")

    def open(self, *paths: Path, ready: bool = True) -> None:
        """Uploads a video or images, and waits for the first picture."""
        self.page.evaluate("window.asmd.drawn = 0")
        self.page.get_by_test_id("file").set_input_files([str(p) for p in paths])
        self.until("stage.state.count > 0 && window.asmd.drawn > 0")
        if ready:
            self.page.get_by_text(re.compile("^Ready, on")).wait_for()

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A place in the video as one on the page."""
        self.page.locator(".asmd-view canvas").scroll_into_view_if_needed()
        place = self.page.locator(".asmd-view canvas").bounding_box()
        scale = float(self.js("stage.scale"))
        return place["x"] + x * scale, place["y"] + y * scale

    def drag(self, start: Sequence[float], end: Sequence[float]) -> None:
        """Presses the mouse at one place in the video, and lets it go at another."""
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=4)
        self.page.mouse.up()

    def draw(self, box: Sequence[float]) -> None:
        """Draws a box."""
        x, y, w, h = box
        self.drag((x, y), (x + w, y + h))

    def press(self, name: str) -> None:
        """Presses a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def at_once(self, wanted: bool) -> None:
        """Whether drawing a box starts the tracker."""
        box = self.page.get_by_role("checkbox", name="Track as soon as")
        if (box.get_attribute("aria-checked") == "true") != wanted:
            box.click()
        self.page.locator(f"[role=checkbox][aria-checked={str(wanted).lower()}]").wait_for()

    def idle(self) -> None:
        """Waits until the tracker rests."""
        self.until("!stage.running && !stage.state.running")

    def export(self, format: str) -> Path:
        """Takes a file away."""
        self.page.get_by_label("Format").select_option(format)
        with self.page.expect_download() as download:
            self.press("Export")
        return Path(download.value.path())
