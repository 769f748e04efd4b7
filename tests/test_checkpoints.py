from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from asmd import checkpoints
from asmd.errors import OutputError, WeightsError
from asmd.models.st_resnet import SpatiotemporalResNet


def test_a_whole_network_comes_back_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SpatiotemporalResNet()
    path = tmp_path / "w.safetensors"
    checkpoints.save(path, network.state_dict(), {"format": checkpoints.FORMAT, "motion_trained": "true"})
    weights = checkpoints.load(path)
    loaded, missing = checkpoints.build_network(weights)
    assert missing == []
    assert weights.motion_trained
    assert str(path) in weights.name
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    for name, write in {
        "a.pth": lambda p: torch.save({"w": Bomb()}, p),
        "b.safetensors": lambda p: p.write_bytes(pickle.dumps(Bomb())),
        "c.safetensors": lambda p: p.write_bytes(pickle.dumps(Bomb(), protocol=0)),
    }.items():
        write(tmp_path / name)
        with pytest.raises(WeightsError, match="give a safetensors file"):
            checkpoints.load(tmp_path / name)
    with pytest.raises(WeightsError, match="pickle, which is refused"):
        checkpoints.load(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 100])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.safetensors is damaged"):
        checkpoints.load(path)


def test_missing_file_names_what_there_is() -> None:
    with pytest.raises(WeightsError, match="no such weights: nowhere"):
        checkpoints.load("nowhere")


def test_wrong_shape_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"conv1.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"wrong shape for conv1\.weight: \(64, 3, 3, 3\)") as caught:
        checkpoints.build_network(checkpoints.load(path))
    assert "\n" not in str(caught.value)


def test_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("good")
    with pytest.raises(TypeError):
        checkpoints.save(path, {"a": torch.zeros(1)}, {"number": 1})  # type: ignore[dict-item]
    assert path.read_text() == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoints.save(tmp_path / "no" / "w.safetensors", {}, {})


def test_shared_weights_lack_what_their_header_says() -> None:
    try:
        weights = checkpoints.load(checkpoints.shared_file())
    except WeightsError as error:
        pytest.skip(str(error))
    _, missing = checkpoints.build_network(weights)
    said = weights.metadata["missing"].split(",")
    assert [n.removesuffix(".weight") for n in missing if ".conv" in n] == said


def test_random_features_are_the_same_every_time() -> None:
    first, second = (checkpoints.build_network(checkpoints.load(checkpoints.RANDOM))[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["motion.conv1.weight"].std() > 0
