"""Which tracker to run, said so that it can be sent to another process and built there."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from asmd.errors import ConfigError
from asmd.evaluation.peers import PEERS, peer
from asmd.tracking.result import TrackerLike

if TYPE_CHECKING:
    from asmd.tracking.config import TrackerConfig

TrackerSource: TypeAlias = "str | TrackerSpec | Callable[..., TrackerLike] | TrackerLike"
"""What `evaluate` takes for a tracker: a name, a spec, a class or function that makes one, or one ready made."""


@dataclass(frozen=True)
class TrackerSpec:
    """A tracker and its settings.

    Attributes:
        tracker: `asmd`, one of `asmd.evaluation.peers.PEERS`, or `module:Class` for any class (or function) whose
            objects have `init(frame, box)` and `update(frame)`.
        preset: of the `asmd` tracker, by its name or as settings of one's own.
        weights: a name or file for `asmd`, a folder for `nanotrack`, passed as `weights=` to `module:Class`.
        device: for `asmd`.
        label: the folder of its results; the tracker's own name where empty.
        source: the class, function or object itself, where there is no name to import it by.
    """

    tracker: str = "asmd"
    preset: str | TrackerConfig | None = None
    weights: str | None = None
    device: str = "auto"
    label: str = ""
    source: object = field(default=None, repr=False, hash=False)

    @property
    def name(self) -> str:
        """A name for tables and folders: the label, or the last part of the tracker's own name."""
        name = self.label or self.tracker.rpartition(":")[2]
        if not re.fullmatch(r"[\w][\w.+@-]*", name):
            raise ConfigError(f"{name!r} cannot name a folder of results: letters, digits and . + @ - _ only")
        return name

    def build(self, seed: int) -> TrackerLike:
        """A tracker ready for `init`.

        Raises:
            ConfigError: if no tracker has that name, or what the name leads to is no tracker.
            WeightsError: if its weights do not load.
        """
        if self.source is not None:
            return _build(self.source, self.tracker, seed, self.weights)
        if self.tracker == "asmd":
            return self._build_asmd(seed)
        if self.tracker in PEERS:
            self._refuse(preset=self.preset, weights=None if self.tracker == "nanotrack" else self.weights)
            return peer(self.tracker, self.weights)
        if ":" in self.tracker:
            self._refuse(preset=self.preset)
            return _build(_import(self.tracker), self.tracker, seed, self.weights)
        raise ConfigError(f"no tracker is called {self.tracker!r}; there are asmd, {', '.join(PEERS)} and module:Class")

    def identity(self) -> dict[str, str]:
        """What must be the same for two runs to be parts of one: names, settings and the content of the weights."""
        weights = self.weights or ""
        if weights and (digest := _digest(Path(weights))):
            weights = f"{Path(weights).name} (sha256 {digest[:16]})"
        return {"tracker": self.tracker, "preset": str(self.preset or ""), "weights": weights}

    def _build_asmd(self, seed: int) -> TrackerLike:
        from asmd.tracking.tracker import Tracker  # torch takes seconds to import, and the peers need none of it

        settings: dict[str, Any] = {} if self.preset is None else {"preset": self.preset}
        return Tracker.from_pretrained(self.weights, device=self.device, seed=seed, **settings)

    def _refuse(self, **settings: object) -> None:
        for name, value in settings.items():
            if value is not None:
                raise ConfigError(f"--{name} {value}: the tracker {self.tracker} has no {name}")


def as_spec(tracker: TrackerSource) -> TrackerSpec:
    """A spec of anything that `evaluate` takes for a tracker."""
    if isinstance(tracker, TrackerSpec):
        return tracker
    if isinstance(tracker, str):
        return TrackerSpec(tracker)
    owner = tracker if inspect.isclass(tracker) or inspect.isfunction(tracker) else type(tracker)
    name = str(owner.__qualname__).rpartition(".")[2].strip("<>")
    label = "asmd" if owner.__module__ == "asmd.tracking.tracker" else ""
    return TrackerSpec(f"{owner.__module__}:{name}", label=label, source=tracker)


def _import(name: str) -> object:
    module_name, _, path = name.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"--tracker {name}: cannot import {module_name}: {error}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"--tracker {name}: {module_name} has no {path}")
        found = getattr(found, part)
    return found


def _build(source: object, name: str, seed: int, weights: str | None) -> TrackerLike:
    made = source
    if inspect.isclass(source) or not hasattr(source, "init"):
        if not callable(source):
            raise ConfigError(f"{name} is no tracker: it has no init and cannot be called to make one")
        wanted = {"seed": seed} | ({} if weights is None else {"weights": weights})
        accepted = inspect.signature(source).parameters
        if weights is not None and "weights" not in accepted:
            raise ConfigError(f"--weights {weights}: {name} takes no weights")
        made = source(**{key: value for key, value in wanted.items() if key in accepted})
    for method in ("init", "update"):
        if not callable(getattr(made, method, None)):
            raise ConfigError(f"{name} is no tracker: it has no {method}")
    return cast(TrackerLike, made)


def _digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.is_file()) if path.is_dir() else []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""
