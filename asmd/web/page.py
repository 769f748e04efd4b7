"""The page itself: what there is to press, and what it does to the session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nicegui import Client, events, ui

from asmd.convert import FORMATS
from asmd.errors import AsmdError
from asmd.web.document import Document, Subject
from asmd.web.exporting import PICTURES
from asmd.web.gate import OWNER_KEY
from asmd.web.session import Session
from asmd.web.sessions import Sessions
from asmd.web.stage import Stage

STYLE = Path(__file__).with_name("style.css")

PRESETS = {"realtime": "realtime: keeps up with video", "accurate": "accurate: slower", "paper": "paper: very slow"}

KEYS = (
    ("N", "new box"),
    ("E", "edit the box"),
    ("arrows", "move it, Shift sizes, Ctrl by 10"),
    ("Enter / Esc", "keep / drop it"),
    ("Space", "track, pause"),
    ("B", "track backward"),
    ("← →", "step, Shift by 10"),
    ("Home / End", "first, last frame"),
    ("Z / Y", "undo, redo"),
    ("Del", "remove the box"),
    ("1-9", "choose a target"),
)

SECONDS_BETWEEN_TIMELINES = 0.4


def build(sessions: Sessions) -> None:
    """The page of one tab; its session ends with it."""
    client: Client = ui.context.client
    assert client.request is not None
    ui.dark_mode(True)
    ui.colors(primary="#1d5fd1", secondary="#2b3644", dark="#1b222c", negative="#a61b2b")
    ui.add_css(STYLE)
    ui.page_title("asmd")
    try:
        session = sessions.start(str(client.request.scope[OWNER_KEY]))
    except AsmdError as error:
        ui.label(str(error)).props("role=alert")
        return
    client.on_delete(lambda: sessions.end(session))
    Page(session).build()


class Page:
    """Builds the page of a session, and keeps what it shows up to date."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._late = True
        session.on_change(self._changed)

    # -- building

    def build(self) -> None:
        """Makes the elements."""
        with ui.element("main").classes("asmd-page"):
            with ui.element("header").classes("asmd-head"):
                _text("h1", "asmd")
                self._status = ui.label("Open a video to begin.").classes("asmd-status").props("role=status")
            self._problem = ui.label("").classes("asmd-problem").props("role=alert")
            with ui.element("div").classes("asmd-main"):
                self._stage = Stage(self.session.identity)
                self._listen()
                self._build_controls()
            with ui.element("div").classes("asmd-side"):
                self._build_targets()
                self._build_export()
                self._build_keys()
        ui.timer(SECONDS_BETWEEN_TIMELINES, self._send_timeline)
        self._update()

    def _listen(self) -> None:
        self._stage.on("draw", self._draw)
        self._stage.on("pick", lambda e: self._pick(int(e.args["id"])))
        self._stage.on("act", lambda e: self._act(str(e.args["what"])))
        self._stage.on("problem", lambda e: self._say(str(e.args["text"])[:300]))
        self._stage.on("camera", lambda e: self._camera_is(bool(e.args["on"])))
        self._stage.on("connected", self._send_state)

    def _build_controls(self) -> None:
        with ui.element("section").classes("asmd-panel").props('aria-label="Controls"'):
            with ui.element("div").classes("asmd-row"):
                self._backward = _button("Track backward", "fast_rewind", lambda: self._act("backward"))
                self._pause = _button("Pause", "pause", lambda: self._act("pause"))
                self._forward = _button("Track", "play_arrow", lambda: self._act("forward"), primary=True)
                self._before = _button("Previous frame", "chevron_left", lambda: self._step(-1), short=True)
                self._after = _button("Next frame", "chevron_right", lambda: self._step(1), short=True)
                self._undo = _button("Undo", "undo", lambda: self._act("undo"), short=True)
                self._redo = _button("Redo", "redo", lambda: self._act("redo"), short=True)
            with ui.element("div").classes("asmd-row"):
                self._new = _button("New target", "add_box", lambda: self._stage.run_method("startBox", True))
                self._edit = _button("Edit box", "crop_free", lambda: self._stage.run_method("startBox", False))
                self._clear = _button("Remove box", "backspace", lambda: self._act("clear"))
                _button("Open", "folder_open", lambda: self._stage.run_method("choose"))
                self._camera = _button("Camera", "videocam", self._camera_pressed)
            with ui.element("div").classes("asmd-row"):
                self._at_once = ui.checkbox("Track as soon as a new box is drawn", value=True)

    def _build_targets(self) -> None:
        with ui.element("section").classes("asmd-panel").props('aria-label="Targets"'):
            _text("h2", "Targets")
            self._targets = ui.refreshable(self._list_targets)
            self._targets()
            with ui.element("label").classes("asmd-row"):
                _text("span", "Preset")
                self._select(PRESETS, self.session.setup.preset, self._use_preset)

    def _list_targets(self) -> None:
        document = self.session.document
        if document is None or not document.subjects:
            ui.label("None yet: drag a box around something in the video.").classes("asmd-keys")
            return
        for subject in document.subjects.values():
            self._row(subject)

    def _row(self, subject: Subject) -> None:
        chosen = subject.identity == self.session.selected
        with ui.element("div").classes("asmd-target" + (" chosen" if chosen else "")):
            colour = ui.element("input").props(f'type=color value="{subject.colour}"')
            colour._props["aria-label"] = f"Colour of {subject.name}"
            colour.on("change", lambda e, s=subject: self._recolour(s, e.args), js_handler="e => emit(e.target.value)")
            name = ui.element("input").props("type=text maxlength=60")
            name._props["value"], name._props["aria-label"] = subject.name, f"Name of {subject.name}"
            name.on("change", lambda e, s=subject: self._rename(s, e.args), js_handler="e => emit(e.target.value)")
            name.on("focus", lambda _, s=subject: self._pick(s.identity))
            state = "chosen" if chosen else "choose"
            pick = _button(f"{state} {subject.name}", "check" if chosen else "near_me", None, short=True)
            pick.on_click(lambda _, s=subject: self._pick(s.identity)).props(f"aria-pressed={str(chosen).lower()}")
            remove = _button(f"Delete {subject.name}", "delete", None, short=True)
            remove.on_click(lambda _, s=subject: self._delete(s))

    def _build_export(self) -> None:
        choices = {
            **{k: f"{k}: {f.about}" for k, f in FORMATS.items()},
            **{k: f"{k}: {about}" for k, about in PICTURES.items()},
        }
        self._format = "csv"
        with ui.element("section").classes("asmd-panel").props('aria-label="Export"'):
            _text("h2", "Take it away")
            with ui.element("label").classes("asmd-row"):
                _text("span", "Format")
                self._select(choices, self._format, self._use_format)
            with ui.element("div").classes("asmd-row"):
                self._export = _button("Export", "download", self._export_pressed, primary=True)
                self._cancel = _button("Cancel export", "close", self.session.cancel_export)
                self._import = _button("Add boxes from a file", "upload", lambda: self._stage.run_method("chooseBoxes"))
            self._progress = ui.label("").classes("asmd-status").props("role=status")

    def _build_keys(self) -> None:
        with ui.element("details").classes("asmd-panel").props("open"):
            _text("summary", "Keys, while the frame has the focus")
            with ui.element("p").classes("asmd-keys").props("id=asmd-keys"):
                ui.html(" · ".join(f"<kbd>{key}</kbd> {what}" for key, what in KEYS), sanitize=False)

    def _select(self, choices: dict[str, str], value: str, told: Callable[[str], None]) -> None:
        """The browser's own select: it works by keys and on a phone as people know it."""
        with ui.element("select") as select:
            for key, text in choices.items():
                _text("option", text).props(f'value="{key}"' + (" selected" if key == value else ""))
        select.on("change", lambda e: told(str(e.args)), js_handler="e => emit(e.target.value)")

    # -- keeping up to date

    def _changed(self, what: str) -> None:
        self._late = True
        if what == "message":
            self._say(self.session.message)
        elif what == "document":
            self._targets.refresh()
            self._send_state()
            self._update()
            self._send_timeline()
        elif what == "running":
            self._send_state()
            self._update()
        elif what == "export":
            self._update()

    def _say(self, text: str) -> None:
        self._problem.set_text(text)

    def _send_state(self) -> None:
        session, document = self.session, self.session.document
        targets = (
            []
            if document is None
            else [{"id": s.identity, "name": s.name, "colour": s.colour} for s in document.subjects.values()]
        )
        width, height = (1, 1) if document is None else document.size
        session.live.text(
            {
                "type": "state",
                "count": 0 if document is None else document.frames,
                "width": width,
                "height": height,
                "targets": targets,
                "selected": session.selected,
                "running": session.running,
            }
        )

    def _send_timeline(self) -> None:
        document = self.session.document
        if self._late and document is not None:
            self._late = False
            if self.session.camera:
                self._send_state()
            subject = document.subjects.get(self.session.selected)
            self.session.live.text({"type": "timeline", **({} if subject is None else subject.timeline())})

    def _update(self) -> None:
        session, document = self.session, self.session.document
        ready, running = document is not None, session.running
        idle = ready and not running
        for button in (self._before, self._after, self._new, self._edit, self._clear, self._import):
            button.set_enabled(idle)
        has_box = document is not None and bool(document.subjects)
        for button in (self._forward, self._backward):
            button.set_enabled(idle and has_box)
        self._pause.set_enabled(running)
        self._undo.set_enabled(idle and document is not None and document.can_undo)
        self._redo.set_enabled(idle and document is not None and document.can_redo)
        drawing = session.progress is not None
        self._export.set_enabled(idle and has_box and not drawing)
        self._cancel.set_visibility(drawing)
        if drawing and session.progress is not None:
            self._progress.set_text(f"drawing: {session.progress:.0%}")
        self._status.set_text(self._phrase(document))

    def _phrase(self, document: Document | None) -> str:
        session = self.session
        if document is None:
            return "Open a video to begin."
        width, height = document.size
        what = f"{document.frames} frames, {width}x{height}"
        if session.running:
            return f"Tracking. {what}."
        if not session.tracker_ready:
            return f"The tracker is getting ready. {what}."
        return f"Ready, on {session.tracker_ready}. {what}."

    # -- what a person does

    def _try(self, deed: Callable[[], Any]) -> bool:
        try:
            self._say("")
            deed()
        except AsmdError as error:
            self._say(str(error))
            self.session.redraw()
            return False
        return True

    def _draw(self, event: events.GenericEventArguments) -> None:
        try:
            identity, frame = int(event.args["id"]), int(event.args["frame"])
            x, y, w, h = (float(v) for v in event.args["box"])
        except (KeyError, TypeError, ValueError):
            return
        document = self.session.document
        new = document is not None and identity not in document.subjects
        if self._try(lambda: self.session.draw(identity, frame, (x, y, w, h))) and new and self._at_once.value:
            self._try(lambda: self.session.track(1, frame))

    def _act(self, what: str) -> None:
        session = self.session
        deeds: dict[str, Callable[[], Any]] = {
            "forward": lambda: session.track(1),
            "backward": lambda: session.track(-1),
            "pause": session.pause,
            "undo": session.undo,
            "redo": lambda: session.undo(again=True),
            "clear": self._clear_box,
        }
        if what in deeds:
            self._try(deeds[what])

    def _clear_box(self) -> None:
        session = self.session
        if session.document is not None and session.selected in session.document.subjects:
            session.change(lambda d: d.subjects[session.selected].clear(session.frame))

    def _step(self, by: int) -> Awaitable[None]:
        return self.session.show(self.session.frame + by)

    def _pick(self, identity: int) -> None:
        document = self.session.document
        if document is not None and identity in document.subjects and identity != self.session.selected:
            self.session.selected = identity
            self.session.changed("document")
            self.session.redraw()

    def _rename(self, subject: Subject, name: Any) -> None:
        self._try(lambda: self.session.change(lambda d: d.rename(subject.identity, str(name))))

    def _recolour(self, subject: Subject, colour: Any) -> None:
        self._try(lambda: self.session.change(lambda d: d.recolour(subject.identity, str(colour))))

    def _delete(self, subject: Subject) -> None:
        self._try(lambda: self.session.change(lambda d: d.subjects.pop(subject.identity)))

    def _use_preset(self, preset: str) -> None:
        if preset in PRESETS:
            self.session.use_preset(preset)

    def _use_format(self, format: str) -> None:
        if format in FORMATS or format in PICTURES:
            self._format = format

    async def _export_pressed(self) -> None:
        self._progress.set_text("")
        self._say("")
        try:
            path = await self.session.export(self._format)
        except AsmdError as error:
            self._say(str(error))
            return
        if path is None:
            self._progress.set_text("cancelled")
            return
        self._progress.set_text(f"{path.name}, {path.stat().st_size / 1000:,.0f} kB")
        ui.download.from_url(f"/s/{self.session.identity}/export")

    def _camera_pressed(self) -> None:
        on = self.session.camera
        self._stage.run_method("stopCamera" if on else "startCamera")

    def _camera_is(self, on: bool) -> None:
        if not on:
            self.session.end_camera()
        self._camera.set_text("Stop camera" if on else "Camera")


def _text(tag: str, text: str) -> ui.element:
    element = ui.element(tag)
    element._text = text
    return element


def _button(
    name: str, icon: str, pressed: Callable[[], Any] | None, *, primary: bool = False, short: bool = False
) -> ui.button:
    button = ui.button("" if short else name, icon=icon, color="primary" if primary else "secondary")
    button.props("no-caps unelevated")
    if pressed is not None:
        button.on_click(pressed)
    if short:
        button._props["aria-label"] = name
        button.tooltip(name)
    return button
