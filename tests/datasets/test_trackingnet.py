from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load
from asmd.errors import ConfigError, DatasetError


def build(root: Path, write_images, write_text) -> None:
    for chunk in ("TRAIN_0", "TRAIN_3"):
        name = f"-abc_{chunk[-1]}"  # YouTube ids may begin with a dash
        write_text(root / chunk / f"anno/{name}.txt", "".join(f"{i}.50,-2.00,5.00,6.00\n" for i in range(12)))
        write_images(root / chunk / f"frames/{name}", "%d.jpg", range(12))
    write_text(root / "TEST/anno/xyz_1.txt", "3,4,5,6\n")
    write_images(root / "TEST/frames/xyz_1", "%d.jpg", range(12))


def test_images_in_the_order_of_their_numbers(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    sequence = load("trackingnet:train", tmp_path)["-abc_0"]
    assert [grey(f) for f in sequence.frames] == list(range(12))  # not 0, 1, 10, 11, 2
    np.testing.assert_array_equal(sequence.boxes[11], [11.5, -2, 5, 6])


def test_chunks(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    both = load("trackingnet:train", tmp_path)
    assert (both.names, both.expected) == (("-abc_0", "-abc_3"), 2 * 2511)
    assert load("trackingnet:TRAIN_3", tmp_path).names == ("-abc_3",)
    assert load("trackingnet:TRAIN_0,TRAIN_3", tmp_path).expected == 5022
    with pytest.raises(ConfigError, match="no subset 'TRAIN_12'"):
        load("trackingnet:TRAIN_12", tmp_path)


def test_test_set_has_first_boxes_only(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    dataset = load("trackingnet", tmp_path)
    sequence = dataset["xyz_1"]
    assert dataset.expected == 511
    assert len(sequence) == len(sequence.frames) == 12
    np.testing.assert_array_equal(sequence.init_box, [3, 4, 5, 6])
    assert np.isnan(sequence.boxes[1:]).all()
    assert sequence.absent is not None
    assert not sequence.absent.any()  # not annotated is not absent


def test_mismatch_is_named(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text)
    (tmp_path / "TRAIN_0/frames/-abc_0/11.jpg").unlink()
    with pytest.raises(DatasetError, match=r"-abc_0\.txt has 12 rows, .*-abc_0 has 11 images"):
        load("trackingnet:TRAIN_0", tmp_path)["-abc_0"]
    write_text(tmp_path / "TEST/anno/xyz_1.txt", "3,4,5,6\n3,4,5,6\n")
    with pytest.raises(DatasetError, match="has 2 rows; a test sequence has its first box only"):
        load("trackingnet", tmp_path)["xyz_1"]
