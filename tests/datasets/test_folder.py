import json
from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import check, load
from asmd.errors import DatasetError


@pytest.fixture
def clips(tmp_path: Path, write_video, write_images, write_text) -> Path:
    write_video(tmp_path / "train/A/ball.mp4", 3)
    write_text(tmp_path / "train/A/ball.txt", "1.5,2,3,4\nnan,nan,nan,nan\n2,2,3,4\n")
    write_images(tmp_path / "train/B/fish", "img%d.png", [1, 2, 10])
    write_text(tmp_path / "train/B/fish.txt", "1,2,3,4\n" * 3)
    facts = {"split": "train", "benchmark": "A", "name": "ball", "frames": 3, "attributes": ["OCC", "SV"], "scale": 0.5}
    write_text(tmp_path / "index.json", json.dumps([facts]))
    return tmp_path


def test_videos_and_folders_of_images(clips: Path):
    dataset = load("folder", clips)
    assert dataset.names == ("ball", "fish")
    ball, fish = dataset
    np.testing.assert_array_equal(ball.init_box, [1.5, 2, 3, 4])
    assert ball.absent is not None
    assert ball.absent.tolist() == [False, True, False]
    assert len(ball.frames) == 3
    assert ball.attributes == ("OCC", "SV")
    assert ball.meta["scale"] == "0.5"
    assert [grey(f) for f in fish.frames] == [1, 2, 10]  # in the order of the numbers
    assert (fish.attributes, fish.meta) == ((), {})


def test_index_is_found_from_below_and_tells_what_is_lost(clips: Path):
    dataset = load("folder", clips / "train/A")
    assert dataset["ball"].attributes == ("OCC", "SV")
    assert dataset.lengths == {"ball": 3}
    (clips / "train/A/ball.mp4").unlink()
    report = check(load("folder", clips))
    assert [str(p).rpartition("/")[2] for p in report.problems] == ["ball.mp4 is missing"]
    assert report.expected == 2


def test_same_name_twice(clips: Path, write_video, write_text):
    write_video(clips / "train/B/ball.mp4", 1)
    write_text(clips / "train/B/ball.txt", "1,2,3,4\n")
    assert load("folder", clips).names == ("train-A-ball", "train-B-ball", "fish")


def test_clips_without_boxes(clips: Path, write_video):
    write_video(clips / "train/A/other.mp4", 4)
    assert list(load("folder", clips).missing) == ["other"]
    sequence = load("folder", clips, unlabeled=True)["other"]
    assert sequence.boxes.shape == (0, 4)
    assert (len(sequence), len(sequence.frames)) == (0, 4)
    (clips / "train/A/ball.txt").unlink()
    with pytest.raises(DatasetError, match="no clip has a text file of boxes"):
        load("folder", clips / "train/A")


def test_tracks_beside_a_video(clips: Path, write_video, write_text):
    write_video(clips / "train/MOT/street.mp4", 6)
    write_text(clips / "train/MOT/street.txt", "".join(f"{f},9,11,21,5,6,1,1,1\n" for f in (2, 3, 4)))
    sequence = load("folder", clips, min_boxes=3)["street-9"]
    np.testing.assert_array_equal(sequence.init_box, [10, 20, 5, 6])
    assert len(sequence.frames) == 3
    assert "street-9" not in load("folder", clips)


def test_damage_is_named(clips: Path, write_text):
    write_text(clips / "train/B/fish.txt", "1,2,3,4\n1,2,3\n1,2,3,4\n")
    with pytest.raises(DatasetError, match=r"fish\.txt: row 2 has 3 values"):
        load("folder", clips)["fish"]
    write_text(clips / "index.json", "{")
    with pytest.raises(DatasetError, match=r"index\.json is no JSON"):
        load("folder", clips)
    write_text(clips / "index.json", '[{"split": "train"}]')
    with pytest.raises(DatasetError, match=r"index\.json: entry 1 has no name"):
        load("folder", clips)


def test_shared_footage(footage: Path):
    test = load("folder", footage / "test")
    report = check(test)
    assert (report.ok, report.found, report.expected, report.frames, report.expected_frames) == (
        True,
        21,
        21,
        8500,
        8500,
    )
    assert test["David"].attributes == ("IV", "SV", "OCC", "DEF", "MB", "IPR", "OPR")
    train = load("folder", footage / "train")
    assert len([n for n in train.names if "video" not in train[n].meta]) == 50
    assert len(train) == 50 + 98
    assert train["person12_2"].absent is not None
    assert train["person12_2"].absent.any()
    unlabeled = load("folder", footage / "unlabeled", unlabeled=True)
    assert len(unlabeled) == 70
    assert unlabeled[0].boxes.shape == (0, 4)
