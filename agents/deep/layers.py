r"""Layers of a population: one product for all members.

M members (seeds or settings) train together, so every parameter carries a leading member axis and
a dense layer is one batched product,

.. math:: y_{mb} = x_{mb} W_m + b_m ,

and a convolution one grouped convolution, with a group for each member. Members share nothing:
the parameters of each are drawn from that member's own generator, weights before biases, and are
the same bits whichever members stand beside it.

*Initial distribution.* PyTorch's: weights and biases uniform on :math:`\pm 1/\sqrt{p}` with p the
number of inputs to a unit; or, where a gain is given, orthogonal weights times the gain and no
biases.

*Noisy layers* explore with their weights. With standard normals :math:`\varepsilon` for each input
i and output j, and :math:`f(x) = \operatorname{sgn}(x) \sqrt{|x|}`,

.. math::
    W_{ij} = \mu_{ij} + \sigma_{ij} f(\varepsilon_i) f(\varepsilon_j), \qquad
    b_j = \mu_j + \sigma_j f(\varepsilon_j),

where :math:`\mu` starts uniform on :math:`\pm 1/\sqrt{p}` and :math:`\sigma` at
:math:`\sigma_0 / \sqrt{p}`. The noise is an argument: a forward pass draws nothing.

References:
    K. He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852, section 2.2 (PyTorch's
        default is its uniform form with a slope of the square root of 5).
    A. M. Saxe et al. (2014), Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks, arXiv:1312.6120 (orthogonal weights).
    M. Fortunato et al. (2018), Noisy networks for exploration, arXiv:1706.10295, equations 9 to 11
        and section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Activation",
    "MemberConv2d",
    "MemberLinear",
    "MemberMLP",
    "NoisyMemberLinear",
    "activation_function",
    "layer_noise",
    "orthogonal_matrix",
]

Activation = Literal["relu", "tanh", "silu"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "silu": functional.silu,
}


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """The elementwise function of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"expected an activation among {', '.join(_ACTIVATIONS)}, got {name!r}")
    return _ACTIVATIONS[name]


def orthogonal_matrix(
    rng: np.random.Generator, rows: int, columns: int
) -> Float64[NDArray[np.float64], "rows columns"]:
    """A matrix drawn uniformly among those with orthonormal rows or columns, the fewer of the two.

    Example:
        >>> q = orthogonal_matrix(np.random.default_rng(0), 2, 5)
        >>> np.allclose(q @ q.T, np.eye(2))
        True
    """
    normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
    # PyTorch's: numpy's takes seconds for a large layer where its threads find the cores busy
    q, r = torch.linalg.qr(torch.from_numpy(normal))
    # without the signs the decomposition, not chance, would choose the quadrant
    q = q * r.diagonal().sign()
    drawn: NDArray[np.float64] = (q if rows >= columns else q.T).numpy()
    return drawn


def layer_noise(
    shapes: Sequence[tuple[int, int]], rngs: Sequence[np.random.Generator]
) -> tuple[Float[Tensor, "members units"], ...]:
    """Standard normals for noisy layers, one draw from each member's generator.

    Args:
        shapes: (M, n) of each tensor, as ``noise_shapes`` of a network lists them.
        rngs: M generators, one for each member.

    Returns:
        Tensors of 32-bit floats of those shapes, on the CPU.
    """
    sizes = [size for _, size in shapes]
    drawn = np.stack([rng.standard_normal(sum(sizes), dtype=np.float32) for rng in rngs])
    return torch.split_with_sizes(torch.from_numpy(drawn), sizes, dim=1)


def _check_sizes(rngs: Sequence[np.random.Generator], **sizes: int) -> None:
    if not rngs:
        raise ValueError("expected a random generator for each member, got none")
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"expected {name} of at least 1, got {size}")


def _stacked(draws: Sequence[NDArray[np.float64]]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.stack(draws).astype(np.float32)))


def _drawn_parameters(
    rngs: Sequence[np.random.Generator],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...],
    gain: float | None,
) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights and biases: orthogonal with the gain and zeros, or PyTorch's uniform where None.

    Weights are (inputs, outputs) for dense layers and (outputs, channels, height, width) for
    convolutions.
    """
    dense = len(weight_shape) == 2
    inputs = weight_shape[0] if dense else math.prod(weight_shape[1:])
    matrix = weight_shape if dense else (weight_shape[0], inputs)
    bound = inputs**-0.5
    weights, biases = [], []
    for rng in rngs:
        if gain is None:
            weights.append(rng.uniform(-bound, bound, weight_shape))
            biases.append(rng.uniform(-bound, bound, bias_shape))
        else:
            weights.append(gain * orthogonal_matrix(rng, *matrix).reshape(weight_shape))
            biases.append(np.zeros(bias_shape))
    return _stacked(weights), _stacked(biases)


class MemberLinear(nn.Module):
    """A dense layer for each member.

    Args:
        in_features: Inputs.
        out_features: Outputs.
        rngs: M generators, one for each member.
        gain: Of orthogonal weights; None for PyTorch's uniform distribution.

    Attributes:
        weight: (M, in, out).
        bias: (M, 1, out).

    Raises:
        ValueError: No generator, or a size below 1.

    Example:
        >>> rngs = [np.random.default_rng(seed) for seed in range(10)]
        >>> MemberLinear(4, 2, rngs=rngs)(torch.zeros(10, 32, 4)).shape
        torch.Size([10, 32, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rngs: Sequence[np.random.Generator],
        gain: float | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(rngs, in_features=in_features, out_features=out_features)
        shapes = (in_features, out_features), (1, out_features)
        self.weight, self.bias = _drawn_parameters(rngs, *shapes, gain)

    def forward(
        self, x: Float[Tensor, "members batch inputs"]
    ) -> Float[Tensor, "members batch outputs"]:
        """(M, B, out) the outputs for (M, B, in) inputs."""
        return torch.baddbmm(self.bias, x, self.weight)


class NoisyMemberLinear(nn.Module):
    """A dense layer for each member whose weights take noise.

    Args:
        in_features: Inputs.
        out_features: Outputs.
        rngs: M generators, one for each member, for the initial means.
        initial_sigma: The noise's first scale times the square root of the number of inputs.

    Attributes:
        weight, weight_sigma: (M, in, out) means and scales of the weights.
        bias, bias_sigma: (M, 1, out) means and scales of the biases.
        noise_shapes: (M, in) and (M, out), of the noise that a forward pass takes.

    Raises:
        ValueError: No generator, a size below 1, or a scale that is negative.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rngs: Sequence[np.random.Generator],
        initial_sigma: float = 0.5,
    ) -> None:
        super().__init__()
        _check_sizes(rngs, in_features=in_features, out_features=out_features)
        if not initial_sigma >= 0:
            raise ValueError(f"expected initial_sigma of at least 0, got {initial_sigma}")
        shapes = (in_features, out_features), (1, out_features)
        self.weight, self.bias = _drawn_parameters(rngs, *shapes, None)
        scale = initial_sigma * in_features**-0.5
        self.weight_sigma = nn.Parameter(torch.full_like(self.weight, scale))
        self.bias_sigma = nn.Parameter(torch.full_like(self.bias, scale))
        self.noise_shapes = ((len(rngs), in_features), (len(rngs), out_features))

    def forward(
        self,
        x: Float[Tensor, "members batch inputs"],
        noise: tuple[Float[Tensor, "members inputs"], Float[Tensor, "members outputs"]]
        | None = None,
    ) -> Float[Tensor, "members batch outputs"]:
        """The outputs.

        Args:
            x: (M, B, in) inputs.
            noise: (M, in) and (M, out) standard normals, the same for the whole batch; None gives
                the mean weights.
        """
        if noise is None:
            return torch.baddbmm(self.bias, x, self.weight)
        of_inputs, of_outputs = (e.sign() * e.abs().sqrt() for e in noise)
        of_outputs = of_outputs.unsqueeze(1)
        weight = self.weight + self.weight_sigma * (of_inputs.unsqueeze(2) * of_outputs)
        return torch.baddbmm(self.bias + self.bias_sigma * of_outputs, x, weight)


class MemberConv2d(nn.Module):
    """A convolution for each member, without padding.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernels.
        stride: Between two places of a kernel.
        rngs: M generators, one for each member.
        gain: Of orthogonal weights; None for PyTorch's uniform distribution.

    Attributes:
        weight: (M, out, in, kernel, kernel).
        bias: (M, out).

    Raises:
        ValueError: No generator, or a size below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int = 1,
        rngs: Sequence[np.random.Generator],
        gain: float | None = None,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "out_channels": out_channels}
        _check_sizes(rngs, **sizes, kernel_size=kernel_size, stride=stride)
        self.stride = stride
        shapes = (out_channels, in_channels, kernel_size, kernel_size), (out_channels,)
        self.weight, self.bias = _drawn_parameters(rngs, *shapes, gain)

    def forward(
        self, x: Float[Tensor, "members batch channels height width"]
    ) -> Float[Tensor, "members batch filters rows columns"]:
        """(M, B, out, ...) the feature maps of (M, B, in, ...) images.

        The result is a view of (B, M, out, ...): a convolution that follows copies nothing.
        """
        members = len(self.weight)
        if members == 1:
            return functional.conv2d(x[0], self.weight[0], self.bias[0], self.stride).unsqueeze(0)
        maps = functional.conv2d(
            x.transpose(0, 1).flatten(1, 2),
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            self.stride,
            groups=members,
        )
        return maps.reshape(len(maps), members, -1, *maps.shape[2:]).transpose(0, 1)


class MemberMLP(nn.Module):
    """Dense layers in a row, with an activation after each or after all but the last.

    Args:
        sizes: Of the input and of each layer's output; a single one gives no layer at all.
        activation: Its name.
        rngs: M generators, one for each member.
        activate_last: Whether the last layer too is followed by the activation.
        noisy: Whether the layers take noise.
        gain: Of orthogonal weights; None for PyTorch's uniform distribution.

    Attributes:
        noise_shapes: (M, n) of the noise that a forward pass takes, two for each layer; empty
            where the layers take none.

    Raises:
        ValueError: An unknown activation, a size below 1, no generator, or noisy layers with a
            gain.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation,
        *,
        rngs: Sequence[np.random.Generator],
        activate_last: bool,
        noisy: bool = False,
        gain: float | None = None,
    ) -> None:
        super().__init__()
        if noisy and gain is not None:
            raise ValueError("expected noisy layers without a gain: they have their own weights")
        self.activation = activation_function(activation)
        self.activate_last = activate_last
        self.layers = nn.ModuleList(
            NoisyMemberLinear(inputs, outputs, rngs=rngs)
            if noisy
            else MemberLinear(inputs, outputs, rngs=rngs, gain=gain)
            for inputs, outputs in pairwise(sizes)
        )
        layers = len(self.layers) if noisy else 0
        self.noise_shapes = tuple(
            (len(rngs), size) for pair in list(pairwise(sizes))[:layers] for size in pair
        )

    def forward(
        self,
        x: Float[Tensor, "members batch inputs"],
        noise: Sequence[Float[Tensor, "members _"]] | None = None,
    ) -> Float[Tensor, "members batch outputs"]:
        """The last layer's outputs.

        Args:
            x: (M, B, in) inputs.
            noise: Standard normals of the shapes in `noise_shapes`, or None.
        """
        for i, layer in enumerate(self.layers):
            x = layer(x) if noise is None else layer(x, (noise[2 * i], noise[2 * i + 1]))
            if self.activate_last or i < len(self.layers) - 1:
                x = self.activation(x)
        return x
