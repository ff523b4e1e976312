"""Public names that are imported when first used (PEP 562), so that importing stays light.

A function may have the name of the module that holds it, as ``value_iteration`` has. Python binds
a module to its package when anybody imports it, which would hide the function, so a package with
lazy exports refuses that binding: the public name always means what is exported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["export_lazily"]


class _LazyPackage(ModuleType):
    _homes: Mapping[str, str]

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)


def export_lazily(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__``.

    Args:
        package: The package's ``__name__``.
        homes: For each public name the relative module that holds it, such as ``.mdp``.

    Returns:
        The two functions, to be bound to these names in the package.
    """
    module = sys.modules[package]
    vars(module)["_homes"] = homes
    module.__class__ = _LazyPackage

    def get_attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name], package), name)
        setattr(module, name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(module), *homes})

    return get_attribute, list_names
