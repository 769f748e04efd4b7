"""Drawn videos in the official layouts of all data sets, for scale smoke."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from asmd.boxes import Boxes
from asmd.datasets.uav123 import parts
from asmd.evaluation.results import write_atomic
from asmd.experiments.scales import SMOKE_TARGETS
from asmd.samples import drawn_clip
from asmd.sequence import Frame
from asmd.video.sinks import write_video

FRAMES = 12
"""Of a drawn video: a clip of the arrow of time takes ten."""

SIZE = (96, 128)

GOT10K_SEQUENCES = tuple(f"GOT-10k_Train_{number:06d}" for number in range(1, 4))
LASOT_TRAIN, LASOT_TEST = ("airplane-2", "airplane-3"), ("airplane-1",)
LASOT_ALL = (*LASOT_TEST, *LASOT_TRAIN)
TRACKINGNET_SEQUENCES = ("drawn_0", "drawn_1")
UAV_SEQUENCES = ("uav4", "uav5", "uav6")
VOT_SEQUENCES = ("ants1", "bag")
YOUTUBE_VIDEOS = ("drawnvideoA", "drawnvideoB")


def draw(root: Path) -> Path:
    """Small instances of OTB, GOT-10k, YouTube-BB, LaSOT, UAV123, TrackingNet and VOT2018.

    Args:
        root: the folder above them; one that was finished before is left as it is.

    Returns:
        The same folder.
    """
    done = root / "drawn.txt"
    if done.is_file():
        return root
    _otb(root / "OTB")
    _got10k(root / "GOT-10k" / "train")
    _youtube(root / "YouTubeBB")
    _lasot(root / "LaSOT")
    _uav123(root / "UAV123")
    _trackingnet(root / "TrackingNet")
    _vot(root / "VOT2018")
    write_atomic(done, "Drawn by asmd experiment, not filmed.\n")
    return root


def _otb(root: Path) -> None:
    for number, folder in enumerate(dict.fromkeys(name.partition("-")[0] for name in SMOKE_TARGETS)):
        frames, boxes = _clip(number)
        _images(root / folder / "img", frames, "{:04d}.jpg", 1)
        targets = [name for name in SMOKE_TARGETS if name.partition("-")[0] == folder]
        for target in targets:
            which = target.partition("-")[2]
            file = f"groundtruth_rect.{which}.txt" if which else "groundtruth_rect.txt"
            _rows(root / folder / file, boxes, origin=1)


def _got10k(root: Path) -> None:
    for number, name in enumerate(GOT10K_SEQUENCES):
        frames, boxes = _clip(10 + number)
        _images(root / name, frames, "{:08d}.jpg", 1)
        _rows(root / name / "groundtruth.txt", boxes)
        write_atomic(root / name / "absence.label", "0\n" * len(boxes))
        write_atomic(root / name / "cover.label", "8\n" * len(boxes))
        write_atomic(root / name / "cut_by_image.label", "0\n" * len(boxes))
        write_atomic(root / name / "meta_info.ini", "[METAINFO]\nobject_class: square\nresolution: (128, 96)\n")
    write_atomic(root / "list.txt", "\n".join(GOT10K_SEQUENCES) + "\n")


def _youtube(root: Path) -> None:
    lines = []
    for number, name in enumerate(YOUTUBE_VIDEOS):
        frames, boxes = _clip(20 + number)
        path = root / f"{name}+0+0.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_video(path, 10.0) as video:
            for frame in frames:
                video.write(frame)
        for second in (0, 1):  # a box a second, and ten frames between them
            x, y, w, h = boxes[10 * second] / [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
            lines.append(f"{name},{second}000,0,person,0,present,{x:.4f},{x + w:.4f},{y:.4f},{y + h:.4f}")
    write_atomic(root / "yt_bb_detection_train.csv", "\n".join(lines) + "\n")


def _lasot(root: Path) -> None:
    for number, name in enumerate(LASOT_ALL):
        frames, boxes = _clip(30 + number)
        folder = root / "airplane" / name
        _images(folder / "img", frames, "{:08d}.jpg", 1)
        _rows(folder / "groundtruth.txt", boxes, origin=1)
        for flags in ("full_occlusion.txt", "out_of_view.txt"):
            write_atomic(folder / flags, ",".join("0" * len(boxes)) + "\n")


def _uav123(root: Path) -> None:
    for number, part in enumerate(part for part in parts("123") if part.name in UAV_SEQUENCES):
        frames, boxes = _clip(40 + number, part.length)
        _images(root / "data_seq" / "UAV123" / part.folder, frames, "{:06d}.jpg", part.first)
        _rows(root / "anno" / "UAV123" / f"{part.name}.txt", boxes)


def _trackingnet(root: Path) -> None:
    for number, name in enumerate(TRACKINGNET_SEQUENCES):
        frames, boxes = _clip(50 + number)
        _images(root / "TRAIN_0" / "frames" / name, frames, "{:d}.jpg", 0)
        _rows(root / "TRAIN_0" / "anno" / f"{name}.txt", boxes)


def _vot(root: Path) -> None:
    for number, name in enumerate(VOT_SEQUENCES):
        frames, boxes = _clip(60 + number)
        _images(root / name / "color", frames, "{:08d}.jpg", 1)
        x, y, w, h = boxes.T
        _rows(root / name / "groundtruth.txt", np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1))
    write_atomic(root / "list.txt", "\n".join(VOT_SEQUENCES) + "\n")


def _clip(seed: int, frames: int = FRAMES) -> tuple[list[Frame], Boxes]:
    return drawn_clip(frames, SIZE, seed)


def _images(folder: Path, frames: list[Frame], name: str, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        cv2.imwrite(str(folder / name.format(number)), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))


def _rows(path: Path, boxes: Boxes, origin: int = 0) -> None:
    """Values as the data set writes them: boxes count pixels from `origin`."""
    moved = np.add(boxes, [origin, origin, 0, 0]) if origin else boxes
    write_atomic(path, "".join(",".join(f"{value:g}" for value in row) + "\n" for row in moved))
