"""The loop: what a step learns, and runs that are stopped, killed and starved come out as if nothing had been."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from footage import broken_video, cut_short
from torch import Tensor
from training.small_run import (
    assert_same,
    finish,
    killed_at_replacement,
    run,
    small_batch,
    small_config,
    start,
    state,
    trainer,
    videos,
    with_a_disk_that_fills_up,
    write_boxes,
)

from asmd import checkpoints
from asmd.errors import AsmdError, ConfigError, DatasetError
from asmd.models.adversary import reversal_strength
from asmd.models.private_bank import BankConfig
from asmd.models.private_shared import VARIANTS, PrivateSharedConfig, Views
from asmd.training import trainer as module
from asmd.training.clips import network_tensors
from asmd.training.config import OptimiserConfig, ScheduleConfig, TrainingConfig, ValidationConfig
from asmd.training.domains import DataConfig, DataSource
from asmd.training.gradients import Counts, count, hardest, parts
from asmd.training.loading import Loaded, load, losses_named
from asmd.training.metrics import read
from asmd.training.trainer import DIVERGED, Report, Trainer
from asmd.training.validation import ValidationResult

TOGETHER = 4
STEPS = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos, of which the footage is kept beside them."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    return folder


def learner(world: Path, output: Path, variant: str = "ASPS", **changes: Any) -> Trainer:
    """A trainer that takes all four domains in every batch."""
    config = small_config(world, variant, batch=small_batch(domains=TOGETHER), reversal="full", without_motion=0)
    return trainer(replace(config, **changes), world / "data", output)


def gradients_of(one: Trainer) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in one.network.named_parameters() if p.grad is not None}
    for domain, branch in one.network.bank.acquire(range(4)).items():
        found |= {f"{domain}: {name}": p.grad for name, p in branch.named_parameters() if p.grad is not None}
    return found


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Equal but for the order in which single-precision numbers are added up."""
    assert one.keys() == other.keys()
    for name in one:
        scale = float(other[name].abs().max())
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4 * scale + 1e-9, msg=name)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_batch_in_parts_teaches_what_it_teaches_whole(world: Path, tmp_path: Path, variant: str) -> None:
    found, values = [], []
    for at_once in (0, 1, 3):
        one = learner(world, tmp_path, variant, domains_at_once=at_once)
        loaded = one._steps[0]
        own = count(loaded, one.config.batch.hardest)
        assert own == Counts(4, 4 * (6 + 5), 2 if variant == "ASPS" else 0)
        values.append(one._gradients.add(loaded, own, own))
        found.append(gradients_of(one))
    assert_close(found[1], found[0])
    assert_close(found[2], found[0])
    for name in set(values[0]) - {"correlation"}:
        assert values[1][name] == pytest.approx(values[0][name], rel=1e-4), name


@pytest.mark.parametrize("form", ["normalised", "frobenius"])
@pytest.mark.parametrize("extractor", ["region", "crop"])
def test_gradients_are_those_of_equation_5(world: Path, tmp_path: Path, extractor: str, form: str) -> None:
    model = PrivateSharedConfig(stages=(2, 3), difference_form=form)  # type: ignore[arg-type]
    batch = small_batch(domains=TOGETHER, extractor=extractor, hardest=0)
    one = learner(world, tmp_path, domains_at_once=2, model=model, batch=batch)
    loaded = one._steps[0]
    own = count(loaded, 0)
    one._gradients.add(loaded, own, own)
    found = gradients_of(one)
    other = learner(world, tmp_path, model=model, batch=batch)
    drawn, clips = loaded.batch, loaded.clips
    assert drawn is not None and clips is not None
    views = Views(*network_tensors(drawn.rgb, drawn.flow), drawn.view_domains, drawn.corners, drawn.view)
    terms = other.network.terms(
        other.network(views, 1.0),
        drawn.labels,
        other.network.arrow(*network_tensors(clips.rgb, clips.flow)),
        clips.forward,
    )
    assert None not in terms
    terms.total(other.config.losses).backward()  # type: ignore[no-untyped-call]
    assert_close(found, gradients_of(other))


def test_the_reversal_follows_its_schedule(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner(world, tmp_path, "APS", reversal="ramp")
    seen: list[float] = []
    describe = one.network.describe
    monkeypatch.setattr(
        one.network, "describe", lambda looked, views, r: (seen.append(r), describe(looked, views, r))[1]
    )
    one.learn(one._steps[0])
    one.learn(one._steps[6])
    assert seen == [0.0, reversal_strength(0.5)]


def test_of_the_negatives_those_that_look_most_like_the_target_are_learnt_from() -> None:
    margins = torch.tensor([9.0, 1, 5, 3, -1, 2, 8, 8, 0])
    labels = torch.tensor([0, 0, 0, 1, 1, 0, 0, 0, 0])
    view = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert hardest(margins, labels, view, 2).tolist() == [0, 2, 3, 4, 6, 7]
    assert hardest(margins, labels, view, 9).tolist() == list(range(9))
    assert hardest(margins, labels, view, 1).tolist() == [0, 3, 4, 6]


def test_a_domain_without_a_sample_is_no_part(world: Path, tmp_path: Path) -> None:
    batch = learner(world, tmp_path)._steps[0].batch
    assert batch is not None and batch.corners is not None and batch.view is not None
    kept = batch.view != 1
    less = batch._replace(corners=batch.corners[kept], view=batch.view[kept], labels=batch.labels[kept])
    for at_once, expected in ((0, 1), (1, 3), (2, 2)):
        cut = parts(less, at_once)
        assert len(cut) == expected
        assert sum(len(part.rgb) for part in cut) == 3 and sum(len(part.labels) for part in cut) == len(less.labels)
    assert count(Loaded(0, None, less, None), 0).domains == 3  # type: ignore[arg-type]


def test_a_step_without_finite_gradients_is_not_taken(world: Path, tmp_path: Path) -> None:
    one = learner(world, tmp_path)
    one.learn(one._steps[0])
    pages = one.network.bank.checkpoint()
    before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    loaded = one._steps[1]
    assert loaded.batch is not None
    spoilt = loaded._replace(batch=loaded.batch._replace(flow=torch.full_like(loaded.batch.flow, math.nan)))
    assert one.learn(spoilt)["not_finite"] == 1
    assert_same(dict(one.network.state_dict()), before)
    assert one.network.bank.checkpoint() == pages
    assert one.learn(loaded)["not_finite"] == 0
    with pytest.raises(ConfigError, match=f"gradients are not finite in iteration 1 and the {DIVERGED - 1} before it"):
        for _ in range(DIVERGED):
            one.learn(spoilt)


# Runs that are broken off


def config_of(world: Path, **changes: Any) -> TrainingConfig:
    return small_config(world, **changes)


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, Tensor]:
    """What a run without any interruption comes to."""
    run(config_of(world), world / "data", world / "whole")
    assert [line["step"] for line in read(world / "whole") if line["kind"] == "train"] == list(range(1, STEPS + 1))
    return state(world / "whole")


def assert_whole(output: Path, whole: dict[str, Tensor]) -> None:
    assert_same(state(output), whole)
    lines = read(output)
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, STEPS + 1))
    assert not list(output.rglob(".*.part.*.safetensors"))
    assert len(list((output / "checkpoints").iterdir())) <= 3


def test_killed_at_any_moment_of_saving(world: Path, tmp_path: Path, whole: dict[str, Tensor]) -> None:
    """Just before and just after a page, a checkpoint, the weights are put in place; two branches fit into memory."""
    config = config_of(world, bank=BankConfig(resident=2), save_every=1)
    for number, after in ((2, True), (4, False), (5, True), (6, False), (7, True)):
        killed = start(killed_at_replacement, number, after, config, world / "data", tmp_path, resume=True)
        assert finish(killed) == -9
    run(config, world / "data", tmp_path, resume=True)
    assert_whole(tmp_path, whole)


def test_killed_between_the_last_checkpoint_and_the_weights(
    world: Path, tmp_path: Path, whole: dict[str, Tensor]
) -> None:
    """Nothing is left to learn; the weights are written all the same, and the oldest checkpoint goes."""
    config, output = config_of(world), tmp_path / "run"
    run(config, world / "data", output, max_steps=STEPS - 2)
    shutil.copytree(output, tmp_path / "before")
    run(config, world / "data", output, resume=True)
    oldest = min((tmp_path / "before" / "checkpoints").iterdir())
    for left in (Path("weights.safetensors"), Path("checkpoints") / oldest.name):
        shutil.copy(tmp_path / "before" / left, output / left)
    run(config, world / "data", output, resume=True)
    assert checkpoints.read_metadata(output / "weights.safetensors")["step"] == str(STEPS)
    assert_whole(output, whole)


def test_killed_at_random(world: Path, tmp_path: Path, whole: dict[str, Tensor]) -> None:
    rng = np.random.default_rng(5)
    config = config_of(world)
    began = time.perf_counter()
    assert finish(start(run, config, world / "data", tmp_path / "measured")) == 0
    seconds = time.perf_counter() - began
    assert_same(state(tmp_path / "measured"), whole)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / ".tmpAbc123").touch()  # what the library leaves when it is killed
    for _ in range(4):
        process = start(run, config, world / "data", tmp_path / "run", resume=True)
        process.join(float(rng.uniform(0.1, 0.9)) * seconds)
        process.kill()
        assert finish(process) in (-9, 0)
    run(config, world / "data", tmp_path / "run", resume=True)
    assert_whole(tmp_path / "run", whole)


def test_killed_with_batches_made_ahead(world: Path, tmp_path: Path, whole: dict[str, Tensor]) -> None:
    config = config_of(world, workers=1)
    killed = start(killed_at_replacement, 9, True, config, world / "data", tmp_path, resume=True)
    assert finish(killed) == -9
    run(config, world / "data", tmp_path, resume=True)
    assert_whole(tmp_path, whole)


def test_a_full_disk_leaves_the_last_checkpoint(world: Path, tmp_path: Path, whole: dict[str, Tensor]) -> None:
    config = config_of(world)
    process = start(with_a_disk_that_fills_up, 6, config, world / "data", tmp_path)
    assert finish(process) == 7
    said = (tmp_path / "said").read_text()
    assert "safetensors cannot be written (" in said and "\n" not in said
    assert not list(tmp_path.rglob(".*.part.*"))
    assert max((tmp_path / "checkpoints").iterdir()).name == "step-00000004.safetensors"
    run(config, world / "data", tmp_path, resume=True)
    assert_whole(tmp_path, whole)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    world: Path, tmp_path: Path, whole: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    run(config_of(world), world / "data", tmp_path, max_steps=8)
    cut_short(tmp_path / "checkpoints" / "step-00000008.safetensors", 0.5)
    with caplog.at_level(logging.WARNING):
        run(config_of(world), world / "data", tmp_path, resume=True, max_steps=7)
    assert "step-00000008.safetensors is damaged" in caplog.text
    run(config_of(world), world / "data", tmp_path, resume=True)
    assert_whole(tmp_path, whole)
    # Nothing is left to do; weights that were lost come back.
    (tmp_path / "weights.safetensors").unlink()
    run(config_of(world), world / "data", tmp_path, resume=True)
    assert checkpoints.read_metadata(tmp_path / "weights.safetensors")["step"] == str(STEPS)


def test_asked_to_stop(world: Path, tmp_path: Path, whole: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def stop(report: Report, number: int = number) -> None:
            if report.step in (3, 8):
                os.kill(os.getpid(), number)

        with pytest.raises(KeyboardInterrupt):
            run(config_of(world), world / "data", tmp_path, resume=True, watch=stop)
        assert signal.getsignal(number) == before
        newest = max((tmp_path / "checkpoints").iterdir()).name
        assert (
            newest == {signal.SIGINT: "step-00000003.safetensors", signal.SIGTERM: "step-00000008.safetensors"}[number]
        )
    run(config_of(world), world / "data", tmp_path, resume=True)
    assert_whole(tmp_path, whole)


def test_those_who_prepare_batches_may_be_gone_before_us() -> None:
    def lost() -> Iterator[Loaded]:
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
        yield

    assert module._next(lost(), lambda: True) is None
    with pytest.raises(AsmdError, match=r"a process that prepared batches is gone \(DataLoader worker"), losses_named():
        module._next(lost(), lambda: False)
    with pytest.raises(RuntimeError, match="another"), losses_named():
        raise RuntimeError("another")


def test_which_branches_are_in_memory_is_of_no_account(world: Path, tmp_path: Path) -> None:
    found = []
    for resident in (0, 2):
        config = config_of(world, form="small", variant="APS", bank=BankConfig(resident=resident))
        run(config, world / "data", tmp_path / str(resident), max_steps=8)
        found.append(state(tmp_path / str(resident)))
    assert sum(name.startswith("domain ") for name in found[0]) > 100
    assert_same(*found)


# What goes wrong for other reasons


def test_a_corrupt_video_is_named_skipped_and_counted(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = videos(tmp_path / "data", 2)
    broken_video(root / "torn.mp4", count=8, broken=4)
    write_boxes(root / "torn.txt", [(20, 15, 20, 20)] * 8)
    config = small_config(tmp_path, save_every=5, log_every=4)
    with caplog.at_level(logging.WARNING):
        run(config, root, tmp_path / "out")
    lines = read(tmp_path / "out")
    named = [line["what"] for line in lines if line["kind"] == "skipped"]
    assert len(named) > 1 and all(text.startswith("torn: ") and "frame 4 is damaged" in text for text in named)
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in train] == [4, 5, 8, 10, 12]
    assert sum(line["skipped"] for line in train) == len(named)
    assert caplog.text.count("skipped torn") == len(set(named))


def test_nothing_can_be_read(tmp_path: Path) -> None:
    root = videos(tmp_path / "data", 2)
    config = small_config(tmp_path)
    for path in root.glob("*.mp4"):
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(AsmdError) as error:
        run(config, root, tmp_path / "out")
    assert "\n" not in str(error.value) and "clip" in str(error.value)
    with pytest.raises(DatasetError, match="no clip"):
        list(load(Failing(), 0, 1, workers=0))  # type: ignore[arg-type]


class Failing:
    def __getitem__(self, step: int) -> Loaded:
        raise DatasetError("no clip")


def test_settings_that_do_not_fit(world: Path, tmp_path: Path) -> None:
    config = small_config(world)
    with pytest.raises(ConfigError, match="the trunk takes 2 flows, but stacks have 3"):
        trainer(replace(config, flow=replace(config.flow, length=3)), world / "data", tmp_path)
    with pytest.raises(ConfigError, match="a seed is not negative"):
        trainer(config, world / "data", tmp_path, seed=-1)
    with pytest.raises(ConfigError, match="a batch of 9 domains needs as many, got 4"):
        trainer(replace(config, batch=small_batch(domains=9)), world / "data", tmp_path)
    one = trainer(config, world / "data", tmp_path)
    with pytest.raises(ConfigError, match="nothing to train"):
        one.run(max_steps=0)


def test_a_folder_in_use(world: Path, tmp_path: Path) -> None:
    config = small_config(world)
    run(config, world / "data", tmp_path, max_steps=2)
    with pytest.raises(ConfigError, match="holds a run already: go on with --resume, or give another --output"):
        run(config, world / "data", tmp_path)
    other = replace(config, model=replace(config.model, variant="APS"))
    with pytest.raises(ConfigError, match=r"was trained with model.variant ASPS, not APS: resume with"):
        run(other, world / "data", tmp_path, resume=True)
    assert len(read(tmp_path)) == 2


def test_variants_without_the_arrow_have_supervised_iterations_alone(world: Path, tmp_path: Path) -> None:
    config = small_config(world, "FS", schedule=ScheduleConfig(1, 5, 4), log_every=1)
    run(config, world / "data", tmp_path)
    assert all("domain" in line and "arrow" not in line for line in read(tmp_path))


def test_frozen_tensors_stay(world: Path, tmp_path: Path) -> None:
    one = trainer(small_config(world, frozen=("appearance.conv1", "appearance.bn1")), world / "data", tmp_path)
    before = {name: p.detach().clone() for name, p in one.network.shared.named_parameters()}
    for step in (0, 1):
        one.learn(one._steps[step])
    moved = {name for name, p in one.network.shared.named_parameters() if not torch.equal(p, before[name])}
    assert not any(name.startswith(("appearance.conv1", "appearance.bn1")) for name in moved)
    assert "appearance.layer1.0.conv1.weight" in moved


def test_each_kind_of_iteration_has_its_rates(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = OptimiserConfig(1.0, 2.0, 3.0, 4.0, clip=0)
    one = trainer(small_config(world, optimiser=rates), world / "data", tmp_path)
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(one.optimiser, "step", lambda: seen.append(tuple(g["lr"] for g in one.optimiser.param_groups)))
    monkeypatch.setattr(one.network.bank, "step", lambda trunk, head: seen.append((trunk, head)))
    one.learn(one._steps[0])
    one.learn(one._steps[3])
    assert [g["trunk"] for g in one.optimiser.param_groups] == [True, True, False, False]
    assert seen == [(1, 1, 2, 2), (1, 2), (3, 3, 4, 4), (3, 4)]


def test_the_best_of_validations_is_kept(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also over an interruption: what a validation found is in the checkpoint of its own iteration."""
    scores = {0: 0.9, 3: 0.4, 6: 0.5, 9: 0.45, 12: 0.3}
    asked: list[float] = []

    def measured(*_: object) -> ValidationResult:
        asked.append(scores[3 * len(asked)])
        return ValidationResult({"clip3": asked[-1]}, {"clip3": 1.0}, ("clip2: broken",))

    monkeypatch.setattr(module, "validate", measured)
    config = small_config(world, validation=ValidationConfig(every=3), save_every=3)
    held_out = DataConfig((DataSource("folder"),), held_out=("clip2", "clip3"))
    config = replace(config, videos=held_out)
    run(config, world / "data", tmp_path, max_steps=6)
    run(config, world / "data", tmp_path, resume=True)
    header = checkpoints.read_metadata(tmp_path / "best.safetensors")
    assert (header["step"], header["held_out_auc"]) == ("6", "0.5000")
    lines = [line for line in read(tmp_path) if line["kind"] == "validation"]
    assert [(line["step"], line["auc"]) for line in lines] == list(scores.items())
    assert sum(line["kind"] == "skipped" for line in read(tmp_path)) == 5


def test_a_resumed_run_exports_the_mean_with_what_it_started_from(world: Path, tmp_path: Path) -> None:
    config = small_config(world, "FS", schedule=ScheduleConfig(2, 0, 4), trained_share=0.25)
    first = trainer(config, world / "data", tmp_path)
    start = {name: tensor.clone() for name, tensor in first.network.shared.state_dict().items()}
    first.run(max_steps=2)
    second = trainer(config, world / "data", tmp_path)
    weights = checkpoints.load(second.run(resume=True)).tensors
    name = "appearance.layer3.1.conv2.weight"
    trained = second.network.shared.state_dict()[name]
    moved = float((trained - start[name]).abs().max())
    expected = 0.75 * start[name] + 0.25 * trained
    torch.testing.assert_close(weights[name].float(), expected, rtol=1e-3, atol=0.05 * moved)
