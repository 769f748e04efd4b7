"""The search for the lambdas: folds, trials, stopping and going on. Trainings are played by a stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_benchmark import Frames

from asmd.errors import ConfigError, DatasetError
from asmd.models.private_shared import VARIANTS, PrivateSharedConfig, VariantName
from asmd.sequence import Sequence
from asmd.training import cross_validation, tuning
from asmd.training.config import TrainingConfig
from asmd.training.cross_validation import SCORE, folds
from asmd.training.domains import TrainingData
from asmd.training.tuning import GridConfig, TuneConfig, Tuner, table
from asmd.training.validation import ValidationResult

pytest.importorskip("optuna")

SMALL = TuneConfig(GridConfig((0.01, 0.1), (0.02, 0.05), (0.6,)), steps=3, folds=2)


def sequence(name: str, video: str = "", first: bool = True) -> Sequence:
    boxes = np.tile([10.0, 10.0, 30.0, 30.0], (12, 1))
    if not first:
        boxes[0] = np.nan
    return Sequence(name, Frames(boxes), boxes, meta={"video": video} if video else {})


def data_of(sequences: list[Sequence]) -> TrainingData:
    return TrainingData(tuple(sequences), (*sequences, sequence("clip")), (sequence("kept"),), ())


DATA = data_of([sequence(f"s{i}") for i in range(6)])


class Trainings:
    """In place of `Trainer` and `validate`: says how well each training tracks, and breaks off where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[float, float]] = []
        self.break_at: int | None = None
        self.untracked: tuple[str, ...] = ()
        monkeypatch.setattr(cross_validation, "Trainer", self._trainer)
        monkeypatch.setattr(cross_validation, "validate", self._validate)

    def _trainer(self, config: TrainingConfig, data: TrainingData, folder: Path, seed: int, device: object) -> Any:
        assert not data.held_out  # tracked once, at the end, by the fold itself
        assert config.schedule.steps == 3
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        self._losses = config.losses
        return self

    def run(self, resume: bool, watch: object) -> None:
        assert resume
        if self.break_at == len(self.done):
            raise KeyboardInterrupt
        self.done.append((self._losses.adversarial, self._losses.difference))

    @property
    def network(self) -> Any:
        return self

    shared = None

    def _validate(self, network: object, sequences: tuple[Sequence, ...], config: object) -> ValidationResult:
        if self.untracked:
            return ValidationResult(skipped=self.untracked)
        auc = 0.5 - abs(self._losses.adversarial - 0.1) - self._losses.difference + 0.001 * len(sequences[0].name)
        return ValidationResult({s.name: auc for s in sequences}, {s.name: auc for s in sequences})


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    return Trainings(monkeypatch)


def test_every_video_is_held_out_once_and_with_all_of_its_tracks() -> None:
    crowd = [sequence(f"p{i}", "crowd") for i in range(4)]
    data = data_of([*crowd, *(sequence(f"s{i}") for i in range(6)), sequence("late", first=False)])
    parts = folds(data, 3)
    every = {s.name for s in data.domains}
    left_out = [every - {s.name for s in part.domains} for part in parts]
    assert sorted(name for names in left_out for name in names) == sorted(every)
    assert [{s.name for s in crowd} <= names or not {s.name for s in crowd} & names for names in left_out] == [True] * 3
    for part, names in zip(parts, left_out, strict=True):
        tracked = {s.name for s in part.held_out}
        assert tracked
        assert tracked <= names - {"late"}  # no tracker can start on a frame without a box
        assert len(tracked & {s.name for s in crowd}) <= 1
        assert {s.name for s in part.clips} == every - names | {"clip"}
        assert "kept" not in tracked | {s.name for s in part.domains}  # what the recipe holds out plays no part


def test_folds_do_not_depend_on_the_order_of_the_data() -> None:
    there, back = folds(DATA, 3), folds(data_of(list(DATA.domains[::-1])), 3)
    assert [{s.name for s in f.held_out} for f in there] == [{s.name for s in f.held_out} for f in back]


def test_more_tracks_of_a_video_where_they_are_asked_for() -> None:
    data = data_of([*(sequence(f"p{i}", "crowd") for i in range(4)), *DATA.domains])
    assert sorted(len(f.held_out) for f in folds(data, 7, tracked=3)) == [1] * 6 + [3]


def test_too_few_videos() -> None:
    with pytest.raises(ConfigError, match="7 folds need as many videos"):
        folds(DATA, 7)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_tuned_in_the_losses_that_it_has(variant: VariantName) -> None:
    parts = VARIANTS[variant]
    wanted = [n for n in ("adversarial", "difference", "arrow") if getattr(parts, n)]
    if wanted:
        assert list(GridConfig().of(parts)) == wanted
    else:
        with pytest.raises(ConfigError, match="nothing to tune"):
            GridConfig().of(parts)


@pytest.mark.parametrize("values", [(), (0.1, 0.1), (-0.1,), (float("nan"),)])
def test_grids_that_cannot_be(values: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError):
        GridConfig(adversarial=values)


def test_the_whole_grid_best_first(tmp_path: Path, trainings: Trainings) -> None:
    told: list[int] = []
    trials = Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run(lambda weights, number, score: told.append(number))
    assert sorted(trainings.done) == sorted(2 * [(a, d) for a in (0.01, 0.1) for d in (0.02, 0.05)])
    assert told == [0, 1] * 4
    assert trials[0].weights == {"adversarial": 0.1, "difference": 0.02, "arrow": 0.6}
    assert [t.mean for t in trials] == sorted((t.mean for t in trials), reverse=True)
    assert len(trials[0].scores) == 2
    shown = table(trials)
    assert [c.name for c in shown.columns[:6]] == ["trial", "adversarial", "difference", "arrow", "AUC", "spread"]
    assert shown.rows[0][4] == pytest.approx(trials[0].mean)
    assert not list(tmp_path.rglob("checkpoints"))


def test_only_the_lambdas_that_are_not_searched_for_come_from_the_recipe(tmp_path: Path, trainings: Trainings) -> None:
    config = TrainingConfig(model=PrivateSharedConfig(variant="PS+dif"))
    Tuner(config, SMALL, DATA, tmp_path).run()
    assert set(trainings.done) == {(config.losses.adversarial, d) for d in (0.02, 0.05)}


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
@pytest.mark.parametrize("break_at", range(0, 8, 3))
def test_broken_off_and_taken_up_again(tmp_path: Path, trainings: Trainings, break_at: int, sampler: Any) -> None:
    search = TuneConfig(SMALL.grid, sampler, 4, 3, 2)
    trainings.break_at = break_at
    with pytest.raises(KeyboardInterrupt):
        Tuner(TrainingConfig(), search, DATA, tmp_path).run()
    assert len(trainings.done) == break_at
    trainings.break_at = None
    trials = Tuner(TrainingConfig(), search, DATA, tmp_path).run()
    assert len(trials) == 4
    assert len(trainings.done) == 8  # no fold was trained twice
    assert len({tuple(t.weights.values()) for t in trials}) == 4
    assert Tuner(TrainingConfig(), search, DATA, tmp_path).run() == trials
    assert len(trainings.done) == 8


def test_a_trial_whose_process_was_killed_is_taken_up_again(
    tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Optuna lets this through without a note in its record, as SIGKILL would."""

    before = Trainings.run

    def run(self: Trainings, resume: bool, watch: object) -> None:
        if len(self.done) == 5:
            raise Killed
        before(self, resume, watch)

    monkeypatch.setattr(Trainings, "run", run)
    with pytest.raises(Killed):
        Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run()
    monkeypatch.undo()
    trainings = Trainings(monkeypatch)
    trials = Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run()
    assert len(trainings.done) == 3
    assert sorted(tuple(t.weights.values()) for t in trials) == sorted(
        (a, d, 0.6) for a in (0.01, 0.1) for d in (0.02, 0.05)
    )


def test_hopeless_trials_are_given_up_after_a_fold(tmp_path: Path, trainings: Trainings) -> None:
    search = TuneConfig(GridConfig((0.01, 0.03, 0.05, 0.08, 0.1, 0.12), (0.02,), (0.6,)), steps=3, folds=2, prune=True)
    trials = Tuner(TrainingConfig(), search, DATA, tmp_path).run()
    given_up = [t for t in trials if t.pruned]
    assert given_up
    assert all(len(t.scores) == 1 for t in given_up)
    assert trials[0].weights["adversarial"] == 0.1
    assert table(trials).rows[-1][0] == f"{len(trials)} (given up)"


def test_other_settings_or_data_are_refused(tmp_path: Path, trainings: Trainings) -> None:
    Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run()
    with pytest.raises(ConfigError, match=r"holds a search with precision bf16, not fp32"):
        Tuner(TrainingConfig(precision="fp32"), SMALL, DATA, tmp_path).run()
    with pytest.raises(ConfigError, match=r"schedule\.steps 3, not 4"):
        Tuner(TrainingConfig(), TuneConfig(SMALL.grid, steps=4, folds=2), DATA, tmp_path).run()
    with pytest.raises(ConfigError, match="domains of each fold"):
        Tuner(TrainingConfig(), SMALL, data_of([*DATA.domains, sequence("more")]), tmp_path).run()
    Tuner(TrainingConfig(workers=3), SMALL, DATA, tmp_path).run()


def test_a_fold_that_cannot_be_tracked_ends_the_search(tmp_path: Path, trainings: Trainings) -> None:
    trainings.untracked = ("s0: it is damaged",)
    with pytest.raises(DatasetError, match="no sequence of the fold could be tracked: s0: it is damaged"):
        Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run()
    trainings.untracked = ()
    assert len(Tuner(TrainingConfig(), SMALL, DATA, tmp_path).run()) == 4


def test_one_process_at_a_time(tmp_path: Path, trainings: Trainings) -> None:
    first, second = (Tuner(TrainingConfig(), SMALL, DATA, tmp_path) for _ in range(2))
    with first._study(), pytest.raises(ConfigError, match="another process"):
        second.run()


def test_footage_is_shared_by_all_trials(tmp_path: Path) -> None:
    assert Tuner(TrainingConfig(), SMALL, DATA, tmp_path).config.footage.folder == str(tmp_path / "footage")


def test_a_plan_counts_what_is_left_by_the_time_of_what_is_done(tmp_path: Path, trainings: Trainings) -> None:
    tuner = Tuner(TrainingConfig(), SMALL, DATA, tmp_path)
    trainings.break_at = 3
    with pytest.raises(KeyboardInterrupt):
        tuner.run()
    for path in tmp_path.rglob(SCORE):
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 60.0}))
    plan = tuner.plan()
    assert (plan.trials, plan.left, plan.seconds) == (4, 5, 300.0)


def test_a_plan_before_anything_is_done(tmp_path: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tuner, "_estimate", lambda self: 10.0)
    plan = Tuner(TrainingConfig(), SMALL, DATA, tmp_path / "new").plan()
    assert (plan.left, plan.seconds) == (8, 80.0)
    assert not (tmp_path / "new").exists()


def test_the_number_of_trials() -> None:
    parts = VARIANTS["APS"]
    assert TuneConfig().number_of_trials(parts) == 25
    assert TuneConfig(trials=7).number_of_trials(parts) == 7
    assert TuneConfig(trials=70).number_of_trials(parts) == 25
    assert TuneConfig(sampler="tpe", trials=70).number_of_trials(parts) == 70
    assert tuning.TuneConfig(sampler="tpe").number_of_trials(parts) == 50
