"""Files are whole or not there at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from asmd.errors import OutputError
from asmd.files import replacing


def test_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.suffix == target.suffix
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_is_readable_as_any_new_file_is(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    (tmp_path / "b.txt").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, BrokenPipeError])
def test_other_errors_pass_and_leave_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.txt cannot be written \(No space"), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*none"), replacing(tmp_path / "none" / "a.txt"):
        pytest.fail("the work must not begin")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"), replacing(tmp_path):
        pytest.fail("the work must not begin")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_is_known_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"), replacing(tmp_path / "a.txt"):
        pytest.fail("the work must not begin")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where not even root can write")
def test_where_nothing_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), replacing("/proc/self/a.txt"):
        pytest.fail("the work must not begin")
