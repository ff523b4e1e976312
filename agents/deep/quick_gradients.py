r"""Backpropagation through small dense networks without PyTorch: numpy on the parameters' memory.

Autograd takes several times longer to record and replay the operations of a small network than
they take themselves. With :math:`y = f(z)`, :math:`z = x W + b` and the loss's derivative
:math:`dy`,

.. math:: dz = dy \odot f'(z), \quad dW = x^\top dz, \quad db = \sum_{batch} dz, \quad
    dx = dz\, W^\top

are a handful of products. Only the layers are done here; the loss, a function of the last layer's
outputs, stays with autograd, which gives the first dy.

References:
    D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986), Learning representations by
        back-propagating errors, Nature 323.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from .flat_parameters import FlatParameters
from .layers import MemberLinear, MemberMLP

__all__ = ["QuickBackprop", "quick_backprop"]

Floats = NDArray[np.float32]
Activation = tuple[Callable[[Floats], Floats], Callable[[Floats, Floats], Floats]]


def _tanh(z: Floats) -> Floats:
    return np.tanh(z, out=z)


def _through_tanh(dy: Floats, y: Floats) -> Floats:
    slope = y * y
    np.subtract(1, slope, out=slope)
    slope *= dy
    return slope


def _relu(z: Floats) -> Floats:
    return np.maximum(z, 0, out=z)


def _through_relu(dy: Floats, y: Floats) -> Floats:
    return dy * (y > 0)


# multiplications of a matrix product up to which OpenBLAS, numpy's, does not start threads; on a
# busy processor these wait for one another for milliseconds
_ONE_THREAD = 1 << 18

# what an activation does, and the derivative by its input from the one by its output
_ACTIVATIONS: dict[Any, Activation] = {
    torch.tanh: (_tanh, _through_tanh),
    torch.relu: (_relu, _through_relu),
}


class QuickBackprop:
    """Hidden layers and a linear one of all members, forwards and back.

    Args:
        layers: Weights (M, in, out) and biases (M, 1, out) of each, as views of the parameters.
        slopes: The same of the gradients.
        activation: After each but the last, and its derivative.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Floats, Floats]],
        slopes: Sequence[tuple[Floats, Floats]],
        activation: Activation,
    ) -> None:
        self._layers, self._slopes = list(layers), list(slopes)
        self._activation, self._derivative = activation
        self._inputs: list[Floats] = []

    def forward(
        self, x: Float32[Floats, "members batch inputs"]
    ) -> Float32[Floats, "members batch outputs"]:
        """(M, B, out) of (M, B, in); what `backward` needs is kept."""
        self._inputs = []
        for weight, bias in self._layers[:-1]:
            self._inputs.append(x)
            x = _product(x, weight)
            x += bias
            x = self._activation(x)
        self._inputs.append(x)
        weight, bias = self._layers[-1]
        out = _product(x, weight)
        out += bias
        return out

    def backward(self, dy: Float32[Floats, "members batch outputs"]) -> None:
        """Write the gradients of the last `forward`.

        Args:
            dy: (M, B, out) derivatives of the loss by its outputs.
        """
        for i in range(len(self._layers) - 1, -1, -1):
            x, (dw, db) = self._inputs[i], self._slopes[i]
            _product(x.transpose(0, 2, 1), dy, out=dw)
            np.add.reduce(dy, axis=1, keepdims=True, out=db)
            if i:
                dx = _product(dy, self._layers[i][0].transpose(0, 2, 1))
                dy = self._derivative(dx, x)


def _product(x: Floats, y: Floats, out: Floats | None = None) -> Floats:
    """Matrix by matrix, by one thread, or as many as torch was told to take."""
    if x.shape[1] * x.shape[2] * y.shape[2] <= _ONE_THREAD:
        return np.matmul(x, y, out=out)
    if out is None:
        out = np.empty((len(x), x.shape[1], y.shape[2]), np.float32)
    torch.bmm(torch.from_numpy(x), torch.from_numpy(y), out=torch.from_numpy(out))
    return out


def quick_backprop(
    flat: FlatParameters, body: MemberMLP, last: MemberLinear
) -> QuickBackprop | None:
    """Hidden layers and a linear one in numpy, or None where they cannot be done so.

    Args:
        flat: The parameters, of a module of which the layers are a part; to its ``gradients`` is
            written.
        body: Hidden layers without noise, an activation after each.
        last: The linear layer.
    """
    activation = _ACTIVATIONS.get(body.activation)
    layers = [*body.layers, last]
    plain = [layer for layer in layers if isinstance(layer, MemberLinear)]
    if activation is None or len(plain) < len(layers) or flat.values.device.type != "cpu":
        return None
    pairs = [(layer.weight, layer.bias) for layer in plain]
    values = [(weight.detach().numpy(), bias.detach().numpy()) for weight, bias in pairs]
    slopes = [(flat.slopes[weight].numpy(), flat.slopes[bias].numpy()) for weight, bias in pairs]
    return QuickBackprop(values, slopes, activation)
