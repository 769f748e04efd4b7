"""The servers' zips: what is in them, and what is refused before one is written."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from asmd.errors import ConfigError, ResultsError
from asmd.evaluation.results import ResultsFolder, SequenceRun, read_boxes
from asmd.evaluation.submissions import submit
from asmd.sequence import Sequence

BOXES = np.array([[1.0, 2.0, 3.0, 4.0], [1.23456, 2.0, 3.0, 4.0]])
GOT10K = [f"GOT-10k_Test_{number:06d}" for number in range(1, 181)]
TRACKINGNET = [f"video-{number}_0" for number in range(511)]


def write(root: Path, names: list[str], repeats: int = 1, seconds: bool = True) -> ResultsFolder:
    folder = ResultsFolder(root)
    (root / "t").mkdir(parents=True)
    for repeat in range(1, repeats + 1):
        for name in names:
            # Written by hand: a thousand renames are slow.
            place = folder.folder("t", repeat)
            place.mkdir(exist_ok=True)
            (place / f"{name}.txt").write_text("1,2,3,4\n1.23456,2,3,4\n")
            if seconds:
                (place / f"{name}.csv").write_text(f"frame,seconds,score,status\n0,0.5,,\n1,0.{repeat}25,,\n")
    return folder


def test_got10k(tmp_path: Path) -> None:
    write(tmp_path / "results", GOT10K, repeats=4)
    made = submit("got10k", tmp_path / "results", tmp_path / "out.zip")
    assert (made.tracker, made.sequences, made.repeats, made.rows_checked) == ("t", 180, 3, False)
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 180 * 4
        first = f"{GOT10K[0]}/{GOT10K[0]}"
        assert {n for n in archive.namelist() if n.startswith(GOT10K[0])} == {
            f"{first}_001.txt", f"{first}_002.txt", f"{first}_003.txt", f"{first}_time.txt",
        }  # fmt: skip
        assert archive.read(f"{first}_002.txt") == b"1.000,2.000,3.000,4.000\n1.235,2.000,3.000,4.000\n"
        times = np.loadtxt(io.BytesIO(archive.read(f"{first}_time.txt")), delimiter=",")
        np.testing.assert_allclose(times, [[0.5, 0.5, 0.5], [0.125, 0.225, 0.325]])
    again = submit("got10k", tmp_path / "results/t", tmp_path / "again.zip")
    assert again.path.read_bytes() == made.path.read_bytes()


def test_a_submission_can_be_checked_and_packed_anew(tmp_path: Path) -> None:
    write(tmp_path / "results", GOT10K, repeats=3)
    first = submit("got10k", tmp_path / "results", tmp_path / "first.zip").path
    second = submit("got10k", first, tmp_path / "second.zip").path
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as two:
        assert {n: one.read(n) for n in one.namelist()} == {n: two.read(n) for n in two.namelist()}
    first.write_bytes(first.read_bytes()[:5000])
    with pytest.raises(ResultsError, match=r"first\.zip: not a whole zip file"):
        submit("got10k", first, tmp_path / "third.zip")
    assert not (tmp_path / "third.zip").exists()


def test_trackingnet(tmp_path: Path) -> None:
    write(tmp_path / "results", TRACKINGNET, seconds=False)
    made = submit("trackingnet", tmp_path / "results", tmp_path / "out.zip")
    with zipfile.ZipFile(made.path) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}.txt" for name in TRACKINGNET)
        assert archive.read("video-0_0.txt") == b"1.00,2.00,3.00,4.00\n1.23,2.00,3.00,4.00\n"


def test_rows_are_compared_with_the_data_set(tmp_path: Path) -> None:
    folder = write(tmp_path / "results", TRACKINGNET, seconds=False)
    hidden = np.vstack([BOXES[:1], np.full((1, 4), np.nan)])
    dataset = [Sequence(name, (), hidden) for name in TRACKINGNET]
    assert submit("trackingnet", folder.root, tmp_path / "out.zip", dataset=dataset).rows_checked
    (folder.root / "t/video-7_0.txt").write_text("1,2,3,4\n")
    with pytest.raises(ResultsError, match=r"video-7_0\.txt: 1 rows where the sequence has 2 frames"):
        submit("trackingnet", folder.root, tmp_path / "bad.zip", dataset=dataset)
    (folder.root / "t/video-7_0.txt").write_text("90,90,3,4\n1,2,3,4\n")
    with pytest.raises(ResultsError, match=r"video-7_0\.txt: row 1: does not touch the box"):
        submit("trackingnet", folder.root, tmp_path / "bad.zip", dataset=dataset)
    assert not (tmp_path / "bad.zip").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("GOT-10k_Test_000007.txt", None, r"000007\.txt: no such file; of the test set's 180 sequences 1 are missing"),
        ("GOT-10k_Val_000001.txt", "1,2,3,4\n", r"Val_000001\.txt: no sequence of the test set is called so"),
        ("GOT-10k_Test_000007.txt", "1,2,3,4\nnan,nan,nan,nan\n", r"000007\.txt: row 2: the server wants a box"),
        ("GOT-10k_Test_000007.txt", "1,2,3,4\n1,2,-3,4\n", r"000007\.txt: row 2: the server wants a box"),
        ("GOT-10k_Test_000007.txt", "1,2,3,4\n1,2,3\n", r"000007\.txt: row 2: 3 values"),
        ("GOT-10k_Test_000007.csv", None, r"000007\.txt: row 1: the server wants the time of every frame"),
    ],
)
def test_what_the_server_would_refuse(tmp_path: Path, file: str, text: str | None, message: str) -> None:
    folder = write(tmp_path / "results", GOT10K)
    path = folder.root / "t" / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(ResultsError, match=message) as caught:
        submit("got10k", folder.root, tmp_path / "out.zip")
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


def test_the_number_of_sequences(tmp_path: Path) -> None:
    folder = write(tmp_path / "results", TRACKINGNET[:510], seconds=False)
    with pytest.raises(ResultsError, match="t: 510 sequences where the test set has 511"):
        submit("trackingnet", folder.root, tmp_path / "out.zip")


def test_which_tracker(tmp_path: Path) -> None:
    folder = write(tmp_path / "results", TRACKINGNET[:3], seconds=False)
    folder.write("u", SequenceRun.of("video-0_0", read_boxes(folder.path("t", "video-0_0"))))
    with pytest.raises(ConfigError, match="which tracker? There are t, u".replace("?", r"\?")):
        submit("trackingnet", folder.root, tmp_path / "out.zip")
    with pytest.raises(ResultsError, match="no results of 'x'"):
        submit("trackingnet", folder.root, tmp_path / "out.zip", tracker="x")
    with pytest.raises(ConfigError, match=r"out\.tar: a submission is a \.zip file"):
        submit("trackingnet", folder.root, tmp_path / "out.tar", tracker="t")
