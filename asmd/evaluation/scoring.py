"""The scorer: boxes in, counts out, for any number of runs of a sequence at once.

Every protocol reduces to three curves of counts and a number of frames (`Counts`); what a table shows is read off them.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence as Rows
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asmd.boxes import Boxes, iou
from asmd.errors import DatasetError, ResultsError
from asmd.evaluation.protocols import SHORT_ROWS, Curve, Protocol
from asmd.sequence import Sequence

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

MEASURES = ("auc", "ao", "precision", "normalised_precision", "sr50", "sr75")
"""What can be read off curves: area under the success curve, average overlap, the figures of both precision curves, and
the share of frames whose overlap passes 0.5 and 0.75."""


def measure_name(protocol: Protocol, measure: str) -> str:
    """How a table heads a measure, such as `P@20`."""
    plain = {"auc": "AUC", "ao": "AO", "sr50": "SR.50", "sr75": "SR.75"}
    if measure in plain:
        return plain[measure]
    short, curve = ("P", protocol.precision) if measure == "precision" else ("NP", protocol.normalised)
    return f"{short} ({curve.figure})" if isinstance(curve.figure, str) else f"{short}@{curve.figure:g}"


@dataclass(frozen=True, eq=False)
class Counts:
    """How many frames passed, for any leading shape (runs, sequences, ...).

    Attributes:
        success: (..., points) frames whose overlap passes each threshold.
        precision: (..., points) frames whose centre error does.
        normalised: (..., points) frames whose normalised centre error does.
        overlap: (...) sum of the overlaps.
        frames: (...) number of frames to divide by; 0 where there is nothing to score.
    """

    success: Floats
    precision: Floats
    normalised: Floats
    overlap: Floats
    frames: Floats

    def __getitem__(self, key: Any) -> Counts:
        """Counts of a part of the leading shape."""
        return Counts(*(getattr(self, f.name)[key] for f in fields(self)))

    @staticmethod
    def stack(parts: Rows[Counts], axis: int) -> Counts:
        """Counts side by side along a new leading axis."""
        return Counts(*(np.stack([getattr(p, f.name) for p in parts], axis=axis) for f in fields(Counts)))


@dataclass(frozen=True, eq=False)
class Curves:
    """Counts divided by frames and pooled, for any leading shape.

    Attributes:
        success: (..., points) success curve.
        precision: (..., points) precision curve.
        normalised: (..., points) normalised precision curve.
        overlap: (...) average overlap.
    """

    success: Floats
    precision: Floats
    normalised: Floats
    overlap: Floats

    def measures(self, protocol: Protocol) -> dict[str, Floats]:
        """Every entry of `MEASURES`, each of the leading shape, in 0..1."""
        return {
            "auc": protocol.success.read(self.success),
            "ao": self.overlap,
            "precision": protocol.precision.read(self.precision),
            "normalised_precision": protocol.normalised.read(self.normalised),
            "sr50": self.success[..., protocol.success.index(0.5)],
            "sr75": self.success[..., protocol.success.index(0.75)],
        }


def score_sequence(protocol: Protocol, sequence: Sequence, runs: Rows[Boxes]) -> Counts:
    """Score runs over one sequence.

    Args:
        protocol: the rules.
        sequence: the annotation, N rows.
        runs: R arrays of about (N, 4); see `Protocol.short` and `Protocol.long`.

    Returns:
        Counts of leading shape (R,).

    Raises:
        ResultsError: if a run has a number of rows, or rows, that the protocol does not take.
        DatasetError: if the protocol clips to the frame and the size of the frame is not known.
    """
    truth = sequence.boxes
    boxes, given = _match_rows(protocol, sequence, runs)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        boxes = _mend(protocol, sequence, boxes, given)
        if protocol.first == "truth":
            boxes[:, 0] = truth[0]
        if protocol.rounded:
            boxes, truth = boxes.round(), truth.round()
        if protocol.clipped:
            size = frame_size(sequence)
            boxes, truth = _clip(boxes, size), _clip(truth, size)
        present = given if protocol.short == "cut" else np.ones_like(given)
        return _count(protocol, boxes, truth, present, present & _kept(protocol, sequence))


def pool(protocol: Protocol, counts: Counts, classes: Rows[str] = ()) -> Curves:
    """Curves over a data set.

    Args:
        protocol: the rules.
        counts: counts whose last leading axis is the sequences. Sequences without a frame to score weigh nothing.
        classes: the object class of each sequence, for protocols that pool by classes.

    Returns:
        Curves of the leading shape without its last axis.
    """
    axis = counts.frames.ndim - 1
    if protocol.pooling == "frames":
        return each(Counts(*(getattr(counts, f.name).sum(axis=axis) for f in fields(counts))))
    curves = each(counts)
    if protocol.pooling == "classes":
        names = np.array(classes)
        groups = [counts.frames * (names == name) > 0 for name in sorted(set(classes))]
        parts = [[_mean(getattr(curves, f.name), group, axis) for f in fields(curves)] for group in groups]
        return Curves(*(np.mean(part, axis=0) for part in zip(*parts, strict=True)))
    pooled = []
    for field in fields(curves):
        values, scored = getattr(curves, field.name), counts.frames > 0
        if protocol.skips_zero_sequences and field.name != "overlap":
            scored = scored & (values.sum(axis=-1) > np.finfo(float).eps)
        pooled.append(_mean(values, scored, axis))
    return Curves(*pooled)


def _mean(values: Floats, chosen: Mask, axis: int) -> Floats:
    """Mean of the chosen entries along an axis; 0 where none is."""
    weights = (chosen if values.ndim == chosen.ndim else chosen[..., None]).astype(np.float64)
    return np.asarray((values * weights).sum(axis=axis) / np.maximum(weights.sum(axis=axis), 1.0))


def each(counts: Counts) -> Curves:
    """Curves of every entry on its own; zero where it has no frames."""
    frames = np.where(counts.frames > 0, counts.frames, 1.0)
    return Curves(
        counts.success / frames[..., None],
        counts.precision / frames[..., None],
        counts.normalised / frames[..., None],
        counts.overlap / frames,
    )


def overlaps(sequence: Sequence, boxes: Boxes) -> Floats:
    """(N,) IoU of each row with the annotation; NaN where there is no annotation, 0 where there is no box."""
    rows = min(len(boxes), len(sequence))
    result = np.full(len(sequence), np.nan)
    result[:rows] = np.nan_to_num(iou(boxes[:rows], sequence.boxes[:rows]))
    result[~sequence.valid] = np.nan
    return result


def frame_size(sequence: Sequence) -> tuple[int, int]:
    """(height, width) in pixels, from the data set's meta information or else from the first frame.

    Raises:
        DatasetError: if neither is at hand.
    """
    meta = sequence.meta
    text = meta.get("resolution") or (
        f"({meta['width']}, {meta['height']})" if {"width", "height"} <= set(meta) else ""
    )
    if text:
        try:
            width, height = ast.literal_eval(text)
            return int(height), int(width)
        except (ValueError, SyntaxError, TypeError) as error:
            raise DatasetError(f"{sequence.name}: the resolution {text!r} is not (width, height)") from error
    if isinstance(sequence.frames, tuple) or len(sequence.frames) == 0:
        raise DatasetError(
            f"{sequence.name}: this protocol clips to the frame; neither frames nor their size are there"
        )
    height, width = sequence.frames[0].shape[:2]
    return height, width


def _match_rows(protocol: Protocol, sequence: Sequence, runs: Rows[Boxes]) -> tuple[Boxes, Mask]:
    """Runs as one (R, N, 4) array, and the rows (R, N) that they gave; the others are NaN."""
    length = len(sequence)
    boxes = np.full((len(runs), length, 4), np.nan)
    given = np.zeros((len(runs), length), dtype=bool)
    for row, run in enumerate(runs):
        if problem := problem_of(protocol, run, length):
            raise ResultsError(f"{sequence.name}: {problem}")
        boxes[row, : len(run)] = run[:length]
        given[row, : len(run)] = True
    return boxes, given


def problem_of(protocol: Protocol, run: Boxes, length: int) -> str:
    """Why boxes (M, 4) cannot be scored against an annotation of `length` rows; empty if they can."""
    rows = len(run)
    if rows > length and protocol.long == "refuse":
        return f"{rows} rows where the annotation has {length}; row {length + 1} is one too many"
    if rows < max(length - SHORT_ROWS, 1):
        return f"{rows} rows where the annotation has {length}; row {rows + 1} is missing"
    if protocol.refuses_gaps and (bad := np.isnan(run).any(axis=1) | (run[:, 2:] < 0).any(axis=1)).any():
        return f"row {int(bad.argmax()) + 1}: {protocol.name} takes no row without a box or of negative size"
    return ""


def _mend(protocol: Protocol, sequence: Sequence, boxes: Boxes, given: Mask) -> Boxes:
    gaps = np.isnan(boxes).any(axis=-1)
    if protocol.repeats_previous:
        usable = ~(gaps | (boxes[..., 2:] <= 0).any(axis=-1)) | np.isnan(sequence.boxes).any(axis=-1) | ~given
        usable[:, 0] = True
        source = np.maximum.accumulate(np.where(usable, np.arange(len(sequence)), 0), axis=1)
        boxes = np.take_along_axis(boxes, source[..., None], axis=1)
    if protocol.short == "zeros":
        boxes[~given] = 0.0
    return boxes


def _clip(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Corner moved inside, then sides cut: for a box that sticks out to the left this is not the intersection."""
    limit = np.array([size[1], size[0]], dtype=np.float64)
    corner = np.clip(boxes[..., :2], 0.0, limit)
    return np.concatenate([corner, np.clip(boxes[..., 2:], 0.0, limit - corner)], axis=-1)


def _kept(protocol: Protocol, sequence: Sequence) -> Mask:
    """(N,) frames that are counted at all."""
    kept = np.ones(len(sequence), dtype=bool)
    kept[0] = protocol.first != "skipped"
    if "absent" in protocol.leaves_out:
        assert sequence.absent is not None
        kept &= ~sequence.absent
    if "covered" in protocol.leaves_out and sequence.cover is not None:
        kept &= sequence.cover > 0
    if "invalid" in protocol.leaves_out:
        kept &= _valid(protocol, sequence.boxes)
    return kept


def _valid(protocol: Protocol, truth: Boxes) -> Mask:
    """(N,) annotated rows that the protocol takes for a box; comparisons with NaN are false."""
    if protocol.truth_needs == "finite":
        return np.asarray(~np.isnan(truth).any(axis=-1))
    sides = (truth[:, 2:] > 0).all(axis=-1)
    corner = (truth[:, :2] + protocol.origin > 0).all(axis=-1)
    return np.asarray(sides & corner if protocol.truth_needs == "positive" else sides)


def _count(protocol: Protocol, boxes: Boxes, truth: Boxes, present: Mask, kept: Mask) -> Counts:
    """The counting itself; `present` (R, N) are the frames of each run, `kept` those that can be won."""
    valid = _valid(protocol, truth)
    overlap = iou(boxes, truth)
    overlap = np.where(valid & kept & ~np.isnan(overlap), overlap, -1.0)
    # Written as the toolkits write it, so that errors that lie on a threshold fall on the same side of it.
    centre = truth[:, :2] + (truth[:, 2:] - 1.0) / 2.0
    offset = boxes[..., :2] + (boxes[..., 2:] - 1.0) / 2.0 - centre
    relative = offset / np.maximum(truth[:, 2:], protocol.least_side)
    located = valid if protocol.precision_needs == "box" else (centre > 0).all(axis=-1)

    def within(curve: Curve, vectors: Floats, invalid_passes: bool) -> Floats:
        distance = np.where(located, np.sqrt((vectors**2).sum(axis=-1)), -1.0 if invalid_passes else np.inf)
        return _count_within(curve, np.where(kept & ~np.isnan(distance), distance, np.inf))

    frames = {"all": present, "kept": kept, "valid": kept & valid}[protocol.denominator]
    return Counts(
        success=_count_above(protocol.success, overlap),
        precision=within(protocol.precision, offset, "precision" in protocol.invalid_pass),
        normalised=within(protocol.normalised, relative, "normalised" in protocol.invalid_pass),
        overlap=np.maximum(overlap, 0.0).sum(axis=-1),
        frames=frames.sum(axis=-1).astype(np.float64),
    )


def _count_above(curve: Curve, values: Floats) -> Floats:
    """How many values (R, N) exceed (or reach) each threshold, shape (R, points)."""
    below = np.searchsorted(curve.thresholds, values, side="left" if curve.strict else "right")
    return _histogram(below, curve.points)[:, :0:-1].cumsum(axis=1)[:, ::-1]


def _count_within(curve: Curve, values: Floats) -> Floats:
    """How many values (R, N) are at most (or below) each threshold, shape (R, points)."""
    first = np.searchsorted(curve.thresholds, values, side="right" if curve.strict else "left")
    return _histogram(first, curve.points)[:, :-1].cumsum(axis=1)


def _histogram(index: NDArray[np.intp], points: int) -> Floats:
    """How often each of 0..points occurs in every row of `index` (R, N), shape (R, points + 1)."""
    rows = len(index)
    flat = (index + np.arange(rows)[:, None] * (points + 1)).ravel()
    return np.bincount(flat, minlength=rows * (points + 1)).reshape(rows, points + 1).astype(np.float64)
