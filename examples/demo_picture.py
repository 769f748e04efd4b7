"""Put six frames of the demo's video side by side: before, while and after the target is hidden.

Run: make demo && .venv/bin/python examples/demo_picture.py outputs/demo.mp4 docs/images/demo.jpg
"""

import sys

import cv2
import numpy as np

from asmd.video import VideoFrames

FRAMES = (0, 5, 14, 28, 36, 58)


def main(video: str, picture: str) -> None:
    """Two rows of three."""
    source = VideoFrames(video)
    frames = [source[i] for i in FRAMES]
    sheet = np.vstack([np.hstack(frames[:3]), np.hstack(frames[3:])])
    cv2.imwrite(picture, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(*sys.argv[1:])
