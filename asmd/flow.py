"""Optical flow, computed once for each frame, and the causal stack of the last L flows.

Flow is measured at a working resolution that bounds its cost, and expressed in pixels of the original frame: on the
whole frame for the motion stream, and only about the target where it does no more than place candidates. As in the
two-stream literature it is clipped to +-20 px and mapped linearly to the range of an image
(Feichtenhofer's flow tools, FACTS 2).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from asmd.boxes import Boxes
from asmd.errors import ConfigError
from asmd.resizing import resized
from asmd.sequence import Frame

Flow: TypeAlias = NDArray[np.float32]
"""Displacement (u, v) from the frame before to this one, in pixels of the original frame: float32 (h, w, 2)."""

FLOW_LIMIT = 20.0
"""Displacements beyond this many pixels are clipped."""

LEAST_SIDE = 32
"""Least side of what flow is measured on, in pixels; a smaller image is made that large by its edge."""

NETWORK_SCALE = 127.5 / (255 * 0.226) / FLOW_LIMIT
"""Maps pixels to the network's input: +-20 px spans the 8-bit range, divided by ImageNet's mean standard deviation."""


@dataclass(frozen=True)
class FlowConfig:
    """How flow is measured.

    Attributes:
        method: "dis" (Kroeger et al., ECCV 2016) or "tvl1" (Zach et al., DAGM 2007), which the paper's family uses.
        length: L, how many flows are stacked.
        max_side: the longer side of the frame is reduced to this many pixels before flow is measured.
        near: where flow is measured about a box only, the side of that part of the frame in mean sides of the box.
        near_side: its longer side is reduced to this many pixels.
    """

    method: Literal["dis", "tvl1"] = "dis"
    length: int = 5
    max_side: int = 480
    near: float = 4.0
    near_side: int = 128

    def __post_init__(self) -> None:
        if self.length < 1 or self.max_side < 32:
            raise ConfigError(f"flow needs length >= 1 and max_side >= 32, got {self.length} and {self.max_side}")
        if self.near < 2 or self.near_side < LEAST_SIDE:
            raise ConfigError(f"flow needs near >= 2 and near_side >= {LEAST_SIDE}")


class FlowMethod(Protocol):
    """A dense flow algorithm on grey uint8 images."""

    def __call__(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Flow:
        """Displacement of each pixel of `before`, (H, W), to where it is in `after`."""
        ...


def flow_method(name: Literal["dis", "tvl1"]) -> FlowMethod:
    """The algorithm of that name; DIS costs milliseconds, TV-L1 about a hundred times that.

    Raises:
        ConfigError: if there is none of that name.
    """
    # The algorithms are methods of two OpenCV classes with one signature; neither has stubs that say so.
    if name == "dis":
        create: Callable[[], Any] = partial(cv2.DISOpticalFlow.create, cv2.DISOPTICAL_FLOW_PRESET_FAST)
    elif name == "tvl1":
        create = cv2.optflow.DualTVL1OpticalFlow.create
    else:
        raise ConfigError(f"unknown flow method {name!r}: choose dis or tvl1")

    def compute(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Flow:
        height, width = before.shape
        if min(height, width) < LEAST_SIDE:
            # On images less high than that DIS reads beyond its pyramid, and now and then takes the process along.
            more = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
            before, after = (np.pad(image, [(0, m) for m in more], mode="edge") for image in (before, after))
        # Anew each time, which takes microseconds: on a small image DIS changes its settings, and keeps them for
        # whatever comes after, of another target or another video.
        flow = np.asarray(create().calc(before, after, None), dtype=np.float32)
        return flow[:height, :width]

    return compute


def working_image(frame: Frame, config: FlowConfig) -> tuple[NDArray[np.uint8], float]:
    """What flow is measured on.

    Args:
        frame: RGB uint8 (H, W, 3).
        config: settings.

    Returns:
        Grey uint8 (h, w), and its pixels per pixel of the frame, at most 1.
    """
    scale = min(1.0, config.max_side / max(frame.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return resized(grey, (height, width)), scale


def filled(flows: list[Flow], length: int) -> list[Flow]:
    """The last `length` of some flows (at least one), oldest first; the oldest is repeated until there are enough."""
    return [flows[0]] * (length - len(flows)) + flows[-length:]


class FlowStack:
    """The last L flows of a video, oldest first.

    On the first frame there is no flow: the stack is zero. Until L frames have passed the oldest flow is repeated
    (FACTS 9, row 20).

    Args:
        config: settings.
        dense: whether flow is measured on the whole of each frame. Without it there is `moved` and no more.
    """

    def __init__(self, config: FlowConfig | None = None, dense: bool = True) -> None:
        self.config, self.dense = config or FlowConfig(), dense
        self._method = flow_method(self.config.method)
        self._grey: NDArray[np.uint8] | None = None
        self._before: NDArray[np.uint8] | None = None
        self._flows: deque[Flow] = deque(maxlen=self.config.length)
        self._measured = False
        self.scale = 1.0
        """Working pixels per pixel of the frame."""

    def reset(self) -> None:
        """Forgets the video."""
        self._grey = self._before = None
        self._flows.clear()
        self._measured = False

    def push(self, frame: Frame) -> None:
        """Takes the next frame and measures the flow that leads to it.

        Args:
            frame: RGB uint8 (H, W, 3), of the size of the frames before it.
        """
        self.pushing(frame)()

    def pushing(self, frame: Frame) -> Callable[[], None]:
        """Begins to take the next frame.

        Returns:
            What is left to do, perhaps in another thread, before anything else is asked of the stack; the frame must
            stay as it is until then.
        """
        if not self.dense:
            return partial(self._keep, frame)
        self._measure(frame)
        return lambda: None

    def _keep(self, frame: Frame) -> None:
        grey, self.scale = working_image(frame, self.config)
        self._before, self._grey = self._grey, grey

    def _measure(self, frame: Frame) -> None:
        grey, self.scale = working_image(frame, self.config)
        if self._grey is None:
            self._flows.append(np.zeros((*grey.shape, 2), np.float32))
        else:
            flow = self._method(self._grey, grey) / self.scale
            if not self._measured:
                # The first frame's zeros stood for flow that nobody knew.
                self._flows.clear()
                self._measured = True
            self._flows.append(flow)
        self._grey = grey

    def shows(self, frame: Frame) -> bool:
        """Whether a frame is the one that was pushed last, as far as flow can tell them apart."""
        return self._grey is not None and np.array_equal(self._grey, working_image(frame, self.config)[0])

    def flows(self) -> list[Flow]:
        """L flows, oldest first, each (h, w, 2) at the working resolution, unclipped."""
        return filled(list(self._flows), self.config.length)

    def latest(self) -> Flow:
        """The flow that leads to the current frame, (h, w, 2)."""
        return self._flows[-1]

    def moved(self, box: Boxes) -> Boxes:
        """Where the median flow of the middle of a box (4,) carries it from the frame before."""
        if not self.dense:
            return self._moved_near(box)
        x, y, w, h = box * self.scale
        rows = slice(max(0, round(y + h / 4)), max(0, round(y + 3 * h / 4)) + 1)
        columns = slice(max(0, round(x + w / 4)), max(0, round(x + 3 * w / 4)) + 1)
        inside = self._flows[-1][rows, columns].reshape(-1, 2)
        if len(inside) == 0:
            return box
        return np.asarray(box + np.concatenate([np.median(inside, axis=0), [0.0, 0.0]]))

    def _moved_near(self, box: Boxes) -> Boxes:
        """As `moved`, by the flow of the part of the frame about the box."""
        if self._before is None or self._grey is None:
            return box
        place, sides = box[:2] * self.scale, box[2:] * self.scale
        reach = max(self.config.near * math.sqrt(sides.prod()), 1.5 * sides.max(), LEAST_SIDE) / 2
        limit = np.array(self._grey.shape[::-1])
        low, high = (np.clip(np.round(place + sides / 2 + r), 0, limit).astype(int) for r in (-reach, reach))
        extent = high - low
        if extent.min() < LEAST_SIDE // 2:
            return box
        size = np.maximum(np.round(extent * min(1.0, self.config.near_side / extent.max())), LEAST_SIDE // 2).astype(
            int
        )
        before, after = (
            np.asarray(cv2.resize(i[low[1] : high[1], low[0] : high[0]], size.tolist(), interpolation=cv2.INTER_AREA))
            for i in (self._before, self._grey)
        )
        flow, zoom = self._method(before.astype(np.uint8), after.astype(np.uint8)), size / extent
        columns, rows = (
            slice(max(0, round(a)), max(0, round(b)) + 1)
            for a, b in zip(*(zoom * (place + share * sides - low) for share in (0.25, 0.75)), strict=True)
        )
        inside = flow[rows, columns].reshape(-1, 2)
        if len(inside) == 0:
            return box
        return np.asarray(box + np.concatenate([np.median(inside, axis=0) / (zoom * self.scale), [0.0, 0.0]]))

    def shifted(self, shift: ArrayLike) -> FlowStack:
        """A stack like this one in which all of the image has moved by `shift` (2,), in pixels, on every frame."""
        other = FlowStack(self.config)
        other.scale = self.scale
        constant = np.broadcast_to(np.asarray(shift, np.float32), self._flows[-1].shape)
        other._flows.append(constant)
        return other


def network_input(flows: Flow) -> Flow:
    """Flow in pixels -> what the motion stream sees: clipped to +-20 px and scaled, any shape."""
    return np.asarray(np.clip(flows, -FLOW_LIMIT, FLOW_LIMIT) * NETWORK_SCALE, dtype=np.float32)
