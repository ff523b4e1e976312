"""The state of PyTorch's modules and optimisers as arrays that files hold, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..storage import read_arrays, write_arrays

__all__ = [
    "load_state",
    "module_arrays",
    "optimiser_arrays",
    "restore_module",
    "restore_optimiser",
    "save_state",
]

Arrays = dict[str, NDArray[Any]]

_FORMAT = "gymagine-module-state-1"


def module_arrays(module: nn.Module) -> Arrays:
    """A copy of everything in a module's state, by name."""
    return {name: _array(tensor) for name, tensor in module.state_dict().items()}


def restore_module(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write over a module's state what `module_arrays` gave.

    Raises:
        ValueError: Something is missing, too much, or of another shape or dtype.
    """
    own = module.state_dict()
    if own.keys() != arrays.keys():
        missing, foreign = sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys())
        raise ValueError(
            f"expected the state of a {type(module).__name__}, got one without {missing[:3]} and "
            f"with {foreign[:3]}"
        )
    for name, tensor in own.items():
        _fill(name, tensor, arrays[name])


def optimiser_arrays(optimiser: torch.optim.Optimizer) -> Arrays:
    """A copy of what an optimiser keeps of each of its parameters, by number and name."""
    return {
        f"{number}.{name}": _array(torch.as_tensor(value))
        for number, kept in optimiser.state_dict()["state"].items()
        for name, value in kept.items()
        if value is not None
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Give an optimiser of the same parameters what `optimiser_arrays` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = torch.from_numpy(array.copy())
    whole = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def save_state(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a module's state to a file, whole or not at all.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/linear"
        >>> one, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> save_state(one, path)
        >>> load_state(other, path)
        >>> torch.equal(one.weight, other.weight)
        True
    """
    write_arrays(path, module_arrays(module), {"format": _FORMAT})


def load_state(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read into a module of the same make what `save_state` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or of a module of another make.
    """
    arrays, _ = read_arrays(path, expected_format=_FORMAT)
    restore_module(module, arrays)


def _array(tensor: Tensor) -> NDArray[Any]:
    copied: NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return copied


def _fill(name: str, tensor: Tensor, array: NDArray[Any]) -> None:
    given = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    if given.shape != tensor.shape or given.dtype != tensor.dtype:
        raise ValueError(
            f"expected {name} of shape {tuple(tensor.shape)} and {tensor.dtype}, got "
            f"{tuple(given.shape)} and {given.dtype}"
        )
    with torch.no_grad():
        tensor.copy_(given)
