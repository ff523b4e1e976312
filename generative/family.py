"""What the families here have in common: hyper-parameters as plain data, and files made of them.

A generator of one's own needs none of it: `AbstractGenerator` and `module_state` are enough.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from numpy.typing import NDArray
from torch.distributions import constraints

from ..configuration import config_from_json, config_to_json
from ..storage import read_arrays, write_arrays
from .generator import AbstractGenerator
from .module_state import module_arrays, restore_module

__all__ = ["AbstractFamily", "family_named", "hyperparameters_from_json", "name_of_family"]

_FORMAT = "gymagine-generator-1"


class AbstractFamily(AbstractGenerator):
    """A generator that is made of shapes and hyper-parameters.

    Families are constructed alike, ``Family(event_shape, context_shape=None, **hyperparameters)``,
    and build their config with `configuration.build_config`.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        support: Where events lie.
        config: A ``Config``.

    Attributes:
        Config: The frozen dataclass of the family's hyper-parameters, each with its default and a
            docstring: keyword arguments, the command line's options and files come from it.
        name: What the command line calls the family, such as ``gated-pixelcnn``.
        fit_defaults: Settings of `fit` that suit the family better than the usual ones, where the
            user gives none.
        config: This generator's hyper-parameters.

    Raises:
        TypeError: A shape is no tuple of integers.
        ValueError: A shape has no axis, or an axis without entries.
    """

    Config: ClassVar[type[Any]]
    name: ClassVar[str]
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None,
        support: constraints.Constraint,
        config: Any,
    ) -> None:
        super().__init__(event_shape, context_shape=context_shape, support=support)
        for name, shape in (("event", self.event_shape), ("context", self.context_shape)):
            if shape == ():
                raise ValueError(
                    f"expected {name}_shape with at least one axis, got (): use (1,) for single "
                    "numbers"
                )
        self.config = config

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write shapes, hyper-parameters and parameters to one file, whole or not at all."""
        header = {
            "format": _FORMAT,
            "family": self.name,
            "event_shape": list(self.event_shape),
            "context_shape": None if self.context_shape is None else list(self.context_shape),
            "config": config_to_json(self.config),
        }
        write_arrays(path, module_arrays(self), header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Make the generator that `save` wrote, in evaluation mode.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, foreign, or of another family.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        try:
            family, fields = header["family"], header["config"]
            shapes = {key: header[key] for key in ("event_shape", "context_shape")}
        except KeyError as error:
            raise ValueError(f"expected a generator, got {path}, which lacks {error}") from error
        if family != cls.name:
            raise ValueError(f"expected a generator of family {cls.name}, got {path} of {family}")
        config = config_from_json(cls.Config, fields)
        hyperparameters = {name: getattr(config, name) for name in fields}
        make: Any = cls
        loaded: Self = make(
            shapes["event_shape"], context_shape=shapes["context_shape"], **hyperparameters
        )
        for name, parameter in loaded.named_parameters():
            if name in arrays and parameter.dtype != _dtype_of(arrays[name]):
                loaded.to(_dtype_of(arrays[name]))  # all of it, as ``double`` did before
            break
        restore_module(loaded, arrays)
        return loaded.eval()


def _dtype_of(array: NDArray[Any]) -> torch.dtype:
    return torch.from_numpy(array.reshape(-1)[:0]).dtype


def name_of_family(family: type[AbstractFamily]) -> str:
    """Module and class, by which files name a family.

    Example:
        >>> from gymagine.generative import VAE
        >>> name_of_family(VAE), family_named(name_of_family(VAE), "vae.safetensors") is VAE
        ('gymagine.generative.autoencoders.vae:VAE', True)
    """
    return f"{family.__module__}:{family.__qualname__}"


def family_named(name: str, path: str | os.PathLike[str]) -> type[AbstractFamily]:
    """A class of this package; nothing else is imported because a file says so.

    Args:
        name: Of `name_of_family`.
        path: The file that says so, for messages.

    Raises:
        ValueError: It is no family of this package.
    """
    module, _, attribute = name.partition(":")
    own = __name__.rpartition(".")[0]
    if not module.startswith(f"{own}."):
        raise ValueError(f"expected the family of {path} as an argument: {name} is not of {own}")
    try:
        found: type[AbstractFamily] = getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"expected a family of {own}, got {path} of {name}") from error
    return found


def hyperparameters_from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a family, whose tuples JSON made lists of."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
