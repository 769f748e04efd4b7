"""Annotations for the tests of formats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from asmd.convert import FORMATS, Annotation, Target
from asmd.tracking.result import Status

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=12),
    min_size=1,
    max_size=3,
    unique_by=str.lower,
)


@st.composite
def annotations(draw: st.DrawFn, known: bool = True) -> Annotation:
    """Targets that come and go, with boxes of any fraction, partly outside the frame."""
    frames = draw(st.integers(1, 12))
    targets = []
    for number, name in enumerate(draw(NAMES)):
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        boxes = np.concatenate([rng.uniform(-50, 600, (frames, 2)), rng.uniform(0.1, 300, (frames, 2))], axis=1)
        there = rng.uniform(size=frames) < 0.7
        there[0] |= number == 0
        there |= not there.any()
        boxes[~there] = np.nan
        scores = np.where(there, rng.uniform(0, 1, frames), np.nan)
        status = tuple(str(rng.choice(list(Status))) if t else "" for t in there)
        drawn = there & (rng.uniform(size=frames) < 0.3)
        seconds = np.where(there, rng.uniform(0, 1, frames), np.nan)
        targets.append(Target(name, boxes, scores, status, drawn, seconds, f"#{rng.integers(2**24):06x}"))
    size = (draw(st.integers(1, 5000)), draw(st.integers(1, 5000)))
    return Annotation(tuple(targets), frames, size, draw(st.sampled_from([25.0, 29.97, 30000 / 1001])), "clip")


def without_the_lost(annotation: Annotation, format: str) -> Annotation:
    """What a format has room for of an annotation."""
    holds = FORMATS[format].holds
    targets = []
    for target in annotation.targets:
        blank = np.full(annotation.frames, np.nan)
        targets.append(
            replace(
                target,
                scores=target.scores if "scores" in holds else blank,
                seconds=target.seconds if "seconds" in holds else blank,
                status=target.status if "status" in holds else ("",) * annotation.frames,
                drawn=target.drawn if "drawn" in holds else np.zeros(annotation.frames, dtype=bool),
                colour=target.colour if "colours" in holds else "",
            )
        )
    frames = annotation.frames
    if "frames" not in holds:
        frames = max(int(np.flatnonzero(t.there).max()) + 1 for t in targets)
        cut = slice(frames)
        targets = [
            Target(t.name, t.boxes[cut], t.scores[cut], t.status[cut], t.drawn[cut], t.seconds[cut], t.colour)
            for t in targets
        ]
    size = annotation.size if "size" in holds else None
    fps = annotation.fps if "fps" in holds else None
    return Annotation(tuple(targets), frames, size, fps, annotation.name)


def assert_same(a: Annotation, b: Annotation) -> None:
    """All of two annotations, boxes to a millionth of a pixel; targets in any order."""
    assert (a.frames, a.size) == (b.frames, b.size)
    assert (a.fps is None) == (b.fps is None) and (a.fps is None or abs(a.fps - b.fps) < 1e-9)
    assert sorted(t.name for t in a.targets) == sorted(t.name for t in b.targets)
    for target in a.targets:
        other = next(t for t in b.targets if t.name == target.name)
        np.testing.assert_allclose(other.boxes, target.boxes, rtol=0, atol=1.1e-6)
        np.testing.assert_allclose(other.scores, target.scores, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.seconds, target.seconds, rtol=0, atol=1e-9)
        assert other.status == target.status
        assert (other.drawn == target.drawn).all()
        assert other.colour == target.colour
