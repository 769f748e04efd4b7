"""From the score of a frame to an honest word: found, uncertain or lost."""

from __future__ import annotations

from dataclasses import dataclass

from asmd.errors import ConfigError
from asmd.tracking.result import Status


@dataclass(frozen=True)
class ConfidenceConfig:
    """When the target counts as found or lost.

    Attributes:
        found: score from which a frame counts for "found".
        lost: score below which it counts for "lost".
        patience: frames in a row below `lost` before the word is "lost".
        recovery: frames in a row from `found` on before a lost target is "found" again.
    """

    found: float = 0.5
    lost: float = 0.3
    patience: int = 5
    recovery: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.lost <= self.found <= 1:
            raise ConfigError(f"confidence needs 0 <= lost <= found <= 1, got lost {self.lost} and found {self.found}")
        if self.patience < 1 or self.recovery < 1:
            raise ConfigError("confidence needs patience and recovery of at least 1 frame")


class Confidence:
    """Keeps the status of a video, with hysteresis.

    One bad frame does not lose the target, one good one does not bring it back.
    """

    def __init__(self, config: ConfidenceConfig) -> None:
        self.config = config
        self.status = Status.FOUND
        self._low = 0
        self._high = 0

    def update(self, score: float) -> Status:
        """Takes the score of the next frame, in [0, 1], and returns the status."""
        self._low = self._low + 1 if score < self.config.lost else 0
        self._high = self._high + 1 if score >= self.config.found else 0
        if self._low >= self.config.patience:
            self.status = Status.LOST
        elif self.status is Status.LOST:
            if self._high >= self.config.recovery:
                self.status = Status.FOUND
        else:
            self.status = Status.FOUND if self._high else Status.UNCERTAIN
        return self.status
