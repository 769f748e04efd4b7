"""Measure a tracker of your own, next to ours or to OpenCV's, on videos of your own.

Run: python examples/evaluate_your_tracker.py FOLDER

FOLDER holds videos (or folders of images), each with a text file of boxes beside it: `walk.mp4` and `walk.txt`.
"""

import sys

import cv2
import numpy as np

import asmd


class TemplateTracker:
    """Looks for what the first box held, by correlation: all that a tracker needs is `init` and `update`."""

    def init(self, frame, box):
        """Remembers the target; `frame` is RGB uint8 (H, W, 3), `box` is x, y, w, h in pixels from 0."""
        self.box = np.asarray(box, dtype=float)
        x, y, w, h = self.box.round().astype(int)
        self.template = frame[y : y + h, x : x + w]

    def update(self, frame):
        """The box in the next frame; a score and status could be told with `asmd.TrackResult`."""
        _, _, _, place = cv2.minMaxLoc(cv2.matchTemplate(frame, self.template, cv2.TM_CCOEFF_NORMED))
        self.box[:2] = place
        return self.box.copy()


def main(folder: str) -> None:
    """OTB's figures for both."""
    dataset = asmd.datasets.load("folder", folder)
    for tracker in (TemplateTracker, "kcf"):
        run = asmd.evaluate(tracker, dataset)
        print(run.report("otb").table())


if __name__ == "__main__":
    main(*sys.argv[1:])
