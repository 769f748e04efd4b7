"""Compiled functions: what they take, and that they do without a folder to be kept in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asmd import compiled

pytest.importorskip("numba")


def test_floats_on_the_cpu_are_served() -> None:
    numbers = torch.ones(3)
    assert compiled.serves() and compiled.serves(numbers, numbers)
    assert not compiled.serves(numbers, numbers.double())
    assert not compiled.serves(numbers.to("meta"))


def test_nothing_is_served_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert not compiled.serves(torch.ones(3))


def test_numba_that_cannot_be_imported_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is older than the NumPy beside it."""
    compiled.available.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    assert not compiled.available()
    compiled.prepare()
    compiled.available.cache_clear()
    monkeypatch.undo()
    assert compiled.available()


def test_it_compiles_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """A function that is in no file, as one in a folder that cannot be written to, has no place on disk."""
    lines = (
        "from asmd.compiled import compiled",
        "def twice(x): return 2 * x",
        "print(compiled('f4(f4)')(twice)(1.5))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "3.0\n", done.stderr
