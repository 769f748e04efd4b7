"""How each benchmark, and each toolkit that reimplements it, turns boxes into figures.

A `Protocol` is a declaration: thresholds, and the rule for every case on which toolkits part. One scorer
(`asmd.evaluation.scoring`) reads all of them. `docs/protocols.md` sets them side by side.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from asmd.errors import ConfigError

Named = TypeVar("Named")

Figure = Literal["mean", "area"] | float
"""The one number of a curve: the mean of its points, the trapezoid area under it, or its height at a threshold."""


@dataclass(frozen=True)
class Curve:
    """Thresholds, and the number that is read off the curve over them.

    Attributes:
        stop: last threshold; the first is 0.
        points: number of thresholds, evenly spaced.
        strict: whether a value must pass its threshold (`>`) or may equal it (`>=`, `<=`).
        figure: "mean", "area" (trapezoids, over the range scaled to 1) or a threshold at which to read the curve.
    """

    stop: float
    points: int
    strict: bool
    figure: Figure

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """(points,) thresholds in ascending order."""
        return np.linspace(0.0, self.stop, self.points)

    def index(self, threshold: float) -> int:
        """Where in `thresholds` one is (the nearest)."""
        return int(np.abs(self.thresholds - threshold).argmin())

    def read(self, curve: NDArray[np.float64]) -> NDArray[np.float64]:
        """The figure of curves (..., points), shape (...)."""
        if self.figure == "mean":
            return np.asarray(curve.mean(axis=-1))
        if self.figure == "area":
            return np.asarray(np.trapezoid(curve, dx=1.0 / (self.points - 1), axis=-1))
        return np.asarray(curve[..., self.index(self.figure)])


@dataclass(frozen=True)
class Protocol:
    """One way to score boxes.

    The order of the steps is that of the fields: rows are matched, the tracker's boxes are mended, the first frame is
    settled, boxes are rounded or clipped, frames are left out, and what remains is counted.

    Attributes:
        name: `benchmark` or `benchmark@toolkit`.
        summary: what it is, in a line.
        short: a file with fewer rows than the annotation (up to `SHORT_ROWS`) is scored on the rows that it has
            ("cut"), its missing frames fail ("fail"), or they count as boxes (0, 0, 0, 0) ("zeros").
        long: a file with more rows is an error ("refuse"), or its last rows are ignored ("cut").
        refuses_gaps: rows without a box (NaN) or with a negative side are an error.
        repeats_previous: a row without a box, or with a side of zero or less, takes the tracker's box before it.
        first: the first box is replaced by the annotation and counted ("truth"), counted as it is ("counted") or left
            out ("skipped").
        rounded: boxes and annotation are rounded to whole pixels (halves to even).
        clipped: boxes and annotation are clipped to the frame.
        truth_needs: an annotated row is valid when all four numbers are above 0 ("positive"), when both sides are
            ("sides"), or when it is not NaN ("finite").
        origin: what the first pixel is called in the coordinates that "positive" was written for, 0 or 1; boxes here
            are 0-based.
        leaves_out: frames that are counted nowhere: "absent" ones (the data set's flags), those with an "invalid"
            annotation, or those of which nothing is visible ("covered", GOT-10k's labels).
        denominator: counts are divided by the number of "all" frames, of those "kept", or of those with "valid" rows.
        invalid_pass: curves on which a frame with an invalid annotation passes every threshold; on the others it fails.
        precision_needs: a frame's centre error counts if the annotation is valid ("box"), or if its centre is above 0
            ("centre").
        least_side: sides of the annotation count as no less than this when errors are normalised by them.
        pooling: the mean over "sequences", over all "frames", or over object "classes" of the mean over their
            sequences.
        skips_zero_sequences: a sequence whose curve is zero throughout is left out of the mean over sequences.
        success: curve of the overlap.
        precision: curve of the centre error in pixels.
        normalised: curve of the centre error in sides of the annotated box.
        measures: what its tables show, in order, the first of which ranks; of `asmd.evaluation.scoring.MEASURES`.
        scale: 100 where its tables are in per cent; figures are kept in 0..1 all the same.
    """

    name: str
    summary: str
    short: Literal["cut", "fail", "zeros"] = "cut"
    long: Literal["refuse", "cut"] = "refuse"
    refuses_gaps: bool = False
    repeats_previous: bool = False
    first: Literal["truth", "counted", "skipped"] = "truth"
    rounded: bool = False
    clipped: bool = False
    truth_needs: Literal["positive", "sides", "finite"] = "sides"
    origin: int = 0
    leaves_out: frozenset[Literal["absent", "invalid", "covered"]] = frozenset()
    denominator: Literal["all", "kept", "valid"] = "all"
    invalid_pass: frozenset[Literal["precision", "normalised"]] = frozenset({"precision", "normalised"})
    precision_needs: Literal["box", "centre"] = "box"
    least_side: float = 0.0
    pooling: Literal["sequences", "frames", "classes"] = "sequences"
    skips_zero_sequences: bool = False
    success: Curve = field(default=Curve(1.0, 21, strict=True, figure="mean"))
    precision: Curve = field(default=Curve(50.0, 51, strict=False, figure=20.0))
    normalised: Curve = field(default=Curve(0.5, 51, strict=False, figure=0.2))
    measures: tuple[str, ...] = ("auc", "precision", "normalised_precision", "sr50", "sr75")
    scale: int = 1


SHORT_ROWS = 5
"""How many rows a result may lack. Published OTB results lack up to five: toolkits dropped the last annotated row of
two sequences, and started Tiger1 at its sixth frame. A file that lacks more was cut off and is refused."""

_OTB = Protocol("otb", "OTB: one-pass success (21 thresholds, >) and precision at 20 px, mean over sequences")
_OTB_MATLAB = replace(
    _OTB,
    name="otb@matlab",
    summary="OTB's own toolkit: as otb, but a box that begins at or before the first pixel is no valid annotation",
    truth_needs="positive",
    origin=1,
)
_PYSOT = replace(
    _OTB,
    name="otb@pysot",
    summary="OTB in PySOT: the first box is counted as it is",
    first="counted",
    precision_needs="centre",
    least_side=1e-16,
)
_PYTRACKING = replace(
    _OTB,
    name="otb@pytracking",
    summary="OTB in PyTracking: frames without a valid box leave the denominator; empty boxes repeat the one before",
    short="zeros",
    long="cut",
    refuses_gaps=True,
    repeats_previous=True,
    denominator="valid",
    invalid_pass=frozenset({"normalised"}),
)
_GOT = replace(
    _OTB,
    name="otb@got10k",
    summary="OTB in the GOT-10k toolkit: every row of the annotation is taken at its word",
    truth_needs="finite",
    invalid_pass=frozenset(),
    least_side=1.0,
)
_LASOT = replace(
    _OTB,
    name="lasot",
    summary="LaSOT's own toolkit: absent frames cannot be won but stay in the denominator; normalised precision at 0.2",
    long="cut",
    repeats_previous=True,
    truth_needs="positive",
    origin=1,
    leaves_out=frozenset({"absent"}),
    skips_zero_sequences=True,
)
_GOT10K = Protocol(
    "got10k",
    "GOT-10k: average overlap and success rates over all frames but the first and the invisible, boxes clipped",
    first="skipped",
    clipped=True,
    truth_needs="finite",
    leaves_out=frozenset({"covered"}),
    denominator="kept",
    invalid_pass=frozenset(),
    least_side=1.0,
    pooling="frames",
    success=Curve(1.0, 101, strict=True, figure="mean"),
    measures=("ao", "sr50", "sr75"),
)
_TRACKINGNET = Protocol(
    "trackingnet",
    "TrackingNet's server: boxes rounded, overlap >= threshold, all three figures are areas, in per cent",
    short="fail",
    rounded=True,
    truth_needs="finite",
    invalid_pass=frozenset(),
    success=Curve(1.0, 21, strict=False, figure="area"),
    precision=Curve(50.0, 21, strict=False, figure="area"),
    normalised=Curve(0.5, 21, strict=False, figure="area"),
    measures=("auc", "precision", "normalised_precision"),
    scale=100,
)

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        _OTB,
        _OTB_MATLAB,
        _PYSOT,
        _PYTRACKING,
        _GOT,
        _LASOT,
        replace(
            _PYSOT,
            name="lasot@pysot",
            summary="LaSOT in PySOT: absent frames as in LaSOT's own toolkit, no box is mended",
            long="cut",
            leaves_out=frozenset({"absent"}),
        ),
        replace(
            _PYTRACKING,
            name="lasot@pytracking",
            summary="LaSOT in PyTracking: absent frames fail and stay in the denominator",
            short="cut",
            leaves_out=frozenset({"absent"}),
            denominator="all",
        ),
        replace(
            _GOT,
            name="lasot@got10k",
            summary="LaSOT in the GOT-10k toolkit: absence is ignored; normalised precision is the mean of its curve",
            long="cut",
            leaves_out=frozenset({"invalid"}),
            denominator="kept",
            normalised=Curve(0.5, 51, strict=False, figure="mean"),
        ),
        replace(
            _OTB,
            name="uav123",
            summary="UAV123 by OTB's rules: frames out of view fail success and pass precision",
            truth_needs="positive",
        ),
        replace(
            _PYTRACKING,
            name="uav123@pytracking",
            summary="UAV123 in PyTracking: OTB's rules, empty boxes repeat the one before",
            denominator="all",
            invalid_pass=frozenset({"precision", "normalised"}),
        ),
        replace(
            _GOT,
            name="uav123@got10k",
            summary="UAV123 in the GOT-10k toolkit: frames out of view are left out altogether",
            leaves_out=frozenset({"invalid"}),
            denominator="kept",
        ),
        _GOT10K,
        replace(
            _GOT10K,
            name="got10k@classes",
            summary="GOT-10k with every object class weighing the same (mAO, mSR), as its paper defines them",
            pooling="classes",
        ),
        _TRACKINGNET,
    )
}
"""Every protocol by name. VOT's supervised protocol is another kind of run and lives in `asmd.evaluation.vot`."""

_DEFAULTS = ("otb", "lasot", "uav", "trackingnet", "got10k")


def protocol(name: str | Protocol) -> Protocol:
    """The protocol of a name such as `otb` or `otb@pysot`.

    Raises:
        ConfigError: if there is none; the text names the nearest.
    """
    return name if isinstance(name, Protocol) else lookup(PROTOCOLS, name)


def lookup(registry: Mapping[str, Named], name: str) -> Named:
    """The entry of a name.

    Raises:
        ConfigError: if there is none; the text names the nearest and all.
    """
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(name, registry, n=1, cutoff=0.0)
    raise ConfigError(f"there is no protocol {name!r}; did you mean {near[0]!r}? There are {', '.join(registry)}")


def default_protocol(dataset: str) -> Protocol:
    """The benchmark's own protocol for a data set's name (`otb50`, `uav123_10fps`); `otb` for any other data set."""
    family = next((f for f in _DEFAULTS if dataset.lower().replace("-", "").startswith(f)), "otb")
    return PROTOCOLS["uav123" if family == "uav" else family]
