from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asmd.datasets import load
from asmd.datasets.davis import mask_bound
from asmd.errors import ConfigError, DatasetError


def save_mask(path: Path, values: np.ndarray, palette: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8), mode="L")
    if palette:
        image = image.convert("P")
        image.putdata(values.astype(np.uint8).ravel().tolist())
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [224, 224, 192] * 253)
    image.save(path)


def test_bound_by_hand():
    mask = np.zeros((30, 40), dtype=bool)
    mask[5:9, 10:20] = True
    mask[7, 25] = True
    np.testing.assert_array_equal(mask_bound(mask), [10, 5, 16, 4])
    assert np.isnan(mask_bound(mask & False)).all()


@pytest.fixture
def davis2017(tmp_path: Path, write_images, write_text) -> Path:
    write_text(tmp_path / "ImageSets/2017/train.txt", "bear\nbmx\n")
    for video, count in (("bear", 1), ("bmx", 2)):
        write_images(tmp_path / f"JPEGImages/480p/{video}", "%05d.jpg", range(3))
        for frame in range(3):
            values = np.zeros((30, 40))
            values[5:9, 10 + frame : 20 + frame] = 1
            if count == 2 and frame != 1:
                values[20:25, 2:4] = 2
            values[0, 0] = 255  # void
            save_mask(tmp_path / f"Annotations/480p/{video}/{frame:05d}.png", values, palette=True)
    return tmp_path


def test_objects_are_sequences(davis2017: Path):
    dataset = load("davis", davis2017)
    assert dataset.names == ("bear", "bmx-1", "bmx-2")
    bear, first, second = dataset
    np.testing.assert_array_equal(bear.boxes, [[10, 5, 10, 4], [11, 5, 10, 4], [12, 5, 10, 4]])
    np.testing.assert_array_equal(first.boxes, bear.boxes)
    assert second.absent is not None
    assert second.absent.tolist() == [False, True, False]
    np.testing.assert_array_equal(second.boxes[2], [2, 20, 2, 5])
    assert len(second.frames) == 3
    np.testing.assert_array_equal(load("davis", davis2017, merge=True)["bmx"].boxes[0], [2, 5, 18, 20])


def test_masks_of_2016_are_black_and_white(tmp_path: Path, write_images, write_text):
    listing = "/JPEGImages/480p/bear/{0:05d}.jpg /Annotations/480p/bear/{0:05d}.png\n"
    write_text(tmp_path / "ImageSets/480p/train.txt", "".join(listing.format(i) for i in range(2)))
    write_images(tmp_path / "JPEGImages/480p/bear", "%05d.jpg", range(2))
    for frame in range(2):
        values = np.zeros((30, 40))
        values[5:9, 10:20] = 255
        save_mask(tmp_path / f"Annotations/480p/bear/{frame:05d}.png", values, palette=False)
    dataset = load("davis:480p/train", tmp_path)
    assert dataset.names == ("bear",)
    np.testing.assert_array_equal(dataset[0].init_box, [10, 5, 10, 4])


def test_damage_is_named(davis2017: Path):
    with pytest.raises(ConfigError, match="there are: 2017/train, all"):
        load("davis:2017/val", davis2017)
    (davis2017 / "Annotations/480p/bear/00001.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"bear/00001\.png is no mask that can be read"):
        load("davis", davis2017)["bear"]
    (davis2017 / "JPEGImages/480p/bmx/00002.jpg").unlink()
    with pytest.raises(DatasetError, match=r"bmx has 3 rows, .*bmx has 2 images"):
        load("davis:all", davis2017)["bmx-1"]
