"""`asmd doctor` names what is there and what is not, and its self test is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asmd.cli import doctor, main


def lines(out: str) -> dict[str, str]:
    return {line[:12].strip(): line[12:] for line in out.splitlines()}


def test_findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "_self_test", lambda weights: (True, "left out"))
    assert main(["doctor"]) == 0
    found = lines(capsys.readouterr().out)
    assert list(found)[:4] == ["asmd", "python", "system", "cores"]
    assert set(found) >= {"cpu flags", "packages", "torch", "codecs", "sample clip", "extras", "self test"}
    assert re.search(r"\bav \d", found["packages"])
    assert "MISSING" not in found["packages"]
    assert re.search(r"avx512_bf16 (yes|no)", found["cpu flags"]) or "unknown" in found["cpu flags"]
    assert re.match(r"(openvino|torch) on (cpu|cuda), (bfloat16|float16|float32)", found["network"])
    assert re.match(r"torch; faster|on a CPU compiled, numba \d", found["operations"])
    assert "libx264 write yes" in found["codecs"]
    assert found["sample clip"].endswith("bikes.mp4")
    assert {extra.split()[0] for extra in found["extras"].split("; ")} >= {"openvino", "web", "cluster", "dev"}


def test_a_package_that_is_not_there_is_named() -> None:
    assert doctor._versions(["no-such-package"]) == "no-such-package MISSING"


def test_self_test_tracks(any_weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    good, text = doctor._self_test(None)
    assert good, text
    assert any_weights in text


def test_without_weights_it_fails_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--weights", str(tmp_path / "none.safetensors")]) == 1
    found = lines(capsys.readouterr().out)
    assert found["self test"].startswith("FAILED: no such weights")
