"""The wire to the browser: pictures with the boxes on them, no more than the browser keeps up with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

IN_FLIGHT = 3
"""Pictures that are sent before the browser has said that it drew one; beyond that only boxes are sent."""


def packed(head: dict[str, Any], picture: bytes) -> bytes:
    """A header as JSON, its length before it in four bytes, and a JPEG behind it."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return len(text).to_bytes(4, "big") + text + picture


class Live:
    """Keeps what is to be sent; `asmd.web.routes` takes it from there."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._in_flight = 0
        self._closed = False

    def picture(self, head: dict[str, Any], picture: bytes, must: bool = False) -> None:
        """A frame; its picture is left out where the browser does not keep up, unless it `must` be seen."""
        if self._closed:
            return
        if picture and (must or self._in_flight < IN_FLIGHT):
            self._in_flight += 1
            self._queue.put_nowait(packed({"type": "picture", **head}, picture))
        else:
            self.text({"type": "boxes", **head})

    def text(self, message: dict[str, Any]) -> None:
        """Anything without a picture."""
        if not self._closed:
            self._queue.put_nowait(json.dumps(message))

    def drawn(self) -> None:
        """The browser has drawn a picture."""
        self._in_flight = max(0, self._in_flight - 1)

    def reset(self) -> None:
        """A new connection: nothing is on its way."""
        self._in_flight = 0

    async def next(self) -> bytes | str | None:
        """What to send next; None at the end."""
        return await self._queue.get()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._queue.put_nowait(None)
