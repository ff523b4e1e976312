"""Functions that are compiled once and called at once.

Here a function is compiled for each pattern of its arguments: the layouts and dtypes of their
tensors and which are None. PyTorch keeps graphs by code object, of which closures and instances
share one: after a few of them it would compile shapes as unknown numbers, or nothing more. Each
function therefore gets a code object of its own.

`torch.compile` looks at everything that a graph depends on before each call, which takes longer
than the update of a small network. That can be left out where the rest, such as settings and the
structure of modules, does not change.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

__all__ = ["OwnGraphs"]

_numbers = itertools.count()


class OwnGraphs:
    """A function of tensors, None, and tuples of these, as graphs.

    Args:
        function: It may change tensors in place.
        checked: Look at whatever else it uses before each call, and compile anew if that has
            changed; else it stays as it is at the first call.
        whole: Refuse what does not fit into one graph; else there are several.
    """

    def __init__(
        self, function: Callable[..., Any], *, checked: bool = False, whole: bool = True
    ) -> None:
        self._function, self._checked, self._whole = function, checked, whole
        self._graphs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The function's result, compiled at the first call with such arguments."""
        pattern = _pattern(arguments)
        graph = self._graphs.get(pattern)
        if graph is None:
            graph = self._graphs[pattern] = self._compiled()
        return graph(*arguments)

    def _compiled(self) -> Callable[..., Any]:
        function = getattr(self._function, "__func__", self._function)
        code = function.__code__.replace(co_name=f"{function.__name__}_{next(_numbers)}")
        own = FunctionType(
            code,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        bound = getattr(self._function, "__self__", None)
        unchecked: dict[str, Any] = {"guard_filter_fn": lambda guards: [False] * len(guards)}
        graph: Callable[..., Any] = torch.compile(
            own if bound is None else own.__get__(bound),
            fullgraph=self._whole,
            dynamic=False,
            options=None if self._checked else unchecked,
        )
        return graph


def _pattern(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    return None if value is None else tuple([_pattern(part) for part in value])
