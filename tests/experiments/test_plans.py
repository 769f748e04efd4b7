from pathlib import Path

import pytest

from asmd.datasets import otb
from asmd.datasets.uav123 import parts
from asmd.errors import ConfigError
from asmd.experiments import registry
from asmd.experiments.plan import Experiment, Scale
from asmd.experiments.printed import columns
from asmd.models.baselines import BACKBONES

NOWHERE = Path("nowhere")
OTB50 = [target.name for target in otb.targets() if "cvpr13" in target.sets]


def experiment(name: str, scale: Scale = "full") -> Experiment:
    (one,) = registry.tables(name, scale, NOWHERE)
    return one


@pytest.mark.parametrize("scale", ["full", "smoke"])
@pytest.mark.parametrize("name", registry.TABLES)
def test_rows_of_a_table_track_the_same_sequences(name: str, scale: Scale):
    for one in registry.tables(name, scale, NOWHERE):
        names = []
        for row in one.rows:
            tests = [part.test for part in row.parts]
            if all(test.names is None for test in tests):
                names.append({test.source for test in tests})
            else:
                every = [
                    n for test in tests for n in test.names or [t.name for t in otb.targets() if "cvpr13" in t.sets]
                ]
                assert len(every) == len(set(every))
                names.append(set(every))
        assert all(found == names[0] for found in names), name
        assert len({row.slug for row in one.rows}) == len(one.rows)
        assert {cell.part.training.backbone for cell in one.cells if cell.part.training} <= set(BACKBONES)


@pytest.mark.parametrize("name", registry.TABLES)
def test_what_is_tracked_was_not_trained_on(name: str):
    for one in registry.tables(name, "full", NOWHERE):
        for row in one.rows:
            for part in row.parts:
                trained = part.training.config.videos if part.training else None
                if trained is not None and part.test.source.folder in {s.folder for s in trained.sources}:
                    by_name = set(part.test.names or ()) <= set(trained.held_out) and part.test.names
                    by_subset = part.test.source.dataset == "lasot:II" and trained.sources[0].dataset == "lasot:train"
                    assert by_name or by_subset


def test_printed_numbers_that_the_text_repeats():
    first = {row.name: row.printed for row in experiment("table1").rows}
    order = ["PS", "FS", "MDNet*", "APS-", "APS"]  # "PS<FS<MDNet<APS-<APS"
    assert sorted(order, key=lambda name: first[name]["auc"]) == order
    second = {row.name: row.printed for row in experiment("table2").rows}
    assert second["ST Res"] == first["APS"]
    fourth = {row.name: row.printed["auc"] for row in experiment("table4").rows}
    assert fourth["PRE"] < fourth["LOO-PS"] < fourth["LOO-FS"] < fourth["LOO-APS"] < fourth["LOO-ASPS"]
    assert experiment("table5").rows[0].printed["auc"] == experiment("table3").rows[-1].printed["auc"] == 0.80
    assert len(experiment("table5").attributes["ours"]) == 11
    assert experiment("table7").rows[0].printed == {"eao": 0.427, "accuracy": 0.604, "robustness": 0.169}
    assert experiment("table10").others["DiMP"]["normalised_precision"] == 0.801


def test_iterations_are_the_paper_s():
    def steps(name: str, row: int, part: int = 0) -> tuple[int, int]:
        training = experiment(name).rows[row].parts[part].training
        assert training is not None
        turns = training.config.schedule
        both = turns.supervised + turns.unsupervised if training.config.model.parts.arrow else turns.supervised
        learnt = turns.steps * turns.supervised // both
        return learnt, turns.steps - learnt

    assert steps("table1", 0) == steps("table2", 0) == (200_000, 0)
    assert steps("table3", 0) == steps("table6", 0) == (1_000_000, 10_000_000)
    assert steps("table4", 1) == (100_000, 0)
    assert steps("table4", 4) == (100_000, 1_000_000)
    assert steps("table9", 1, 4) == (100_000, 1_000_000)
    halves = registry.tables("table8", "full", NOWHERE)
    assert [half.rows[0].parts[0].training.config.schedule.steps for half in halves] == [11_000_000] * 2  # type: ignore[union-attr]


def test_one_training_serves_several_tables():
    trainings = [experiment(name).rows[0].parts[0].training for name in ("table3", "table5", "table6", "table7")]
    assert {one.name for one in trainings if one} == {"general"}


def test_leaving_one_out_goes_by_folder():
    (_, fs, *_) = experiment("table4").rows
    assert len(fs.parts) == 50
    (jogging,) = (part for part in fs.parts if part.name == "Jogging")
    assert jogging.test.names == jogging.training.config.videos.held_out == ("Jogging-1", "Jogging-2")  # type: ignore[union-attr]
    assert jogging.training.config.branches.form == "full"  # type: ignore[union-attr]


def test_five_folds_of_uav123_hold_four_long_videos_each():
    (_, folds) = experiment("table9").rows
    long = {part.folder for part in parts("20l")}
    folder = {part.name: part.folder for part in parts("123")}
    assert [len({folder[n] for n in part.test.names or ()} & long) for part in folds.parts] == [4] * 5
    assert sum(part.test.known_frames for part in folds.parts) == 112_578


def test_names_and_scales_that_there_are_not():
    with pytest.raises(ConfigError, match="no experiment 'table11'; there are table1, "):
        registry.names("table11", "full")
    with pytest.raises(ConfigError, match="table6 has no scale local"):
        registry.tables("table6", "local", NOWHERE)
    assert "table6" not in registry.names("all", "local")


def test_columns_with_gaps():
    assert columns(("a", "b"), "auc .5 -\nsr50 1 .25") == {"a": {"auc": 0.5, "sr50": 1.0}, "b": {"sr50": 0.25}}
    with pytest.raises(ValueError, match="zip"):
        columns(("a", "b"), "auc .5")
