from pathlib import Path

import pytest

from asmd.cli import main


def test_dry_run_tells_what_it_would_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "GOT-10k").mkdir()
    output = tmp_path / "out"
    assert main(["experiment", "table4", "--data", str(tmp_path), "--output", str(output), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "rows: PRE, LOO-FS (50 folds), " in text
    assert f"data: otb50 in {tmp_path / 'OTB'}, missing" in text
    assert "left: 1000 trainings" in text
    assert "1 GPU " in text and "8 GPUs " in text and "64 GPUs " in text and " GB of weights" in text
    assert "A GPU is taken to sustain 1e+14 FLOP/s" in text
    assert not output.exists()


def test_a_figure_from_drawn_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    docs = tmp_path / "docs"
    arguments = ["--scale", "smoke", "--output", str(tmp_path / "out"), "--docs", str(docs)]
    assert main(["experiment", "figure5", *arguments]) == 0
    assert sorted(path.name for path in docs.iterdir()) == ["figure5.json", "figure5.md", "figure5.png"]
    assert "SUNM" in capsys.readouterr().out
    assert "| HMM | 8 |" in (docs / "figure5.md").read_text()


def test_a_share_leaves_the_page_to_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["experiment", "table10", "--scale", "smoke", "--output", str(tmp_path)]
    assert main([*arguments, "--share", "2/2"]) == 0
    assert "table10: 1 of 1 cells are left to other shares" in capsys.readouterr().out
    assert not (tmp_path / "table10").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table12"], "there is no experiment 'table12'; there are table1, "),
        (["table1"], "--data is missing: the folder with all data sets of scale full"),
        (["table6", "--scale", "local", "--data", "."], "table6 has no scale local"),
        (["table1", "--share", "3/2"], "--share is I/N with I from 1 to N, got '3/2'"),
        (["table1", "--seeds", "0"], "--seeds is 0"),
        (["table1", "--scale", "local", "--data", "nowhere"], "table1 needs folder in nowhere/train"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
