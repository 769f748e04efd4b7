"""The tracker inside a loop of your own: frames from anywhere, two calls.

Run: python examples/embed.py
"""

import sys

import asmd
from asmd.samples import drawn_clip


def main(weights: str | None = None) -> None:
    """Track a drawn square, and say how well."""
    frames, truth = drawn_clip(count=20)  # RGB uint8 (height, width, 3); boxes are x, y, w, h in pixels, from 0
    tracker = asmd.Tracker.from_pretrained(weights, preset="realtime", seed=0)
    print(f"runs on {tracker.weights_name}")
    tracker.init(frames[0], truth[0])
    for frame, box in zip(frames[1:], truth[1:], strict=True):
        result = tracker.update(frame)
        overlap = asmd.boxes.iou(result.box, box)
        print(f"{result.index}: {result.as_row()} {result.status} score {result.score:.2f} overlap {overlap:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
