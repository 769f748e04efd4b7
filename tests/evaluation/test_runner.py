from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_trackers import Configured, Drawing, Reseeded, Settings, Still, blank_sequence

from asmd.errors import ConfigError, DatasetError, ResultsError
from asmd.evaluation.one_pass import derive_seed
from asmd.evaluation.results import ResultsFolder
from asmd.evaluation.runner import evaluate
from asmd.evaluation.spec import TrackerSpec
from asmd.sequence import Sequence

FOUR = [blank_sequence(name, frames=3 + i) for i, name in enumerate("abcd")]


def _files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("[!.]*.txt"))}


def _stamps(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("[!.]*.txt"))}


def test_one_file_a_sequence_with_times_scores_and_provenance(tmp_path):
    run = evaluate("fake_trackers:Drawing", FOUR, results=tmp_path, seed=5)
    assert run.tracker == "Drawing" and run.failures == ()
    assert sorted(p.name for p in (tmp_path / "Drawing").iterdir()) == sorted(
        [f"{s}{suffix}" for s in "abcd" for suffix in (".csv", ".txt")] + ["run.json"]
    )
    read = ResultsFolder(tmp_path).read("Drawing", "b")
    np.testing.assert_array_equal(read.boxes[0], [2, 3, 10, 8])
    assert len(read) == 4 and (read.seconds >= 0).all()
    assert list(read.scores[1:]) == [0.75] * 3 and np.isnan(read.scores[0])
    assert read.status == ("", "uncertain", "uncertain", "uncertain")
    facts = json.loads((tmp_path / "Drawing" / "run.json").read_text())
    assert facts["tracker"] == "fake_trackers:Drawing" and facts["seed"] == 5
    assert facts["machine"]["cores"] and facts["asmd"]


def test_neither_order_nor_workers_nor_resuming_change_a_result(tmp_path):
    evaluate(Drawing, FOUR, results=tmp_path / "one", repeats=2)
    evaluate(Drawing, FOUR[::-1], results=tmp_path / "backwards", repeats=2)
    evaluate(Drawing, FOUR, results=tmp_path / "two", repeats=2, workers=2)
    evaluate(Drawing, FOUR[2:], results=tmp_path / "parts", repeats=1)
    evaluate(Drawing, FOUR, results=tmp_path / "parts", repeats=2)
    expected = _files(tmp_path / "one")
    assert len(expected) == 8 and "Drawing/run-2/a.txt" in expected
    for other in ("backwards", "two", "parts"):
        assert _files(tmp_path / other) == expected
    assert expected["Drawing/a.txt"] != expected["Drawing/run-2/a.txt"]
    evaluate(Drawing, FOUR, results=tmp_path / "seed", seed=1)
    assert _files(tmp_path / "seed")["Drawing/a.txt"] != expected["Drawing/a.txt"]


def test_a_constructor_that_draws_is_seeded_too(tmp_path):
    for folder, sequences in (("a", FOUR), ("b", FOUR[::-1])):
        evaluate("fake_trackers:Fickle", sequences, results=tmp_path / folder)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def test_a_tracker_that_can_be_reseeded_is_built_once_and_draws_as_one_built_anew(tmp_path):
    Reseeded.built = 0
    evaluate(Reseeded, FOUR, results=tmp_path)
    assert Reseeded.built == 1
    evaluate(Drawing, FOUR, results=tmp_path)
    assert list(_files(tmp_path / "Reseeded").values()) == list(_files(tmp_path / "Drawing").values())


def test_derived_seeds_differ_and_are_the_same_on_every_machine():
    assert derive_seed(0, "a", 1) == 2061469348
    seeds = {derive_seed(s, n, r) for s in range(5) for n in ("a", "b", "Car4") for r in (1, 2, 3)}
    assert len(seeds) == 45 and all(0 <= s < 2**31 for s in seeds)


def test_a_finished_sequence_is_never_run_again(tmp_path):
    evaluate(Still, FOUR[:2], results=tmp_path)
    before = _stamps(tmp_path)
    seen = []
    evaluate(Still, FOUR, results=tmp_path, progress=seen.append)
    assert [(p.done, p.total) for p in seen] == [(2, 4), (3, 4), (4, 4)]
    after = _stamps(tmp_path)
    assert len(after) == 4 and before.items() <= after.items()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_tracker_that_raises_names_the_sequence_and_the_others_finish(tmp_path, workers):
    sequences = [*FOUR, blank_sequence("bad", width=13)]
    run = evaluate("fake_trackers:Raising", sequences, results=tmp_path, workers=workers)
    assert [str(f) for f in run.failures] == ["bad: ZeroDivisionError: thirteen"]
    assert sorted(_files(tmp_path)) == [f"Raising/{s}.txt" for s in "abcd"]
    assert "in update" in (tmp_path / "Raising" / "bad.error").read_text()


def test_a_worker_that_is_killed_is_replaced_and_its_sequence_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DYING", str(tmp_path))
    sequences = [*FOUR, blank_sequence("bad", width=13)]
    run = evaluate("fake_trackers:Dying", sequences, results=tmp_path / "results", workers=2)
    assert run.failures == ()
    assert len(_files(tmp_path / "results")) == 5
    assert (tmp_path / "try-1").exists()


def test_a_sequence_whose_worker_dies_twice_is_named_and_the_others_finish(tmp_path, monkeypatch):
    monkeypatch.setenv("DYING", str(tmp_path))
    (tmp_path / "always").touch()
    sequences = [*FOUR, blank_sequence("bad", width=13)]
    run = evaluate("fake_trackers:Dying", sequences, results=tmp_path / "results", workers=2)
    assert [f.sequence for f in run.failures] == ["bad"] and "died" in run.failures[0].reason
    assert len(_files(tmp_path / "results")) == 4
    assert len(list(tmp_path.glob("try-*"))) == 2


_SCRIPT = """
import sys
from fake_trackers import Waiting, blank_sequence
from asmd.evaluation.runner import evaluate
if __name__ == "__main__":
    sequences = [blank_sequence(f"s{i:02}", frames=10, width=13 if i > 3 else 10) for i in range(14)]
    evaluate(Waiting, sequences, results=sys.argv[1], workers=int(sys.argv[2]))
"""


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def test_a_script_without_the_guard_that_workers_need_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    command = [sys.executable, str(script), str(tmp_path / "results"), "2"]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert "ConfigError: worker processes do not start" in done.stderr
    assert not _files(tmp_path / "results")


def _children(pid: int) -> list[int]:
    stats = [p.read_text().rpartition(")")[2].split() for p in Path("/proc").glob("[0-9]*/stat") if p.exists()]
    names = [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/stat") if p.exists()]
    return [n for n, s in zip(names, stats, strict=False) if int(s[1]) == pid]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("how", "workers"), [(signal.SIGKILL, 2), (signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_a_run_that_is_stopped_leaves_whole_files_no_process_and_resumes(tmp_path, how, workers):
    if how == signal.SIGINT and signal.getsignal(how) == signal.SIG_IGN:
        pytest.skip("started as a shell's background job, which does not hear Ctrl-C, and nor does what it starts")
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    results = tmp_path / "results"
    hold = tmp_path / "hold"
    hold.touch()
    environment = _environment() | {"HOLD": str(hold)}
    command = [sys.executable, str(script), str(results), str(workers)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while len(_files(results)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        workers_there = _children(process.pid)
        os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
    hold.unlink()
    before = _stamps(results)
    assert 3 <= len(before) <= 4
    assert all(len(text.splitlines()) == 10 for text in _files(results).values())
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers_there) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers_there if Path(f"/proc/{pid}").exists()]
    subprocess.run(command, env=environment, check=True, timeout=240)
    after = _stamps(results)
    assert len(after) == 14 and before.items() <= after.items()
    assert not list(results.rglob("*.tmp"))


def test_other_settings_do_not_mix_with_what_is_there(tmp_path):
    evaluate(Drawing, FOUR[:1], results=tmp_path, seed=1)
    with pytest.raises(ConfigError, match=r"seed 1 \(now 2\).*another label"):
        evaluate(Drawing, FOUR, results=tmp_path, seed=2)
    assert sorted(_files(tmp_path)) == ["Drawing/a.txt"]
    evaluate(TrackerSpec("fake_trackers:Drawing", label="other"), FOUR[:1], results=tmp_path, seed=2)
    assert sorted(_files(tmp_path)) == ["Drawing/a.txt", "other/a.txt"]


def test_settings_that_the_tracker_tells_do_not_mix_either(tmp_path, monkeypatch):
    evaluate(Configured, FOUR[:1], results=tmp_path)
    evaluate(Configured, FOUR[:2], results=tmp_path)
    monkeypatch.setattr(Configured, "config", Settings(near=5))
    with pytest.raises(ConfigError, match=r"made with config\.near 1 \(now 5\); give"):
        evaluate(Configured, FOUR, results=tmp_path)
    assert sorted(_files(tmp_path)) == ["Configured/a.txt", "Configured/b.txt"]


def test_a_run_without_a_result_binds_nobody(tmp_path):
    run = evaluate("fake_trackers:Infinite", FOUR[:1], results=tmp_path, seed=1)
    assert run.failures
    evaluate("fake_trackers:Infinite", FOUR[:1], results=tmp_path, seed=2)


def test_weights_that_have_changed_under_their_name_are_other_weights(tmp_path):
    weights = tmp_path / "w"
    weights.write_text("1")
    spec = TrackerSpec("fake_trackers:Still", weights=str(weights))
    with pytest.raises(ConfigError, match="takes no weights"):
        evaluate(spec, FOUR[:1], results=tmp_path / "r")
    first = spec.identity()
    weights.write_text("2")
    assert spec.identity() != first


def test_results_of_another_data_set_are_refused_not_overwritten(tmp_path):
    evaluate(Still, FOUR[:1], results=tmp_path)
    with pytest.raises(ResultsError, match=r"a\.txt: 3 rows, but a has 9 frames"):
        evaluate(Still, [blank_sequence("a", 9)], results=tmp_path)


def test_footage_is_checked_before_anything_is_run(tmp_path):
    short = Sequence("short", blank_sequence("x", 3).frames, np.tile([1.0, 1, 5, 5], (5, 1)))
    unboxed = Sequence("unboxed", blank_sequence("x", 3).frames, np.full((3, 4), np.nan))
    with pytest.raises(DatasetError, match=r"short: 3 frames, but 5 boxes; unboxed: no box on its first frame"):
        evaluate(Still, [*FOUR, short, unboxed], results=tmp_path)
    with pytest.raises(DatasetError, match="more than one sequence is called 'a'"):
        evaluate(Still, [FOUR[0], FOUR[0]], results=tmp_path)
    with pytest.raises(DatasetError, match="no sequence"):
        evaluate(Still, [], results=tmp_path)
    assert not _files(tmp_path)


@pytest.mark.parametrize(
    ("tracker", "says"),
    [
        ("ksf", "no tracker is called 'ksf'"),
        ("no_such_module:T", "cannot import no_such_module"),
        ("fake_trackers:Absent", "fake_trackers has no Absent"),
        ("fake_trackers:blank_sequence", "cannot be built: TypeError"),
        ("fake_trackers:Blank", "cannot be built: TypeError"),
        ("fake_trackers:np", "is no tracker"),
        (TrackerSpec("kcf", preset="paper"), "the tracker kcf has no preset"),
        (TrackerSpec("kcf", label="../up"), "cannot name a folder"),
    ],
)
def test_what_is_no_tracker_is_said_in_one_line_and_nothing_is_written(tmp_path, tracker, says):
    with pytest.raises(ConfigError, match=says) as caught:
        evaluate(tracker, FOUR, results=tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_answer_that_is_no_box_fails_the_sequence_but_no_answer_is_one(tmp_path):
    run = evaluate("fake_trackers:Infinite", FOUR[:1], results=tmp_path)
    assert str(run.failures[0]) == "a: frame 1: the tracker answered a box that is not finite: [0.0, 0.0, inf, 1.0]"
    run = evaluate("fake_trackers:Nothing", FOUR[:1], results=tmp_path)
    assert not run.failures
    assert np.isnan(run.results.read("Nothing", "a").boxes[1:]).all()


def test_a_tracker_ready_made_is_run_as_it_is_also_in_workers(tmp_path):
    for workers in (1, 2):
        run = evaluate(Still(), FOUR, results=tmp_path / str(workers), workers=workers)
        assert not run.failures and len(_files(tmp_path / str(workers))) == 4


def test_what_cannot_be_sent_to_a_worker_is_said_before_the_run(tmp_path):
    class Local(Still):
        pass

    with pytest.raises(ConfigError, match="cannot be sent to a worker"):
        evaluate(Local, FOUR, results=tmp_path, workers=2)


def test_without_a_folder_results_live_as_long_as_the_run():
    run = evaluate(Still, FOUR)
    path = run.results.path("Still", "a")
    assert path.is_file()
    del run
    assert not path.exists()
