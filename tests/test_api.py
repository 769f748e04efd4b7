"""`import asmd` gives what it promises, no more, and costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import asmd

PROMISED = {
    "AsmdError",
    "MultiTracker",
    "Sequence",
    "Status",
    "TrackResult",
    "Tracker",
    "TrackerConfig",
    "boxes",
    "convert",
    "datasets",
    "errors",
    "evaluate",
    "evaluation",
    "track",
    "video",
}


def test_the_public_names_are_guarded() -> None:
    assert set(asmd.__all__) == PROMISED
    assert set(dir(asmd)) == PROMISED | {"__version__"}


@pytest.mark.parametrize("name", sorted(PROMISED | {"__version__"}))
def test_each_name_is_there(name: str) -> None:
    assert getattr(asmd, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = asmd.nothing  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(asmd.__file__).read_text(encoding="utf-8"))
    [checked] = [node for node in tree.body if isinstance(node, ast.If)]
    assert {
        alias.asname for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    } == PROMISED


def test_a_submodule_does_not_take_the_place_of_a_function() -> None:
    program = "import asmd, asmd.cli.track, asmd.tracking.tracker; assert callable(asmd.track)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_import_is_light() -> None:
    program = "import sys, asmd; heavy = {'torch', 'cv2', 'av', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", program], check=True)
