"""Tests of `asmd.evaluation._workers` beyond what those of the runner see."""

import multiprocessing
import time

import pytest

from asmd.evaluation import _workers


def test_ctrl_c_right_after_a_job_is_handed_over_leaves_no_process(monkeypatch):
    submit = _workers._Worker.submit

    def interrupted(worker, function, job):
        submit(worker, function, job)
        raise KeyboardInterrupt

    monkeypatch.setattr(_workers._Worker, "submit", interrupted)
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        list(_workers.run_in_processes(time.sleep, [20.0, 20.0], 2, 1))
    assert not set(multiprocessing.active_children()) - before
