"""The folder of a training run: checkpoints that it can go on from, and the weights that come of it.

OUTPUT/checkpoints/step-00001000.safetensors    all that is shared, with momentum; settings in the header
OUTPUT/branches/rank-0/domain-....safetensors   pages of private branches, see asmd.models.private_bank
OUTPUT/metrics.jsonl, OUTPUT/tensorboard/       what was measured
OUTPUT/weights.safetensors                      the shared network of the last checkpoint, for tracking
OUTPUT/best.safetensors                         that of the best validation
OUTPUT/.rank-0.lock                             held while a process trains there
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from asmd import checkpoints
from asmd.errors import ConfigError, OutputError, WeightsError
from asmd.evaluation.provenance import code_version
from asmd.models.st_resnet import SpatiotemporalResNet, check_tensors
from asmd.training.config import TrainingConfig

log = logging.getLogger(__name__)

FORMAT = "asmd-training"
"""Value of `format` in the metadata of a checkpoint."""

MAY_CHANGE = frozenset(
    {
        "validation",
        "footage",
        "workers",
        "save_every",
        "kept",
        "log_every",
        "schedule.steps",
        "domains_at_once",
        "bank.resident",
    }
)
"""Settings with which a run may be resumed although they differ from those that it began with."""

PATIENCE = 5.0
"""Seconds for which a folder may still be taken: a run that was killed leaves processes that end a little later."""

_NAME = re.compile(r"step-(\d{8})\.safetensors")


@dataclass(frozen=True)
class State:
    """A checkpoint as it is read.

    Attributes:
        step: iterations done.
        network: shared tensors by name.
        momentum: of these, by the same names.
        pages: of private branches, for each rank: domain -> page.
        best: best held-out AUC so far, -1 where there is none.
    """

    step: int
    network: dict[str, Tensor]
    momentum: dict[str, Tensor]
    pages: list[dict[int, str]]
    best: float


class RunFolder:
    """One run's folder.

    Args:
        path: made if missing.
        config: settings of the run.
        domains: names of the domains, in order.
        seed: of the run.
        size: number of processes.
        rank: this one's number; no other process has the folder in this capacity until it ends.

    Raises:
        OutputError: if the folder cannot be written to, or another run is at it.
    """

    def __init__(
        self, path: Path, config: TrainingConfig, domains: list[str], seed: int, size: int = 1, rank: int = 0
    ) -> None:
        self.path = path
        self._config = config
        self._facts = {"domains": domains, "seed": seed, "processes": size}
        try:
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror})") from error
        # Within a process a folder may be opened again, as it is where a run goes on from what another object did.
        self._lock = FileLock(path / f".rank-{rank}.lock", is_singleton=True)
        try:
            self._lock.acquire(timeout=PATIENCE)
        except Timeout as error:
            raise OutputError(f"{path} is being trained in by another process: give another --output") from error
        except NotImplementedError:
            # As Lustre may be mounted: no reason not to train there.
            log.warning("the file system of %s has no locks: see to it that no other process trains in it", path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror})") from error

    def branches(self, rank: int) -> Path:
        """Where the private branches of a process are paged to."""
        return self.path / "branches" / f"rank-{rank}"

    def steps(self) -> list[int]:
        """Iterations after which a checkpoint was kept, ascending."""
        names = (_NAME.fullmatch(path.name) for path in (self.path / "checkpoints").iterdir())
        return sorted(int(match[1]) for match in names if match)

    def save(
        self, step: int, network: nn.Module, optimiser: torch.optim.SGD, pages: list[dict[int, str]], best: float
    ) -> None:
        """Writes a checkpoint whole, or leaves what was there as it was.

        Raises:
            OutputError: if it cannot be written.
        """
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            buffer = optimiser.state.get(parameter, {}).get("momentum_buffer")
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer
        header = {
            "format": FORMAT,
            "step": str(step),
            "config": json.dumps(asdict(self._config)),
            "facts": json.dumps(self._facts),
            "pages": json.dumps(pages),
            "best": repr(best),
        }
        checkpoints.save(self._file(step), tensors, header)

    def prune(self) -> list[list[dict[int, str]]]:
        """Removes checkpoints beyond those to be kept; the pages that the others count on, for each of them."""
        steps = self.steps()
        for step in steps[: -self._config.kept]:
            self._file(step).unlink(missing_ok=True)
        return [self._read(step, tensors=False).pages for step in steps[-self._config.kept :]]

    def latest(self) -> State | None:
        """The newest checkpoint that is whole; None where there is none.

        Raises:
            ConfigError: if it belongs to a run with other settings or data.
            WeightsError: if there are checkpoints and none is whole.
        """
        steps = self.steps()
        trouble = ""
        for step in reversed(steps):
            try:
                return self._read(step)
            except WeightsError as error:
                trouble = str(error)
                log.warning("%s; trying the one before it", error)
        if steps:
            raise WeightsError(f"no checkpoint in {self.path} is whole: {trouble}")
        return None

    def tidy(self, step: int) -> None:
        """Removes what a run that broke off left: half-written files, and checkpoints after `step`, which are damaged.

        Call it before anything is written, in one process.
        """
        for later in self.steps():
            if later > step:
                self._file(later).unlink(missing_ok=True)
        for folder in (self.path, self.path / "checkpoints", *self.path.glob("branches/rank-*")):
            # Ours, and those of the safetensors library, which writes to a name of its own first.
            for half in (*folder.glob(".*.part.*"), *folder.glob(".tmp*")):
                half.unlink(missing_ok=True)

    def export(self, name: str, network: SpatiotemporalResNet, step: int, facts: Mapping[str, str]) -> Path:
        """Writes the shared network in half precision, for `Tracker.from_pretrained`.

        Args:
            name: of the file.
            network: the shared one.
            step: iterations done.
            facts: more entries of the header.

        Returns:
            The file.
        """
        path = self.path / name
        write_weights(path, network, {"step": str(step), "seed": str(self._facts["seed"]), **facts})
        return path

    def _file(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}.safetensors"

    def _read(self, step: int, tensors: bool = True) -> State:
        path = self._file(step)
        if not tensors:
            header = checkpoints.read_metadata(path)
            return State(step, {}, {}, _pages(header), float(header.get("best", "-1")))
        loaded = checkpoints.load(path)
        header = loaded.metadata
        if header.get("format") != FORMAT:
            raise ConfigError(f"{path} is not a checkpoint of a training run")
        self._compare(path, header)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "momentum": {}}
        for name, tensor in loaded.tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = tensor
        return State(int(header["step"]), parts["network"], parts["momentum"], _pages(header), float(header["best"]))

    def _compare(self, path: Path, header: Mapping[str, str]) -> None:
        now = json.loads(json.dumps({**asdict(self._config), **self._facts}))
        then = {**json.loads(header["config"]), **json.loads(header["facts"])}
        changed = [place for place in _differences(then, now) if not _allowed(place)]
        if changed:
            place = changed[0]
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise ConfigError(
                f"{path.name} was trained with {place} {_at(then, place)}, not {_at(now, place)}{more}: resume with "
                "the settings that it began with, or give another --output"
            )


def write_weights(path: Path, network: SpatiotemporalResNet, facts: Mapping[str, str]) -> None:
    """Writes a trained two-stream network in half precision, with where it comes from in the header.

    Raises:
        OutputError: if it cannot be written.
    """
    header = {"format": checkpoints.FORMAT, "motion_trained": "true", **code_version(), **facts}
    if network.name != SpatiotemporalResNet.name:
        header[checkpoints.BACKBONE] = network.name
    checkpoints.save(path, _half(network), header)


def packed(weights: checkpoints.Weights) -> checkpoints.Weights:
    """Weights in half precision without their classifier, with the header that they had and the code's version."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in weights.tensors.items()
        if not name.startswith("fc.")
    }
    return replace(weights, tensors=tensors, metadata={**weights.metadata, **code_version()})


def _half(network: SpatiotemporalResNet) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def restore(network: nn.Module, optimiser: torch.optim.SGD, state: State) -> None:
    """Puts a checkpoint's tensors and momentum in place.

    Raises:
        WeightsError: if they are of another network.
    """
    expected = network.state_dict()
    check_tensors(state.network, expected)
    if lacking := sorted(set(expected) - set(state.network)):
        raise WeightsError(f"the checkpoint lacks {lacking[0]}")
    network.load_state_dict(state.network)
    optimiser.state.clear()
    for name, parameter in network.named_parameters():
        if name in state.momentum:
            buffer = torch.empty_like(parameter, memory_format=torch.preserve_format)
            optimiser.state[parameter]["momentum_buffer"] = buffer.copy_(state.momentum[name])


def _pages(header: Mapping[str, str]) -> list[dict[int, str]]:
    return [{int(domain): page for domain, page in pages.items()} for pages in json.loads(header["pages"])]


def _differences(then: Any, now: Any, place: str = "") -> list[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        keys = list(dict.fromkeys([*then, *now]))
        return [d for key in keys for d in _differences(then.get(key), now.get(key), f"{place}.{key}".strip("."))]
    return [] if then == now else [place]


def _allowed(place: str) -> bool:
    return place in MAY_CHANGE or place.split(".")[0] in MAY_CHANGE


def _at(settings: Any, place: str) -> str:
    for key in place.split("."):
        settings = settings.get(key) if isinstance(settings, dict) else None
    text = str(settings)
    return text if len(text) <= 60 else f"{text[:57]}..."
