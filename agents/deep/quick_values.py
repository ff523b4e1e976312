"""Action values of plain networks without PyTorch (see `quick_layers`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from ..tabular.compilation import entry_point
from .dense_kernels import choose_rows
from .networks import QNetwork
from .quick_layers import QuickDense, QuickEncoder, quick_dense, quick_encoder

__all__ = ["QuickValues", "quick_values"]

Array = NDArray[Any]
Floats = NDArray[np.float32]


class QuickValues:
    """What a `QNetwork` gives.

    Args:
        encoder: Its encoder.
        trunk: Its shared layers.
        advantages: The layers of the advantages, or of the values where there is one stream.
        value: The layers of the state's value, or None.
        chain: (M, P) all parameters, the sizes of the layers that they make one after the other,
            and whether tanh follows them; or None where they do not.

    Attributes:
        chooses: Whether `choose` can be called.
    """

    def __init__(
        self,
        encoder: QuickEncoder,
        trunk: QuickDense,
        advantages: QuickDense,
        value: QuickDense | None,
        chain: tuple[Floats, list[int], bool] | None = None,
    ) -> None:
        self._encoder, self._value = encoder, value
        self._trunk, self._advantages = trunk, advantages
        self.chooses = chain is not None
        if chain is not None:
            parameters, sizes, tanh = chain
            self._chain = parameters, np.array(sizes), tanh
            self._scratch = np.zeros((2, max(sizes)), np.float32)

    def choose(
        self,
        leaves: Sequence[Shaped[Array, "rows ..."]],
        uniforms: Float64[NDArray[np.float64], "rows two"],
        rates: Float64[NDArray[np.float64], " members"],
    ) -> Int64[NDArray[np.int64], " rows"]:
        """(R,) actions: at random with a member's rate, else of the greatest value.

        Args:
            leaves: (R, ...) leaves of observations, member by member.
            uniforms: (R, 2) in [0, 1): whether to choose at random, and what.
            rates: (M,) epsilon.
        """
        x = np.ascontiguousarray(self._encoder([leaf[np.newaxis] for leaf in leaves])[0])
        actions = np.empty(len(x), dtype=np.int64)
        _choose_rows()(*self._chain, x, uniforms, rates, self._scratch, actions)
        return actions

    def __call__(
        self, leaves: Sequence[Shaped[Array, "members batch ..."]]
    ) -> Float32[Floats, "members batch actions"]:
        """(M, B, A) values for leaves (M, B, ...)."""
        features = self._trunk(self._encoder(leaves))
        out = self._advantages(features)
        if self._value is None:
            return out
        out += self._value(features) - out.mean(axis=-1, keepdims=True)
        return out

    def of_member(
        self, member: int, leaves: Sequence[Shaped[Array, "batch ..."]]
    ) -> Float32[Floats, "batch actions"]:
        """(B, A) values of one member for leaves (B, ...)."""
        part = QuickValues(
            self._encoder,
            self._trunk.of_member(member),
            self._advantages.of_member(member),
            None if self._value is None else self._value.of_member(member),
        )
        values: Floats = part([leaf[np.newaxis] for leaf in leaves])[0]
        return values


@cache
def _choose_rows() -> Callable[..., None]:
    matrix, vector = np.zeros((1, 1), np.float32), np.zeros(1, np.int64)
    doubles = np.zeros((1, 1)), np.zeros(1)
    return entry_point(choose_rows, matrix, vector, True, matrix, *doubles, matrix, vector)


def quick_values(
    network: QNetwork, parameters: Float32[Tensor, "members numbers"]
) -> QuickValues | None:
    """The network in numpy, or None where it is not plain.

    Args:
        network: The network.
        parameters: (M, P) all its parameters, of which its own are views.
    """
    encoder = quick_encoder(network.encoder)
    trunk, advantages = quick_dense(network.trunk), quick_dense(network.advantages)
    value = None if network.value is None else quick_dense(network.value)
    if encoder is None or trunk is None or advantages is None or network.num_atoms is not None:
        return None
    chain = None
    if value is None and network.trunk.activation in (torch.relu, torch.tanh):
        layers = [*network.trunk.layers, *network.advantages.layers]
        sizes = [int(size) for layer in layers for size in layer.weight.shape[1:]]
        tanh = network.trunk.activation is torch.tanh
        chain = parameters.numpy(), [sizes[0], *sizes[1::2]], tanh
    return QuickValues(encoder, trunk, advantages, value, chain)
