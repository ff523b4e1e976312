r"""Backpropagation through dense networks by hand: no tape, and nothing between the products.

Autograd takes longer to record and replay the operations of a small network than they take
themselves. With :math:`y = f(z)`, :math:`z = x W + b` and the loss's derivative :math:`dy`,

.. math:: dz = dy \odot f'(z), \quad dW = x^\top dz, \quad db = \sum_{batch} dz, \quad
    dx = dz\, W^\top

are a handful of operations on tensors, eager or as part of a graph that is compiled. A noisy
layer's weights are :math:`\mu + \sigma \odot \varepsilon`, so that :math:`d\mu = dW` and
:math:`d\sigma = dW \odot \varepsilon`; two streams add up where they part,

.. math:: Q = V + A - \bar A, \qquad dV = \sum_a dQ_a, \qquad dA = dQ - \overline{dQ} .

References:
    D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986), Learning representations by
        back-propagating errors, Nature 323.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .layers import MemberMLP
from .networks import QNetwork

__all__ = ["DensePass", "DenseQNetwork", "QPass", "dense_backward", "dense_forward"]

Parameters = Mapping[str, Tensor]
Noise = Sequence[Tensor] | None

# the derivative by an activation's input, from the one by its output and the output or, for silu,
# which does not tell it, the input; in place, for a larger memory is a slower one
_SLOPES: dict[Any, Callable[[Tensor, Tensor], Tensor]] = {
    torch.relu: lambda dy, y: torch.ops.aten.threshold_backward(dy, y, 0, grad_input=dy),
    torch.tanh: lambda dy, y: torch.ops.aten.tanh_backward(dy, y, grad_input=dy),
    functional.silu: lambda dy, z: torch.ops.aten.silu_backward(dy, z, grad_input=dy),
}
_IN_PLACE: dict[Any, Callable[[Tensor], Tensor]] = {
    torch.relu: torch.relu_,
    torch.tanh: torch.tanh_,
}


class _Layer(NamedTuple):
    """What one layer keeps of its pass."""

    x: Tensor
    weight: Tensor
    activated: Tensor | None
    weight_noise: Tensor | None
    bias_noise: Tensor | None


class DensePass(NamedTuple):
    """What `dense_backward` needs.

    Attributes:
        prefix: Of the parameters' names.
        mlp: The layers.
        layers: What each keeps.
    """

    prefix: str
    mlp: MemberMLP
    layers: list[_Layer]


def dense_forward(
    parameters: Parameters,
    prefix: str,
    mlp: MemberMLP,
    x: Float[Tensor, "members batch inputs"],
    noise: Noise,
) -> tuple[Float[Tensor, "members batch outputs"], DensePass]:
    """The outputs of dense layers, and what their gradients need.

    Args:
        parameters: By name.
        prefix: Of the names of these layers' parameters.
        mlp: The layers; of it only the structure is used.
        x: (M, B, in) inputs.
        noise: As `MemberMLP.forward` takes it.
    """
    kept = []
    for i in range(len(mlp.layers)):
        name = f"{prefix}.layers.{i}."
        weight, bias = parameters[name + "weight"], parameters[name + "bias"]
        weight_noise = bias_noise = None
        if noise is not None:
            of_inputs, bias_noise = (e.sign() * e.abs().sqrt() for e in noise[2 * i : 2 * i + 2])
            bias_noise = bias_noise.unsqueeze(1)
            weight_noise = of_inputs.unsqueeze(2) * bias_noise
            weight = weight + parameters[name + "weight_sigma"] * weight_noise
            bias = bias + parameters[name + "bias_sigma"] * bias_noise
        out = torch.baddbmm(bias, x, weight)
        activated = None
        if mlp.activate_last or i < len(mlp.layers) - 1:
            activated = out
            out = _IN_PLACE.get(mlp.activation, mlp.activation)(out)
        kept.append(_Layer(x, weight, activated, weight_noise, bias_noise))
        x = out
    return x, DensePass(prefix, mlp, kept)


def dense_backward(
    passed: DensePass,
    dy: Float[Tensor, "members batch outputs"],
    gradients: dict[str, Tensor],
    *,
    to_inputs: bool,
) -> Float[Tensor, "members batch _"]:
    """Put the gradients of the parameters into a dictionary.

    Args:
        passed: From `dense_forward`.
        dy: (M, B, out) derivatives of the loss by the outputs; overwritten.
        gradients: Receives them, by name.
        to_inputs: Whether the derivatives by the inputs are wanted.

    Returns:
        (M, B, in) derivatives by the inputs; by the first layer's outputs if they are not wanted.
    """
    slope = _SLOPES[passed.mlp.activation]
    for i in reversed(range(len(passed.layers))):
        layer, name = passed.layers[i], f"{passed.prefix}.layers.{i}."
        if layer.activated is not None:
            dy = slope(dy, layer.activated)
        dw, db = torch.bmm(layer.x.transpose(1, 2), dy), dy.sum(dim=1, keepdim=True)
        gradients[name + "weight"], gradients[name + "bias"] = dw, db
        if hasattr(passed.mlp.layers[i], "weight_sigma"):
            noises = layer.weight_noise, layer.bias_noise
            for part, slopes, noise in zip(("weight", "bias"), (dw, db), noises, strict=True):
                spread = torch.zeros_like(slopes) if noise is None else slopes * noise
                gradients[f"{name}{part}_sigma"] = spread
        if i or to_inputs:
            dy = torch.bmm(dy, layer.weight.transpose(1, 2))
    return dy


class QPass(NamedTuple):
    """What `DenseQNetwork.backward` needs."""

    trunk: DensePass
    advantages: DensePass
    value: DensePass | None


class DenseQNetwork:
    """A `QNetwork` without convolutions: its outputs and its gradients.

    Args:
        network: The network; of it only the structure is used.

    Raises:
        ValueError: Its encoder has parameters.
    """

    def __init__(self, network: QNetwork) -> None:
        if any(True for _ in network.encoder.parameters()):
            raise ValueError("expected an encoder without parameters, got one of images")
        self._network = network

    def forward(
        self, parameters: Parameters, leaves: tuple[Tensor, ...], noise: Noise
    ) -> tuple[Float[Tensor, "members batch actions *atoms"], QPass]:
        """The outputs, as `QNetwork.forward` gives them, and what `backward` needs."""
        network = self._network
        first, second = (len(part.noise_shapes) for part in (network.trunk, network.advantages))
        noises: tuple[Noise, ...] = (None,) * 3
        if noise:
            noises = noise[:first], noise[first : first + second], noise[first + second :]
        x = network.encoder(leaves)
        features, trunk = dense_forward(parameters, "trunk", network.trunk, x, noises[0])
        out, advantages = dense_forward(
            parameters, "advantages", network.advantages, features, noises[1]
        )
        if network.num_atoms is not None:
            out = out.view(*out.shape[:2], network.num_actions, -1)
        if network.value is None:
            return out, QPass(trunk, advantages, None)
        v, value = dense_forward(parameters, "value", network.value, features, noises[2])
        if network.num_atoms is not None:
            v = v.unsqueeze(2)
        return v + out - out.mean(2, keepdim=True), QPass(trunk, advantages, value)

    def backward(
        self, passed: QPass, d_out: Float[Tensor, "members batch actions *atoms"]
    ) -> dict[str, Tensor]:
        """The gradients of all parameters, by name.

        Args:
            passed: From `forward`.
            d_out: Derivatives of the loss by the outputs.
        """
        gradients: dict[str, Tensor] = {}
        d_advantages = d_out
        if passed.value is not None:
            d_advantages = d_out - d_out.mean(2, keepdim=True)
        dx = dense_backward(passed.advantages, d_advantages.flatten(2), gradients, to_inputs=True)
        if passed.value is not None:
            d_value = d_out.sum(2, keepdim=True).flatten(2)
            dx = dx + dense_backward(passed.value, d_value, gradients, to_inputs=True)
        dense_backward(passed.trunk, dx, gradients, to_inputs=False)
        return gradients
