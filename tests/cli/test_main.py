"""The dispatcher: help, unknown names, errors as one line, exit statuses."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import subprocess
import sys
from dataclasses import dataclass, is_dataclass
from types import ModuleType

import pytest

from asmd import cli
from asmd.errors import BoxError


@dataclass(frozen=True)
class Options:
    """A subcommand for tests."""

    what: str = "nothing"
    """What to raise."""


def _run(options: Options) -> int:
    match options.what:
        case "asmd":
            raise BoxError("the box\nhas no area")
        case "other":
            raise ZeroDivisionError("by zero")
        case "interrupt":
            raise KeyboardInterrupt
        case "warning":
            logging.getLogger("asmd.video.sources").warning("frame %d is broken", 7)
        case "seven":
            return 7
    return 0


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("asmd.cli.fake")
    module.Options, module.run = Options, _run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asmd.cli.fake", module)
    monkeypatch.setitem(cli.COMMANDS, "fake", "For tests.")


def test_help_lists_every_command_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    positions = [out.index(f"\n  {name} ") for name in cli.COMMANDS]
    assert positions == sorted(positions)
    assert all(summary in out for summary in cli.COMMANDS.values())


def test_no_arguments_is_a_wrong_call_with_help() -> None:
    assert cli.main([]) == cli.EXIT_USAGE


def test_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trakc"]) == cli.EXIT_USAGE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "'trakc'" in err


@pytest.mark.parametrize(
    ("what", "status", "line"),
    [
        ("nothing", 0, ""),
        ("seven", 7, ""),
        ("asmd", 1, "asmd fake: error: the box has no area\n"),
        ("interrupt", 130, "asmd fake: error: interrupted\n"),
        ("warning", 0, "asmd fake: warning: frame 7 is broken\n"),
    ],
)
def test_what_leaves_run(what: str, status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fake", "--what", what]) == status
    assert capsys.readouterr().err == line


def test_unexpected_error_is_one_line_that_tells_of_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fake", "--what", "other"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ZeroDivisionError: by zero" in err
    assert "--debug" in err


@pytest.mark.parametrize(("what", "kind"), [("other", ZeroDivisionError), ("asmd", BoxError)])
def test_debug_lets_errors_through(what: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        cli.main(["fake", "--what", what, "--debug"])


def test_wrong_flag_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["fake", "--no-such-flag"])
    assert stop.value.code == cli.EXIT_USAGE


@pytest.mark.parametrize("name", [n for n in cli.COMMANDS if n != "fake"])
def test_a_command_is_a_dataclass_and_a_function_and_is_cheap_to_import(name: str) -> None:
    assert importlib.util.find_spec(f"asmd.cli.{name}"), f"COMMANDS names {name}, but asmd/cli/{name}.py is not there"
    program = (
        "import sys, importlib\n"
        f"module = importlib.import_module('asmd.cli.{name}')\n"
        "heavy = {'torch', 'cv2', 'av', 'sklearn', 'matplotlib', 'scipy', 'openvino'} & set(sys.modules)\n"
        "assert not heavy, f'imported before run: {heavy}'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    module = importlib.import_module(f"asmd.cli.{name}")
    assert is_dataclass(module.Options)
    assert callable(module.run)


def test_top_level_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from asmd.cli import main\n"
        "main(['--help'])\n"
        "heavy = {'torch', 'cv2', 'av', 'numpy', 'tyro', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, stdout=subprocess.DEVNULL)
