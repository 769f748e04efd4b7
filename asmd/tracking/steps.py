"""A tracker's way through a frame, in steps between which another target's may be taken.

It is a generator: where something can run by itself, in a runtime's own threads, it yields that and is sent what came
of it. One target's steps follow each other; those of several take turns, so that what one waits for is computed while
another goes on. A thread for each target is no way to use two cores: their operations are so short that the threads
spend their time on handing Python's lock to each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

Result = TypeVar("Result")
Answer_co = TypeVar("Answer_co", covariant=True)


class Pending(Protocol[Answer_co]):
    """Something to be computed."""

    def begin(self) -> None:
        """Lets it go on by itself. Who has nothing else to do meanwhile asks for the result at once instead."""
        ...

    def result(self) -> Answer_co:
        """What comes of it; to be called once."""
        ...


Steps: TypeAlias = Generator[Pending[Any], Any, Result]
"""Yields what it waits for and is sent its result; ends in a result of its own."""


@dataclass(frozen=True, eq=False)
class Done:
    """What needed no waiting."""

    answer: Any

    def begin(self) -> None:
        """See `Pending`."""

    def result(self) -> Any:
        """See `Pending`."""
        return self.answer


def awaited(pending: Pending[Result]) -> Steps[Result]:
    """Waits for something."""
    answer: Result = yield pending
    return answer


def alone(steps: Steps[Result]) -> Result:
    """Takes all steps of one way."""
    answer: Any = None
    while True:
        try:
            pending = steps.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result
        answer = pending.result()


def in_turns(ways: Mapping[int, Steps[Result]]) -> dict[int, Result | Exception]:
    """Takes all steps of several ways, by turns.

    Returns:
        What each came to, in the order of `ways`: a result, or what it failed with, which does not hinder the others.
    """
    ended: dict[int, Result | Exception] = {}
    waiting: deque[tuple[int, Pending[Any]]] = deque((number, Done(None)) for number in ways)
    while waiting:
        number, pending = waiting.popleft()
        try:
            pending = ways[number].send(pending.result())
            if waiting:  # else nobody has anything else to do meanwhile
                pending.begin()
            waiting.append((number, pending))
        except StopIteration as end:
            ended[number] = end.value
        except Exception as error:
            ended[number] = error
    return {number: ended[number] for number in ways}
