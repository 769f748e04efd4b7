"""One person's work in one tab: files, processes and targets that no other session can reach, and that end with it."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from asmd.convert import FORMATS
from asmd.errors import AsmdError, ConfigError, SourceError
from asmd.web import decoding, exporting, tracking
from asmd.web.decoding import CRASHED, RemoteFrames
from asmd.web.document import Document, Subject
from asmd.web.limits import Limits
from asmd.web.live import Live
from asmd.web.tracking import Run, Setup, Tracked
from asmd.web.uploads import Uploads
from asmd.web.worker import Worker

log = logging.getLogger(__name__)

Changed = Callable[[str], None]
"""Is told what has changed: "document", "frame", "running", "message" or "export"."""


class Session:
    """One person's work in one tab. All of it runs in the server's loop but for the processes that it starts.

    Args:
        owner: the browser's secret; whoever asks for anything of this session has to have it.
        setup: what trackers are made from.
        limits: what the session may use.

    Attributes:
        identity: hard to guess; part of every address of this session.
        document: what is drawn and tracked, None before a video is open.
        frame: number of the frame that is shown.
        selected: the target that keys and edits go to, 0 for none.
        message: what to tell the person.
        tracker_ready: phrase that says which weights run; empty while the tracker is being made.
    """

    def __init__(self, owner: str, setup: Setup, limits: Limits) -> None:
        self.identity = secrets.token_urlsafe(24)
        self.setup, self.limits = setup, limits
        self.live = Live()
        self.document: Document | None = None
        self.frame, self.selected = 0, 0
        self.message, self.tracker_ready = "", ""
        self.fps = 0.0
        self.camera = False
        self.progress: float | None = None
        self.exported: Path | None = None
        self._cancelled = False
        self._video = Path()
        self._owner = owner
        self._folder: Path | None = None
        self._frames: RemoteFrames | None = None
        self._viewing = asyncio.Lock()
        self._workers: list[Worker] = []
        self._tracker: Worker | None = None
        self._decoder: Worker | None = None
        self._drawer: Worker | None = None
        self._run: Run | None = None
        self._runs = 0
        self._told: list[Changed] = []
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self.uploads = Uploads(lambda: self.folder, limits)

    # -- who, where

    def belongs_to(self, owner: str) -> bool:
        """Whether a browser's secret is that of the session's owner."""
        return hmac.compare_digest(self._owner.encode(), owner.encode())

    def on_change(self, told: Changed) -> None:
        """Has `told` called after each change."""
        self._told.append(told)

    def changed(self, what: str) -> None:
        """Tells all who want to know."""
        for told in self._told:
            told(what)

    def say(self, text: str) -> None:
        """Tells the person something."""
        self.message = text
        self.changed("message")

    @property
    def folder(self) -> Path:
        """The session's own folder, which nobody else can read; made when it is first needed."""
        if self._closed:
            raise SourceError("the session has ended")
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="asmd-session-"))
        return self._folder

    @property
    def running(self) -> bool:
        """Whether the tracker is at work."""
        return self._run is not None

    def close(self) -> None:
        """Ends all processes and deletes all files."""
        if self._closed:
            return
        self._closed = True
        self._told.clear()
        self.live.close()
        for worker in (*self._workers, *filter(None, [self._drawer])):
            worker.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # -- opening

    async def open(self, path: Path, camera: bool = False) -> None:
        """Opens an uploaded video, or a folder of images.

        Raises:
            SourceError: if it is refused.
        """
        self._stop_all()
        decoder, frames = await asyncio.to_thread(RemoteFrames.start, path, self.limits)
        if self._closed:
            decoder.close()
            return
        self._workers.append(decoder)
        self._frames, self.camera = frames, camera
        opened = frames.opened
        self.document = Document(opened.count, opened.size, opened.fps)
        self.frame, self.selected = 0, 0
        self._video = path
        self._start_tracker()
        self.changed("document")
        await self.show(0)

    def _stop_all(self) -> None:
        self.cancel_export()
        self._end(self._workers)
        self._tracker, self._frames = None, None
        self._run, self.tracker_ready = None, ""

    def _end(self, workers: list[Worker]) -> None:
        for worker in list(workers):
            self._workers.remove(worker)
            self._loop.run_in_executor(None, worker.close)

    def _start_tracker(self) -> None:
        """A process that tracks, and one that decodes for it."""
        decoder = Worker(decoding.serve, self._video, self.limits)
        worker = Worker(tracking.serve, self.setup, decoder.connection, self.limits)
        decoder.connection.close()  # the tracker has it now
        self._tracker, self._decoder = worker, decoder
        self._workers += [worker, decoder]

        def told(message: Any) -> None:
            self._loop.call_soon_threadsafe(self._hear, worker, message)

        def gone() -> None:
            with suppress(RuntimeError):  # the server has ended, too
                self._loop.call_soon_threadsafe(self._tracker_gone, worker)

        worker.listen(told, gone)

    def use_preset(self, preset: str) -> None:
        """Goes on with other settings; what the tracker has learnt is learnt anew from the boxes."""
        from dataclasses import replace

        self.setup = replace(self.setup, preset=preset)
        if self._tracker is not None:
            self._end([w for w in (self._tracker, self._decoder) if w is not None])
            self._run, self.tracker_ready = None, ""
            self._start_tracker()
            self.changed("running")

    # -- looking

    async def show(self, frame: int) -> None:
        """Goes to a frame; of several wishes that come while one is seen to, the last counts."""
        if self.document is None or self._frames is None or self.running:
            return
        self.frame = int(np.clip(frame, 0, self.document.frames - 1))
        self.changed("frame")
        if self._viewing.locked():
            return
        async with self._viewing:
            while True:
                wanted, frames = self.frame, self._frames
                try:
                    picture = await asyncio.to_thread(frames.view, wanted)
                except SourceError as error:
                    self.say(str(error))
                    return
                if self._frames is not frames or self.running:
                    return
                self.live.picture(self._head(wanted), picture, must=True)
                if self.frame == wanted:
                    return

    def _head(self, frame: int) -> dict[str, Any]:
        assert self.document is not None
        boxes = []
        for subject in self.document.subjects.values():
            if frame < len(subject.boxes) and subject.has_box(frame):
                score = float(subject.scores[frame])
                boxes.append(
                    {
                        "id": subject.identity,
                        "box": [round(v, 2) for v in subject.box(frame)],
                        "score": round(score, 3) if np.isfinite(score) else None,
                        "status": str(subject.status[frame]),
                        "drawn": bool(subject.drawn[frame]),
                    }
                )
        return {"frame": frame, "boxes": boxes, "fps": round(self.fps, 1), "running": self.running}

    def redraw(self) -> None:
        """Sends the boxes of the frame that is shown again."""
        if self.document is not None:
            self.live.text({"type": "boxes", **self._head(self.frame)})

    # -- drawing

    def draw(self, identity: int, frame: int, box: tuple[float, float, float, float]) -> Subject:
        """A person's box, of a target or (0) of a new one.

        Raises:
            AsmdError: if it cannot be tracked, or there are too many targets.
        """
        document = self._document()
        if self.running:
            raise ConfigError("pause first")
        document.remember()
        new = identity not in document.subjects
        try:
            subject = document.add() if new else document.subjects[identity]
            document.draw(subject.identity, frame, box)
        except AsmdError:
            document.undo()
            raise
        self.selected = subject.identity
        self.changed("document")
        self.redraw()
        return subject

    def change(self, how: Callable[[Document], Any]) -> None:
        """Any other change of the targets, which can be undone."""
        document = self._document()
        if self.running:
            raise ConfigError("pause first")
        document.remember()
        how(document)
        self.after_change()

    def undo(self, again: bool = False) -> None:
        """Takes the last change back, or makes it again."""
        document = self._document()
        if self.running:
            return
        (document.redo if again else document.undo)()
        self.after_change()

    def after_change(self) -> None:
        """Tells of changed targets."""
        document = self._document()
        if self.selected not in document.subjects:
            self.selected = next(iter(document.subjects), 0)
        self.changed("document")
        self.redraw()

    def _document(self) -> Document:
        if self.document is None:
            raise ConfigError("open a video first")
        return self.document

    # -- tracking

    def track(self, step: int = 1, start: int | None = None) -> None:
        """Tracks every target that has a box on a frame (None is the one shown), from there on.

        Raises:
            ConfigError: if none has one.
        """
        document = self._document()
        if self.running or self._tracker is None:
            return
        start = self.frame if start is None else start
        boxes = {s.identity: s.box(start) for s in document.subjects.values() if s.has_box(start)}
        if not boxes:
            raise ConfigError("draw a box on this frame first")
        document.remember()
        self._runs += 1
        drawn = {identity: document.drawn_boxes(identity) for identity in boxes}
        self._run = Run(self._runs, start, step, boxes, drawn, live=self.camera and step > 0)
        self._tracker.send(self._run)
        self.changed("running")

    def pause(self) -> None:
        """Stops tracking after the frame at hand."""
        if self._tracker is not None and self._run is not None:
            self._tracker.send(("pause", None))

    def _hear(self, worker: Worker, message: Any) -> None:
        if worker is not self._tracker or self._closed:
            return
        if isinstance(message, Tracked):
            self._tracked(message)
        elif message[0] == "ready":
            self.tracker_ready = message[1]
            self.changed("running")
        elif message[0] == "error":
            self.say(message[2])
        elif message[0] == "done" and self._run is not None and message[1] == self._run.number:
            self._run = None
            self.changed("running")
            self.changed("document")
            self.redraw()

    def _tracked(self, tracked: Tracked) -> None:
        run, document = self._run, self._document()
        if run is None or tracked.run != run.number:
            return
        self.frame, self.fps = tracked.frame, tracked.fps
        for identity, result in tracked.results.items():
            subject = document.subjects.get(identity)
            if subject is not None and not subject.drawn[tracked.frame]:
                subject.put(tracked.frame, result)
        self.live.picture(self._head(tracked.frame), tracked.picture)
        self.changed("frame")

    def _tracker_gone(self, worker: Worker) -> None:
        if worker is self._tracker and not self._closed:
            self._run, self._tracker = None, None
            self.say("the tracker has stopped; open the video again")
            self.changed("running")

    # -- a camera

    async def camera_frame(self, data: bytes) -> None:
        """A frame from the browser's camera, as a JPEG.

        Raises:
            SourceError: if it is refused.
        """
        first = not self.camera
        folder = self.uploads.camera_frame(data, first)
        if first or self.document is None:
            await self.open(folder, camera=True)
            return
        count = self.uploads.camera_frames
        self.document.lengthen(count)
        if self._tracker is not None:
            self._tracker.send(("count", count))
        if self.running:
            await self._tracked_up_to(count - 1)
        else:
            await self.show(count - 1)

    async def _tracked_up_to(self, frame: int, patience: float = 5.0) -> None:
        """Waits until the tracker has come to a frame: the camera then sends the next."""
        for _ in range(int(patience / 0.005)):
            if not self.running or self.frame >= frame:
                return
            await asyncio.sleep(0.005)

    def end_camera(self) -> None:
        """No more frames come; what there is stays as a sequence of images."""
        self.pause()
        self.camera = False
        self.changed("running")

    # -- the way out

    async def export(self, format: str) -> Path | None:
        """Makes the file to download; None where that was cancelled.

        Raises:
            AsmdError: if there is nothing to export, or it fails.
        """
        annotation = self._document().annotation()
        folder = self.folder / "exports"
        folder.mkdir(exist_ok=True)
        if format in FORMATS:
            self.exported = await asyncio.to_thread(exporting.write_boxes, annotation, format, folder)
        elif not annotation.targets:
            raise ConfigError("there is no box yet to export")
        else:
            self.exported = await self._draw(annotation, format, folder)
        return self.exported

    async def _draw(self, annotation: Any, format: str, folder: Path) -> Path | None:
        if self._drawer is not None:
            raise ConfigError("an export is being made; cancel it first")
        worker = Worker(exporting.draw, annotation, format, self._video, folder, self.limits)
        self._drawer, self._cancelled = worker, False
        try:
            while (message := await asyncio.to_thread(_receive, worker)) is not None:
                what, value = message
                if what == "error":
                    raise SourceError(value)
                if what == "done":
                    return Path(value)
                self.progress = (value + 1) / annotation.frames
                self.changed("export")
            if self._cancelled:
                return None
            raise SourceError(CRASHED)
        finally:
            self._drawer, self.progress = None, None
            self.changed("export")
            await asyncio.to_thread(worker.close)

    def cancel_export(self) -> None:
        """Breaks an export off."""
        if self._drawer is not None:
            self._cancelled = True
            self._drawer.process.terminate()

    async def take_boxes(self, path: Path) -> int:
        """Adds the targets in an uploaded file of boxes; returns how many.

        Raises:
            AsmdError: if it is malformed.
        """
        document = self._document()
        annotation = await asyncio.to_thread(exporting.read_boxes, path, document.size, self.limits)
        taken = 0

        def take(changed: Document) -> None:
            nonlocal taken
            taken = changed.take(annotation)

        self.change(take)
        return taken


def _receive(worker: Worker) -> Any:
    """The next message; None when the process has ended."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return None
