"""`asmd report` and `asmd submit` from end to end, on real annotation where it is at hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from small_benchmark import LENGTHS, benchmark, write_results

from asmd.cli import main


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results, and the annotation as a folder of boxes files under names of OTB."""
    root = tmp_path_factory.mktemp("report")
    names = dict(zip(LENGTHS, ("Car1", "Dog", "Man"), strict=True))
    write_results(root / "results")
    (root / "boxes").mkdir()
    for sequence in benchmark():
        name = names[sequence.name]
        one_based = sequence.boxes + 1.0
        one_based[:, 2:] -= 1.0
        lines = (",".join(f"{v:g}" for v in box) for box in one_based)
        (root / "boxes" / f"{name}.txt").write_text("\n".join(lines) + "\n")
        for path in list((root / "results").rglob(f"{sequence.name}.*")):
            path.rename(path.with_name(f"{name}{path.suffix}"))
    return root / "results", root / "boxes"


def test_every_output(small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, boxes = small
    outputs = {k: tmp_path / f"out/report.{k}" for k in ("json", "csv", "markdown", "latex", "html")}
    flags = [text for k, path in outputs.items() for text in (f"--{k}", str(path))]
    arguments = [str(results), "--dataset", "otb", "--annotations", str(boxes), "--plots", str(tmp_path / "plots")]
    assert main(["report", *arguments, *flags, "--filmstrips", "Car1", "--focus", "half", "--plot-format", "svg"]) == 0
    shown = capsys.readouterr()
    assert "exact" in shown.out and "0.952" in shown.out and "worst of half first" in shown.out
    assert "97 sequences of otb100 are not there" in shown.err
    entries = json.loads(outputs["json"].read_text())
    assert [e["tracker"] for e in entries] == ["exact", "half", "late"]
    assert set(entries[0]["sequences"]) == {"Car1", "Dog", "Man"}
    rows = list(csv.DictReader(outputs["csv"].open()))
    assert float(rows[0]["AUC"]) == pytest.approx(20 / 21, abs=1e-6)
    assert "| exact | **0.952** |" in outputs["markdown"].read_text()
    assert r"\textbf{0.952}" in outputs["latex"].read_text()
    assert 'id="strip-Car1"' in outputs["html"].read_text()
    assert {p.name for p in (tmp_path / "plots").iterdir()} >= {"success.svg", "precision.svg", "attributes.svg"}


def test_json_to_stdout_is_json_alone(small: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    results, boxes = small
    arguments = [str(results), "--dataset", "otb", "--annotations", str(boxes), "--sequences", "Dog,Man", "--json", "-"]
    assert main(["report", *arguments, "--protocol", "otb@pysot", "--trackers", "late"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["protocol"] == "otb@pysot" and set(entry["sequences"]) == {"Dog", "Man"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--protocol", "otbx"], "there is no protocol 'otbx'"),
        (["--also", "nonsense"], "--also nonsense: write it as NAME=DIR"),
        (["--also", "x=nowhere"], "nowhere: no such folder of results"),
        (["--root", "somewhere"], "give either --root"),
        (["--sequences", "Tree"], "no sequence 'Tree'"),
        (["--html", "FILE", "--filmstrips", "Tree"], "no sequence 'Tree' in this report"),
        (["--focus", "nobody"], "no results of 'nobody'"),
    ],
)
def test_errors_are_one_line(
    small: tuple[Path, Path], tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results, boxes = small
    extra = [str(tmp_path / "page.html") if text == "FILE" else text for text in extra]
    assert main(["report", str(results), "--dataset", "otb", "--annotations", str(boxes), *extra]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("asmd report: error: ") and message in lines[0]
    assert not (tmp_path / "page.html").exists()


def test_published_results(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shared_data / "annotations"
    arguments = [str(data / "raw_results"), "--dataset", "otb", "--annotations", str(data / "otb100")]
    assert main(["report", *arguments, "--json", str(tmp_path / "out.json")]) == 0
    found = {e["tracker"]: (e["auc"], e["precision"]) for e in json.loads((tmp_path / "out.json").read_text())}
    assert found["MDNet"] == pytest.approx((0.662, 0.888), abs=5e-4)
    assert found["KCF"] == pytest.approx((0.473, 0.688), abs=5e-4)
    assert found["Struck"] == pytest.approx((0.426, 0.579), abs=5e-4)
    assert found["TLD"] == pytest.approx((0.356, 0.500), abs=5e-4)


def test_submit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path / "results")
    arguments = ["got10k", str(tmp_path / "results"), str(tmp_path / "out.zip")]
    assert main(["submit", *arguments, "--tracker", "late"]) == 1
    assert "Car.txt: no sequence of the test set is called so" in capsys.readouterr().err
    assert not (tmp_path / "out.zip").exists()
    (tmp_path / "tn/t").mkdir(parents=True)
    for number in range(511):
        (tmp_path / f"tn/t/{number}.txt").write_text("1,2,3,4\n")
    assert main(["submit", "trackingnet", str(tmp_path / "tn"), str(tmp_path / "out.zip")]) == 0
    shown = capsys.readouterr()
    assert "511 sequences, 1 run(s) of each" in shown.out and "without --root" in shown.err
