from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load, otb
from asmd.errors import ConfigError, DatasetError


def rows(count: int, separator: str = ",") -> str:
    return "".join(separator.join(map(str, (10 + i, 20, 5, 6))) + "\n" for i in range(count))


def test_published_sets():
    sizes = {s: [t for t in otb.targets() if s in t.sets] for s in otb.NAMES}
    assert {s: len(t) for s, t in sizes.items()} == {"cvpr13": 51, "tb50": 50, "tb100": 100}
    assert {s: len({x.folder for x in t}) for s, t in sizes.items()} == {"cvpr13": 50, "tb50": 49, "tb100": 98}
    assert sum(t.length for t in otb.targets()) == 59040
    names = {s: {x.name for x in t} for s, t in sizes.items()}
    assert {"FaceOcc1", "Jogging-1"} <= names["cvpr13"] - names["tb50"]


def test_published_attributes():
    counts = {s: Counter(a for t in otb.targets() if s in t.sets for a in t.attributes) for s in otb.NAMES}
    keys = ("IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR")
    assert [counts["cvpr13"][k] for k in keys] == [25, 28, 29, 19, 12, 18, 31, 40, 6, 22, 4]
    assert [counts["tb100"][k] for k in keys] == [38, 65, 49, 44, 31, 43, 51, 64, 14, 32, 10]


def test_boxes_become_zero_based(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Deer/groundtruth_rect.txt", "306,5,95,65\n303 8\t95,65\n")
    write_images(tmp_path / "Deer/img", "%04d.jpg", [1, 2])
    sequence = load("otb100", tmp_path)["Deer"]
    np.testing.assert_array_equal(sequence.boxes, [[305, 4, 95, 65], [302, 7, 95, 65]])
    assert load("otb100", tmp_path).origin == 1
    assert sequence.attributes == ("MB", "FM", "IPR", "BC", "LR")
    assert [grey(f) for f in sequence.frames] == [1, 2]


@pytest.mark.parametrize(
    ("name", "stored", "first", "last", "pattern"),
    [
        ("David", range(298, 773), 300, 770, "%04d.jpg"),  # the annotation starts at image 300
        ("Football1", range(1, 81), 1, 74, "%04d.jpg"),
        ("Diving", range(1, 232), 1, 215, "%04d.jpg"),
        ("BlurCar3", range(3, 360), 3, 359, "%04d.jpg"),  # no image 1
        ("Board", range(1, 699), 1, 698, "%05d.jpg"),  # five digits
        ("KiteSurf", range(1, 85), 1, 84, "%04d.png"),
    ],
)
def test_image_ranges(tmp_path: Path, write_images, write_text, name, stored, first, last, pattern):
    write_text(tmp_path / name / "groundtruth_rect.txt", rows(last - first + 1))
    write_images(tmp_path / name / "img", pattern, stored)
    sequence = load("otb", tmp_path)[name]
    assert len(sequence.frames) == len(sequence) == last - first + 1
    assert [grey(sequence.frames[i]) for i in (0, 1, -1)] == [first % 250, (first + 1) % 250, last % 250]


def test_copy_numbered_anew_is_taken_in_order(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "BlurCar4/groundtruth_rect.txt", rows(380))
    write_images(tmp_path / "BlurCar4/img", "%04d.jpg", [n for n in range(1, 399) if n != 18][:380])
    sequence = load("otb", tmp_path)["BlurCar4"]
    assert (grey(sequence.frames[0]), len(sequence.frames)) == (1, 380)


def test_two_targets_in_one_folder(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Jogging/groundtruth_rect.1.txt", "2,2,3,3\n")
    write_text(tmp_path / "Jogging/groundtruth_rect.2.txt", "5\t5\t3\t3\n")
    write_text(tmp_path / "Human4/groundtruth_rect.1.txt", "")  # as distributed
    write_text(tmp_path / "Human4/groundtruth_rect.2.txt", "9,9,3,3\n")
    for folder in ("Jogging", "Human4"):
        write_images(tmp_path / folder / "img", "%04d.jpg", [1])
    dataset = load("otb100", tmp_path)
    assert dataset.names == ("Human4-2", "Jogging-1", "Jogging-2")
    assert [s.init_box[0] for s in dataset] == [8, 1, 4]
    assert {s.name: s.meta["folder"] for s in dataset}["Jogging-2"] == "Jogging"
    assert "Jogging-1" in load("otb50", tmp_path).names
    assert "Human4-2" in load("tb50", tmp_path).names


def test_copied_folder_of_a_second_target(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Skating2-2/groundtruth_rect.txt", "5,5,3,3\n")
    write_images(tmp_path / "Skating2-2/img", "%04d.jpg", [1])
    assert load("otb100", tmp_path).names == ("Skating2-2",)


def test_shorter_of_images_and_boxes_decides(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Bird2/groundtruth_rect.txt", rows(5))
    write_images(tmp_path / "Bird2/img", "%04d.jpg", range(1, 4))
    sequence = load("otb100", tmp_path)["Bird2"]
    assert len(sequence) == len(sequence.frames) == 3


def test_gap_in_the_images_is_named(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Bird2/groundtruth_rect.txt", rows(5))
    write_images(tmp_path / "Bird2/img", "%04d.jpg", [1, 2, 4, 5])
    with pytest.raises(DatasetError, match=r"Bird2/img: image 3 is missing"):
        load("otb100", tmp_path)["Bird2"]


def test_start_of_tiger1_can_be_skipped(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "Tiger1/groundtruth_rect.txt", rows(12))
    write_images(tmp_path / "Tiger1/img", "%04d.jpg", range(1, 13))
    whole, skipped = load("otb100", tmp_path)["Tiger1"], load("otb100", tmp_path, tiger1_skip=5)["Tiger1"]
    assert (len(whole), len(skipped), len(skipped.frames)) == (12, 7, 7)
    assert grey(skipped.frames[0]) == 6
    np.testing.assert_array_equal(skipped.boxes, whole.boxes[5:])


def test_boxes_alone(tmp_path: Path, write_text):
    write_text(tmp_path / "Jogging-2.txt", "5,5,3,3\n6,5,3,3\n")
    sequence = load("otb100", tmp_path, frames=False)["Jogging-2"]
    assert sequence.frames == ()
    np.testing.assert_array_equal(sequence.boxes[:, 0], [4, 5])
    with pytest.raises(DatasetError, match="holds no sequence of otb100"):
        load("otb100", tmp_path)


def test_unknown_subset(tmp_path: Path):
    with pytest.raises(ConfigError, match="otb has no subset 'tb200'"):
        load("otb:tb200", tmp_path)


def test_published_boxes_are_the_footage_s(footage: Path):
    """The folder data set has the official boxes, made 0-based by somebody else."""
    ours, theirs = load("otb100", footage / "annotations/otb100", frames=False), load("folder", footage / "test")
    assert len(ours) == 100
    assert sum(map(len, ours)) == 59040
    for sequence in theirs:
        boxes = ours[sequence.name].boxes[:: 2 if sequence.name == "Dudek" else 1]
        np.testing.assert_array_equal(sequence.boxes, boxes[: len(sequence)])
        assert set(sequence.attributes) == set(ours[sequence.name].attributes)
