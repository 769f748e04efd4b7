from pathlib import Path

import numpy as np
import pytest

from asmd.datasets import load
from asmd.datasets._facts import numbers
from asmd.errors import ConfigError, DatasetError

META = """[METAINFO]
url: https://youtu.be/b0ZnfLI8YPw
begin: 00:00:23
anno_fps: 10Hz
object_class: JetLev-Flyer
motion_class: jetlev-flying
major_class: vehicle
root_class: object
motion_adverb: none
resolution: (1920, 1080)
"""


def build(root: Path, write_images, write_text, part: str, name: str) -> Path:
    folder = root / part / name
    truth = "347.0000,443.0000,429.0000,272.0000\n"
    write_text(folder / "groundtruth.txt", truth if part == "test" else truth * 2 + "-1,-1,-1,-1\n")
    write_images(folder, "%08d.jpg", [1, 2, 3])
    if part != "test":
        write_text(folder / "absence.label", "0\n0\n1\n")
        write_text(folder / "cover.label", "8\n3\n0\n")
        write_text(folder / "cut_by_image.label", "0\n1\n0\n")
        write_text(folder / "meta_info.ini", META)
    return folder


def train(root: Path, write_images, write_text, *found: int) -> None:
    for n in found:
        build(root, write_images, write_text, "train", f"GOT-10k_Train_{n:06d}")
    write_text(root / "train/list.txt", "".join(f"GOT-10k_Train_{n:06d}\n" for n in found))


def test_labels(tmp_path: Path, write_images, write_text):
    train(tmp_path, write_images, write_text, 1)
    sequence = load("got10k:train", tmp_path)[0]
    np.testing.assert_array_equal(sequence.boxes[0], [347, 443, 429, 272])
    assert sequence.absent is not None and sequence.cover is not None
    assert sequence.absent.tolist() == [False, False, True]
    assert sequence.cover.tolist() == [8, 3, 0]
    assert sequence.meta["cut_by_image"] == "010"
    assert sequence.meta["object_class"] == "JetLev-Flyer"
    assert sequence.meta["url"] == "https://youtu.be/b0ZnfLI8YPw"
    assert len(sequence.frames) == 3


def test_test_set_has_first_boxes_only(tmp_path: Path, write_images, write_text):
    build(tmp_path, write_images, write_text, "test", "GOT-10k_Test_000001")
    write_text(tmp_path / "test/list.txt", "GOT-10k_Test_000001\n")
    sequence = load("got10k", tmp_path)[0]
    assert len(sequence) == len(sequence.frames) == 3
    assert sequence.valid.tolist() == [True, False, False]
    assert sequence.absent is not None
    assert not sequence.absent.any()


def test_published_lists():
    excluded, held = numbers("got10k_vot_exclude.txt"), numbers("got10k_held_out.txt")
    assert (len(excluded), min(excluded), max(excluded)) == (1000, 4, 9334)
    assert len(held) == 1401
    # The held-out list is published as places counted from 0, 6,854 characters with their ends of line.
    assert sum(len(str(n - 1)) + 1 for n in held) == 6854


def test_splits_and_exclusions(tmp_path: Path, write_images, write_text):
    # 2 is held out, 4 and 8628 are excluded for VOT, 8628 to 8630 are misaligned.
    train(tmp_path, write_images, write_text, 1, 2, 4, 8628, 8630)

    def found(subset: str, **options: bool) -> list[int]:
        return [int(n[-6:]) for n in load(f"got10k:{subset}", tmp_path, **options).names]

    assert found("train") == [1, 2, 4, 8628, 8630]
    assert found("train-held") == [2]
    assert found("train-fit") == [1, 4, 8628, 8630]
    assert found("train", without_vot=True) == [1, 2, 8630]
    assert found("train", without_vot=True, without_misaligned=True) == [1, 2]
    expected = {s: load(f"got10k:{s}", tmp_path).expected for s in ("train", "train-fit", "train-held")}
    assert expected == {"train": 9335, "train-fit": 7934, "train-held": 1401}
    assert load("got10k:train", tmp_path, without_vot=True).expected == 8335
    with pytest.raises(ConfigError, match="no subset 'trainval'"):
        load("got10k:trainval", tmp_path)


def test_root_may_be_the_split(tmp_path: Path, write_images, write_text):
    train(tmp_path, write_images, write_text, 1)
    assert load("got10k:train", tmp_path / "train").names == ("GOT-10k_Train_000001",)


def test_a_name_need_not_end_in_a_number_of_the_official_form(tmp_path: Path, write_images, write_text):
    for name in ("²", "clip_²", "clip"):  # superscripts are digits to Unicode, but no numbers to `int`
        build(tmp_path, write_images, write_text, "train", name)
    write_text(tmp_path / "train/list.txt", "²\nclip_²\nclip\n")
    assert load("got10k:train", tmp_path).names == ("²", "clip_²", "clip")


def test_damage_is_named(tmp_path: Path, write_images, write_text):
    train(tmp_path, write_images, write_text, 1, 2)
    write_text(tmp_path / "train/GOT-10k_Train_000001/cover.label", "8\n8\n")
    with pytest.raises(DatasetError, match=r"cover\.label has 2 values, one for each of 3 frames"):
        load("got10k:train", tmp_path)[0]
    (tmp_path / "train/GOT-10k_Train_000002/groundtruth.txt").unlink()
    assert list(load("got10k:train", tmp_path).missing) == ["GOT-10k_Train_000002"]
