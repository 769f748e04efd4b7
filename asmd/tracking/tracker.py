"""The tracker: from a frame to a box, a score and a status (paper, 4)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from asmd import checkpoints, compiled
from asmd.boxes import Boxes, clip_to_frame
from asmd.errors import TrackerStateError
from asmd.flow import FlowStack
from asmd.models.box_refinement import BoxRefinement
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Frame
from asmd.tracking import candidates
from asmd.tracking.box_regression import LearnedRegressor, head_graph
from asmd.tracking.candidates import FrameSize
from asmd.tracking.checks import check_box, check_frame
from asmd.tracking.choice import Choice, Drawn, Scored, ranked
from asmd.tracking.confidence import Confidence
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import Extractor, View, build_extractor
from asmd.tracking.learner import Learner
from asmd.tracking.openvino_network import QuantisedGraph
from asmd.tracking.perceptron import scored as scored_by
from asmd.tracking.readout import Readout
from asmd.tracking.regions import POOLED_AT_ONCE, Region
from asmd.tracking.result import Status, TrackResult
from asmd.tracking.threads import NOTHING, beside, computing_threads, opencv

VISIBLE_SIDE = 1.0
"""Least part of a reported box, in pixels, that lies inside the frame."""

REGRESSED = 5
"""Most candidates that box regression averages (FACTS 9, row 24)."""

_Found: TypeAlias = tuple[View, Boxes, float, Boxes]
"""A view, the best box in it, its log-odds, and that box regressed."""

ProposalSource: TypeAlias = Callable[[Frame, Boxes, np.random.Generator], Boxes]
"""Gives boxes (N, 4) of a frame that may hold the lost target, whose last box was (4,): a region-proposal network,
say."""


class Tracker:
    """Tracks one object through a video.

    Args:
        network: in evaluation mode, with its weights.
        config: settings.
        motion_trained: whether the motion stream's weights were trained on flow; decides where the settings say "auto".
        device: where the arithmetic runs.
        seed: decides every random draw; the same seed gives the same boxes.
        proposals: a further source of boxes for a lost target.
        weights_name: what to call the weights.
        refinement: a head that tightens boxes, in evaluation mode; without it each video has a ridge regression.
        quantised: the network in int8, for settings that ask for it.
        components: of the network's appearance stream, see `asmd.tracking.readout`.

    Attributes:
        config: the settings.
        weights_name: a phrase that says which weights it runs on.
        missing: names of tensors that the weights lack.
        phase: from the next `init` on, by this share of an interval what is learnt at intervals is learnt earlier: so
            trackers of several targets need not all learn on the same frames.
    """

    def __init__(
        self,
        network: SpatiotemporalResNet,
        config: TrackerConfig | None = None,
        *,
        motion_trained: bool = False,
        device: str = "auto",
        seed: int = 0,
        proposals: ProposalSource | None = None,
        weights_name: str = "given network",
        missing: tuple[str, ...] = (),
        refinement: BoxRefinement | None = None,
        quantised: QuantisedGraph | None = None,
        components: Mapping[int, Tensor] | None = None,
    ) -> None:
        self.config = config or TrackerConfig.realtime()
        self.weights_name, self.missing = weights_name, missing
        self._device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        if self._device.type == "cpu":
            compiled.prepare()
        motion = self.config.features.motion
        self._motion = motion_trained if motion == "auto" else motion == "on"
        judge = refinement if self.config.regression.kind == "auto" else None
        readout = Readout(components or {}, judge.encoders() if judge is not None else {})
        self._extractor = build_extractor(network, self.config.features, self._motion, self._device, quantised, readout)
        self._flow = self.flow_stack() if self._motion or self.config.search.flow_share else None
        head: LearnedRegressor | None = None
        if judge is not None:
            regression, counts = self.config.regression, {1, self.config.search.judged} - {0}
            graph = head_graph(judge, self._extractor, counts, regression)
            head = LearnedRegressor(judge.to(self._device), regression, graph)
        self._choice = Choice(head, self.config)
        self._seed = seed
        self._proposals = proposals
        self._size: FrameSize | None = None
        self.phase = 0.0
        self._learning: list[Future[None]] = []
        self._foreseen: Future[Any] = NOTHING

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path | None = None,
        *,
        preset: str | TrackerConfig = "realtime",
        device: str = "auto",
        seed: int = 0,
        proposals: ProposalSource | None = None,
    ) -> Tracker:
        """A tracker on weights from a file or from the package.

        Args:
            weights: a packaged name, a safetensors file, or None for the best that are at hand.
            preset: "paper", "accurate", "realtime", or settings of your own.
            device: "auto", "cpu", "cuda", ...
            seed: decides every random draw.
            proposals: a further source of boxes for a lost target.

        Raises:
            WeightsError: if there are none, or they do not fit.
            ConfigError: if there is no such preset.
        """
        config = preset if isinstance(preset, TrackerConfig) else TrackerConfig.preset(preset)
        loaded = checkpoints.load(weights)
        network, missing = checkpoints.build_network(loaded, config.network)
        return cls(
            network,
            config,
            motion_trained=loaded.motion_trained,
            device=device,
            seed=seed,
            proposals=proposals,
            weights_name=loaded.name,
            missing=tuple(missing),
            refinement=checkpoints.build_refinement(loaded),
            quantised=checkpoints.quantised_graph(loaded),
            components=checkpoints.components(loaded),
        )

    def reseed(self, seed: int) -> None:
        """Draws from another seed, from the next `init` on."""
        self._seed = seed

    def sibling(self, seed: int, flow: FlowStack | None = None) -> Tracker:
        """A tracker of nothing yet, on this one's network and settings.

        Args:
            seed: its own.
            flow: a stack that the caller pushes each frame to, for `begin`, `advance` and `relearn`; else its own.
        """
        other = copy.copy(self)
        # What these learn of a video they bind anew at its first frame; the network and the head below are shared.
        other._extractor, other._choice = copy.copy(self._extractor), self._choice.sibling()
        if self._flow is not None:
            other._flow = flow or self.flow_stack()
        other._seed, other._size = seed, None
        other._learning, other._foreseen = [], NOTHING
        return other

    @property
    def extractor(self) -> Extractor:
        """What it looks with."""
        return self._extractor

    def flow_stack(self) -> FlowStack:
        """A stack of flow as it needs one: of the whole frame where the motion stream runs, else about targets."""
        return FlowStack(self.config.flow, dense=self._motion)

    @property
    def uses_flow(self) -> bool:
        """Whether flow is measured."""
        return self._flow is not None

    @property
    def place(self) -> Boxes:
        """The box (4,) about which the next frame is looked at."""
        return self._box

    def init(self, frame: Frame, box: ArrayLike) -> TrackResult:
        """Starts on a frame; forgets whatever was tracked before.

        Args:
            frame: RGB uint8 (H, W, 3).
            box: the target, `(x, y, w, h)` in pixels.

        Returns:
            The box as it was given (clipped to the frame), score 1.

        Raises:
            FrameError: if the frame is not RGB uint8.
            BoxError: if the box cannot be tracked.
        """
        started = time.perf_counter()
        frame = check_frame(frame)
        target = check_box(box, (frame.shape[0], frame.shape[1]))
        self._abandon()
        if self._flow is not None:
            self._flow.reset()
            self._flow.push(frame)
        return self.begin(frame, target, started)

    @computing_threads(1)
    def begin(self, frame: Frame, target: Boxes, started: float) -> TrackResult:
        """What `init` does once the frame and the box (4,) are checked and the flow stack has the frame."""
        self._abandon()
        self._size = (frame.shape[0], frame.shape[1])
        self._box = target
        self._rng = np.random.default_rng(self._seed)
        self._shift = self.config.search.shift
        self._confidence = Confidence(self.config.confidence)
        self._index = 0
        self._last_seen = self._box
        self._learner = Learner(self.config, self._size, target, self._choice, self._rng, self._device, self.phase)
        self._learner.first(self._extractor, frame, self._flow, self._motion, target)
        return TrackResult(0, self._box.copy(), 1.0, Status.FOUND, time.perf_counter() - started)

    @computing_threads(1)
    def update(self, frame: Frame) -> TrackResult:
        """Finds the target in the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of the size of the first.

        Returns:
            Box, score and status.

        Raises:
            TrackerStateError: if `init` has not been called.
            FrameError: if the frame is not RGB uint8 or its size has changed.
        """
        if self._size is None:
            raise TrackerStateError("update was called before init: give the first frame and box to init")
        started = time.perf_counter()
        frame = check_frame(frame, self._size)
        with opencv.in_one_thread(not self._motion):  # flow of whole frames gains by more
            self.foresee(self._extractor.aim(self._box), self._flow.pushing(frame) if self._flow is not None else None)
            view = self._extractor.look(frame, self._flow, self._box)
            self.go_on()
            return self.advance(frame, self.scored(view), started)

    def foresee(self, region: Region | None, before: Callable[[], None] | None = None) -> None:
        """Does beside what the next view is not needed for.

        Args:
            region: that the view will be of.
            before: what else is to be done first, after which the flow stack has its frame.
        """

        def draw() -> Drawn:
            if before is not None:
                before()
            return self._draw(self._places(), region)

        self._foreseen = beside(draw)

    def go_on(self) -> None:
        """Has the classifier go on learning beside, of which the frame at hand sees nothing.

        It comes between `foresee` and `advance`, when the network is through with the frame: until then the cores are
        busy. It draws at random, and so is late where more is to be drawn for the frame.
        """
        self.settle()
        self._index += 1
        self._scorer = self._learner.scorer()
        self._redetects = self._confidence.status is Status.LOST and self._index % self.config.redetection.interval == 0
        if not self._redetects and self._learner.overlap is None:
            self._learn(self._learner.step)

    def scored(self, view: View) -> Scored:
        """What the classifier says of the candidates that were foreseen in a view about `place`, after `go_on`."""
        return self._score(view, self._foreseen.result())

    def advance(self, frame: Frame, scored: Scored, started: float) -> TrackResult:
        """What `update` does once the frame is checked, the flow stack has it, and its candidates are scored."""
        assert self._size is not None
        view = scored.view
        raw, margin, reported = self._best(scored, last=not self._redetects)
        if self._redetects:
            found = self._redetect(frame, margin)
            if found is not None:
                view, raw, margin, reported = found
            self._learn(self._learner.step)
        score = float(1 / (1 + np.exp(-np.clip(margin, -30, 30))))
        status = self._confidence.update(score)
        success = margin > self.config.search.success
        search = self.config.search
        # The best candidate is the best guess even when it scores low: a box that waits is left behind.
        follow = search.follow if success else 0.0
        self._box = candidates.limit((1 - follow) * raw + follow * reported, self._size, self._learner.min_side)
        self._shift = search.shift if success else max(self._shift, min(search.max_shift, self._shift * search.growth))
        if status is Status.FOUND:
            self._last_seen = self._box
        # What is learnt of this frame matters on the next: until then it is done beside.
        self._learn(partial(self._learner.later, view, self._box, self._index, success))
        if not view.lasting:
            self.settle()
        box = clip_to_frame(reported, self._size, VISIBLE_SIDE)
        return TrackResult(self._index, box, score, status, time.perf_counter() - started)

    def correct(self, frame: Frame, box: ArrayLike) -> TrackResult:
        """Takes a person's box for the truth on a frame, learns from it, and goes on from there.

        The frame may be the one just tracked or any other of the video. Its samples are kept like the first frame's.

        Args:
            frame: RGB uint8 (H, W, 3), of the size of the first.
            box: the target on it, `(x, y, w, h)` in pixels.

        Returns:
            The box as it was given (clipped to the frame), score 1; the index is that of the last frame.

        Raises:
            TrackerStateError: if `init` has not been called.
            FrameError: if the frame is not RGB uint8 or its size has changed.
            BoxError: if the box cannot be tracked.
        """
        if self._size is None:
            raise TrackerStateError("correct was called before init: give the first frame and box to init")
        started = time.perf_counter()
        frame = check_frame(frame, self._size)
        target = check_box(box, self._size)
        wait([self._foreseen])  # of an update that failed, if it is under way
        if self._flow is not None:
            # The frames before need not be this one's neighbours.
            self._flow.reset()
            self._flow.push(frame)
        return self.relearn(frame, target, started)

    @computing_threads(1)
    def relearn(self, frame: Frame, target: Boxes, started: float) -> TrackResult:
        """What `correct` does once the frame and the box (4,) are checked and the flow stack has the frame."""
        self.settle()
        wait([self._foreseen])  # of an update that failed, if it is under way
        self._box = target
        self._shift = self.config.search.shift
        self._confidence = Confidence(self.config.confidence)
        self._last_seen = self._box
        self._learner.corrected(self._extractor.look(frame, self._flow, self._box), self._box)
        return TrackResult(self._index, self._box.copy(), 1.0, Status.FOUND, time.perf_counter() - started)

    def _abandon(self) -> None:
        """Sees to it that nothing of the video before is under way; what became of it does not matter now."""
        wait([*self._learning, self._foreseen])
        self._learning = []

    def settle(self) -> None:
        """Waits until what the last frame has taught is learnt, which else goes on beside until the next frame comes.

        Whatever went wrong with it is raised here, or by `update` and `correct`, which come here first.
        """
        learning, self._learning = self._learning, []
        for part in learning:
            part.result()

    def _learn(self, part: Callable[[], None]) -> None:
        """Learns something beside, after what is being learnt already."""
        self._learning.append(beside(part))

    def _places(self) -> list[tuple[Boxes, int]]:
        """Boxes about which to draw candidates, and how many."""
        search = self.config.search
        moved = round(search.candidates * search.flow_share)
        if self._flow is None or moved == 0:
            return [(self._box, search.candidates)]
        return [(self._box, search.candidates - moved), (self._flow.moved(self._box), moved)]

    def _draw(self, places: list[tuple[Boxes, int]], region: Region | None) -> Drawn:
        """Candidates about some places, and how they are pooled from a view of a region."""
        assert self._size is not None
        scale = self.config.search.scale
        drawn = [candidates.gaussian(box, n, self._shift, scale, self._rng) for box, n in places]
        boxes = candidates.limit(np.concatenate(drawn), self._size, self._learner.min_side)
        return Drawn(boxes, region.poolings(boxes) if region and len(boxes) <= POOLED_AT_ONCE else None)

    def _best(self, scored: Scored, last: bool = False) -> tuple[Boxes, float, Boxes]:
        """Best box, its log-odds, and that box regressed, among candidates.

        Args:
            scored: the candidates.
            last: whether nothing is searched after it on this frame.
        """
        assert self._size is not None
        search, overlap, view = self.config.search, self._learner.overlap, scored.view
        if self._choice.judges(view):
            return self._choose(*self._choice.judged(scored), search.best)
        order = ranked(scored.margins)
        if overlap is None:
            return self._choose(scored, order, search.best)
        # The classifier has found the place; what fits there is for the overlap to say.
        closer = self.config.overlap
        centre = scored.boxes[order[: search.best]].mean(axis=0)
        near = candidates.close(centre, closer.candidates, closer.shift, closer.scale, closer.aspect, self._rng)
        if last:
            self._learn(self._learner.step)
        near = candidates.limit(near, self._size, self._learner.min_side)
        described = view.describe(near)
        order = ranked(overlap.predict(described.identity))
        # The rest needs no score.
        top = order[: max(closer.best, REGRESSED)]
        margins = np.full(len(near), -np.inf)
        margins[top] = self._margins(described.identity[torch.from_numpy(top)])
        return self._choose(Scored(view, near, margins, described), order, closer.best)

    def _score(self, view: View, drawn: Drawn) -> Scored:
        described = view.describe(drawn.boxes, drawn.poolings)
        return Scored(view, drawn.boxes, self._margins(described.identity), described)

    @torch.inference_mode()
    def _margins(self, described: Tensor) -> NDArray[np.float64]:
        return np.asarray(scored_by(described, self._scorer).double().cpu().numpy())

    def _choose(self, scored: Scored, order: NDArray[np.intp], best: int) -> tuple[Boxes, float, Boxes]:
        """Mean of the best boxes in an order (N,), its log-odds, and the regressed box."""
        top = order[:best]
        raw, margin = self._sized(scored.boxes[top].mean(axis=0)), float(scored.margins[top].mean())
        reported = raw
        least = self.config.search.success
        if margin > least and self.config.regression.enabled:
            good = [i for i in order[: max(best, REGRESSED)] if scored.margins[i] > least][:REGRESSED]
            reported = self._sized(self._choice.regressed(scored, good))
        return raw, margin, reported

    def _sized(self, box: Boxes) -> Boxes:
        """The box (4,) about its centre, while the target is not found of about the size that was last seen."""
        most = self.config.search.resize
        if most == 0 or self._confidence.status is Status.FOUND:
            return box
        side = np.clip(box[2:], self._last_seen[2:] / most, self._last_seen[2:] * most)
        return np.concatenate([box[:2] + (box[2:] - side) / 2, side])

    def _redetect(self, frame: Frame, margin: float) -> _Found | None:
        """Looks for the lost target where it was seen last, then in the whole frame.

        Returns:
            None unless something convincing is there.
        """
        config = self.config.redetection
        sure = max(margin, float(np.log(config.threshold / (1 - config.threshold))))
        found = self._look_again(frame, self._last_seen) if config.enabled else None
        if found is None or found[2] <= sure:
            found = self._look_everywhere(frame)
        return found if found is not None and found[2] > sure else None

    def _look_again(self, frame: Frame, box: Boxes) -> _Found:
        """A look near a box, as on any other frame."""
        near = self._extractor.look(frame, self._flow, box)
        return near, *self._best(self._score(near, self._draw([(box, self.config.search.candidates)], None)))

    def _look_everywhere(self, frame: Frame) -> _Found | None:
        """A look at the whole frame, then a closer one at the best place; None where there is nothing to look at."""
        assert self._size is not None
        config = self.config.redetection
        if not config.enabled and self._proposals is None:
            return None
        boxes = np.empty((0, 4))
        if config.enabled:
            boxes = candidates.grid(self._box, self._size, config.step, config.sizes, config.most)
        if self._proposals is not None:
            boxes = np.concatenate([boxes, np.asarray(self._proposals(frame, self._box, self._rng)).reshape(-1, 4)])
        if len(boxes) == 0:
            return None
        view = self._extractor.look_everywhere(frame, self._flow, self._box)
        scored = self._score(view, Drawn(candidates.limit(boxes, self._size, self._learner.min_side)))
        return self._look_again(frame, scored.boxes[ranked(scored.margins)[0]])
