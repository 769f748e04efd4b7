"""Follow one object through a video file, and stop when it has been lost for a second.

Run: python examples/track_video.py clip.mp4 10,20,80,60
"""

import sys

import asmd
from asmd.online import parse_box

PATIENCE = 25
"""Frames."""


def main(path: str, box: str, weights: str | None = None) -> None:
    """Print where the object is, frame by frame; nothing is kept, so the video may be of any length."""
    lost = 0
    for result in asmd.track(path, parse_box(box), preset="realtime", weights=weights):
        lost = lost + 1 if result.status is asmd.Status.LOST else 0
        if lost == PATIENCE:
            print(f"gone since frame {result.index - PATIENCE + 1}")
            return
        x, y, w, h = result.box
        print(f"{result.index}: centre {x + w / 2:.1f},{y + h / 2:.1f} {result.status} {result.score:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
