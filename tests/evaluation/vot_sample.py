"""A small VOT challenge, made from formulas: three sequences, one of them annotated with plain rectangles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from asmd.boxes import polygon_to_box
from asmd.sequence import Sequence

SIZE = (120, 160)
"""Height and width of every frame."""

LENGTHS = {"drift": 260, "spin": 150, "plain": 120}


def truth(name: str) -> np.ndarray:
    """(N, 8) corners of a turning rectangle; (N, 4) for `plain`. Two decimals, as in the files; partly out of view."""
    t = np.arange(LENGTHS[name], dtype=np.float64)
    if name == "plain":
        return np.round(np.stack([40 + 45 * np.sin(t / 17), 30 + 20 * np.cos(t / 13), 30 + t / 10, 24 - t / 20], 1), 2)
    pace = {"drift": 31.0, "spin": 11.0}[name]
    x, y = 80 + 70 * np.sin(t / pace), 60 + 45 * np.cos(t / (pace + 6))
    w, h, angle = 34 + 8 * np.sin(t / 23), 22 + 5 * np.cos(t / 19), t / pace
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])[None] * np.stack([w, h], 1)[:, None]
    turn = np.stack([np.stack([np.cos(angle), np.sin(angle)], 1), np.stack([-np.sin(angle), np.cos(angle)], 1)], 1)
    return np.round((corners @ turn + np.stack([x, y], 1)[:, None]).reshape(-1, 8), 2)


def sequence(name: str) -> Sequence:
    """The annotation without frames."""
    rows = truth(name)
    meta = {"resolution": str((SIZE[1], SIZE[0]))}
    if rows.shape[1] == 4:
        x, y, w, h = rows.T
        return Sequence(name, (), rows, polygons=np.stack([x, y, x + w, y, x + w, y + h, x, y + h], 1), meta=meta)
    return Sequence(name, (), polygon_to_box(rows), polygons=rows, meta=meta)


def write(root: Path, images: bool) -> None:
    """The official layout, with the `sequence` files that the toolkit wants; images are a noisy patch on noise."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "list.txt").write_text("".join(f"{name}\n" for name in LENGTHS))
    for name, length in LENGTHS.items():
        folder = root / name
        (folder / "color").mkdir(parents=True)
        rows = truth(name)
        (folder / "groundtruth.txt").write_text("".join(",".join(f"{v:.2f}" for v in row) + "\n" for row in rows))
        size = f"width={SIZE[1]}\nheight={SIZE[0]}\nlength={length}\n"
        (folder / "sequence").write_text(f"name={name}\nfps=30\nformat=default\nchannels.color=color/%08d.jpg\n{size}")
        if images:
            _draw(folder / "color", rows)


def _draw(folder: Path, rows: np.ndarray) -> None:
    random = np.random.default_rng(len(rows))
    background = cv2.GaussianBlur(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8), (0, 0), 3)
    patch = cv2.GaussianBlur(random.integers(0, 255, (24, 36, 3), dtype=np.uint8), (0, 0), 1.5)
    ends = np.array([[0, 0], [35, 0], [35, 23], [0, 23]], dtype=np.float32)
    for index, row in enumerate(rows):
        x, y, w, h = row if len(row) == 4 else (0, 0, 0, 0)
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]) if len(row) == 4 else row.reshape(4, 2)
        warp = cv2.getPerspectiveTransform(ends, corners.astype(np.float32))
        frame = background.copy()
        if index % 67 < 62:  # hidden for five frames now and then, so that trackers fail
            cv2.warpPerspective(patch, warp, SIZE[::-1], dst=frame, borderMode=cv2.BORDER_TRANSPARENT)
        cv2.imwrite(str(folder / f"{index + 1:08d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 95])


def trajectory(name: str, repeat: int) -> str:
    """A result file: a box that lags, wobbles and is lost now and then, with the codes of a supervised run."""
    boxes = sequence(name).boxes
    random = np.random.default_rng([repeat, len(boxes)])
    rows, start = [], 0
    for index, box in enumerate(boxes):
        if index < start:
            rows.append("0")
        elif index == start:
            rows.append("1")
        elif random.random() < 0.012:
            rows.append("2")
            start = index + 5
        else:
            wobble = random.normal(0, 3, 4) + np.array([0.12, 0.05, 0, 0]) * (index - start) % 15
            rows.append(",".join(f"{v:.4f}" for v in np.maximum(box + wobble, [-50, -50, 2, 2])))
    return "\n".join(rows) + "\n"
