"""Changed versions of the first frame, so that the classifier has seen more than one look of the target."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from asmd.boxes import Boxes, to_center
from asmd.errors import ConfigError
from asmd.flow import FlowStack
from asmd.sequence import Frame

KINDS = ("flip", "blur", "rotate", "shift-flow")


def augmented(
    frame: Frame, box: Boxes, flow: FlowStack | None, kinds: tuple[str, ...], rng: np.random.Generator
) -> Iterator[tuple[Frame, Boxes, FlowStack | None]]:
    """Changed frames with the target's box in each.

    Args:
        frame: RGB uint8 (H, W, 3).
        box: (4,) the target.
        flow: its flow, if the motion stream runs.
        kinds: of `KINDS`. "shift-flow" leaves the image and pretends that all of it moved alike (FACTS 9, row 20).
        rng: the run's generator.

    Yields:
        Frame, box (4,) and flow.

    Raises:
        ConfigError: if a kind is unknown.
    """
    height, width = frame.shape[:2]
    cx, cy = to_center(box)[:2]
    for kind in kinds:
        if kind == "flip":
            mirrored = np.array([width - box[0] - box[2], *box[1:]])
            yield np.ascontiguousarray(frame[:, ::-1]), mirrored, flow
        elif kind == "blur":
            size = 2 * max(1, round(float(np.sqrt(box[2] * box[3])) / 40)) + 1
            for kernel in ((size, 1), (1, size)):
                yield np.asarray(cv2.blur(frame, kernel), dtype=np.uint8), box, flow
        elif kind == "rotate":
            for angle in (-12.0, 12.0):
                turn = cv2.getRotationMatrix2D((float(cx), float(cy)), angle, 1.0)
                turned = cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
                yield np.asarray(turned, dtype=np.uint8), box, flow
        elif kind == "shift-flow":
            if flow is not None:
                for _ in range(2):
                    yield frame, box, flow.shifted(rng.normal(0, 3, 2))
        else:
            raise ConfigError(f"unknown augmentation {kind!r}: choose from {', '.join(KINDS)}")
