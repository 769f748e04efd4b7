"""Functions that Numba compiles to machine code, where it is installed (`pip install 'asmd[numba]'`).

They take the place of many small operations of torch's on a CPU, which cost more to call than to compute, and hold up
other threads of Python. What each computes is there in torch as well: for other devices, for gradients, and for those
who have no Numba. Both are the same to rounding, which tests see to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

ANY_ORDER = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, without which they cannot be taken several entries at a time; NaN stays NaN."""


@cache
def available() -> bool:
    """Whether Numba is installed, and agrees to the NumPy that is."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


def serves(*tensors: Tensor) -> bool:
    """Whether compiled functions can take these: float32 on the CPU."""
    return available() and all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def prepare() -> None:
    """Compiles all such functions, or reads them from disk: what else the first frame of a video would wait for."""
    if available():
        for name in ("asmd.models.pooling_compiled", "asmd.tracking.perceptron_compiled"):
            import_module(name)


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Has a function compiled for arguments of these types, at once, and kept on disk where there is room for it.

    Args:
        signatures: in Numba's notation. None: for whatever compiled functions call it with.
    """
    import numba

    def compile_(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "fastmath": ANY_ORDER, "error_model": "numpy"}
        try:
            made = numba.njit(list(signatures) or None, cache=True, **options)(function)
        except RuntimeError:
            # Neither the package's folder nor the user's can be written to.
            made = numba.njit(list(signatures) or None, **options)(function)
        return cast(Function, made)

    return compile_
