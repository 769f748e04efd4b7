"""Benchmarks and training data, each read in its official layout with its quirks.

    dataset = asmd.datasets.load("otb100", "/data/OTB")
    for sequence in dataset:            # annotation is read here, frames when they are asked for
        print(sequence.name, len(sequence), sequence.init_box)

Layouts, sources and quirks are in docs/datasets.md; `asmd data check NAME ROOT` compares a folder with its benchmark.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from asmd.datasets.checks import CheckReport, Problem, check
from asmd.datasets.dataset import Dataset
from asmd.errors import ConfigError, DatasetError

__all__ = ["DATASETS", "CheckReport", "Dataset", "Problem", "check", "load"]


@dataclass(frozen=True)
class Known:
    """A data set that `load` knows: the module that reads it, what its name settles, and a line about it."""

    module: str
    about: str
    fixed: dict[str, Any] = field(default_factory=dict)


DATASETS: dict[str, Known] = {
    "otb50": Known("otb", "OTB-50 of CVPR 2013: 51 targets", {"subset": "cvpr13"}),
    "tb50": Known("otb", "TB-50: the 50 harder targets of 2015", {"subset": "tb50"}),
    "otb100": Known("otb", "OTB-100, also TB-100: all 100 targets", {"subset": "tb100"}),
    "otb": Known("otb", "one of these: otb:cvpr13, otb:tb50, otb:tb100 (where not said, the last)"),
    "vot2018": Known("vot", "VOT2018 short-term: 60 sequences with rotated boxes", {"subset": "2018"}),
    "vot": Known("vot", "any folder with a list.txt in the layout of VOT"),
    "lasot": Known("lasot", "LaSOT: lasot:II (test, 280; where not said), lasot:I (all 1,400), lasot:train (1,120)"),
    "uav123": Known("uav123", "UAV123: 123 sequences", {"subset": "123"}),
    "uav123_10fps": Known("uav123", "UAV123@10fps: the same at a third of the rate", {"subset": "10fps"}),
    "uav20l": Known("uav123", "UAV20L: 20 long sequences", {"subset": "20l"}),
    "trackingnet": Known("trackingnet", "TrackingNet: trackingnet:test (511; where not said), :train, :TRAIN_0 ..."),
    "got10k": Known("got10k", "GOT-10k: got10k:test (where not said), :val, :train, :train-fit, :train-held"),
    "youtubebb": Known(
        "youtubebb", "YouTube-BoundingBoxes: clips that you fetched; :train (where not said), :validation"
    ),
    "mot": Known("mot", "MOTChallenge: each long enough track of a pedestrian is a sequence"),
    "davis": Known("davis", "DAVIS: each object is a sequence; davis:2017/train (where not said), :2016/val, :all ..."),
    "folder": Known("folder", "your own: videos or folders of images, each with a text file of boxes"),
}
"""Every data set by the name that `load` and the command line take."""


def load(name: str, root: str | Path, **options: Any) -> Dataset:
    """Find the sequences of a data set.

    Args:
        name: one of `DATASETS`; a subset may follow after a colon: `got10k:val`, `lasot:I`.
        root: the folder it lies in.
        **options: those of the module's own `load`, for instance `asmd.datasets.got10k.load`. All of them have
            `frames`: False reads the annotation without looking for images.

    Raises:
        ConfigError: if there is no data set, subset or option of that name.
        DatasetError: if the folder is missing, or holds no sequence of the data set.
    """
    base, colon, subset = name.partition(":")
    if base not in DATASETS:
        raise ConfigError(f"there is no data set {base!r}; there are {', '.join(DATASETS)}")
    known = DATASETS[base]
    if colon:
        options = {"subset": subset, **options}
    module = _module(known)
    allowed = inspect.signature(module.load).parameters
    for option in options:
        if option in known.fixed or option not in allowed:
            rest = [p for p in allowed if p != "root" and p not in known.fixed]
            raise ConfigError(f"data set {base} has no option {option!r}; it has {', '.join(rest)}")
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} is {'no folder' if root.exists() else 'missing'}")
    dataset: Dataset = module.load(root, **known.fixed, **options)
    return dataset


def _module(known: Known) -> ModuleType:
    return importlib.import_module(f"asmd.datasets.{known.module}")
