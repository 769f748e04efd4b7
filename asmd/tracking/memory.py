"""The dual memory (paper, 4.1): what the classifier is trained on between frames.

The short memory holds the samples of the last frames; the long one the target's looks over the whole video, and the
first frame's samples, which a person gave, for ever, as those of frames that a person corrected. Both are bounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from asmd.errors import ConfigError
from asmd.tracking.rows import Rows


@dataclass(frozen=True)
class MemoryConfig:
    """When and on what the classifier is updated.

    Attributes:
        short_interval: frames between updates from the short memory (delta s).
        long_interval: frames between updates from the long memory (delta l); on a frame where both fall due, the long
            one comes second.
        short_frames: frames whose negatives are kept.
        long_frames: frames whose positives are kept for the long memory; beyond that a random one gives way, so that
            what is kept stays a fair sample of the video.
        long_negatives: what the long update learns from besides what a person gave: "uncertain", the one most uncertain
            negative of each frame, as printed; "short", the short memory's negatives; "all", both.
        failure_interval: also update from the short memory on the first of every so many frames in a row on which the
            target is not found; 0 does not.
    """

    short_interval: int = 15
    long_interval: int = 50
    short_frames: int = 20
    long_frames: int = 100
    long_negatives: str = "short"
    failure_interval: int = 10

    def __post_init__(self) -> None:
        if min(self.short_interval, self.long_interval, self.short_frames, self.long_frames) < 1:
            raise ConfigError("memory needs intervals and lengths of at least 1 frame")
        if self.long_negatives not in ("uncertain", "short", "all"):
            raise ConfigError(f"long_negatives must be uncertain, short or all, got {self.long_negatives!r}")


CORRECTIONS = 30
"""Most frames that a person corrected whose samples are kept; beyond that the oldest gives way."""


class Memory:
    """Samples of the video so far.

    Args:
        config: settings.
        positives: (P, D) descriptors of the target on the first frame.
        negatives: (N, D) descriptors of background on the first frame.
        rng: the run's generator.
    """

    def __init__(self, config: MemoryConfig, positives: Tensor, negatives: Tensor, rng: np.random.Generator) -> None:
        self.config, self._rng = config, rng
        self._initial = (positives, negatives)
        self._corrections: deque[tuple[Tensor, Tensor]] = deque(maxlen=CORRECTIONS)
        self._short: deque[tuple[Tensor, Tensor]] = deque(maxlen=config.short_frames)
        self._long: list[Tensor] = []
        self._uncertain: list[Tensor] = []
        self._seen = 0

    @property
    def keeps_uncertain(self) -> bool:
        """Whether `add` has to be told the margins."""
        return self.config.long_negatives != "short"

    def add(self, positives: Tensor, negatives: Tensor, margins: Tensor | None) -> None:
        """Remembers a frame on which the target was found.

        Args:
            positives: (P, D).
            negatives: (N, D).
            margins: (N,) the classifier's log-odds of the negatives; only read where uncertain ones are kept.
        """
        self._short.append((positives, negatives))
        self._seen += 1
        uncertain = negatives[:0]
        if self.keeps_uncertain and margins is not None and len(negatives):
            uncertain = negatives[margins.abs().argmin()][None]
        if len(self._long) < self.config.long_frames:
            self._long.append(positives)
            self._uncertain.append(uncertain)
        elif (slot := int(self._rng.integers(self._seen))) < self.config.long_frames:
            # Reservoir sampling: every frame seen so far is equally likely to be held.
            self._long[slot], self._uncertain[slot] = positives, uncertain

    def keep(self, positives: Tensor, negatives: Tensor) -> None:
        """Remembers a frame that a person corrected, as the first frame is: (P, D) and (N, D)."""
        self._corrections.append((positives, negatives))

    def _given(self) -> tuple[list[Tensor], list[Tensor]]:
        """What a person gave: the first frame's samples, and those of corrections."""
        given = [self._initial, *self._corrections]
        return [p for p, _ in given], [n for _, n in given]

    def short(self) -> tuple[Rows, Rows]:
        """Positives (P, D) and negatives (N, D) of the last frames, with what a person gave."""
        positives, negatives = self._given()
        positives += [p for p, _ in self._short]
        negatives += [n for _, n in self._short]
        return Rows(positives), Rows(negatives)

    def long(self) -> tuple[Rows, Rows]:
        """Positives (P, D) of the whole video and their negatives (N, D), with what a person gave."""
        positives, negatives = self._given()
        negatives += self._uncertain
        if self.config.long_negatives != "uncertain":
            negatives += [n for _, n in self._short]
        return Rows([*positives, *self._long]), Rows(negatives)
