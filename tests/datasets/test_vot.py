from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load
from asmd.errors import ConfigError, DatasetError

# A square of side 10 turned by 45 degrees about (50, 40): its bound has side 10 * sqrt(2).
TURNED = "50,32.928932,57.071068,40,50,47.071068,42.928932,40"


def build(root: Path, write_images, write_text, name: str = "ants1", truth: str = TURNED) -> Path:
    write_text(root / "list.txt", f"{name}\n")
    write_text(root / name / "groundtruth.txt", f"{truth}\n{truth}\n{truth}\n")
    write_images(root / name / "color", "%08d.jpg", [1, 2, 3])
    return root / name


def test_polygons_and_the_box_of_equal_area(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    sequence = load("vot", tmp_path)["ants1"]
    assert sequence.polygons is not None
    np.testing.assert_allclose(sequence.polygons[0], [float(v) for v in TURNED.split(",")])
    # By hand: centre (50, 40), side sqrt(100) + 1.
    np.testing.assert_allclose(sequence.init_box, [50 - 5.5, 40 - 5.5, 11, 11], atol=1e-5)
    assert [grey(f) for f in sequence.frames] == [1, 2, 3]


def test_bounds_on_request(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    box = load("vot", tmp_path, boxes="bounds")["ants1"].init_box
    np.testing.assert_allclose(box, [42.928932, 32.928932, 14.142136, 14.142136], atol=1e-5)


def test_rectangles_among_polygons(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text, "conduction1", "712.0,231.0,22.0,24.0")
    sequence = load("vot", tmp_path)["conduction1"]
    np.testing.assert_array_equal(sequence.init_box, [712, 231, 22, 24])
    assert sequence.polygons is not None
    np.testing.assert_array_equal(sequence.polygons[0], [712, 231, 734, 231, 734, 255, 712, 255])


def test_tags_and_labels(tmp_path: Path, write_images, write_text):
    folder = build(tmp_path, write_images, write_text)
    write_text(folder / "occlusion.tag", "0\n1\n")  # ends early: 0 from there
    write_text(folder / "size_change.tag", "0\n0\n0\n")
    write_text(folder / "camera_motion.label", "1\n1\n1\n")
    write_text(folder / "empty.tag", "")
    sequence = load("vot", tmp_path)["ants1"]
    assert sequence.attributes == ("camera_motion", "occlusion")
    assert sequence.meta["frames of occlusion"] == "010"
    write_text(folder / "occlusion.tag", "0\n1\n0\n1\n")
    with pytest.raises(DatasetError, match=r"occlusion\.tag has 4 values for 3 frames"):
        load("vot", tmp_path)["ants1"]


def test_older_layout_without_color(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "list.txt", "bag\n")
    write_text(tmp_path / "bag/groundtruth.txt", TURNED + "\n")
    write_images(tmp_path / "bag", "%08d.jpg", [1])
    assert len(load("vot", tmp_path)["bag"].frames) == 1


def test_frames_must_be_as_many_as_rows(tmp_path: Path, write_images, write_text):
    folder = build(tmp_path, write_images, write_text)
    write_images(folder / "color", "%08d.jpg", [4])
    with pytest.raises(DatasetError, match=r"groundtruth\.txt has 3 rows, .*color has 4 images"):
        load("vot", tmp_path)["ants1"]


def test_vot2018_knows_its_sixty(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    dataset = load("vot2018", tmp_path)
    assert (len(dataset), len(dataset.missing), dataset.expected) == (1, 59, 60)
    with pytest.raises(ConfigError, match="subset"):
        load("vot:2031", tmp_path)
    with pytest.raises(ConfigError, match="boxes"):
        load("vot", tmp_path, boxes="round")
