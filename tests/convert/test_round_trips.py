"""To a format and back: nothing that it has room for is lost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from made_up import annotations, assert_same, without_the_lost

from asmd import convert
from asmd.convert import FORMATS, Annotation, Target
from asmd.convert.annotation import file_names, interpolated
from asmd.errors import ConfigError, ResultsError


def place(folder: str, format: str) -> Path:
    each = FORMATS[format].each
    return Path(folder) / ("out" if each else f"out{FORMATS[format].suffix}")


@pytest.mark.parametrize("format", FORMATS)
@given(annotation=annotations())
@settings(max_examples=25, deadline=None)
def test_nothing_is_lost(format: str, annotation: Annotation) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = place(folder, format)
        written = convert.write(annotation, path, format)
        assert all(file.is_file() for file in written)
        again = convert.read(path, format)
        assert_same(without_the_lost(annotation, format), again)
        # And a second time round nothing at all changes.
        second = place(folder, format).with_name("second" + path.suffix)
        convert.write(replace(again, size=again.size or annotation.size), second, format)
        assert_same(again, replace(convert.read(second, format), size=again.size))


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "otb"])
@given(annotation=annotations())
@settings(max_examples=3, deadline=None)
def test_the_format_is_told_by_its_look(format: str, annotation: Annotation) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = place(folder, format)
        convert.write(annotation, path, format)
        assert convert.guess(path) == format


@given(annotation=annotations())
@settings(max_examples=10, deadline=None)
def test_through_every_format_in_turn(annotation: Annotation) -> None:
    """Boxes and names go all the way round."""
    there = [f for f in FORMATS if f != "csv"]  # a table does not say how long the video is
    bare = replace(annotation, targets=tuple(Target(t.name, t.boxes) for t in annotation.targets))
    current = bare
    with tempfile.TemporaryDirectory() as folder:
        for number, format in enumerate(there):
            path = place(folder, format).with_name(f"{number}{place(folder, format).suffix}")
            convert.write(replace(current, size=annotation.size), path, format)
            current = convert.read(path, format)
    assert [t.name for t in sorted(current.targets, key=lambda t: t.name)] == sorted(t.name for t in bare.targets)
    for target in bare.targets:
        other = next(t for t in current.targets if t.name == target.name)
        np.testing.assert_allclose(other.boxes, target.boxes, rtol=0, atol=1e-5)


def test_a_single_target_is_a_single_file(tmp_path: Path) -> None:
    one = Annotation.of([Target("a/b", np.array([[0.5, 1, 2, 3]]))])
    convert.write(one, tmp_path / "x.txt", "otb")
    assert (tmp_path / "x.txt").read_text() == "1.5,2,2,3\n"
    two = Annotation.of([Target("a", np.ones((1, 4))), Target("b", np.ones((1, 4)))])
    with pytest.raises(ConfigError, match="a file for each of 2 targets"):
        convert.write(two, tmp_path / "y.txt", "otb")


def test_names_are_never_paths() -> None:
    names = ["../../etc/passwd", "a/b", "a\\b", "..", "", "A/B", "con\x00", "x" * 300]
    safe = file_names([Target(n, np.ones((1, 4))) for n in names])
    assert len({s.lower() for s in safe}) == len(names)
    assert not any("/" in s or "\\" in s or s.startswith(".") or "\0" in s or len(s) > 99 for s in safe)


def test_what_is_lost_is_named() -> None:
    target = Target("a", np.ones((2, 4)), np.array([0.5, 1.0]), ("found", "lost"), colour="#ff0000")
    one = Annotation.of([target], size=(10, 10), fps=25.0)
    assert convert.lost(one, "otb") == ["colours", "fps", "scores", "size", "status"]
    assert convert.lost(one, "coco") == []
    odd = Annotation.of([replace(target, name="a b")])
    assert "names" in convert.lost(odd, "csv")


def test_boxes_between_key_frames() -> None:
    boxes = interpolated({1: ([0, 0, 10, 10], True), 3: ([4, 2, 10, 20], False), 5: ([9, 9, 9, 9], True)}, 7)
    assert boxes[2].tolist() == [2, 1, 10, 15]
    assert np.isnan(boxes[[0, 4, 6]]).all()
    assert boxes[5].tolist() == [9, 9, 9, 9]


@pytest.mark.parametrize("format", ["coco", "cvat", "labelstudio"])
def test_a_size_is_asked_for(format: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="size of the video"):
        convert.write(Annotation.of([Target("a", np.ones((1, 4)))]), tmp_path / "x", format)


@pytest.mark.parametrize("format", FORMATS)
def test_rubbish_is_named(format: str, tmp_path: Path) -> None:
    from asmd.errors import AsmdError

    path = tmp_path / f"x{FORMATS[format].suffix}"
    if FORMATS[format].suffix:
        path.write_text('{"annotations": 3, "frames": {}}, <x> nonsense\n')
    else:
        path.mkdir()
    with pytest.raises(AsmdError, match="x"):
        convert.read(path, format)
    with pytest.raises(ResultsError, match="no such file"):
        convert.read(tmp_path / "missing", format)


def test_an_xml_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha">]><annotations>&b;</annotations>')
    with pytest.raises(ResultsError, match="document type or entity"):
        convert.read(path)
