"""Stretches of video with several targets at once."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asmd.boxes import Boxes
from asmd.datasets import load
from asmd.sequence import Frame, FrameSource, Sequence

LEAST_SIDE = 16.0
"""Targets with a shorter side, in pixels, on the first frame are left out."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """A stretch of a video.

    Attributes:
        name: of the video.
        source: frames of the whole of it or of a longer stretch.
        skipped: frames of `source` before the stretch.
        truths: of each target, (N, 4) boxes, NaN where there are none. The first row is a box.
        scored: how many of the targets, from the first on, have boxes on more than the first frame.
    """

    name: str
    source: FrameSource
    skipped: int
    truths: list[Boxes]
    scored: int

    def frames(self) -> Iterator[Frame]:
        """The N frames of the stretch."""
        return itertools.islice(iter(self.source), self.skipped, self.skipped + len(self.truths[0]))

    def sequences(self) -> list[Sequence]:
        """The targets that can be scored, as sequences without frames."""
        return [Sequence(f"{self.name}-{i}", (), truth) for i, truth in enumerate(self.truths[: self.scored])]


def pedestrians(root: Path, targets: int, frames: int) -> list[Crowd]:
    """From each video of a folder of MOTChallenge's: the stretch on which most pedestrians are there throughout.

    Args:
        root: the folder.
        targets: most in a stretch; the tallest are taken.
        frames: its length.
    """
    videos: dict[str, list[Sequence]] = defaultdict(list)
    for sequence in load("mot", root):
        videos[sequence.meta["video"]].append(sequence)
    found = []
    for name, tracks in sorted(videos.items()):
        starts = {int(s.meta["first frame"]) for s in tracks}
        best: list[tuple[Sequence, int]] = []
        for start in sorted(starts):
            there = [(s, offset) for s in tracks if _lasts(s, offset := start - int(s.meta["first frame"]), frames)]
            if min(len(there), targets) > len(best):
                best = sorted(there, key=lambda pair: -pair[0].boxes[pair[1], 3])[:targets]
        if len(best) > 1:
            sequence, offset = best[0]
            truths = [s.boxes[o : o + frames] for s, o in best]
            assert not isinstance(sequence.frames, tuple)
            found.append(Crowd(name, sequence.frames, offset, truths, len(truths)))
    return found


def _lasts(sequence: Sequence, offset: int, frames: int) -> bool:
    """Whether a track has a usable box on a frame, and on most of those that follow."""
    if offset < 0 or offset + frames > len(sequence) or not sequence.valid[offset]:
        return False
    return bool(sequence.valid[offset : offset + frames].mean() > 0.8 and sequence.boxes[offset, 2:].min() > LEAST_SIDE)


def company(sequence: Sequence, targets: int, frames: int) -> Crowd:
    """A target in the company of others about it, of which nothing is known: boxes moved by half a side and more."""
    truth = sequence.boxes[:frames]
    moves = np.array([[0.7, 0, 0.95, 1], [-0.7, 0, 1.05, 1], [0, 0.6, 1, 0.95], [0, -0.6, 1.05, 1.05]])
    truths = [truth]
    for dx, dy, wide, high in itertools.islice(itertools.cycle(moves), targets - 1):
        x, y, w, h = truth[0]
        other = np.full_like(truth, np.nan)
        other[0] = x + dx * w, y + dy * h, w * wide, h * high
        truths.append(other)
    assert not isinstance(sequence.frames, tuple)
    return Crowd(sequence.name, sequence.frames, 0, truths, 1)
