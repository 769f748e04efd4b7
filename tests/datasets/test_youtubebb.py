import gzip
from pathlib import Path

import numpy as np
import pytest
from grey_images import grey

from asmd.datasets import load
from asmd.errors import ConfigError, DatasetError

# Segment A of a video: absent at first, present, absent, present. Segment B of the same video: another object.
CSV = """AAB6lO-XiKE,240000,0,person,0,present,0.5,0.75,0.25,0.5
AAB6lO-XiKE,238000,0,person,0,absent,-1,-1,-1,-1
AAB6lO-XiKE,239000,0,person,0,present,0.25,0.5,0.0,0.5
AAB6lO-XiKE,241000,0,person,0,absent,-1.0,-1.0,-1.0,-1.0
AAB6lO-XiKE,242000,0,person,0,present,0.0,1.0,0.0,1.0
AAB6lO-XiKE,1000,9,potted plant,1,present,0.0,0.5,0.0,0.5
AAB6lO-XiKE,2000,9,potted plant,1,present,0.5,1.0,0.5,1.0
_notFetched,0,1,bird,0,present,0.1,0.2,0.1,0.2
"""
A, B = "AAB6lO-XiKE+0+0", "AAB6lO-XiKE+9+1"


def check_a(sequence, width: int, height: int, boxed: list[int]) -> None:
    """Frames 0, boxed[1], ... of the sequence have the boxes of segment A, xmin, xmax, ymin, ymax in the file."""
    expected = np.array([[0.25, 0, 0.25, 0.5], [0.5, 0.25, 0.25, 0.25], [np.nan] * 4, [0, 0, 1, 1]])
    np.testing.assert_allclose(sequence.boxes[boxed], expected * [width, height, width, height])
    assert np.isnan(np.delete(sequence.boxes, boxed, axis=0)).all()
    assert np.flatnonzero(sequence.absent).tolist() == [boxed[2]]
    assert sequence.meta == {"video": "AAB6lO-XiKE", "class": "person"}
    assert len(sequence) == len(sequence.frames)


def test_cut_clip_starts_at_its_first_box(tmp_path: Path, write_video, write_text):
    write_text(tmp_path / "yt_bb_detection_train.csv", CSV)
    write_video(tmp_path / f"yt_bb_detection_train/0/{A}.mp4", 40)  # 4 s at 10 fps: the last box is just beyond the end
    dataset = load("youtubebb", tmp_path)
    assert dataset.names == (A,)
    assert dataset.notes == ("yt_bb_detection_train.csv lists 3 segments, 1 of them have a clip here",)
    sequence = dataset[0]
    check_a(sequence, 64, 48, [0, 10, 20, 29])
    assert abs(grey(sequence.frames[0]) - 10) <= 1  # the first second is without the object


def test_whole_video(tmp_path: Path, write_video, write_text):
    with gzip.open(tmp_path / "youtube_boundingboxes_detection_validation.csv.gz", "wt") as stream:
        stream.write(CSV)
    write_video(tmp_path / "videos/AAB6lO-XiKE.mp4", 25)
    dataset = load("youtubebb:validation", tmp_path)
    assert dataset.names == (A, B)
    plant = dataset[B]
    np.testing.assert_allclose(plant.boxes[[0, 10]], [[0, 0, 32, 24], [32, 24, 32, 24]])
    assert (len(plant), len(plant.frames)) == (11, 11)
    assert abs(grey(plant.frames[0]) - 10) <= 1
    with pytest.raises(DatasetError, match=r"has 25 frames, .* has a box at frame 2420"):
        dataset[A]


def test_folder_of_timed_images(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "yt_bb_detection_train.csv", CSV)
    write_images(tmp_path / f"frames/{A}", "%d.jpg", [238000, 239000, 239500, 240000, 241000, 242000])
    sequence = load("youtubebb", tmp_path)[A]
    check_a(sequence, 40, 30, [0, 2, 3, 4])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,1,0,person,0,present,0.1,0.2,0.1", "row 1 has 9 values, 10 are expected"),
        ("x,1,0,person,0,maybe,0.1,0.2,0.1,0.2", "row 1: 'maybe' where present or absent"),
        ("x,1,0,person,0,present,0.1,wide,0.1,0.2", "row 1: could not convert"),
        # xmin, ymin, xmax, ymax, which is how other files have it
        ("x,1,0,person,0,present,0.6,0.1,0.7,0.2", "row 1: xmin, xmax, ymin, ymax are not a box"),
    ],
)
def test_damage_is_named(tmp_path: Path, write_video, write_text, row, words):
    write_text(tmp_path / "yt_bb_detection_train.csv", row + "\n")
    write_video(tmp_path / "x.mp4", 2)
    with pytest.raises(DatasetError, match=rf"yt_bb_detection_train\.csv: {words}"):
        load("youtubebb", tmp_path)


def test_what_is_lost_is_named(tmp_path: Path, write_text):
    with pytest.raises(DatasetError, match=r"yt_bb_detection_train\.csv cannot be read"):
        load("youtubebb", tmp_path)
    write_text(tmp_path / "yt_bb_detection_train.csv", CSV)
    with pytest.raises(DatasetError, match="holds no sequence of youtubebb-train"):
        load("youtubebb", tmp_path)
    with pytest.raises(ConfigError, match="no boxes without frames"):
        load("youtubebb", tmp_path, frames=False)
    (tmp_path / "yt_bb_detection_train.csv.gz").write_bytes(gzip.compress(CSV.encode())[:60])
    with pytest.raises(DatasetError, match="is damaged"):
        load("youtubebb", tmp_path, annotations=str(tmp_path / "yt_bb_detection_train.csv.gz"))
