"""The record of a search in Optuna's terms: one file, one process at a time, the same settings throughout."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Rows
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asmd.errors import ConfigError, OutputError
from asmd.files import make_folder

if TYPE_CHECKING:
    import optuna


@contextmanager
def open_study(
    folder: Path, grid: Mapping[str, Rows[float]] | None, seed: int, facts: Mapping[str, Any]
) -> Iterator[optuna.Study]:
    """A search's record, for this process alone.

    Args:
        folder: of the search; made if missing.
        grid: values of each axis; None samples by TPE.
        seed: of the sampler.
        facts: settings and data, which must be those that the record began with.

    Raises:
        ConfigError: if they are not, another process works in the folder, or Optuna is not installed.
        OutputError: if the folder cannot be written to.
    """
    optuna = _optuna()
    make_folder(folder)
    with _alone(folder):
        study = optuna.create_study(
            storage=f"sqlite:///{folder.resolve() / 'study.db'}",
            study_name="lambdas",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
            direction="maximize",
            load_if_exists=True,
        )
        now = dict(_leaves(json.loads(json.dumps(facts))))
        then = study.user_attrs.get("settings", now)
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise ConfigError(
                    f"{folder} holds a search with {name} {_short(then.get(name))}, not {_short(now.get(name))}: "
                    "go on with the settings that it began with, or give another --output"
                )
        study.set_user_attr("settings", now)
        if grid is not None:
            study.sampler = optuna.samplers.GridSampler({name: list(values) for name, values in grid.items()}, seed)
        else:
            # Draws of its own after each interruption, or it would try again what it tried before.
            study.sampler = optuna.samplers.TPESampler(seed=seed + 1_000_003 * len(study.trials))
        yield study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("tuning needs Optuna: pip install 'asmd[train]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that came to a result or were given up."""
    import optuna

    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def take_up(study: optuna.Study) -> None:
    """Lines trials that were broken off up again; what they had trained is found in their folders."""
    import optuna

    state = optuna.trial.TrialState
    for trial in study.get_trials(states=(state.RUNNING,)):
        study.tell(trial.number, state=state.FAIL)
    again = {trial.system_attrs.get("failed_trial") for trial in study.get_trials()}
    for trial in study.get_trials(states=(state.FAIL,)):
        if trial.number not in again and (trial.params or "grid_id" in trial.system_attrs):
            # With its place in the grid, which is what Optuna's own retry does.
            study.add_trial(
                optuna.trial.create_trial(
                    state=state.WAITING,
                    params=trial.params,
                    distributions=trial.distributions,
                    system_attrs={**trial.system_attrs, "failed_trial": trial.number},
                )
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a search; the system lets go of the lock when a process is killed."""
    try:
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another process is tuning in {folder}") from error
        yield


def _leaves(settings: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting with the way to it."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _leaves(value, f"{place}.{key}".strip("."))
    else:
        yield place, settings


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
