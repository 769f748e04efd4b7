"""`asmd track` and `asmd demo` around a scripted tracker: what they say and what they write."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from fake_tracker import ScriptedTracker
from footage import broken_video, encode, numbered_frames, save_images

from asmd import checkpoints
from asmd.cli import _tracking, main
from asmd.errors import WeightsError
from asmd.samples import cyclist
from asmd.tracking.result import Status
from asmd.video import VideoFrames
from asmd.video.sources import Source

BOX = "10,20,16,12.5"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[_tracking.Job]:
    """Puts the scripted tracker in place of the real one; holds the jobs that asked for it."""
    jobs: list[_tracking.Job] = []

    def build(job: _tracking.Job) -> ScriptedTracker:
        jobs.append(job)
        return ScriptedTracker([Status.FOUND, Status.UNCERTAIN, Status.LOST])

    monkeypatch.setattr(_tracking, "build_tracker", build)
    return jobs


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return encode(tmp_path / "clip.mp4", numbered_frames(30), rate=10)


def test_flags_reach_the_tracker(clip: Path, scripted: list[_tracking.Job]) -> None:
    flags = ["--preset", "accurate", "--weights", "w.safetensors", "--seed", "7", "--device", "cpu", "--quiet"]
    assert main(["track", str(clip), "--box", BOX, *flags]) == 0
    [job] = scripted
    assert (job.preset, job.weights, job.seed, job.device) == ("accurate", "w.safetensors", 7, "cpu")
    assert job.box == (10, 20, 16, 12.5)


def test_quiet_says_nothing(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["track", str(clip), "--box", BOX, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_people_are_told_what_happened(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["track", str(clip), "--box", BOX, "--save", str(tmp_path / "b.txt")]) == 0
    out, err = capfd.readouterr()
    assert "by a script" in err
    assert "30 frames: found 10, uncertain 10, lost 10; 0.0 s to learn the target, then 1000.0 fps; " in out
    assert f"wrote {tmp_path}/b.txt" in out


def test_programs_are_told_in_json(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / "o.mp4"
    arguments = ["--start", "3", "--frames", "5", "--output", str(video), "--json"]
    assert main(["track", str(clip), "--box", BOX, *arguments]) == 0
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [e["event"] for e in events] == ["start", *["frame"] * 5, "end"]
    assert events[0]["frames"] == 5
    assert events[0]["box"] == [10, 20, 16, 12.5]
    assert [e["frame"] for e in events[1:-1]] == [3, 4, 5, 6, 7]
    assert events[2]["box"] == [11, 20, 16, 12.5]
    assert events[2]["status"] == "uncertain"
    assert events[-1]["written"] == [str(video)]
    assert err == ""


def test_files_hold_the_track(clip: Path, tmp_path: Path) -> None:
    output, save = tmp_path / "o.mp4", tmp_path / "b.json"
    arguments = ["--start", "2", "--output", str(output), "--save", str(save), "--quiet", "--seed", "5"]
    assert main(["track", str(clip), "--box", BOX, *arguments]) == 0
    track = json.loads(save.read_text())
    assert [f["frame"] for f in track["frames"]] == list(range(2, 30))
    assert (track["seed"], track["preset"], track["start"]) == (5, "realtime", 2)
    video = VideoFrames(output)
    assert len(video) == 28
    assert np.abs(video[0].astype(int) - VideoFrames(clip)[2]).max() > 100  # something is drawn
    with av.open(str(output)) as container:
        assert container.streams.video[0].average_rate == 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.json", "clip.mp4", "o.mp4"]


def test_images_too(tmp_path: Path) -> None:
    save_images(tmp_path / "frames", numbered_frames(12))
    save = tmp_path / "b.txt"
    assert main(["track", str(tmp_path / "frames"), "--box", BOX, "--save", str(save), "--quiet"]) == 0
    assert len(save.read_text().splitlines()) == 12


def test_a_broken_frame_is_said_and_keeps_its_row(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip, save = broken_video(tmp_path / "v.mp4", 30, 20), tmp_path / "b.txt"
    assert main(["track", str(clip), "--box", BOX, "--save", str(save), "--quiet"]) == 0
    err = capfd.readouterr().err
    assert err == f"asmd track: warning: {clip}: frame 20 is skipped: damaged, cannot be decoded\n"
    rows = save.read_text().splitlines()
    assert len(rows) == 30
    assert [i for i, row in enumerate(rows) if row == "nan,nan,nan,nan"] == [20]


@pytest.mark.parametrize("live", [False, True])
def test_ctrl_c(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    """Ends a live track, whose files are kept; breaks off a file's, of which nothing is left."""
    save = tmp_path / "b.txt"
    update = ScriptedTracker.update

    def interrupted(self: ScriptedTracker, frame: np.ndarray) -> object:
        if self._index == 9:
            raise KeyboardInterrupt
        return update(self, frame)

    monkeypatch.setattr(ScriptedTracker, "update", interrupted)
    if live:
        frames = numbered_frames(30)
        source = Source("camera 0", None, None, True, lambda: iter((i, f) for i in range(10**6) for f in frames[:1]))
        monkeypatch.setattr("asmd.video.sources.open_source", lambda place: source)
    status = main(["track", str(clip), "--box", BOX, "--save", str(save), "--quiet"])
    assert status == (0 if live else 130)
    assert save.exists() == live
    assert sorted(p.name for p in tmp_path.iterdir()) == (["b.txt", "clip.mp4"] if live else ["clip.mp4"])
    if live:
        tracked = [row for row in save.read_text().splitlines() if not row.startswith("nan")]
        assert len(tracked) == 10


def test_demo_writes_where_it_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["demo", "--output", str(folder)]) == 0
    assert sorted(p.name for p in folder.iterdir()) == ["demo.csv", "demo.mp4", "demo.txt"]
    assert len((folder / "demo.txt").read_text().splitlines()) == cyclist().frames
    assert len(VideoFrames(folder / "demo.mp4")) == cyclist().frames
    assert f"wrote {folder}/demo.mp4" in capfd.readouterr().out


def test_demo_goes_on_without_weights_and_says_so(
    tmp_path: Path,
    scripted: list[_tracking.Job],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def none_found(weights: object = None) -> None:
        raise WeightsError("no weights found")

    monkeypatch.setattr(checkpoints, "find", none_found)
    assert main(["demo", "--output", str(tmp_path)]) == 0
    assert scripted[0].weights == checkpoints.RANDOM
    assert "no weights found; the demo goes on with random features" in capfd.readouterr().err
