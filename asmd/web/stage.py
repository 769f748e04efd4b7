"""The frame with its boxes and timeline, as an element of the page; `stage.js` is its other half."""

from __future__ import annotations

from nicegui.element import Element


class Stage(Element, component="stage.js"):
    """Shows a session's frames, and lets a person draw.

    Events: draw (id, frame, box), pick (id), act (what), problem (text), camera (on), connected.

    Args:
        session: identity of the session.
    """

    def __init__(self, session: str) -> None:
        super().__init__()
        self._props["sid"] = session
