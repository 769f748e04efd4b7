"""Video in and out: sources to track, frames for data sets, annotated video.

A frame is RGB uint8 (H, W, 3) whatever the file holds: grey is repeated, 16 bit is scaled to 8 by the range of its
type, transparency is put on black, and the rotation that a file asks for is carried out.
"""

from asmd.video.frames import ImageFrames, VideoFrames
from asmd.video.images import list_images, read_image

__all__ = ["ImageFrames", "VideoFrames", "list_images", "read_image"]
