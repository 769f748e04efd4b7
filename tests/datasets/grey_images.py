"""Images whose grey is their number, so that a test can tell which one it got."""

from asmd.sequence import Frame


def grey(frame: Frame) -> int:
    """The number that was written into an image."""
    return round(float(frame.mean()))
