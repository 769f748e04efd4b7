from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load, uav123
from asmd.errors import DatasetError


def boxes(count: int) -> str:
    return "".join(f"{i},20,5,6\n" for i in range(count))


def test_ranges_add_up_to_the_published_frames():
    totals = {s: sum(p.length for p in uav123.parts(s)) for s in uav123.SUBSETS}
    assert totals == {"123": 112578, "10fps": 37607, "20l": 58670}
    assert {s: len(uav123.parts(s)) for s in uav123.SUBSETS} == {"123": 123, "10fps": 123, "20l": 20}


@pytest.mark.parametrize(
    ("subset", "name", "folder", "first", "last"),
    [
        ("123", "bird1_2", "bird1", 775, 1477),
        ("123", "car6_5", "car6", 3925, 4861),
        ("123", "uav1_3", "uav1", 2473, 3469),
        ("10fps", "bird1_2", "bird1", 259, 493),
        ("10fps", "uav1_3", "uav1", 825, 1157),
        ("10fps", "car1_s", "car1_s", 1, 492),
        ("10fps", "person3_s", "person3_s", 1, 169),
        ("20l", "bird1", "bird1", 1, 2437),
    ],
)
def test_published_ranges(subset, name, folder, first, last):
    assert uav123.Part(name, folder, first, last) in uav123.parts(subset)


def test_part_of_a_shared_folder(tmp_path: Path, write_images, write_text):
    truth = "1,2,3,4\n" + "NaN,NaN,NaN,NaN\n" * 2 + boxes(682)
    write_text(tmp_path / "anno/UAV123/truck4_2.txt", truth)  # images 577 to 1261 of truck4
    write_text(tmp_path / "anno/UAV123/att/truck4_2.txt", "1,0,0,0,0,0,1,0,0,0,1,0\n")
    write_images(tmp_path / "data_seq/UAV123/truck4", "%06d.jpg", range(570, 1265))
    sequence = load("uav123", tmp_path)["truck4_2"]
    assert len(sequence) == len(sequence.frames) == 685
    assert [grey(sequence.frames[i]) for i in (0, -1)] == [577 % 250, 1261 % 250]
    assert sequence.absent is not None
    assert np.flatnonzero(sequence.absent).tolist() == [1, 2]
    assert sequence.attributes == ("SV", "OV", "CM")


def test_ten_frames_a_second(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "UAV123_10fps/anno/UAV123_10fps/truck4_2.txt", boxes(229))
    write_images(tmp_path / "UAV123_10fps/data_seq/UAV123_10fps/truck4", "%06d.jpg", range(193, 422))
    sequence = load("uav123_10fps", tmp_path)["truck4_2"]
    assert (len(sequence.frames), grey(sequence.frames[0])) == (229, 193)


def test_uav20l_shares_the_images_of_uav123(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "anno/UAV20L/person20.txt", boxes(1783))
    write_images(tmp_path / "data_seq/UAV123/person20", "%06d.jpg", range(1, 1784))
    dataset = load("uav20l", tmp_path)
    assert (dataset.names, dataset.expected) == (("person20",), 20)
    assert len(dataset[0].frames) == 1783


def test_missing_images_and_short_files_are_named(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "anno/UAV123/uav6.txt", boxes(109))
    write_images(tmp_path / "data_seq/UAV123/uav6", "%06d.jpg", [n for n in range(1, 110) if n not in (50, 60)])
    with pytest.raises(DatasetError, match=r"uav6: image 50 is missing, and 1 more; 109 are expected"):
        load("uav123", tmp_path)["uav6"]
    write_text(tmp_path / "anno/UAV123/uav6.txt", boxes(108))
    with pytest.raises(DatasetError, match=r"uav6\.txt has 108 rows, 109 are expected"):
        load("uav123", tmp_path)["uav6"]


def test_boxes_alone(tmp_path: Path, write_text):
    write_text(tmp_path / "uav6.txt", boxes(109))
    assert len(load("uav123", tmp_path, frames=False)["uav6"]) == 109
