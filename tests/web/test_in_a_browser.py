"""The page in a real browser, from the upload to the file that is taken away."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person import Clip, Person, Server

from asmd.boxes import iou


@pytest.fixture
def person(browser: Any, server: Server) -> Iterator[Person]:
    someone = Person(browser, server.address)
    yield someone
    someone.close()
    assert someone.errors == []
    assert someone.foreign == []


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_draw_track_correct_export(person: Person, clip: Clip, tmp_path: Path) -> None:
    person.open(clip.path)
    person.draw(clip.boxes[0])
    person.until("stage.frame > 0")
    person.idle()
    assert person.js("stage.frame") == len(clip.boxes) - 1
    rows = rows_of(person.export("csv"))
    assert [int(r["frame"]) for r in rows] == list(range(len(clip.boxes)))
    boxes = np.array([[float(r[k]) for k in "xywh"] for r in rows])
    np.testing.assert_allclose(boxes[0], clip.boxes[0], atol=1)
    assert iou(boxes[-1], clip.boxes[-1]) > 0.3

    # Go back, move the box by its middle, and go on from there.
    person.page.get_by_label("Frame", exact=True).fill("10")
    person.until("stage.frame === 10 && stage.boxes.length === 1")
    x, y, w, h = person.js("stage.boxes[0].box")
    person.drag((x + w / 2, y + h / 2), (x + w / 2 + 6, y + h / 2 - 4))
    person.until("stage.boxes[0].drawn")
    moved = person.js("stage.boxes[0].box")
    np.testing.assert_allclose(moved, [x + 6, y - 4, w, h], atol=1)
    person.press("Track")
    person.until("stage.frame > 10")
    person.idle()
    again = rows_of(person.export("csv"))
    np.testing.assert_allclose([float(again[10][k]) for k in "xywh"], moved, atol=0.02)
    assert again[10]["score"] == "1.0"
    assert again[:10] == rows[:10]
    assert any(a != b for a, b in zip(again[11:], rows[11:], strict=True))

    # Undo takes the run back, and then the correction.
    person.press("Undo")
    person.press("Undo")
    person.page.get_by_label("Frame", exact=True).fill("10")
    person.until("stage.frame === 10 && stage.boxes.length === 1 && !stage.boxes[0].drawn")
    assert rows_of(person.export("csv")) == rows
    person.press("Redo")
    person.until("stage.boxes[0].drawn")


def test_pause_and_backward(person: Person, clip: Clip) -> None:
    person.open(clip.path)
    person.at_once(False)
    person.page.get_by_label("Frame", exact=True).fill("12")
    person.until("stage.frame === 12")
    person.draw(clip.boxes[12])
    person.until("stage.state.targets.length === 1")
    assert not person.js("stage.running")
    person.press("Track backward")
    person.until("stage.frame < 12")
    person.press("Pause")
    person.idle()
    rows = rows_of(person.export("csv"))
    frames = [int(r["frame"]) for r in rows]
    assert frames == list(range(min(frames), 13))
    assert min(frames) < 12


def test_keys_alone(person: Person, clip: Clip) -> None:
    person.open(clip.path)
    person.at_once(False)
    keyboard = person.page.keyboard
    person.page.locator(".asmd-view canvas").focus()
    keyboard.press("End")
    person.until(f"stage.frame === {len(clip.boxes) - 1}")
    keyboard.press("Home")
    keyboard.press("ArrowRight")
    person.until("stage.frame === 1")
    keyboard.press("n")
    before = person.js("stage.edit.box")
    for key in ("ArrowLeft", "Control+ArrowUp", "Shift+ArrowRight", "Control+Shift+ArrowDown"):
        keyboard.press(key)
    wanted = [before[0] - 1, before[1] - 10, before[2] + 1, before[3] + 10]
    assert person.js("stage.edit.box") == wanted
    keyboard.press("Enter")
    person.until("stage.state.targets.length === 1 && stage.boxes.length === 1")
    assert person.js("stage.boxes[0].box") == wanted
    keyboard.press("e")
    keyboard.press("ArrowRight")
    keyboard.press("Escape")
    assert person.js("stage.boxes[0].box") == wanted
    keyboard.press(" ")
    person.until("stage.frame > 1")
    keyboard.press(" ")
    person.idle()
    keyboard.press("Home")
    keyboard.press("ArrowRight")
    person.until("stage.frame === 1 && stage.boxes.length === 1")
    keyboard.press("Delete")
    person.until("stage.boxes.length === 0")
    keyboard.press("z")
    person.until("stage.boxes.length === 1")
    # Every control can be reached and is named.
    unnamed = person.page.evaluate(
        "[...document.querySelectorAll('button, input, select')]"
        ".filter(e => e.tabIndex < 0 && !e.hidden && !e.disabled).map(e => e.outerHTML.slice(0, 80))"
    )
    assert [u for u in unnamed if "q-checkbox" not in u] == []


def test_several_targets_and_images(person: Person, clip: Clip, tmp_path: Path) -> None:
    from footage import save_images

    from asmd.samples import drawn_clip

    frames, boxes = drawn_clip(12, (120, 160))
    person.open(*reversed(save_images(tmp_path / "frames", frames)))  # names decide the order: 2 before 10
    person.at_once(False)
    person.draw(boxes[0])
    person.until("stage.state.targets.length === 1")
    person.draw((4, 4, 30, 20))
    person.until("stage.state.targets.length === 2")
    name = person.page.get_by_role("textbox", name="Name of target 2")
    name.fill("corner <b>")
    name.press("Enter")
    person.until("stage.state.targets[1].name === 'corner <b>'")
    person.press("Track")
    person.until("stage.frame === 11")
    person.idle()
    path = person.export("cvat")
    from asmd import convert

    annotation = convert.read(path, "cvat")
    assert [t.name for t in annotation.targets] == ["target 1", "corner <b>"]
    assert len({t.colour for t in annotation.targets}) == 2
    assert all(t.there.all() for t in annotation.targets)
    person.press("Delete corner <b>")
    person.until("stage.state.targets.length === 1")
    person.page.get_by_test_id("boxes").set_input_files({"name": "x.xml", "mimeType": "", "buffer": path.read_bytes()})
    person.until("stage.state.targets.length === 3")


def test_an_export_is_cancelled(person: Person, clip: Clip) -> None:
    from playwright.sync_api import Error as PlaywrightError

    person.open(clip.path)
    person.at_once(False)
    person.draw(clip.boxes[0])
    person.until("stage.state.targets.length === 1")
    video = person.export("mp4")
    assert video.stat().st_size > 1000
    person.page.get_by_label("Format").select_option("crops")
    person.press("Export")
    cancel = person.page.get_by_role("button", name="Cancel export")
    finished = person.page.get_by_text(re.compile(r"^(cancelled|crops\.zip)"))
    cancel.or_(finished).first.wait_for()
    if cancel.is_visible():
        with suppress(PlaywrightError):  # a quick machine may have finished between the look and the click
            cancel.click(timeout=2000)
    finished.wait_for()
    assert person.export("json").stat().st_size > 100  # and the next one is not harmed


def test_a_camera(browser: Any, server: Server) -> None:
    """Chromium's own made-up camera."""
    person = Person(browser, server.address, permissions=["camera"])
    person.press("Camera")
    person.until("stage.state.count > 2 && window.asmd.drawn > 2")
    person.page.get_by_text(re.compile("^Ready, on")).wait_for()
    person.draw((200, 150, 120, 120))
    person.until("stage.running && stage.boxes.length === 1 && !stage.boxes[0].drawn")
    person.press("Stop camera")
    person.idle()
    assert len(rows_of(person.export("csv"))) >= 2
    person.close()
    assert person.errors == []


def test_two_sessions_and_the_end_of_one(browser: Any, server: Server, clip: Clip) -> None:
    first, second = Person(browser, server.address), Person(browser, server.address)
    first.open(clip.path)
    first.at_once(False)
    first.draw(clip.boxes[0])
    first.until("stage.state.targets.length === 1")
    assert second.js("stage.state.count") == 0
    assert second.page.get_by_text("None yet").is_visible()
    assert first.session != second.session

    # What is the first's cannot be had by the second, whatever it asks for.
    first.export("csv")
    for path in ("export", "live"):
        assert second.context.request.get(f"{server.address}/s/{first.session}/{path}").status == 404
    answer = second.context.request.post(f"{server.address}/s/{first.session}/files", data=b"x")
    assert answer.status == 404
    refused = second.page.evaluate(
        "sid => new Promise(done => { const s = new WebSocket(`ws://${location.host}/s/${sid}/live`);"
        " s.onopen = () => done('open'); s.onclose = () => done('closed'); })",
        first.session,
    )
    assert refused == "closed"
    assert first.context.request.get(f"{server.address}/s/{first.session}/export").status == 200

    # The tab is closed in the middle of work: files are deleted, and the other goes on.
    folders = {p for p in server.folder.glob("asmd-session-*") if any(p.iterdir())}
    first.press("Track")
    first.until("stage.frame > 0")
    first.close()
    until = time.monotonic() + 60
    while any(p.exists() for p in folders) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(p.exists() for p in folders)
    second.open(clip.path, ready=False)
    assert second.js("stage.state.count") == len(clip.boxes)
    second.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_can_be_used_by_everyone(
    browser: Any, server: Server, clip: Clip, width: int, height: int, tmp_path: Path
) -> None:
    """WCAG 2.1 A and AA by axe-core, with the page empty and in use; nothing is wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    person = Person(browser, server.address, width, height)
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}

    def check() -> None:
        found = axe.Axe().run(person.page, options=rules).response["violations"]
        assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found] == []
        assert person.js("document.documentElement.scrollWidth") <= width

    check()
    person.open(clip.path)
    person.at_once(False)
    person.draw(clip.boxes[0])
    person.until("stage.state.targets.length === 1")
    check()
    person.close()


def test_refused_files_say_why(person: Person, tmp_path: Path) -> None:
    program = tmp_path / "clip.mp4"
    program.write_bytes(b"\x7fELF" + bytes(5000))
    person.page.get_by_test_id("file").set_input_files(str(program))
    person.page.get_by_text("neither a video nor an image").wait_for()
    person.errors.clear()  # the browser tells of the refusal on its console
