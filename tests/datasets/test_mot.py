from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load
from asmd.errors import DatasetError


def test_tracks_are_sequences(tmp_path: Path, write_images, write_text):
    # MOT16: flag, class, visibility. Track 1 lives in frames 3 to 6 with a gap at 5; track 2 is ignored, 3 is a car,
    # 4 too short, 5 is behind something in its second frame.
    rows = [(f, 1, 11 + f, 21, 5, 6, 1, 1, 1) for f in (3, 4, 6)]
    rows += [(f, 2, 1, 1, 5, 6, 0, 1, 1) for f in range(1, 7)]
    rows += [(f, 3, 1, 1, 5, 6, 1, 3, 1) for f in range(1, 7)]
    rows += [(1, 4, 1, 1, 5, 6, 1, 1, 1)]
    rows += [(f, 5, 1, 1, 5, 6, 1, 1, 0 if f == 2 else 0.5) for f in (1, 2, 3)]
    text = "".join(",".join(map(str, r)) + "\n" for r in sorted(rows))
    for detector in ("DPM", "SDP"):  # MOT17 has every video more than once
        write_text(tmp_path / f"train/MOT17-02-{detector}/gt/gt.txt", text)
        write_images(tmp_path / f"train/MOT17-02-{detector}/img1", "%06d.jpg", range(1, 8))
    dataset = load("mot", tmp_path, min_boxes=3)
    assert dataset.names == ("MOT17-02-1", "MOT17-02-5")
    first, fifth = dataset
    np.testing.assert_array_equal(first.boxes[0], [13, 20, 5, 6])
    assert first.valid.tolist() == [True, True, False, True]
    assert [grey(f) for f in first.frames] == [3, 4, 5, 6]
    assert first.domain == "MOT17-02-1"
    assert first.meta == {"video": "MOT17-02", "first frame": "2"}
    assert fifth.absent is not None
    assert fifth.absent.tolist() == [False, True, False]
    assert fifth.valid.all()
    assert load("mot", tmp_path, min_boxes=3, min_visibility=0.6).names == ("MOT17-02-1",)
    assert load("mot", tmp_path, min_boxes=6, classes=(3,)).names == ("MOT17-02-3",)


def test_rows_of_2015_have_no_class(tmp_path: Path, write_video, write_text):
    text = "".join(f"{f},7,{f}.5,1,5,6,1,-4.2,-7.4,0\n" for f in range(1, 6))
    write_text(tmp_path / "PETS.txt", text)
    write_video(tmp_path / "PETS.mp4", 8)
    sequence = load("mot", tmp_path, min_boxes=5)["PETS-7"]
    np.testing.assert_array_equal(sequence.boxes[:, 0], [0.5, 1.5, 2.5, 3.5, 4.5])
    assert sequence.valid.all()
    assert len(sequence.frames) == 5


def test_damage_is_named(tmp_path: Path, write_images, write_text):
    path = write_text(tmp_path / "A/gt/gt.txt", "1,1,1,1,5,6,1,1,1\n2,1,1,1,5,6,1,1\n")
    with pytest.raises(DatasetError, match=r"gt\.txt: row 2 has 8 values, 9 are expected"):
        load("mot", tmp_path, min_boxes=1)
    path.write_text("0,1,1,1,5,6,1,1,1\n")
    with pytest.raises(DatasetError, match="row 1: frames are counted from 1"):
        load("mot", tmp_path, min_boxes=1)
    path.write_text("1,1,1,1,5,6,1,1,1\n1,1,2,1,5,6,1,1,1\n")
    with pytest.raises(DatasetError, match="track 1 has two boxes in one frame"):
        load("mot", tmp_path, min_boxes=1)[0]
    path.write_text("1,1,1,1,5,6,1,1,1\n3,1,2,1,5,6,1,1,1\n")
    write_images(tmp_path / "A/img1", "%06d.jpg", [1, 2])
    with pytest.raises(DatasetError, match="image 3 is missing"):
        load("mot", tmp_path, min_boxes=1)[0]


def test_shared_footage_has_98_domains(footage: Path):
    dataset = load("mot", footage / "train")
    assert len(dataset) == 98
    sequence = dataset["MOT16-09-3"]
    assert sequence.valid.sum() >= 60
    assert sequence.frames[0].shape == (540, 960, 3)
