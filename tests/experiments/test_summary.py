import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asmd.errors import ConfigError, ResultsError
from asmd.evaluation.results import ResultsFolder, SequenceRun
from asmd.experiments.plan import Cell, Experiment, Part, Row, Test
from asmd.experiments.running import done_mark, own_cells, results_of
from asmd.experiments.summary import page, summarise, write
from asmd.tracking.config import TrackerConfig
from asmd.training.domains import DataSource

TOP = np.array([10.0, 10.0, 20.0, 20.0])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two still targets of ten frames, without frames to look at."""
    for name in ("One", "Two"):
        folder = tmp_path / "data" / "clips"
        (folder / name).mkdir(parents=True)
        (folder / f"{name}.txt").write_text("10,10,20,20\n" * 10)
        for number in range(10):
            (folder / name / f"{number}.png").touch()
    return tmp_path / "data"


def experiment() -> Experiment:
    """One row in two parts, another in one; the paper has the second ahead."""
    source = DataSource("folder", "clips")
    parts = tuple(Part(name, Test(source, (name,))) for name in ("One", "Two"))
    rows = (
        Row("in parts", parts, TrackerConfig(), printed={"auc": 0.5}),
        Row("whole*", (Part("all", Test(source)),), TrackerConfig(), printed={"auc": 0.7}),
    )
    order = ("in parts", "whole*")
    return Experiment("table0", "Nothing", "By hand.", rows, orders=(order,), seeds=2, others={"CSK": {"auc": 0.4}})


def finish(one: Experiment, output: Path, shift: dict[str, tuple[float, float]]) -> None:
    """Results that are off by so many pixels with each seed."""
    for cell in one.cells:
        folder = ResultsFolder(results_of(one, cell, output))
        for name in cell.part.test.names or ("One", "Two"):
            boxes = np.tile(TOP, (10, 1))
            boxes[1:, 0] += shift[cell.row.name][cell.seed]
            folder.write(cell.part.name, SequenceRun.of(name, boxes))
        mark(one, cell, output)


def mark(one: Experiment, cell: Cell, output: Path) -> None:
    facts = {"settings": cell.digest(), "seconds": 36.0, "commit": "c" * 40, "ended": "2020-01-01", "machine": {}}
    facts["machine"] = {"processor": "abacus"}
    done_mark(one, cell, output).write_text(json.dumps(facts))


def test_means_spread_and_the_order(data: Path, tmp_path: Path):
    one = experiment()
    finish(one, tmp_path, {"in parts": (0.0, 0.0), "whole*": (10.0, 5.0)})
    found = summarise(one, "local", data, tmp_path)
    exact, off = found.outcomes
    # All frames right: 20 of 21 thresholds. Moved by half a side: IoU 1/3, which passes 7; by a quarter: 0.6, 12.
    assert (exact.repeats, exact.measures["auc"], exact.spread["auc"]) == (2, pytest.approx(20 / 21), 0.0)
    by_hand = [(20 / 21 + 9 * 7 / 21) / 10, (20 / 21 + 9 * 12 / 21) / 10]
    assert off.measures["auc"] == pytest.approx(np.mean(by_hand))
    assert off.spread["auc"] == pytest.approx(np.std(by_hand, ddof=1))
    (line,) = found.reading()
    assert line.startswith("in parts < whole*: -0.4")
    assert line.endswith("the other way round")
    assert found.noise == pytest.approx(np.std(by_hand, ddof=1) / np.sqrt(2))  # the other row has none


def test_page_has_ours_beside_theirs(data: Path, tmp_path: Path):
    one = experiment()
    finish(one, tmp_path, {"in parts": (0.0, 0.0), "whole*": (10.0, 5.0)})
    found = summarise(one, "local", data, tmp_path)
    text = page(found, "asmd experiment table0")
    assert "| in parts | **0.952** | 0.000 |" in text
    assert "| CSK | - | - | - | - | - | 0.400 |" in text
    assert "2 sequences, 20 frames" in text and "0.06 hours of abacus" in text and "cccccccccccc" in text
    written = write(found, tmp_path / "docs", "asmd experiment table0")
    facts = json.loads(written[0].read_text())
    assert facts["rows"][1]["paper"] == {"auc": 0.7}
    assert facts["sequences"]["in parts"]["Two"] == pytest.approx(20 / 21)
    assert facts["provenance"]["tracked"]["frames"] == 20
    assert [path.suffix for path in written] == [".json", ".md", ".png"]


def test_one_seed_says_nothing_of_the_spread(data: Path, tmp_path: Path):
    one = replace(experiment(), seeds=1)
    finish(one, tmp_path, {"in parts": (0.0,), "whole*": (5.0,)})  # type: ignore[dict-item]
    found = summarise(one, "smoke", data, tmp_path)
    assert math.isnan(found.outcomes[0].spread["auc"])
    assert found.reading()[0].endswith("from one run, which says nothing of the spread")
    assert found.to_json()["rows"][0]["spread"]["auc"] is None


def test_what_is_not_finished_is_left_out(data: Path, tmp_path: Path):
    one = experiment()
    with pytest.raises(ResultsError, match="no row of table0 is finished"):
        summarise(one, "local", data, tmp_path)
    finish(one, tmp_path, {"in parts": (0.0, 0.0), "whole*": (10.0, 5.0)})
    for cell in one.cells:
        if cell.part.name == "Two" and cell.seed == 1:
            done_mark(one, cell, tmp_path).unlink()
    found = summarise(one, "local", data, tmp_path)
    assert [outcome.repeats for outcome in found.outcomes] == [1, 2]
    assert found.facts["seeds"] == {"in parts": [0], "whole*": [0, 1]}


def test_cells_of_other_settings_are_refused(data: Path, tmp_path: Path):
    one = experiment()
    finish(one, tmp_path, {"in parts": (0.0, 0.0), "whole*": (10.0, 5.0)})
    changed = replace(one.rows[0], tracker=TrackerConfig.realtime())
    with pytest.raises(ConfigError, match=r"in-parts.seed-0 was made with other settings of in parts, seed 0, One"):
        summarise(replace(one, rows=(changed, one.rows[1])), "local", data, tmp_path)


def test_shares_do_everything_once():
    one = experiment()
    shares = [own_cells(one, (number, 3)) for number in range(3)]
    assert sorted(cell.name for share in shares for cell in share) == sorted(cell.name for cell in one.cells)
    assert all(shares)
