"""What the frames of a video teach about its target: samples of them, the memories, the classifier (paper, 4)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asmd.boxes import Boxes, iou
from asmd.flow import FlowStack
from asmd.sequence import Frame
from asmd.tracking import candidates
from asmd.tracking.augmentation import augmented
from asmd.tracking.candidates import FrameSize
from asmd.tracking.choice import Choice
from asmd.tracking.classifier import Classifier
from asmd.tracking.config import TrackerConfig
from asmd.tracking.features import Extractor, View
from asmd.tracking.memory import Memory
from asmd.tracking.overlap import OverlapRegressor
from asmd.tracking.perceptron import Scorer
from asmd.tracking.updates import Updates, due


class Learner:
    """Learns from one video.

    Args:
        config: settings.
        size: (height, width) of its frames.
        target: (4,) on the first frame.
        choice: box regression, which learns on the first frame too.
        rng: the video's generator.
        device: where it runs.
        phase: by this share of an interval what is done at intervals is done earlier.

    Attributes:
        min_side: least side of a box in pixels. Small targets may shrink below MDNet's 10 px.
        classifier: of target and background, there from the first frame on.
        overlap: how well a box fits, where that is learnt.
    """

    def __init__(
        self,
        config: TrackerConfig,
        size: FrameSize,
        target: Boxes,
        choice: Choice,
        rng: np.random.Generator,
        device: torch.device,
        phase: float = 0.0,
    ) -> None:
        self._config, self._size, self._choice, self._rng, self._device = config, size, choice, rng, device
        self._phase = phase
        self.min_side = float(min(10.0, target[2:].min() / 2))
        self.overlap: OverlapRegressor | None = None

    def first(self, extractor: Extractor, frame: Frame, flow: FlowStack | None, motion: bool, target: Boxes) -> None:
        """Learns from the first frame, all at once.

        Args:
            extractor: starts on the frame.
            frame: RGB uint8 (H, W, 3).
            flow: its flow, if there is any.
            motion: whether the motion stream sees it.
            target: (4,).
        """
        config, sampling = self._config, self._config.sampling
        near, everywhere = extractor.start(frame, flow, target)

        def draw(wanted: candidates.SampleConfig) -> Boxes:
            return self._samples(target, wanted)

        positives = [near.describe(draw(sampling.initial_positives)).identity]
        negatives = [near.describe(draw(sampling.initial_near)).identity]
        kept = near.describe(draw(sampling.memory_negatives)).identity
        if sampling.initial_whole:
            whole = candidates.whole_frame(target, self._size, 2 * sampling.initial_whole, self._rng)
            whole = whole[iou(whole, target) <= sampling.initial_near.max_iou][: sampling.initial_whole]
            negatives.append(everywhere.describe(whole).identity)
        if config.regression.enabled:
            wanted = config.regression
            moved_off = candidates.SampleConfig("aspect", wanted.shift, wanted.scale, wanted.samples, wanted.min_iou)
            self._choice.fit(near, draw(moved_off), target)
        # The head knows better how well a box fits than what can be learnt of it here.
        fitting = config.overlap.candidates > 0 and not self._choice.judges(near)
        fits = [self._fits(near, target, config.overlap.samples)] if fitting else []
        # Without the motion stream versions that differ in flow alone are all the same.
        own = flow if motion else None
        for changed, box, its_flow in augmented(frame, target, own, sampling.augmentations, self._rng):
            view = extractor.look(changed, its_flow, box)
            moved = np.concatenate([box[:2] - target[:2], [0, 0]])
            positives.append(view.describe(draw(sampling.update_positives) + moved).identity)
            negatives.append(view.describe(draw(sampling.update_negatives) + moved).identity)
            if fitting:
                fits.append(self._fits(view, target, config.overlap.samples // 4, moved))
        if fitting:
            seen, overlaps = zip(*fits, strict=True)
            self.overlap = OverlapRegressor(config.overlap, torch.cat(seen), np.concatenate(overlaps))
        all_positives, all_negatives = torch.cat(positives), torch.cat([*negatives, kept])
        self._dtype = all_positives.dtype
        self.classifier = Classifier(all_positives.shape[1], config.classifier, config.mining, self._rng, self._device)
        if config.classifier.standardise:
            self.classifier.standardise(torch.cat([all_positives, all_negatives]))
        self.classifier.train(all_positives, all_negatives, config.classifier.init_steps, config.classifier.init_rate)
        self._memory = Memory(config.memory, all_positives, kept, self._rng)
        self._updates = Updates(self.classifier, self._memory, self._phase)

    def scorer(self) -> Scorer:
        """What scores candidates by what has been learnt up to now."""
        return self.classifier.scoring(self._dtype)

    def step(self) -> None:
        """Goes on with what earlier frames have taught, whatever is on this one."""
        self._updates.step()
        self.classifier.scoring(self._dtype)

    def later(self, view: View, box: Boxes, index: int, success: bool) -> None:
        """Learns what a later frame has to teach, after `step`.

        Args:
            view: of the frame, about the target.
            box: (4,) where the target was taken to be.
            index: of the frame, from 1.
            success: whether it was found.
        """
        if success and due(index, self._config.sampling.interval, self._phase):
            self._remember(view, box, index)
        self._updates.after(index, success)
        self.classifier.scoring(self._dtype)

    def corrected(self, view: View, box: Boxes) -> None:
        """Learns a frame on which a person gave the box (4,), by heart and at once."""
        sampling, classifier = self._config.sampling, self._config.classifier
        self.min_side = float(min(self.min_side, box[2:].min() / 2))
        positives, negatives = (
            view.describe(self._samples(box, wanted)).identity
            for wanted in (sampling.initial_positives, sampling.memory_negatives)
        )
        self._memory.keep(positives, negatives)
        if self.overlap is not None:
            self.overlap.learn(*self._fits(view, box, self._config.overlap.samples))
        self._updates.forget()
        self.classifier.train(*self._memory.short(), classifier.init_steps, classifier.update_rate)

    def _remember(self, view: View, box: Boxes, index: int) -> None:
        sampling = self._config.sampling
        positives, negatives = (
            self._samples(box, wanted) for wanted in (sampling.update_positives, sampling.update_negatives)
        )
        described = view.describe(np.concatenate([positives, negatives])).identity
        # Copies, since what is kept of one would keep the other as well.
        looks, background = described[: len(positives)].clone(), described[len(positives) :].clone()
        margins = self.classifier.margins(background) if self._memory.keeps_uncertain else None
        self._memory.add(looks, background, margins)
        if self.overlap is not None and index % self._config.overlap.interval == 0:
            self.overlap.learn(*self._fits(view, box, self._config.overlap.update_samples))

    def _samples(self, box: Boxes, wanted: candidates.SampleConfig) -> Boxes:
        return candidates.samples(box, self._size, wanted, self._rng, self.min_side)

    def _fits(
        self, view: View, box: Boxes, count: int, moved: Boxes | float = 0.0
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """Descriptors of boxes that fit more or less, all moved by (4,), and their IoU with the target's box (4,)."""
        boxes = candidates.limit(candidates.fits(box, count, self._rng), self._size, self.min_side)
        return view.describe(boxes + moved).identity, iou(boxes, box)
