"""What the page's script talks to: uploads, the live picture, downloads. All of it is of one session and its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from fastapi import APIRouter, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse

from asmd.errors import AsmdError
from asmd.web.gate import OWNER_KEY
from asmd.web.session import Session
from asmd.web.sessions import Sessions
from asmd.web.uploads import TooLargeError

log = logging.getLogger(__name__)


def router(sessions: Sessions) -> APIRouter:
    """The routes below `/s/<session>`; a session that is not the asker's is not there (404)."""
    routes = APIRouter()

    def of(identity: str, owner: Any) -> Session:
        session = sessions.find(identity, str(owner or ""))
        if session is None:
            raise HTTPException(404)
        return session

    @routes.post("/s/{identity}/files")
    async def upload(identity: str, request: Request, index: int = 0, count: int = 1) -> JSONResponse:
        session = of(identity, request.scope.get(OWNER_KEY))
        try:
            path = await session.uploads.receive(request.stream(), index, count)
            if path is not None:
                await session.open(path)
        except AsmdError as error:
            return _refused(error)
        return JSONResponse({"ok": True})

    @routes.post("/s/{identity}/boxes")
    async def boxes(identity: str, request: Request) -> JSONResponse:
        session = of(identity, request.scope.get(OWNER_KEY))
        try:
            taken = await session.take_boxes(await session.uploads.boxes(request.stream()))
        except AsmdError as error:
            return _refused(error)
        session.say(f"{taken} target{'s' * (taken != 1)} added")
        return JSONResponse({"ok": True, "targets": taken})

    @routes.get("/s/{identity}/export")
    async def download(identity: str, request: Request) -> FileResponse:
        session = of(identity, request.scope.get(OWNER_KEY))
        if session.exported is None or not session.exported.is_file():
            raise HTTPException(404)
        return FileResponse(session.exported, filename=session.exported.name, headers={"cache-control": "no-store"})

    @routes.websocket("/s/{identity}/live")
    async def live(identity: str, socket: WebSocket) -> None:
        session = sessions.find(identity, str(socket.scope.get(OWNER_KEY) or ""))
        if session is None:
            await socket.close(1008)
            return
        await socket.accept()
        session.live.reset()
        sending = asyncio.create_task(_send(socket, session))
        try:
            await _receive(socket, session)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sending.cancel()
            session.pause()  # nobody watches any more; the session itself ends with the page

    return routes


def _refused(error: AsmdError) -> JSONResponse:
    status = 413 if isinstance(error, TooLargeError) else 415
    return JSONResponse({"error": str(error)}, status)


async def _send(socket: WebSocket, session: Session) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await session.live.next()) is not None:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)
        await socket.close()


async def _receive(socket: WebSocket, session: Session) -> None:
    """The browser says: a picture is drawn, go to a frame, or here is the camera's next frame."""
    if session.document is not None:
        await session.show(session.frame)
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if (data := message.get("bytes")) is not None:
            try:
                await session.camera_frame(data)
            except AsmdError as error:
                session.say(str(error))
                session.live.text({"type": "camera", "stop": True})
                continue
            session.live.text({"type": "camera"})
            continue
        try:
            said = json.loads(message.get("text") or "")
            what, value = said["type"], said.get("frame", 0)
            if what == "drawn":
                session.live.drawn()
            elif what == "seek":
                await session.show(int(value))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.debug("a message that is none was dropped")
