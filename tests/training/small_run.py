"""Training so small that a test can afford it: drawn videos, a narrow network, and processes that can be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cv2
import torch
from footage import encode
from models.narrow_networks import FLOWS, narrow_trunk
from safetensors.torch import load_file

from asmd import checkpoints
from asmd.errors import OutputError
from asmd.flow import FlowConfig
from asmd.models.private_branches import BranchConfig
from asmd.models.private_shared import PrivateSharedConfig
from asmd.models.st_resnet import STResNetConfig
from asmd.samples import drawn_clip
from asmd.tracking.candidates import SampleConfig
from asmd.training.clips import ClipConfig
from asmd.training.config import OptimiserConfig, ScheduleConfig, TrainingConfig
from asmd.training.distributed import Group
from asmd.training.domains import gather
from asmd.training.footage import FootageConfig
from asmd.training.loading import Loaded
from asmd.training.samples import BatchConfig
from asmd.training.trainer import Report, Trainer

SIDE = 33


def videos(folder: Path, count: int = 4, frames: int = 8) -> Path:
    """A folder of drawn videos, 96 x 128, with a square of 40 px that moves in each."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        images, boxes = drawn_clip(frames, (96, 128), seed=k)
        encode(folder / f"clip{k}.mp4", images)
        write_boxes(folder / f"clip{k}.txt", boxes)
    return folder


def write_boxes(path: Path, boxes: Any) -> None:
    path.write_text("\n".join(",".join(f"{v:g}" for v in box) for box in boxes) + "\n")


def small_batch(**changes: Any) -> BatchConfig:
    return replace(
        BatchConfig(
            domains=2,
            positives=SampleConfig("gaussian", 0.3, 5, 6, min_iou=0.7),
            negatives=SampleConfig("uniform", 1.5, 10, 12, max_iou=0.5),
            hardest=5,
            region_size=SIDE,
            crop_size=SIDE,
        ),
        **changes,
    )


def small_config(folder: Path, variant: str = "ASPS", form: str = "adapter", **changes: Any) -> TrainingConfig:
    """Settings of a run whose footage is kept in `folder`."""
    return replace(
        TrainingConfig(
            trunk=STResNetConfig(flows=FLOWS),
            flow=FlowConfig(length=FLOWS),
            model=PrivateSharedConfig(variant, stages=(2, 3)),  # type: ignore[arg-type]
            branches=BranchConfig(form, width=4, rank=4),  # type: ignore[arg-type]
            batch=small_batch(),
            clips=ClipConfig(frames=4, pairs=1, size=SIDE, still=0.0),
            footage=FootageConfig(folder=str(folder / "footage")),
            schedule=ScheduleConfig(3, 1, 12),
            optimiser=OptimiserConfig(0.01, 0.01, 0.01, 0.01, warm_up=2, decay="cosine"),
            without_motion=0.3,
            precision="fp32",
            workers=0,
            save_every=2,
            log_every=1,
        ),
        **changes,
    )


def trainer(config: TrainingConfig, root: Path, output: Path, group: Group | None = None, seed: int = 3) -> Trainer:
    return Trainer(config, gather(config.videos, root), output, seed, group=group, trunk=narrow_trunk())


def run(
    config: TrainingConfig, root: Path, output: Path, resume: bool = False, group: Group | None = None, **options: Any
) -> None:
    """A whole run in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    trainer(config, root, output, group).run(resume, **options)
    torch.set_num_threads(threads)


def in_group(rank: int, size: int, port: int, *arguments: Any, **options: Any) -> None:
    """A run as one of several processes."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    group = Group.join(torch.device("cpu"))
    run(*arguments, group=group, **options)
    group.leave()


def killed_at_replacement(number: int, after: bool, *arguments: Any, **options: Any) -> None:
    """A run that is killed just before, or after, its n-th file is put in place."""
    place, count = Path.replace, 0

    def counted(path: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = place(path, target)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = counted  # type: ignore[method-assign,assignment]
    run(*arguments, **options)


def with_a_disk_that_fills_up(step: int, *arguments: Any, **options: Any) -> None:
    """A run that can write only small files from an iteration on; its error's text goes to the file `said`."""

    def watch(report: Report) -> None:
        if report.step == step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    try:
        run(*arguments, watch=watch, **options)
    except OutputError as error:
        (Path(arguments[2]) / "said").write_text(str(error))
        raise SystemExit(7) from error


def in_elastic_group(output: Path, dies_at: int, *arguments: Any) -> None:
    """A run as one of the processes that torchrun's agent starts; on the first try number 1 dies in an iteration."""
    group = Group.join(torch.device("cpu"))
    first_try = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"

    def learn(one: Trainer, loaded: Loaded) -> dict[str, float]:
        if first_try and group.rank == 1 and loaded.step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(one, loaded)

    whole = Trainer.learn
    Trainer.learn = learn  # type: ignore[method-assign]
    (output / f"try-{os.environ['TORCHELASTIC_RESTART_COUNT']}-{group.rank}").touch()
    run(*arguments, output, resume=True, group=group)
    group.leave()


def elastic(output: Path, dies_at: int, *arguments: Any) -> None:
    """What torchrun --nproc-per-node 2 --max-restarts 1 does, with processes that need not import everything anew."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _context()  # of which the agent takes its processes, too
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=2, run_id="test", rdzv_backend="c10d", rdzv_endpoint="localhost:0",
        max_restarts=1, monitor_interval=0.1, start_method="forkserver",
    )  # fmt: skip
    try:
        elastic_launch(config, in_elastic_group)(output, dies_at, *arguments)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def start(target: Callable[..., None], *arguments: Any, **options: Any) -> BaseProcess:
    """The function in a process of its own, which begins at once: what it imports has been imported before."""
    process = _context().Process(target=target, args=arguments, kwargs=options)
    process.start()
    return process


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["asmd.training.trainer", "training.small_run", "torch._dynamo"])
    return context


def finish(process: BaseProcess) -> int | None:
    process.join(600)
    return process.exitcode


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def state(output: Path) -> dict[str, torch.Tensor]:
    """All tensors of the newest checkpoint: shared ones, their momentum, and those of private branches."""
    newest = max((output / "checkpoints").glob("step-*.safetensors"))
    tensors = dict(load_file(newest))
    for rank, pages in enumerate(json.loads(checkpoints.read_metadata(newest)["pages"])):
        for domain, page in pages.items():
            found = load_file(output / "branches" / f"rank-{rank}" / page)
            tensors |= {f"domain {domain}: {name}": tensor for name, tensor in found.items()}
    return tensors


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
