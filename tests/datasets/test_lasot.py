from pathlib import Path

import numpy as np
import pytest

from asmd.datasets import lasot, load
from asmd.errors import ConfigError, DatasetError


def build(root: Path, write_images, write_text, name: str = "monkey-17") -> Path:
    folder = root / name.rpartition("-")[0] / name
    write_text(folder / "groundtruth.txt", "11,21,5,6\n12,21,5,6\n1,1,-1,-1\n")
    write_text(folder / "full_occlusion.txt", "0,1,0\n")
    write_text(folder / "out_of_view.txt", "0,0,1")
    write_text(folder / "nlp.txt", "a monkey on a tree\n")
    write_images(folder / "img", "%08d.jpg", [1, 2, 3])
    return folder


def test_protocols():
    everything, test, train = (lasot.names(s) for s in ("I", "II", "train"))
    assert (len(everything), len(test), len(train)) == (1400, 280, 1120)
    assert set(test) | set(train) == set(everything)
    assert test[:5] == ["airplane-1", "airplane-9", "airplane-13", "airplane-15", "basketball-1"]
    assert all(len([n for n in test if n.rpartition("-")[0] == c]) == 4 for c in {n.rpartition("-")[0] for n in test})


def test_flags_and_boxes(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    sequence = load("lasot", tmp_path)["monkey-17"]
    np.testing.assert_array_equal(sequence.boxes[:2], [[10, 20, 5, 6], [11, 20, 5, 6]])
    assert sequence.absent is not None
    assert sequence.absent.tolist() == [False, True, True]
    assert sequence.valid.tolist() == [True, True, False]
    assert sequence.meta == {"class": "monkey", "description": "a monkey on a tree"}
    assert len(sequence.frames) == 3


def test_test_set_without_class_folders(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text).rename(tmp_path / "monkey-17")
    assert load("lasot", tmp_path).names == ("monkey-17",)


def test_which_subset(tmp_path: Path, write_images, write_text):
    for name in ("airplane-1", "airplane-2"):
        build(tmp_path, write_images, write_text, name)
    assert load("lasot", tmp_path).names == ("airplane-1",)
    assert load("lasot:train", tmp_path).names == ("airplane-2",)
    dataset = load("lasot:I", tmp_path)
    assert (dataset.names, dataset.expected, len(dataset.missing)) == (("airplane-1", "airplane-2"), 1400, 1398)
    with pytest.raises(ConfigError, match="no subset 'III'"):
        load("lasot:III", tmp_path)


def test_boxes_alone_as_in_the_toolkit(tmp_path: Path, write_text):
    write_text(tmp_path / "airplane-1.txt", "11,21,5,6\n12,21,5,6\n")
    write_text(tmp_path / "absent/airplane-1.txt", "0\n1\n")
    write_text(tmp_path / "att/airplane-1.txt", "0,1,0,0,0,1,0,0,1,0,0,0,1,0\n")
    sequence = load("lasot", tmp_path, frames=False)["airplane-1"]
    assert sequence.attributes == ("POC", "ROT", "SV", "LR")
    assert sequence.absent is not None
    assert sequence.absent.tolist() == [False, True]


def test_short_flags_are_named(tmp_path: Path, write_images, write_text):
    folder = build(tmp_path, write_images, write_text)
    write_text(folder / "out_of_view.txt", "0,0")
    with pytest.raises(DatasetError, match=r"out_of_view\.txt has 2 values, one for each of 3 frames"):
        load("lasot", tmp_path)["monkey-17"]
    (folder / "out_of_view.txt").unlink()
    with pytest.raises(DatasetError, match=r"out_of_view\.txt is missing"):
        load("lasot", tmp_path)["monkey-17"]
