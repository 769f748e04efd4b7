from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asmd import checkpoints
from asmd.datasets import load
from asmd.errors import ConfigError
from asmd.evaluation.results import SequenceRun
from asmd.experiments import registry
from asmd.experiments.published import frames_of, read
from asmd.experiments.running import Progress, Setting, run
from asmd.experiments.smoke import LASOT_ALL, UAV_SEQUENCES, VOT_SEQUENCES, draw
from asmd.experiments.summary import summarise
from asmd.sequence import Sequence
from asmd.training.distributed import Group


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn"))


def setting(drawn: Path, output: Path) -> Setting:
    return Setting(drawn, output, torch.device("cpu"), Group())


def test_drawn_videos_are_in_the_official_layouts(drawn: Path):
    wanted = {
        "otb50": ("OTB", ("Basketball", "Jogging-2")),
        "vot2018": ("VOT2018", VOT_SEQUENCES),
        "lasot:I": ("LaSOT", LASOT_ALL),
        "uav123": ("UAV123", UAV_SEQUENCES),
    }
    for name, (folder, sequences) in wanted.items():
        for sequence in load(name, drawn / folder).select(sequences):
            cuts = []
            for index in (0, 9):
                x, y = sequence.boxes[index, :2].round().astype(int)
                cuts.append(sequence.frames[index][y : y + 40, x : x + 40].astype(float))
            assert np.abs(cuts[0] - cuts[1]).mean() < 12, sequence.name  # the square looks alike wherever it is
    for name, folder, count in (("got10k:train", "GOT-10k", 3), ("trackingnet:TRAIN_0", "TrackingNet", 2)):
        assert len(list(load(name, drawn / folder))) == count
    assert [len(s) for s in load("youtubebb", drawn / "YouTubeBB")] == [11, 11]


def test_training_and_tracking_end_to_end_and_never_twice(drawn: Path, tmp_path: Path):
    (table,) = registry.tables("table1", "smoke", drawn)
    one = replace(table, rows=(table.rows[0],))
    where = setting(drawn, tmp_path)

    def broken_off(progress: Progress) -> None:
        if progress.text == "tracking":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(one, where, broken_off)
    seen: list[Progress] = []
    assert run(one, where, seen.append) == []
    assert [progress.report for progress in seen] == [None, None]  # what was learnt before is not learnt again
    found = summarise(one, "smoke", drawn, tmp_path)
    assert 0 < found.outcomes[0].measures["auc"] <= 1
    assert found.facts["tracked"]["sequences"] == 4
    weights = tmp_path / "trainings/variant-FS/seed-0/weights.safetensors"
    assert checkpoints.read_metadata(weights)["variant"] == "FS"
    assert not (weights.parent / "checkpoints").exists()
    again: list[Progress] = []
    run(one, where, again.append)
    assert again == []
    row = one.rows[0]
    training = row.parts[0].training
    assert training is not None
    other = replace(training, config=replace(training.config, reversal="full"))
    changed = replace(one, name="table0", rows=(replace(row, parts=(replace(row.parts[0], training=other),)),))
    with pytest.raises(ConfigError, match="seed-0 holds a training with other settings"):
        run(changed, where)


def test_published_boxes_of_a_thinned_copy(tmp_path: Path):
    official = np.column_stack([np.arange(40.0), np.full(40, 7.0), np.full((40, 2), 20.0)])
    assert frames_of(official[:25], official).tolist() == list(range(25))  # type: ignore[union-attr]
    assert frames_of(official[::2], official).tolist() == list(range(0, 40, 2))  # type: ignore[union-attr]
    assert frames_of(official[3:], official) is None
    (tmp_path / "annotations/otb100").mkdir(parents=True)
    one_based = np.add(official, [1, 1, 0, 0])
    np.savetxt(tmp_path / "annotations/otb100/Bolt.txt", one_based, fmt="%g", delimiter=",")
    np.savetxt(tmp_path / "Bolt.txt", official + 0.5, fmt="%g", delimiter=",")
    runs: dict[str, SequenceRun] = read(tmp_path, [Sequence("Bolt", (), official[::2])], tmp_path)
    np.testing.assert_allclose(runs["Bolt"].boxes, official[::2] + 0.5)
