import pickle
from pathlib import Path

import numpy as np
import pytest

from asmd.datasets import DATASETS, Dataset, check, load
from asmd.errors import ConfigError, DatasetError
from asmd.sequence import Sequence


@pytest.fixture
def otb(tmp_path: Path, write_images, write_text) -> Path:
    for name in ("Bolt", "Bolt2", "Coke"):
        write_text(tmp_path / name / "groundtruth_rect.txt", "5,5,3,3\n6,5,3,3\n")
        write_images(tmp_path / name / "img", "%04d.jpg", [1, 2])
    return tmp_path


def test_access(otb: Path):
    dataset = load("otb100", otb)
    assert dataset.names == ("Bolt", "Bolt2", "Coke")
    assert [s.name for s in dataset] == list(dataset.names)
    assert dataset["Coke"].name == dataset[2].name == dataset[-1].name == "Coke"
    assert "Coke" in dataset and "Deer" not in dataset
    with pytest.raises(IndexError):
        dataset[3]


def test_annotation_is_read_when_asked_for_and_frames_later(otb: Path):
    dataset = load("otb100", otb)
    (otb / "Bolt/groundtruth_rect.txt").write_text("broken")
    (otb / "Coke/img/0002.jpg").write_bytes(b"no image")
    assert len(dataset["Coke"].frames) == 2
    with pytest.raises(DatasetError, match="row 1 has 1 values"):
        dataset["Bolt"]


def test_select(otb: Path):
    dataset = load("otb100", otb)
    chosen = dataset.select(["Coke", "Bolt", "Deer", "Coke"])
    assert chosen.names == ("Coke", "Bolt")
    assert list(chosen.missing) == ["Deer"]
    assert chosen.expected == 3
    with pytest.raises(DatasetError, match="otb100 has no sequence 'Cokee'; did you mean 'Coke'"):
        dataset.select(["Cokee"])
    with pytest.raises(DatasetError, match=r"sequence Deer is missing: there is no .*Deer/groundtruth_rect\.txt"):
        dataset["Deer"]


def test_travels_to_another_process(otb: Path):
    copy = pickle.loads(pickle.dumps(load("otb100", otb)))
    np.testing.assert_array_equal(copy["Bolt"].boxes, load("otb100", otb)["Bolt"].boxes)
    assert pickle.loads(pickle.dumps(copy["Bolt"])).frames[1].shape == (30, 40, 3)


def test_wrong_calls_are_named(otb: Path):
    with pytest.raises(ConfigError, match="there is no data set 'otb200'; there are otb50, "):
        load("otb200", otb)
    with pytest.raises(ConfigError, match="data set otb100 has no option 'subset'; it has frames, tiger1_skip"):
        load("otb100:cvpr13", otb)
    with pytest.raises(ConfigError, match="has no option 'size'"):
        load("folder", otb, size=3)


@pytest.mark.parametrize("name", DATASETS)
def test_wrong_folders_are_named(tmp_path: Path, name: str):
    with pytest.raises(DatasetError, match="nowhere is missing"):
        load(name, tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="file is no folder"):
        load(name, tmp_path / "file")
    with pytest.raises((DatasetError, ConfigError), match=str(tmp_path)) as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_check_of_a_whole_set(otb: Path):
    report = check(load("otb100", otb))
    # 97 targets are missing, and the three that are there are shorter than published.
    assert (report.found, report.expected, report.frames, report.expected_frames) == (3, 100, 6, 59040)
    assert len(report.problems) == 100
    assert str(report.problems[0]) == f"Basketball: {otb}/Basketball/groundtruth_rect.txt is missing"
    assert str(report.problems[-3]) == "Bolt: 2 frames with a box are found, 350 are expected"
    assert not report.ok
    assert len(report.lines()) == 101
    with pytest.raises(DatasetError, match=r"^otb100: Basketball: .* is missing \(and 99 more"):
        report.raise_for_problems()


def test_check_reads_everything_and_goes_on(otb: Path):
    (otb / "Bolt/groundtruth_rect.txt").write_text("5,5,3,3\n1,x,3,4\n")
    (otb / "Bolt2/img/0001.jpg").unlink()
    texts = [str(p) for p in check(load("otb100", otb).select(["Bolt", "Bolt2"])).problems]
    assert texts == [
        f"Bolt: {otb}/Bolt/groundtruth_rect.txt: row 2: 'x' is no number",
        f"Bolt2: {otb}/Bolt2/img: image 1 is missing; 2 are expected",
    ]


def small(**changes: object) -> Dataset:
    settings: dict[str, object] = {"frames": (), "boxes": np.array([[1.0, 2, 3, 4]] * 2)} | changes
    return Dataset("mine", Path("somewhere"), {"one": lambda: Sequence("one", **settings)})  # type: ignore[arg-type]


def test_check_of_boxes_and_frames():
    assert check(small()).ok
    assert check(small()).lines() == ["mine in somewhere: 1 sequence, 2 frames, no problem"]
    frames = [np.zeros((20, 30, 3), np.uint8)] * 3
    assert [p.text for p in check(small(frames=frames)).problems] == ["2 rows of boxes, but 3 frames"]
    absent_first = np.array([[np.nan] * 4, [1.0, 2, 3, 4]])
    assert "none to start on" in check(small(boxes=absent_first)).problems[0].text
    outside = np.array([[30.0, 2, 3, 4]] * 2)
    assert check(small(frames=frames[:2], boxes=outside)).ok
    problems = check(small(frames=frames[:2], boxes=outside), decode=True).problems
    assert "outside of its frame of 30x20 pixels" in problems[0].text


def test_check_says_how_many_nameless_are_lost(tmp_path: Path, write_images, write_text):
    write_text(tmp_path / "TEST/anno/a.txt", "1,2,3,4\n")
    write_images(tmp_path / "TEST/frames/a", "%d.jpg", [0, 1])
    report = check(load("trackingnet", tmp_path))
    assert [p.text for p in report.problems] == [f"510 of 511 sequences are not in {tmp_path}"]
