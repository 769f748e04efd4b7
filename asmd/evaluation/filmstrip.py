"""Where trackers part: the frames of a sequence that tell them from each other, and their overlap over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes, clip_to_frame, is_valid, to_corners
from asmd.evaluation.plots import Look, figure_of, render
from asmd.evaluation.report import Report
from asmd.evaluation.scoring import overlaps
from asmd.sequence import Frame, Sequence

MOMENTS = 6
"""Frames of a strip."""

STRIP_SHOWN = 5
"""Trackers drawn, best first."""

WIDTH = 340
_PARTED = 0.5


@dataclass(frozen=True)
class Picture:
    """One frame of a strip: its number from 0, the image as JPEG, and the overlap of each tracker in it."""

    index: int
    jpeg: bytes
    overlaps: Mapping[str, float]


@dataclass(frozen=True)
class Filmstrip:
    """A sequence at the moments where trackers part.

    Attributes:
        sequence: its name.
        timeline: overlap of each tracker over time, as SVG.
        pictures: the moments; none where the data set was read without frames.
        colours: of each tracker.
    """

    sequence: str
    timeline: bytes
    pictures: tuple[Picture, ...]
    colours: Mapping[str, str]


def most_parted(report: Report, count: int) -> list[str]:
    """Names of the sequences on which the trackers differ most, by the mean spread of their overlaps."""
    spread = {s.name: float(np.nanmean(_spread(_overlaps(report, s)))) for s in report.sequences}
    return sorted(spread, key=lambda name: (-spread[name], name))[:count]


def filmstrip(report: Report, sequence: Sequence) -> Filmstrip:
    """The strip of one sequence, of the first repeat of the best trackers."""
    values = _overlaps(report, sequence)
    looks = {name: Look.of(rank) for rank, name in enumerate(values)}
    chosen = moments(_spread(values))
    pictures = []
    if len(sequence.frames):
        assert not isinstance(sequence.frames, tuple)
        for index in chosen:
            boxes = {name: report.runs[name][0][sequence.name].boxes for name in values}
            shown = {name: rows[index] for name, rows in boxes.items() if index < len(rows)}
            image = _draw(sequence.frames[index], sequence.boxes[index], shown, looks)
            pictures.append(Picture(index, image, {name: float(v[index]) for name, v in values.items()}))
    timeline = _timeline(values, looks, chosen, sequence)
    return Filmstrip(sequence.name, timeline, tuple(pictures), {name: look.colour for name, look in looks.items()})


def moments(spread: NDArray[np.float64], count: int = MOMENTS) -> list[int]:
    """Which frames to show.

    Args:
        spread: (N,) difference between the best and the worst overlap; NaN where nothing is annotated.
        count: how many frames, at most.

    Returns:
        Ascending: a frame shortly before the trackers part for the first time, that where they do, and those of the
        largest spread, none of them near another.
    """
    length = len(spread)
    known = np.nan_to_num(spread, nan=-1.0)
    apart = max(1, length // (2 * count))
    chosen: list[int] = []
    held = np.convolve(known > _PARTED, np.ones(3), mode="full")[2:] == 3  # and the two frames after it
    if held.any():
        first = int(held.argmax())
        chosen = sorted({max(0, first - max(2, apart // 2)), first})
    free = np.ones(length, dtype=bool)
    for index in chosen:
        free[max(0, index - apart) : index + apart + 1] = False
    while len(chosen) < count and free.any():
        index = int(np.where(free, known, -2.0).argmax())
        chosen.append(index)
        free[max(0, index - apart) : index + apart + 1] = False
    return sorted(chosen)


def _overlaps(report: Report, sequence: Sequence) -> dict[str, NDArray[np.float64]]:
    """Of the best trackers, best first."""
    names = [t.name for t in report.trackers[:STRIP_SHOWN]]
    return {name: overlaps(sequence, report.runs[name][0][sequence.name].boxes) for name in names}


def _spread(values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    stacked = np.stack(list(values.values()))
    return np.asarray(stacked.max(axis=0) - stacked.min(axis=0)) if len(stacked) > 1 else 1.0 - stacked[0]


def _timeline(
    values: Mapping[str, NDArray[np.float64]], looks: Mapping[str, Look], chosen: list[int], sequence: Sequence
) -> bytes:
    figure, axes = figure_of(10.4, 1.9)
    for name in list(values)[::-1]:  # the best on top
        axes.plot(values[name], color=looks[name].colour, linestyle=looks[name].dash, linewidth=1.2, label=name)
    for index in chosen:
        axes.axvline(index, color="#888888", linewidth=0.8, linestyle=":", zorder=0)
    assert sequence.absent is not None
    axes.fill_between(np.arange(len(sequence)), 1.02, where=sequence.absent, color="#ECECEC", step="mid", linewidth=0)
    axes.set(xlabel="frame", ylabel="overlap", xlim=(0, max(len(sequence) - 1, 1)), ylim=(0, 1.02))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return render(figure, "svg")


def _draw(frame: Frame, truth: Boxes, boxes: Mapping[str, Boxes], looks: Mapping[str, Look]) -> bytes:
    """A part of the frame with the boxes in it, the annotation white, as JPEG."""
    part, scale, corner = _crop(frame, np.array([truth, *boxes.values()]))
    image = cv2.cvtColor(part, cv2.COLOR_RGB2BGR)

    def outline(box: Boxes, colour: tuple[int, int, int], width: int) -> None:
        if is_valid(box):
            low, high = ((to_corners(box).reshape(2, 2) - corner) * scale).round().astype(int)
            cv2.rectangle(image, low.tolist(), high.tolist(), colour, width, cv2.LINE_AA)

    outline(truth, (0, 0, 0), 4)
    outline(truth, (255, 255, 255), 2)
    for name in list(boxes)[::-1]:
        red, green, blue = (int(looks[name].colour[i : i + 2], 16) for i in (1, 3, 5))
        outline(boxes[name], (blue, green, red), 2)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])


def _crop(frame: Frame, boxes: Boxes) -> tuple[Frame, float, NDArray[np.float64]]:
    """The part of the frame around the boxes, in its proportions and `WIDTH` wide; its scale, and its corner."""
    height, width = frame.shape[:2]
    valid = clip_to_frame(boxes[is_valid(boxes)], (height, width))
    limit = np.array([width, height], dtype=np.float64)
    low, high = np.zeros(2), limit
    if len(valid):
        corners = to_corners(valid)
        low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    share = float(np.clip(1.4 * ((high - low) / limit).max(), 0.35, 1.0))
    size = limit * share
    corner = np.clip((low + high) / 2 - size / 2, 0, limit - size)
    x1, y1, x2, y2 = np.concatenate([corner, corner + size]).round().astype(int)
    part = frame[y1:y2, x1:x2]
    scale = WIDTH / part.shape[1]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(part, (WIDTH, max(1, round(part.shape[0] * scale))), interpolation=how)
    return np.asarray(resized, dtype=np.uint8), scale, np.array([x1, y1], dtype=np.float64)
