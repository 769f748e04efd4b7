"""Follow several objects at once through one video, and take the tracks to CVAT.

Run: python examples/many_targets.py clip.mp4 tracks.xml dog=10,20,80,60 ball=200,90,24,24

Any ending or folder that `asmd convert` knows does in place of `tracks.xml`.
"""

import sys

import asmd
from asmd.convert import Annotation, Target
from asmd.online import parse_box
from asmd.video.sources import open_source


def main(path: str, output: str, *named: str, weights: str | None = None, format: str = "cvat") -> None:
    """One pass over the video, for all objects at once."""
    boxes = {name: parse_box(box) for name, _, box in (text.partition("=") for text in named)}
    tracker = asmd.MultiTracker.from_pretrained(weights, preset="realtime", seed=0)
    names = list(boxes)  # targets are numbered in the order of their boxes
    results = {name: [] for name in names}
    source = open_source(path)
    with source.frames() as frames:
        for number, frame in frames:
            found = tracker.update(frame) if number else tracker.init(frame, boxes.values())
            for target, result in found.items():
                results[names[target]].append(result)
    targets = [Target.of_results(name, found, drawn=[0]) for name, found in results.items()]
    annotation = Annotation.of(targets, size=(frame.shape[1], frame.shape[0]), fps=source.fps, name=path)
    for written in asmd.convert.write(annotation, output, format):
        print(f"wrote {written}")


if __name__ == "__main__":
    main(*sys.argv[1:])
