"""Action values of plain networks without PyTorch (see `quick_layers`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy.typing import NDArray

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
    """

    def __init__(
        self,
        encoder: QuickEncoder,
        trunk: QuickDense,
        advantages: QuickDense,
        value: QuickDense | None,
    ) -> None:
        self._encoder, self._value = encoder, value
        self._trunk, self._advantages = trunk, advantages

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


def quick_values(network: QNetwork) -> QuickValues | None:
    """The network in numpy, or None where it is not plain."""
    encoder = quick_encoder(network.encoder)
    trunk, advantages = quick_dense(network.trunk), quick_dense(network.advantages)
    value = None if network.value is None else quick_dense(network.value)
    if encoder is None or trunk is None or advantages is None or network.num_atoms is not None:
        return None
    return QuickValues(encoder, trunk, advantages, value)
