"""Every example runs, on a video made on the spot and random features."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from footage import encode
from training.small_run import videos

from asmd import checkpoints, convert
from asmd.samples import drawn_clip
from asmd.video import VideoFrames

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that worker processes find its classes
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a square, and its boxes beside them."""
    frames, boxes = drawn_clip(5, (120, 160))
    path = encode(tmp_path_factory.mktemp("videos") / "square.mp4", frames)
    np.savetxt(path.with_suffix(".txt"), boxes, delimiter=",")
    return path


def box_of(clip: Path) -> str:
    return clip.with_suffix(".txt").read_text().splitlines()[0]


def test_a_video_of_ones_own(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("track_video").main(str(clip), box_of(clip), "random")
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_embedding(capsys: pytest.CaptureFixture[str]) -> None:
    example("embed").main("random")
    assert "overlap" in capsys.readouterr().out


def test_a_camera(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("webcam").main(str(clip), box_of(clip), str(tmp_path / "o.mp4"), "random")
    assert len(VideoFrames(tmp_path / "o.mp4")) == 5
    assert "4: " in capsys.readouterr().out


def test_many_targets(clip: Path, tmp_path: Path) -> None:
    boxes = [f"square={box_of(clip)}", "corner=2,2,30,30"]
    example("many_targets").main(str(clip), str(tmp_path / "t.xml"), *boxes, weights="random")
    annotation = convert.read(tmp_path / "t.xml")
    assert [t.name for t in annotation.targets] == ["square", "corner"]
    assert all(t.there.all() and t.drawn.tolist() == [True] + [False] * 4 for t in annotation.targets)


def test_evaluating_a_tracker(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("evaluate_your_tracker").main(str(clip.parent))
    out = capsys.readouterr().out
    assert "TemplateTracker" in out and "kcf" in out


def test_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two iterations on two videos, the first of which is then tracked with what was learnt."""
    videos(tmp_path / "videos", count=2, frames=12)
    example("train_on_your_videos").main(str(tmp_path / "videos"), str(tmp_path / "run"), "2", "random")
    assert checkpoints.read_metadata(tmp_path / "run" / "weights.safetensors")["step"] == "2"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2/2: loss ") and "nan" not in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == [f"clip0 {k}" for k in range(1, 12)]


def test_each_example_is_run_here() -> None:
    """All but the one that `make demo` runs."""
    elsewhere = {"demo_picture"}
    mentioned = Path(__file__).read_text(encoding="utf-8")
    names = {p.stem for p in EXAMPLES.glob("*.py")} - elsewhere
    assert {name for name in names if f'"{name}"' not in mentioned} == set()
