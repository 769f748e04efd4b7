from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from asmd.tracking.steps import Done, Steps, alone, awaited, in_turns


@dataclass(frozen=True)
class Ask:
    """Something whose result is asked for at a time that is put down."""

    answer: int
    log: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.log.append(f"begin {self.answer}")

    def result(self) -> int:
        if self.answer < 0:
            raise ZeroDivisionError("by a test")
        self.log.append(f"answer {self.answer}")
        return self.answer


def sum_of(answers: list[int], log: list[str]) -> Steps[int]:
    total = 0
    for answer in answers:
        log.append(f"ask {answer}")
        total += yield from awaited(Ask(answer, log))
    return total


def test_alone_each_is_computed_as_it_comes() -> None:
    log: list[str] = []
    assert alone(sum_of([1, 2], log)) == 3
    assert log == ["ask 1", "answer 1", "ask 2", "answer 2"]
    assert alone(sum_of([], log)) == 0
    assert Done("at once").result() == "at once"


def test_in_turns_one_goes_on_while_another_waits() -> None:
    log: list[str] = []
    assert in_turns({7: sum_of([1, 2], log), 3: sum_of([10], log)}) == {7: 3, 3: 10}
    begun = ["ask 1", "begin 1", "ask 10", "begin 10"]
    assert log == [*begun, "answer 1", "ask 2", "begin 2", "answer 10", "answer 2"]
    assert in_turns({}) == {}


def test_in_turns_what_nobody_else_waits_with_is_computed_as_it_comes() -> None:
    log: list[str] = []
    assert in_turns({4: sum_of([1, 2], log)}) == {4: 3}
    assert log == ["ask 1", "answer 1", "ask 2", "answer 2"]
    log.clear()
    assert in_turns({4: sum_of([1, 2], log), 5: sum_of([], log)}) == {4: 3, 5: 0}
    assert log == ["ask 1", "begin 1", "answer 1", "ask 2", "answer 2"]


def test_one_that_fails_does_not_hinder_the_others() -> None:
    def fails_itself() -> Steps[int]:
        yield Done(None)
        raise KeyError("of its own")

    came = in_turns({0: sum_of([1, -1, 5], []), 1: fails_itself(), 2: sum_of([1, 2, 3], [])})
    assert list(came) == [0, 1, 2] and came[2] == 6
    assert isinstance(came[0], ZeroDivisionError) and isinstance(came[1], KeyError)
    with pytest.raises(ZeroDivisionError):
        alone(sum_of([1, -1], []))
