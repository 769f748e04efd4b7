"""What a data set should be against what is there, so that a run does not find out in its middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asmd.boxes import clip_to_frame, is_valid
from asmd.datasets.dataset import Dataset
from asmd.errors import AsmdError, DatasetError
from asmd.sequence import Sequence


@dataclass(frozen=True)
class Problem:
    """Something wrong with one sequence, in a line that names the file."""

    sequence: str
    text: str

    def __str__(self) -> str:
        return f"{self.sequence}: {self.text}"


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        name: of the data set.
        root: its folder.
        expected: how many sequences there should be, None where the folder alone decides.
        found: how many there are.
        frames: how many annotated frames the readable ones have together.
        expected_frames: how many there should be, None where that is not published.
        problems: everything that is wrong.
        notes: what is not wrong but worth knowing.
    """

    name: str
    root: str
    expected: int | None
    found: int
    frames: int
    expected_frames: int | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def lines(self) -> list[str]:
        """The report for people, a line a finding."""
        sequences = _against(self.found, self.expected, "sequence")
        frames = _against(self.frames, self.expected_frames, "frame")
        verdict = "no problem" if self.ok else f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        head = [f"{self.name} in {self.root}: {sequences}, {frames}, {verdict}", *self.notes]
        return [*head, *map(str, self.problems)]

    def raise_for_problems(self) -> None:
        """Do nothing if all is well.

        Raises:
            DatasetError: with the first problem, and how many more there are.
        """
        if self.problems:
            rest = len(self.problems) - 1
            more = f" (and {rest} more; `asmd data check` lists all)" if rest else ""
            raise DatasetError(f"{self.name}: {self.problems[0]}{more}")


def check(dataset: Dataset, *, decode: bool = False, progress: Callable[[str], None] | None = None) -> CheckReport:
    """Read every annotation, and see that there is a frame to each of its rows.

    Args:
        dataset: what to check; `Dataset.select` narrows it down to the sequences that a run needs.
        decode: decode the first and last frame of each sequence, too, and see that the first box lies in the frame.
        progress: told the name of each sequence before it is read.
    """
    problems = [Problem(name, f"{path} is missing") for name, path in dataset.missing.items()]
    frames = 0
    for name in dataset.names:
        if progress is not None:
            progress(name)
        try:
            sequence = dataset[name]
            frames += len(sequence)
            problems += [Problem(name, text) for text in _faults(sequence, dataset.lengths.get(name), decode)]
        except AsmdError as error:
            problems.append(Problem(name, str(error)))
    known = all(n in dataset.lengths for n in (*dataset.names, *dataset.missing)) and bool(dataset.lengths)
    wanted = sum(dataset.lengths[n] for n in (*dataset.names, *dataset.missing)) if known else None
    # Where only the size of the whole is published, what is lost has no name.
    lost = (dataset.expected or 0) - len(dataset.names) - len(dataset.missing)
    if lost > 0:
        problems.append(Problem(dataset.name, f"{lost} of {dataset.expected} sequences are not in {dataset.root}"))
    return CheckReport(
        name=dataset.name,
        root=str(dataset.root),
        expected=dataset.expected,
        found=len(dataset),
        frames=frames,
        expected_frames=wanted,
        problems=tuple(problems),
        notes=dataset.notes,
    )


def _faults(sequence: Sequence, length: int | None, decode: bool) -> Iterable[str]:
    if length is not None and len(sequence) != length:
        yield f"{len(sequence)} frames with a box are found, {length} are expected"
    if len(sequence) and not is_valid(sequence.init_box):
        yield f"its first box {sequence.init_box.tolist()} is none to start on"
    if isinstance(sequence.frames, tuple) or len(sequence) == 0:
        return
    count = len(sequence.frames)
    if count != len(sequence):
        yield f"{len(sequence)} rows of boxes, but {count} frames"
    if decode and count:
        first, _ = sequence.frames[0], sequence.frames[count - 1]
        height, width, _ = first.shape
        if is_valid(sequence.init_box) and not is_valid(clip_to_frame(sequence.init_box, (height, width))):
            yield f"its first box {sequence.init_box.tolist()} lies outside of its frame of {width}x{height} pixels"


def _against(found: int, expected: int | None, what: str) -> str:
    amount = f"{found}" if expected is None else f"{found} of {expected}"
    return f"{amount} {what}" + "s" * ((found if expected is None else expected) != 1)
