"""Forward passes of small networks without PyTorch: numpy on the memory of the parameters.

Between two steps of an environment a small network is asked for one row of outputs. PyTorch then
spends several times longer between the operations than in them; numpy's product and addition of
the same arrays do not. The arrays are views of the parameters, so that what is learnt is used at
once.

Only what is plain is done here: observations of numbers or one-hot vectors, dense layers without
noise, on the CPU. `quick_encoder` and `quick_dense` give None for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from numpy.typing import NDArray
from torch.nn import functional

from .encoders import Encoder, NumberEncoder, OneHotEncoder
from .layers import MemberLinear, MemberMLP

__all__ = ["QuickDense", "QuickEncoder", "quick_dense", "quick_encoder"]

Array = NDArray[Any]
Floats = NDArray[np.float32]


def _relu(x: Floats) -> Floats:
    return np.maximum(x, 0, out=x)


def _tanh(x: Floats) -> Floats:
    return np.tanh(x, out=x)


def _silu(x: Floats) -> Floats:
    x /= 1 + np.exp(-x)
    return x


_ACTIVATIONS: dict[Any, Callable[[Floats], Floats]] = {
    torch.relu: _relu,
    torch.tanh: _tanh,
    functional.silu: _silu,
}


class QuickEncoder:
    """Features of plain leaves, as `Encoder` gives them.

    Args:
        sizes: Of each leaf: how many values its numbers have, or None where it is taken as it is.
    """

    def __init__(self, sizes: Sequence[tuple[Array, Array] | None]) -> None:
        self._sizes = sizes

    def __call__(
        self, leaves: Sequence[Shaped[Array, "members batch ..."]]
    ) -> Float32[Floats, "members batch features"]:
        """(M, B, F) of leaves (M, B, ...)."""
        parts = [self._of(leaf, size) for leaf, size in zip(leaves, self._sizes, strict=True)]
        features: Floats = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return features

    def _of(self, leaf: Array, size: tuple[Array, Array] | None) -> Floats:
        flat = leaf.reshape(*leaf.shape[:2], -1)
        if size is None:
            return flat.astype(np.float32, copy=False)
        number, value = size
        ones: Floats = (flat[..., number] == value).astype(np.float32)
        return ones


class QuickDense:
    """Dense layers of all members, as `MemberMLP` computes them.

    Args:
        layers: Weights (M, in, out), biases (M, 1, out), and what follows, of each.
    """

    def __init__(
        self, layers: Sequence[tuple[Floats, Floats, Callable[[Floats], Floats] | None]]
    ) -> None:
        self._layers = layers

    def __call__(
        self, x: Float32[Floats, "members batch inputs"]
    ) -> Float32[Floats, "members batch outputs"]:
        """(M, B, out) of (M, B, in)."""
        for weight, bias, activation in self._layers:
            x = x @ weight
            x += bias
            if activation is not None:
                x = activation(x)
        return x

    def then(self, other: QuickDense) -> QuickDense:
        """These layers and others after them."""
        return QuickDense([*self._layers, *other._layers])

    def of_member(self, member: int) -> QuickDense:
        """One member's layers; the memory is the same."""
        part = slice(member, member + 1)
        return QuickDense(
            [(weight[part], bias[part], after) for weight, bias, after in self._layers]
        )


def quick_encoder(encoder: Encoder) -> QuickEncoder | None:
    """The encoder in numpy, or None where a leaf is no plain one."""
    sizes: list[tuple[Array, Array] | None] = []
    for leaf in encoder.leaves:
        if isinstance(leaf, OneHotEncoder):
            sizes.append((leaf.number.cpu().numpy(), leaf.value.cpu().numpy()))
        elif isinstance(leaf, NumberEncoder):
            sizes.append(None)
        else:
            return None
    return QuickEncoder(sizes)


def quick_dense(*parts: MemberMLP | MemberLinear) -> QuickDense | None:
    """Dense layers in numpy, or None where they take noise or are not on the CPU."""
    layers: list[tuple[Floats, Floats, Callable[[Floats], Floats] | None]] = []
    for part in parts:
        own = list(part.layers) if isinstance(part, MemberMLP) else [part]
        for i, layer in enumerate(own):
            if not isinstance(layer, MemberLinear) or layer.weight.device.type != "cpu":
                return None
            activated = isinstance(part, MemberMLP) and (part.activate_last or i < len(own) - 1)
            activation = _ACTIVATIONS[part.activation] if activated else None
            layers.append((layer.weight.detach().numpy(), layer.bias.detach().numpy(), activation))
    return QuickDense(layers)
