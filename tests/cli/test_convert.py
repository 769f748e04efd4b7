"""`asmd convert`: what it reads, writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from footage import encode, numbered_frames

from asmd import convert
from asmd.cli import main
from asmd.convert import Annotation, Target
from asmd.video import VideoFrames, read_image

BOXES = np.array([[4.0, 20, 10, 12]] * 6) + np.arange(6)[:, None] * [1, 0.5, 0, 0]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return encode(tmp_path / "clip.mp4", numbered_frames(6), rate=10)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    status = ("found",) * 5 + ("lost",)
    two = Annotation.of(
        [Target("a", BOXES, status=status, colour="#00ff00"), Target("b", BOXES + 20, colour="#0000ff")]
    )
    convert.write(two, tmp_path / "boxes", "json")
    return tmp_path / "boxes"


def test_the_way_out_and_back(boxes: Path, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(boxes), str(tmp_path / "a.xml"), "--video", str(clip)]) == 0
    out, err = capfd.readouterr()
    assert out == f"{tmp_path}/a.xml\n"
    assert "warning: cvat has no room for fps" in err and "2 targets, 6 frames" in err
    assert main(["convert", str(tmp_path / "a.xml"), str(tmp_path / "csv"), "--to", "csv"]) == 0
    again = convert.read(tmp_path / "csv")
    assert [t.name for t in again.targets] == ["a", "b"]
    np.testing.assert_allclose(again.targets[0].boxes, BOXES, atol=1e-9)
    assert again.targets[0].status[-1] == "lost"


def test_size_by_hand(boxes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "ls.json"
    assert main(["convert", str(boxes), str(target), "--to", "labelstudio", "--size", "64,48", "--fps", "10"]) == 0
    [task] = json.loads(target.read_text())
    assert task["data"] == {"video": "video", "width": 64, "height": 48, "fps": 10.0}
    assert main(["convert", str(boxes), str(target), "--to", "labelstudio", "--size", "64x48"]) == 1
    assert "a size is W,H" in capfd.readouterr().err


def test_annotated_video(boxes: Path, clip: Path, tmp_path: Path) -> None:
    assert main(["convert", str(boxes), str(tmp_path / "o.mp4"), "--video", str(clip)]) == 0
    video, plain = VideoFrames(tmp_path / "o.mp4"), VideoFrames(clip)
    assert len(video) == 6
    assert np.abs(video[2].astype(int) - plain[2]).max() > 100


def test_crops_are_what_the_boxes_hold(boxes: Path, clip: Path, tmp_path: Path) -> None:
    assert main(["convert", str(boxes), str(tmp_path / "cut"), "--to", "crops", "--video", str(clip)]) == 0
    assert sorted(p.name for p in (tmp_path / "cut" / "a").iterdir()) == [
        f"{n:06d}.png" for n in range(5)
    ]  # not the lost
    piece = read_image(tmp_path / "cut" / "a" / "000002.png")
    assert (piece == VideoFrames(clip)[2][21:33, 6:16]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["out"], "which format? Say --to"),
        (["out", "--to", "nonsense"], "there is no format 'nonsense'"),
        (["out.mp4"], "mp4 needs the video"),
        (["out.xml"], "cvat needs the size of the video"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], said: str, boxes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(boxes), str(tmp_path / arguments[0]), *arguments[1:]]) == 1
    assert said in capfd.readouterr().err


def test_a_video_shorter_than_its_boxes_is_refused(
    boxes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = encode(tmp_path / "short.mp4", numbered_frames(4))
    assert main(["convert", str(boxes), str(tmp_path / "o.mp4"), "--video", str(short)]) == 1
    assert "has 4 frames, its annotation 6" in capfd.readouterr().err
    assert not (tmp_path / "o.mp4").exists()
