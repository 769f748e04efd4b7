"""Our trackers as trackers of the GOT-10k toolkit (`pip install got10k six`).

    from got10k.experiments import ExperimentGOT10k
    from asmd.integrations.got10k import Got10kTracker

    experiment = ExperimentGOT10k("data/GOT-10k", subset="val")
    tracker = Got10kTracker("asmd")
    experiment.run(tracker)
    experiment.report([tracker.name])

Its OTB, UAV123, LaSOT and other experiments take the same tracker.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from asmd.boxes import Boxes, as_boxes
from asmd.errors import ConfigError
from asmd.evaluation.one_pass import checked_box, derive_seed, reseed
from asmd.evaluation.spec import TrackerSource, as_spec

try:
    from got10k.trackers import Tracker
except ImportError as missing:
    raise ConfigError(f"the GOT-10k toolkit cannot be imported ({missing}): pip install got10k six") from missing


class Got10kTracker(Tracker):  # type: ignore[misc]
    """Any tracker that `asmd.evaluate` can run, as the toolkit's `Tracker`.

    Args:
        tracker: a name, a spec, a class or a tracker, as for `asmd.evaluate`.
        name: of its results; the tracker's own where not given.
        is_deterministic: what the toolkit goes by: it runs a tracker that is not three times over GOT-10k.
        seed: of the run. Each pass derives its own from it, from the first frame and from how often that was started
            on, so that the order of the sequences changes nothing.
    """

    def __init__(
        self, tracker: TrackerSource = "asmd", *, name: str = "", is_deterministic: bool = False, seed: int = 0
    ) -> None:
        self._spec = as_spec(tracker)
        super().__init__(name=name or self._spec.name, is_deterministic=is_deterministic)
        self._seed = seed
        self._starts = Counter[str]()
        self._tracker = self._spec.build(seed)
        self._index = 0
        self._box: Boxes = np.zeros(4)

    def init(self, image: Any, box: ArrayLike) -> None:
        """Start on a PIL image."""
        frame = np.asarray(image.convert("RGB"))
        self._box = as_boxes(box).reshape(4)
        first = hashlib.sha256(frame.tobytes() + self._box.tobytes()).hexdigest()
        self._starts[first] += 1
        seed = derive_seed(self._seed, first, self._starts[first])
        if not reseed(self._tracker, seed):
            self._tracker = self._spec.build(seed)
            reseed(self._tracker, seed)  # after the constructor, which may have drawn
        self._index = 0
        self._tracker.init(frame, self._box)

    def update(self, image: Any) -> Boxes:
        """The box (4,) in the next PIL image; the last one where the tracker has none, as the toolkit wants one."""
        self._index += 1
        box = checked_box(self._tracker.update(np.asarray(image.convert("RGB"))), self._index)
        if np.isfinite(box).all():
            self._box = box
        return self._box.copy()
