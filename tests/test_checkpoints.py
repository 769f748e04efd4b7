from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from asmd import checkpoints
from asmd.errors import OutputError, WeightsError
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
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


def with_head(tmp_path: Path) -> tuple[Path, BoxRefinement]:
    torch.manual_seed(1)
    head = BoxRefinement(RefinementConfig(projected=4, grid=4, width=8, hidden=16))
    torch.nn.init.normal_(head.out.weight)
    whole = checkpoints.Weights("here", SpatiotemporalResNet().state_dict(), {"format": checkpoints.FORMAT})
    weights = checkpoints.with_refinement(whole, head)
    checkpoints.save(tmp_path / "w.safetensors", weights.tensors, weights.metadata)
    return tmp_path / "w.safetensors", head


def test_a_head_lies_in_the_same_file(tmp_path: Path) -> None:
    path, head = with_head(tmp_path)
    weights = checkpoints.load(path)
    found = checkpoints.build_refinement(weights)
    assert found is not None and not found.training and found.config == head.config
    for name, tensor in head.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor.half().float()), name
    network, missing = checkpoints.build_network(weights)
    assert missing == []
    assert not any("refinement" in name for name in network.state_dict())
    again = checkpoints.with_refinement(weights, found)
    assert again.tensors.keys() == weights.tensors.keys() and again.metadata == weights.metadata


def test_what_a_head_needs_for_int8_lies_beside_it(tmp_path: Path) -> None:
    path, head = with_head(tmp_path)
    weights = checkpoints.load(path)
    plain = checkpoints.build_refinement(weights)
    assert plain is not None and plain.limits is None
    head.limits = (1.5, 2.0, 3.25)
    with_limits = checkpoints.with_refinement(weights, head)
    found = checkpoints.build_refinement(with_limits)
    assert found is not None and found.limits == head.limits
    # Those of one head are not those of the next.
    assert checkpoints.HEAD_LIMITS not in checkpoints.with_refinement(with_limits, plain).tensors
    with_limits.tensors[checkpoints.HEAD_LIMITS] = torch.ones(2)
    with pytest.raises(WeightsError, match="does not fit the head"):
        checkpoints.build_refinement(with_limits)


def test_components_lie_in_the_same_file(tmp_path: Path) -> None:
    whole = checkpoints.Weights("here", SpatiotemporalResNet().state_dict(), {"format": checkpoints.FORMAT})
    assert checkpoints.components(whole) == {}
    wanted = {2: torch.eye(128)[:, :6], 3: torch.eye(256)[:, :6]}
    both = checkpoints.with_components(whole, wanted)
    checkpoints.save(tmp_path / "w.safetensors", both.tensors, both.metadata)
    loaded = checkpoints.load(tmp_path / "w.safetensors")
    found = checkpoints.components(loaded)
    assert found.keys() == wanted.keys() and all(torch.equal(found[s], wanted[s]) for s in wanted)
    assert checkpoints.build_network(loaded)[1] == []
    assert set(checkpoints.components(checkpoints.with_components(loaded, {1: torch.eye(64)}))) == {1}
    loaded.tensors["components.layer2"] = torch.zeros(64, 6)
    with pytest.raises(WeightsError, match="no components of a stage"):
        checkpoints.components(loaded)
    loaded.tensors["components.layer2"] = wanted[2]
    loaded.tensors["components.layer7"] = wanted[2]
    with pytest.raises(WeightsError, match="layer7"):
        checkpoints.components(loaded)


def test_files_without_a_head_are_as_before(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "w.safetensors", SpatiotemporalResNet().state_dict(), {"format": checkpoints.FORMAT})
    assert checkpoints.build_refinement(checkpoints.load(tmp_path / "w.safetensors")) is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t, m: t.pop("refinement.out.bias"), "box refinement lacks out.bias"),
        (lambda t, m: t.update({"refinement.out.bias": torch.zeros(7)}), "wrong shape for out.bias"),
        (lambda t, m: t.update({"refinement.more": torch.zeros(7)}), "unknown tensor more"),
        (lambda t, m: m.update(refinement="{]"), "does not say the form"),
        (lambda t, m: m.update(refinement='{"form": 3}'), "does not say the form"),
        (lambda t, m: m.update(refinement='{"grid": 0}'), "does not say the form"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(
    tmp_path: Path, spoil: Callable[[dict[str, torch.Tensor], dict[str, str]], object], said: str
) -> None:
    weights = checkpoints.load(with_head(tmp_path)[0])
    spoil(weights.tensors, weights.metadata)
    with pytest.raises(WeightsError, match=said):
        checkpoints.build_refinement(weights)


def test_the_appearance_stream_alone_gives_the_same_maps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SpatiotemporalResNet().eval()
    path = tmp_path / "both.safetensors"
    checkpoints.save(path, network.state_dict(), {"format": checkpoints.FORMAT, "motion_trained": "true"})
    alone = checkpoints.appearance_alone(checkpoints.load(path))
    assert not alone.motion_trained
    checkpoints.save(tmp_path / "alone.safetensors", alone.tensors, alone.metadata)
    assert (tmp_path / "alone.safetensors").stat().st_size < path.stat().st_size / 7
    other, missing = checkpoints.build_network(checkpoints.load(tmp_path / "alone.safetensors"))
    assert missing and all(name.startswith("layer4.") for name in missing)
    image = torch.randn(1, 3, 65, 65)
    with torch.inference_mode():
        for stage in (2, 3):
            torch.testing.assert_close(
                other.stages(image, None, (2, 3))[stage][0], network.stages(image, None, (2, 3))[stage][0]
            )
    with pytest.raises(WeightsError, match="no two-stream network"):
        checkpoints.appearance_alone(alone)


def test_training_starts_where_no_video_has_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "imagenet.safetensors"
    checkpoints.save(path, {"conv1.weight": torch.ones(1)}, {})
    monkeypatch.setattr(checkpoints, "shared_file", lambda: path)
    assert str(path) in checkpoints.load_untrained().name
    monkeypatch.undo()
    monkeypatch.setattr(checkpoints, "SHARED_NAME", "nothing")
    assert "packaged" in checkpoints.load_untrained().name
