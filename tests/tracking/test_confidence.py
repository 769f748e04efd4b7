from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asmd.errors import ConfigError
from asmd.tracking.confidence import Confidence, ConfidenceConfig
from asmd.tracking.result import Status

CONFIG = ConfidenceConfig(found=0.5, lost=0.3, patience=3, recovery=2)


def words(scores: list[float]) -> str:
    confidence = Confidence(CONFIG)
    return "".join(confidence.update(s)[0] for s in scores)


def test_story_by_hand() -> None:
    # found; one bad frame is uncertain; three in a row are lost; one good frame is not enough, two are.
    assert words([0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.4, 0.9, 0.1, 0.9, 0.9]) == "fufuulllllf"


def test_between_the_thresholds_is_uncertain_for_ever() -> None:
    assert words([0.4] * 20) == "u" * 20


@given(st.lists(st.floats(0, 1), max_size=60))
def test_lost_needs_patience_and_recovery(scores: list[float]) -> None:
    confidence = Confidence(CONFIG)
    statuses = [confidence.update(s) for s in scores]
    for t, status in enumerate(statuses):
        if status is Status.LOST and (t == 0 or statuses[t - 1] is not Status.LOST):
            assert all(s < CONFIG.lost for s in scores[t - 2 : t + 1]) and t >= 2
        if t and statuses[t - 1] is Status.LOST and status is not Status.LOST:
            assert status is Status.FOUND
            assert all(s >= CONFIG.found for s in scores[t - 1 : t + 1])


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="lost <= found"):
        ConfidenceConfig(found=0.2, lost=0.4)
