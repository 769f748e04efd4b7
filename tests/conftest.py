"""Fixtures for all tests: what is at hand on some machines only. Videos made on the spot are in `footage`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported, here and in processes that tests start: small networks gain nothing by more threads, and
# several processes, each with as many threads as there are processors, wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real footage beside the project; the test is skipped where there is none."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"no real footage: {data} is not there")
    return data


@pytest.fixture(scope="session")
def any_weights() -> str:
    """What the tracker runs on by default; the test is skipped where no weights are at hand."""
    from asmd import checkpoints
    from asmd.errors import WeightsError

    try:
        return checkpoints.find(None)[0]
    except WeightsError as error:
        pytest.skip(str(error))
