from pathlib import Path

import pytest

from asmd.cli import main


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    (tmp_path / "ball").mkdir()
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"ball/{n}.png"), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "ball.txt").write_text("1,2,3,4\n" * 3)
    return tmp_path


def test_all_is_well(clips: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", "folder", str(clips), "--decode"]) == 0
    assert capsys.readouterr().out == f"folder in {clips}: 1 sequence, 3 frames, no problem\n"


def test_problems_are_lines_and_the_exit_status(clips: Path, capsys: pytest.CaptureFixture[str]):
    (clips / "ball.txt").write_text("1,2,3,4\n1,2,3,4\n")
    (clips / "fish").mkdir()
    (clips / "fish/1.png").write_bytes((clips / "ball/1.png").read_bytes())
    assert main(["data", "check", "folder", str(clips)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"folder in {clips}: 1 sequence, 2 frames, 2 problems",
        f"fish: {clips}/fish.txt is missing",
        "ball: 2 rows of boxes, but 3 frames",
    ]
    assert main(["data", "check", "folder", str(clips), "--sequences", "fish"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"folder in {clips}: 0 of 1 sequence, 0 frames, 1 problem"


def test_boxes_alone(clips: Path, capsys: pytest.CaptureFixture[str]):
    (clips / "ball.txt").write_text("1,2,3,4\n")
    assert main(["data", "check", "folder", str(clips), "--annotations-only"]) == 0


def test_wrong_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", "otb100", str(tmp_path / "no")]) == 1
    assert capsys.readouterr().err == f"asmd data: error: {tmp_path}/no is missing\n"


def test_list_names_every_data_set(capsys: pytest.CaptureFixture[str]):
    assert main(["data", "list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"otb50", "vot2018", "lasot", "uav20l", "trackingnet", "got10k", "youtubebb", "mot", "davis"} <= set(names)
