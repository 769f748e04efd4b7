"""Weights on disk: safetensors with a metadata header, and nothing else.

Pickle can run code when it is read, so a file in that form is refused, whatever its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from asmd.errors import ConfigError, OutputError, WeightsError
from asmd.files import replacing
from asmd.models.baselines import BACKBONES
from asmd.models.box_refinement import BoxRefinement, RefinementConfig
from asmd.models.resnet import STAGE_CHANNELS
from asmd.models.st_resnet import SpatiotemporalResNet, STResNetConfig, check_tensors
from asmd.tracking.openvino_network import QuantisedGraph

FORMAT = "asmd-st-resnet"
"""Value of `format` in the metadata of files that hold a whole two-stream network."""

RANDOM = "random"
"""Name of weights that are drawn, not learnt: the same on every machine, enough to try the program out, no more."""

DEFAULT_NAMES = ("asmd-r18", "imagenet-r18")
"""Packaged weights in order of preference."""

SHARED_NAME = "resnet18_imagenet_partial.safetensors"


BACKBONE = "backbone"
"""Entry of the metadata that names the network, where it is not the paper's; see `asmd.models.baselines.BACKBONES`."""

REFINEMENT = "refinement."
"""Names of the tensors of a box-refinement head that lies in the same file begin with this."""

INT8 = "int8."
"""Names of the two tensors of a quantised graph that lies in the same file begin with this."""

HEAD_LIMITS = f"{INT8}head"
"""Name of the tensor with what the head in the same file needs to be multiplied in int8."""

COMPONENTS = "components.layer"
"""Names of the tensors by which the cells of a stage are reduced begin with this, and end in the stage."""

ADDED = (REFINEMENT, INT8, COMPONENTS)
"""Beginnings of names that are not the network's own tensors."""


@dataclass(frozen=True)
class Weights:
    """Tensors as they were found in a file.

    Attributes:
        name: a phrase for people: what they are and where they came from.
        tensors: name -> tensor.
        metadata: the header's strings.
    """

    name: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def motion_trained(self) -> bool:
        """Whether the motion stream has been trained on flow; without that it only adds noise."""
        return self.metadata.get("motion_trained") == "true"


def packaged() -> dict[str, Path]:
    """Names and files of the weights that came with the package."""
    folder = Path(str(resources.files("asmd"))) / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find(weights: str | Path | None = None) -> tuple[str, Path]:
    """The file to load: what was asked for, else the best packaged weights, else a `shared/weights` beside the project.

    Args:
        weights: a name of packaged weights, a file, or None for the default.

    Returns:
        A phrase that says which weights they are, and the file.

    Raises:
        WeightsError: if there are none.
    """
    named = packaged()
    if weights is not None:
        if str(weights) in named:
            return f"packaged {weights}", named[str(weights)]
        path = Path(weights)
        if not path.is_file():
            known = ", ".join(named) or "none"
            raise WeightsError(f"no such weights: {weights} (neither a file nor a packaged name; packaged: {known})")
        return f"file {path}", path
    for name in DEFAULT_NAMES:
        if name in named:
            return f"packaged {name}", named[name]
    return f"shared {SHARED_NAME.removesuffix('.safetensors')}", shared_file()


def shared_file() -> Path:
    """ImageNet weights in a `shared` folder beside a checkout of the project.

    Raises:
        WeightsError: if they are not there.
    """
    path = Path(str(resources.files("asmd"))).parent.parent / "shared" / "weights" / SHARED_NAME
    if not path.is_file():
        raise WeightsError("no weights found: none are packaged; give a safetensors file with --weights")
    return path


def load(weights: str | Path | None = None) -> Weights:
    """Reads weights found as by `find`; `RANDOM` stands for features that nobody trained.

    Raises:
        WeightsError: if there are none, or the file is not safetensors or is damaged.
    """
    if weights == RANDOM:
        return Weights("random features, untrained", {}, {"format": RANDOM})
    phrase, path = find(weights)
    metadata, tensors = _read(path, tensors=True)
    return Weights(phrase, tensors, metadata)


def load_untrained() -> Weights:
    """Reads weights that no video has touched, where a `shared` folder has them; elsewhere the packaged ones.

    Raises:
        WeightsError: if there are neither.
    """
    try:
        return load(shared_file())
    except WeightsError:
        return load()


def read_metadata(path: Path) -> dict[str, str]:
    """The header's strings of a safetensors file, without its tensors.

    Raises:
        WeightsError: if the file is not safetensors or is damaged.
    """
    return _read(path, tensors=False)[0]


def _read(path: Path, tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            names = file.keys() if tensors else ()
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        # torch.save writes a zip, older versions a bare pickle; neither is opened, since reading one can run code.
        with path.open("rb") as file:
            head = file.read(2)
        pickled = head == b"PK" or head[:1] == b"\x80"
        kind = "is a pickle, which is refused as it can run code" if pickled else "is damaged"
        raise WeightsError(f"weights {path} {kind}: give a safetensors file") from error


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes safetensors so that the file is whole or what stood there before is untouched.

    Raises:
        OutputError: if it cannot be written.
    """
    with replacing(path) as temporary:
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))
        except SafetensorError as error:  # which a full disk is, too
            raise OutputError(f"{path} cannot be written ({error})") from error


def build_network(weights: Weights, config: STResNetConfig | None = None) -> tuple[SpatiotemporalResNet, list[str]]:
    """A network in evaluation mode that holds these weights.

    Args:
        weights: a whole two-stream network, or a single (perhaps partial) ResNet-18 with torchvision's names.
        config: the network's form; the default where not given.

    Returns:
        The network, and the names of the tensors that the file lacked.

    Raises:
        WeightsError: if a tensor is of another shape or belongs to another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = backbone(weights.metadata.get(BACKBONE, SpatiotemporalResNet.name), weights.name)(config)
    if weights.metadata.get("format") == RANDOM:
        return network.eval(), []
    tensors = {n: tensor.float() for n, tensor in weights.tensors.items() if not n.startswith(ADDED)}
    try:
        if weights.metadata.get("format") == FORMAT:
            check_tensors(tensors, network.state_dict())
            absent = network.load_state_dict(tensors, strict=False).missing_keys
            missing = [name for name in absent if not name.endswith("num_batches_tracked")]
        else:
            missing = network.load_resnet18(tensors)
    except WeightsError as error:
        raise WeightsError(f"{weights.name}: {error}") from error
    return network.eval(), missing


def backbone(name: str, of: str) -> Callable[[STResNetConfig | None], SpatiotemporalResNet]:
    """What builds the network of that name.

    Raises:
        WeightsError: if there is none; the text says whose header names it.
    """
    if name not in BACKBONES:
        raise WeightsError(f"{of}: there is no network {name!r}; there are {', '.join(BACKBONES)}")
    return BACKBONES[name]


def build_refinement(weights: Weights) -> BoxRefinement | None:
    """The box-refinement head that lies in the same file, in evaluation mode; None where there is none.

    Raises:
        WeightsError: if its tensors or its form, which the header's `refinement` gives as JSON, do not fit.
    """
    tensors = {n.removeprefix(REFINEMENT): t.float() for n, t in weights.tensors.items() if n.startswith(REFINEMENT)}
    if not tensors:
        return None
    head = BoxRefinement(_refinement_config(weights))
    try:
        check_tensors(tensors, head.state_dict())
    except WeightsError as error:
        raise WeightsError(f"{weights.name}: box refinement: {error}") from error
    if absent := head.load_state_dict(tensors, strict=False).missing_keys:
        raise WeightsError(f"{weights.name}: box refinement lacks {absent[0]}")
    for parameter in head.parameters():
        parameter.requires_grad_(False)
    if (limits := weights.tensors.get(HEAD_LIMITS)) is not None:
        if limits.shape != (len(head.inner),):
            raise WeightsError(f"{weights.name}: {HEAD_LIMITS} of {tuple(limits.shape)} does not fit the head")
        head.limits = tuple(limits.tolist())
    return head.eval()


def appearance_alone(weights: Weights) -> Weights:
    """Of a two-stream network the appearance stream as far as most presets look at it, with torchvision's names.

    The motion stream is left out, and of stage 4 all but the shortcut, which `build_network` then silences: together
    they are seven eighths of the file.

    Raises:
        WeightsError: if it is not a two-stream network.
    """
    prefix = "appearance."
    own = {n.removeprefix(prefix): t for n, t in weights.tensors.items() if n.startswith(prefix)}
    if not own:
        raise WeightsError(f"{weights.name}: no two-stream network, so it has no appearance stream to take out")
    kept = {n: t for n, t in own.items() if not n.startswith("layer4.") or ".downsample." in n}
    header = {k: v for k, v in weights.metadata.items() if k not in ("format", "motion_trained")}
    head = {n: t for n, t in weights.tensors.items() if n.startswith(REFINEMENT)}
    return replace(weights, tensors=kept | head, metadata={**header, "layout": "torchvision resnet18, up to layer3"})


def with_refinement(weights: Weights, head: BoxRefinement) -> Weights:
    """The same weights with a head, in fp16, in place of the one that was there, if any; `save` writes them."""
    dropped = (REFINEMENT, HEAD_LIMITS)
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith(dropped)}
    tensors |= {REFINEMENT + name: tensor.detach().half() for name, tensor in head.state_dict().items()}
    if head.limits is not None:
        tensors[HEAD_LIMITS] = torch.tensor(head.limits)
    return replace(
        weights, tensors=tensors, metadata={**weights.metadata, "refinement": json.dumps(asdict(head.config))}
    )


def quantised_graph(weights: Weights) -> QuantisedGraph | None:
    """The network in int8 that lies in the same file; None where there is none.

    Raises:
        WeightsError: if the header, whose `int8` gives its stages as JSON, or a tensor does not fit.
    """
    topology, constants = (weights.tensors.get(INT8 + name) for name in ("topology", "constants"))
    if topology is None and constants is None:
        return None
    try:
        stages = tuple(int(stage) for stage in json.loads(weights.metadata["int8"])["stages"])
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{weights.name}: the header does not say what its int8 graph gives") from error
    if topology is None or constants is None or {topology.dtype, constants.dtype} != {torch.uint8}:
        raise WeightsError(f"{weights.name}: its int8 graph is not whole")
    return QuantisedGraph(stages, topology, constants)


def with_quantised(weights: Weights, graph: QuantisedGraph, facts: Mapping[str, Any]) -> Weights:
    """The same weights with a graph in int8 in place of the one that was there, if any; `save` writes them.

    Args:
        weights: the very ones that it was made from.
        graph: the network in int8.
        facts: how it was made, for the header.
    """
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith(INT8)}
    tensors |= {INT8 + "topology": graph.topology, INT8 + "constants": graph.constants}
    header = json.dumps({"stages": graph.stages, **facts})
    return replace(weights, tensors=tensors, metadata={**weights.metadata, "int8": header})


def components(weights: Weights) -> dict[int, Tensor]:
    """Components of the appearance stream's cells that lie in the same file: stage -> (C, c), see `Readout`.

    Raises:
        WeightsError: if one of them does not fit its stage.
    """
    found: dict[int, Tensor] = {}
    for name in sorted(n for n in weights.tensors if n.startswith(COMPONENTS)):
        tensor, stage = weights.tensors[name].float(), name.removeprefix(COMPONENTS)
        if stage not in ("1", "2", "3", "4") or tensor.ndim != 2 or len(tensor) != STAGE_CHANNELS[int(stage) - 1]:
            raise WeightsError(f"{weights.name}: {name} of {tuple(tensor.shape)} are no components of a stage")
        found[int(stage)] = tensor
    return found


def with_components(weights: Weights, found: Mapping[int, Tensor]) -> Weights:
    """The same weights with components in half precision in place of those that were there, if any."""
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith(COMPONENTS)}
    return replace(weights, tensors=tensors | {f"{COMPONENTS}{stage}": c.half() for stage, c in found.items()})


def _refinement_config(weights: Weights) -> RefinementConfig:
    try:
        given: dict[str, Any] = json.loads(weights.metadata.get("refinement", "{}"))
        form: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return RefinementConfig(**form)
    except (ValueError, TypeError, AttributeError, ConfigError) as error:
        raise WeightsError(f"{weights.name}: the header does not say the form of its box refinement") from error
