"""What is learnt from, what is held out, and what is left out by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footage import encode
from training.small_run import videos, write_boxes

from asmd.errors import ConfigError, DatasetError
from asmd.samples import drawn_clip
from asmd.sequence import Sequence
from asmd.training.domains import DataConfig, DataSource, footage_of, gather, subset, usable_frames


@pytest.fixture
def root(tmp_path: Path) -> Path:
    videos(tmp_path / "train", 3)
    videos(tmp_path / "more", 2)
    for path in (tmp_path / "more").glob("clip*"):
        path.rename(path.with_name(f"more-{path.name}"))
    (tmp_path / "more" / "more-clip0.txt").unlink()
    return tmp_path


BOTH = DataConfig((DataSource("folder", "train"), DataSource("folder", "more", labelled=False)))


def names(sequences: tuple[Sequence, ...]) -> list[str]:
    return [sequence.name for sequence in sequences]


def test_what_has_boxes_and_what_has_none(root: Path) -> None:
    data = gather(BOTH, root)
    assert names(data.domains) == ["clip0", "clip1", "clip2"]
    assert sorted(names(data.clips)) == ["clip0", "clip1", "clip2", "more-clip0", "more-clip1"]
    assert (data.held_out, data.skipped) == ((), ())


def test_held_out_and_excluded(root: Path) -> None:
    data = gather(replace(BOTH, held_out=("clip1",), excluded=("more-clip1", "clip2")), root)
    assert names(data.domains) == ["clip0"]
    assert names(data.held_out) == ["clip1"]
    assert sorted(names(data.clips)) == ["clip0", "more-clip0"]
    for kind, config in (
        ("held-out", replace(BOTH, held_out=("clip9",))),
        ("held-out", replace(BOTH, held_out=("more-clip1",))),  # it has no boxes to score with
        ("excluded", replace(BOTH, excluded=("clip9",))),
    ):
        with pytest.raises(DatasetError, match=f"the {kind} sequence '(clip9|more-clip1)' is not in"):
            gather(config, root)


def test_tracks_of_a_held_out_video_go_with_it(root: Path) -> None:
    (root / "street").mkdir()
    encode(root / "street" / "crossing.mp4", drawn_clip(70, (96, 128))[0])
    rows = [f"{frame},{track},5,5,20,20,1,1,1" for track in (1, 2) for frame in range(1, 71)]
    (root / "street" / "crossing.txt").write_text("\n".join(rows) + "\n")
    config = DataConfig((DataSource("folder", "train"), DataSource("folder", "street")))
    tracks = [s for s in gather(config, root).domains if s.name not in ("clip0", "clip1", "clip2")]
    assert len(tracks) == 2 and len({footage_of(s) for s in tracks}) == 1
    data = gather(replace(config, held_out=(tracks[0].name,)), root)
    assert names(data.held_out) == [tracks[0].name]
    assert names(data.domains) == names(data.clips) == ["clip0", "clip1", "clip2"]


def test_a_sequence_without_a_valid_box_is_named(root: Path) -> None:
    write_boxes(root / "train" / "clip1.txt", np.full((8, 4), np.nan))
    (root / "train" / "clip2.txt").write_text("once upon a time\n")
    data = gather(BOTH, root)
    assert names(data.domains) == ["clip0"]
    assert len(data.skipped) == 2
    assert data.skipped[0].startswith("clip2: ")
    assert data.skipped[1] == "clip1: no valid box with sides of 8 pixels or more"
    write_boxes(root / "train" / "clip0.txt", [(1, 1, 4, 4)] * 8)
    with pytest.raises(DatasetError, match=r"no sequence with a box that can be learnt from \(clip2: "):
        gather(BOTH, root)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="training needs a data set with boxes"):
        gather(DataConfig((DataSource("folder", labelled=False),)), tmp_path)
    for missing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DatasetError) as error:
            gather(DataConfig(), missing)
        assert str(missing) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="got10"):
        gather(DataConfig((DataSource("got10"),)), tmp_path)


def test_usable_frames() -> None:
    boxes = np.array([[0, 0, 8, 8], [0, 0, 7.9, 20], [np.nan] * 4, [1, 2, 30, 40], [0, 0, 0, 9], [5, 5, 9, np.inf]])
    absent = np.array([False, False, True, True, False, False])
    assert usable_frames(Sequence("s", (), boxes, absent)).tolist() == [0]
    assert usable_frames(Sequence("s", (), boxes)).tolist() == [0, 3]
    assert usable_frames(Sequence("s", (), np.empty((0, 4)))).tolist() == []


def test_subsets_for_cross_validation(root: Path) -> None:
    data = subset(gather(BOTH, root), ["clip2"])
    assert names(data.domains) == ["clip0", "clip1"]
    assert names(data.held_out) == ["clip2"]
    assert "clip2" not in names(data.clips) and len(data.clips) == 4
