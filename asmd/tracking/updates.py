"""When the classifier learns from the memories (paper, 4), and how that is spread over frames."""

from __future__ import annotations

from collections import deque

from asmd.tracking.classifier import Classifier, Course
from asmd.tracking.memory import Memory
from asmd.tracking.rows import Rows

MOST_COURSES = 3
"""Updates that may wait for each other; where more fall due than the pace allows for, the first is finished at once."""


def due(index: int, interval: int, phase: float) -> bool:
    """Whether what is done every so many frames, and by a share of them earlier, is done on this one, from 1."""
    return (index + int(phase * interval)) % interval == 0


class Updates:
    """The updates of one video's classifier.

    Args:
        classifier: learns.
        memory: from this, at the intervals of its settings.
        phase: by this share of an interval all updates fall due earlier.

    Attributes:
        courses: updates that are under way or waiting.
    """

    def __init__(self, classifier: Classifier, memory: Memory, phase: float = 0.0) -> None:
        self._classifier, self._memory, self._phase = classifier, memory, phase
        self._failed = 0
        self.courses: deque[Course] = deque()

    def forget(self) -> None:
        """Gives up what is under way, which may come from the very frames that had to be corrected."""
        self._failed = 0
        self.courses.clear()

    def step(self) -> None:
        """Makes as many steps of what is under way as a frame may take, whatever comes of the frame."""
        if self.courses:
            self.courses[0].advance(self._classifier.config.pace)
            if self.courses[0].remaining == 0:
                self.courses.popleft()

    def after(self, index: int, success: bool) -> None:
        """Begins the updates that are due after a frame.

        Args:
            index: of the frame, from 1.
            success: whether the target was found on it.
        """
        config = self._memory.config
        self._failed = 0 if success else self._failed + 1
        short = due(index, config.short_interval, self._phase)
        if short or (config.failure_interval and not success and (self._failed - 1) % config.failure_interval == 0):
            self._begin(*self._memory.short())
        if due(index, config.long_interval, self._phase):
            self._begin(*self._memory.long())

    def _begin(self, positives: Rows, negatives: Rows) -> None:
        """An update that is made now, or from the next frame on where updates are spread."""
        config = self._classifier.config
        course = Course(self._classifier, positives, negatives, config.update_steps, config.update_rate)
        if config.pace == 0:
            course.advance(course.remaining)
        elif course.remaining:
            if not self.courses:
                # Beside the first steps it would make one frame wait.
                course.prepare()
            self.courses.append(course)
        if len(self.courses) > MOST_COURSES:
            waiting = self.courses.popleft()
            waiting.advance(waiting.remaining)
