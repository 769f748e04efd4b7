"""All sessions that are open, and whose they are."""

from __future__ import annotations

from asmd.errors import ConfigError
from asmd.web.limits import Limits
from asmd.web.session import Session
from asmd.web.tracking import Setup


class Sessions:
    """All sessions that are open."""

    def __init__(self, setup: Setup, limits: Limits) -> None:
        self.setup, self.limits = setup, limits
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def start(self, owner: str) -> Session:
        """A new session.

        Raises:
            ConfigError: if there are too many.
        """
        if len(self._open) >= self.limits.sessions:
            raise ConfigError(f"{self.limits.sessions} sessions are open, which are the most; close a tab")
        session = Session(owner, self.setup, self.limits)
        self._open[session.identity] = session
        return session

    def find(self, identity: str, owner: str) -> Session | None:
        """The session of that name, if it belongs to the owner."""
        session = self._open.get(identity)
        return session if session is not None and session.belongs_to(owner) else None

    def end(self, session: Session) -> None:
        """Closes a session."""
        self._open.pop(session.identity, None)
        session.close()

    def end_all(self) -> None:
        """Closes all."""
        for session in list(self._open.values()):
            self.end(session)
