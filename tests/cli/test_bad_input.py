"""Whatever is wrong with what it is given, `asmd track` says so in one line, fails, and leaves nothing behind."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_tracker import ScriptedTracker
from footage import cut_short, encode, numbered_frames, save_images, size_changing_video
from safetensors.torch import save_file

from asmd.cli import _tracking, main

BOX = "10,20,16,12"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tracking, "build_tracker", lambda job: ScriptedTracker())


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Runs the command; gives the one line that it must have said."""
    assert main(["track", *arguments, "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("asmd track: error: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def mp4(folder: Path) -> Path:
    return encode(folder / "clip.mp4", numbered_frames(12))


def empty(folder: Path) -> Path:
    (folder / "clip.mp4").touch()
    return folder / "clip.mp4"


def text(folder: Path) -> Path:
    (folder / "clip.mp4").write_text("once upon a time " * 1000)
    return folder / "clip.mp4"


def without_index(folder: Path) -> Path:
    return cut_short(mp4(folder), 0.7)


def growing(folder: Path) -> Path:
    return size_changing_video(folder / "clip.h264", 5)


def growing_images(folder: Path) -> Path:
    save_images(folder / "images", numbered_frames(5))
    cv2.imwrite(str(folder / "images" / "5.png"), np.zeros((80, 96, 3), np.uint8))
    return folder / "images"


def broken_first_image(folder: Path) -> Path:
    cut_short(save_images(folder / "images", numbered_frames(5))[0], 0.5)
    return folder / "images"


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "clip.mp4", "there is no file"),
        (empty, "is empty"),
        (text, "cannot be opened as a video"),
        (without_index, "cut short"),
        (lambda folder: folder, "there is no image in"),
        (growing, "frame 5 is 96x80 pixels, those before it 64x48"),
        (growing_images, "frame 5 is 96x80 pixels, those before it 64x48"),
        (broken_first_image, "frame 0, on which the track starts: "),
        (lambda folder: "98", "camera 98 cannot be opened"),
        (lambda folder: "http://127.0.0.1:9/x.mp4", "cannot be opened as a video"),
    ],
)
def test_sources(make: Callable[[Path], object], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--output", str(tmp_path / "o.mp4"), "--save", str(tmp_path / "b.txt")]
    assert said in refused([str(place), "--box", BOX, *outputs], capfd)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("10,20,0,12", "has no area"),
        ("10,20,16,-3", "has no area"),
        ("64,20,16,12", "outside the frame of 64x48"),
        ("-17,20,16,12", "outside the frame"),
        ("nan,20,16,12", "not finite"),
        ("10,20,inf,12", "not finite"),
        ("10,20,2,2", "too small"),
        ("62,20,16,12", "too small"),
        ("10,20,16", "four numbers"),
        ("ten,20,16,12", "four numbers"),
    ],
)
def test_boxes(box: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = mp4(tmp_path)
    outputs = ["--output", str(tmp_path / "o.mp4"), "--save", str(tmp_path / "b.json")]
    assert said in refused([str(clip), f"--box={box}", *outputs], capfd)
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output", "{folder}/none/o.mp4"], "there is no folder"),
        (["--output", "{folder}"], "a video's name ends in .mp4"),
        (["--output", "{folder}/o.txt"], "a video's name ends in .mp4"),
        (["--output", "{folder}/taken.mp4"], "is a folder"),
        (["--output", "{folder}/clip.mp4"], "is the source itself"),
        (["--output", "{folder}/clip.mp4/o.mp4"], "there is no folder"),
        (["--save", "{folder}/none/b.txt"], "there is no folder"),
        (["--save", "{folder}/b.doc"], "ends in .txt, .csv, .json"),
        (["--save", "/proc/self/b.txt"], "cannot be written"),
        (["--start", "-1"], "0 or more"),
        (["--start", "12"], "holds no frame number 12"),
        (["--frames", "0"], "at least one frame"),
    ],
)
def test_places_and_ranges(flags: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = mp4(tmp_path)
    (tmp_path / "taken.mp4").mkdir()
    before = clip.read_bytes()
    arguments = [flag.format(folder=tmp_path) for flag in flags]
    assert said in refused([str(clip), "--box", BOX, *arguments], capfd)
    assert sorted(tmp_path.iterdir()) == [clip, tmp_path / "taken.mp4"]
    assert clip.read_bytes() == before


@pytest.mark.usefixtures("scripted")
def test_truncated_file_is_tracked_to_the_break_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "b.txt"
    clip = cut_short(
        encode(
            tmp_path / "v.mp4", numbered_frames(40), options={"qp": "0", "g": "1"}, muxing={"movflags": "faststart"}
        ),
        0.6,
    )
    assert main(["track", str(clip), "--box", BOX, "--save", str(save), "--quiet"]) == 0
    err = capfd.readouterr().err
    assert "warning: " in err
    assert "is cut short: it announces 40 frames" in err
    assert 20 <= len(save.read_text().splitlines()) < 30


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("kind", ["grey", "16 bit", "alpha", "16 bit alpha"])
def test_unusual_images_are_tracked(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shape = {"grey": (48, 64), "16 bit": (48, 64), "alpha": (48, 64, 4), "16 bit alpha": (48, 64, 4)}[kind]
    for i in range(3):
        cv2.imwrite(
            str(tmp_path / f"{i}.png"),
            np.full(shape, 900 if "16" in kind else 90, np.uint16 if "16" in kind else np.uint8),
        )
    assert main(["track", str(tmp_path), "--box", BOX, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def wrong_shape(folder: Path) -> Path:
    save_file({"conv1.weight": torch.zeros(3, 3, 3, 3)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def foreign(folder: Path) -> Path:
    save_file({"encoder.0.weight": torch.zeros(4, 4)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def torch_pickle(folder: Path) -> Path:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, folder / "w.pt")
    return folder / "w.pt"


def bare_pickle(folder: Path) -> Path:
    (folder / "w.safetensors").write_bytes(pickle.dumps({"conv1.weight": [0.0]}))
    return folder / "w.safetensors"


def damaged(folder: Path) -> Path:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, folder / "w.safetensors")
    return cut_short(folder / "w.safetensors", 0.5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none.safetensors", "no such weights"),
        (wrong_shape, "conv1.weight"),
        (foreign, "w.safetensors"),
        (torch_pickle, "is a pickle, which is refused"),
        (bare_pickle, "is a pickle, which is refused"),
        (damaged, "is damaged"),
    ],
)
def test_weights(make: Callable[[Path], Path], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = mp4(tmp_path)
    outputs = ["--output", str(tmp_path / "o.mp4"), "--save", str(tmp_path / "b.txt")]
    weights = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert said in refused([str(clip), "--box", BOX, "--weights", str(weights), *outputs], capfd)
    assert sorted(tmp_path.iterdir()) == before
