"""The timer of `benchmarks/speed.py`: its table of functions follows the code, and own times add up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import speeds.stages

    yield speeds.stages
    for name in [n for n in sys.modules if n.split(".")[0] == "speeds"]:
        del sys.modules[name]


def test_functions_are_wrapped_for_the_while_only(stages) -> None:  # type: ignore[no-untyped-def]
    before = [vars(owner)[name] for _, owner, names in stages.STAGES for name in names]
    with stages.StageTimer().watching():
        during = [vars(owner)[name] for _, owner, names in stages.STAGES for name in names]
    after = [vars(owner)[name] for _, owner, names in stages.STAGES for name in names]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert not any(a is b for a, b in zip(before, during, strict=True))


def test_a_stage_has_its_own_time_alone(stages, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    ticks = iter([0.0, 1.0, 3.0, 10.0, 20.0, 21.0])
    monkeypatch.setattr(stages, "now", lambda: next(ticks))
    timer = stages.StageTimer()
    with timer.stage("outer"), timer.stage("inner"):
        pass
    with timer.stage("outer"):
        pass
    timer.close_frame()
    timer.close_frame()
    assert timer.frames == [{"outer": 10.0 - 2.0 + 1.0, "inner": 2.0}, {}]


def test_what_goes_on_beside_is_no_part_of_a_frame(stages, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    ticks = iter([0.0, 1.0, 3.0, 10.0])
    monkeypatch.setattr(stages, "now", lambda: next(ticks))
    timer = stages.StageTimer()

    def beside() -> None:
        with timer.stage("inner"):
            pass

    with timer.stage("outer"):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    timer.close_frame()
    assert timer.frames == [{"outer": 10.0}] and timer.beside == [{"inner": 2.0}]
