"""How soon the page's first box comes after the mouse is let go, and how many frames a second it draws while it tracks.

In real Chromium (Debian's), on the cyclist of `asmd demo`, with the default weights. `--pictures` also takes the
pictures of docs/quickstart.md, for a desktop and a phone.

Run: .venv/bin/python benchmarks/page.py [--repeats 3] [--json FILE] [--pictures docs/images]
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "web"))

from person import FLAGS, Person
from playwright.sync_api import sync_playwright

from asmd.samples import cyclist


def measure(browser: Any, address: str) -> dict[str, float]:
    """One person, one box, tracked to the end of the clip."""
    person, sample = Person(browser, address), cyclist()
    person.open(sample.path)
    person.page.get_by_label("Frame", exact=True).fill(str(sample.start))
    person.until(f"stage.frame === {sample.start} && stage.picture")
    person.draw(sample.box)
    person.until("window.asmd.firstBoxAt > 0")
    first = float(person.page.evaluate("window.asmd.firstBoxAt - window.asmd.released")) / 1000
    before, began = person.page.evaluate("[window.asmd.drawn, performance.now()]")
    person.until(f"stage.frame >= {sample.start + sample.frames - 3}")
    after, ended = person.page.evaluate("[window.asmd.drawn, performance.now()]")
    tracked = float(person.js("stage.fps"))
    person.close()
    return {"first box": first, "drawn": (after - before) / (ended - began) * 1000, "tracked": tracked}


def pictures(browser: Any, address: str, folder: Path) -> None:
    """What docs/quickstart.md shows."""
    person, sample = Person(browser, address, 1280, 860), cyclist()
    person.page.screenshot(path=str(folder / "page-empty.png"))
    person.open(sample.path)
    person.page.get_by_label("Frame", exact=True).fill(str(sample.start))
    person.until(f"stage.frame === {sample.start} && stage.picture")
    person.at_once(False)
    person.draw(sample.box)
    person.until("stage.state.targets.length === 1")
    name = person.page.get_by_role("textbox", name="Name of target 1")
    name.fill("cyclist")
    name.press("Enter")
    person.until("stage.state.targets[0].name === 'cyclist'")
    person.page.wait_for_timeout(300)
    person.page.screenshot(path=str(folder / "page-box.png"))
    person.press("Track")
    person.until(f"stage.frame >= {sample.start + 20}")
    person.page.screenshot(path=str(folder / "page-tracking.png"))
    person.until(f"stage.frame >= {sample.start + 100} || !stage.running")
    if person.js("stage.running"):
        person.press("Pause")
    person.idle()
    person.page.wait_for_timeout(800)
    person.page.screenshot(path=str(folder / "page-tracked.png"))
    person.page.set_viewport_size({"width": 390, "height": 844})
    person.page.wait_for_timeout(600)
    person.page.screenshot(path=str(folder / "page-phone.png"))
    person.close()


def main() -> None:
    """Start the server, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "asmd", "app", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            address = f"http://127.0.0.1:{port}"
            if options.pictures:
                pictures(browser, address, options.pictures)
            runs = [measure(browser, address) for _ in range(options.repeats)]
            browser.close()
    finally:
        server.terminate()
        server.wait()
    for name, unit in (("first box", "s"), ("drawn", "frames/s"), ("tracked", "frames/s")):
        values = [run[name] for run in runs]
        spread = f"of {len(values)} runs {min(values):.2f} to {max(values):.2f}"
        print(f"{name:<10} {statistics.median(values):.2f} {unit}, {spread}")
    if options.json:
        about = {"machine": platform.platform(), "runs": runs}
        options.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
