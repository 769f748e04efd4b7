"""Follow an object before a camera, or in a stream, and keep the annotated video.

Run: python examples/webcam.py 0 200,120,160,160 webcam.mp4
     python examples/webcam.py rtsp://camera/stream 200,120,160,160 stream.mp4

The box is that of the object on the first frame. The track ends after FRAMES frames, or with Ctrl-C. A live source
drops frames that nobody fetched in time, so that the tracker never lags behind.
"""

import sys
from contextlib import suppress

import asmd
from asmd.online import follow, parse_box
from asmd.video.annotate import Annotator
from asmd.video.sinks import write_video
from asmd.video.sources import open_source

FRAMES = 300


def main(source: str, box: str, output: str, weights: str | None = None) -> None:
    """Track, draw, write."""
    opened = open_source(source)
    tracker = asmd.Tracker.from_pretrained(weights, preset="realtime")
    annotator = Annotator()
    with write_video(output, opened.fps) as video, opened.frames(0, FRAMES) as frames, suppress(KeyboardInterrupt):
        for frame, result in follow(frames, tracker, parse_box(box)):
            video.write(annotator.draw(frame, result))
            print(f"{result.index}: {result.status} {result.score:.2f}, {1 / max(result.seconds, 1e-6):.0f} fps")


if __name__ == "__main__":
    main(*sys.argv[1:])
