r"""A multilayer perceptron that may be told a context.

With inputs :math:`h_0`, weights :math:`W_l, b_l` and an elementwise function :math:`a`,

.. math:: h_l = a(W_l h_{l-1} + b_l), \qquad y = W_{L+1} h_L + b_{L+1}.

A context c enters in one of two ways: *concatenated* to the inputs, or by *feature-wise linear
modulation* (FiLM), which scales and shifts the units of every hidden layer,

.. math:: h_l = a\big((1 + \gamma_l(c)) \odot (W_l h_{l-1} + b_l) + \beta_l(c)\big),

with :math:`\gamma, \beta` linear in c. Concatenation is cheaper; modulation lets c reach every
layer, which is how denoisers are told the time.

References:
    E. Perez, F. Strub, H. de Vries, V. Dumoulin, A. Courville (2018), FiLM: visual reasoning with
        a general conditioning layer, arXiv:1709.07871, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MLP", "Activation", "ContextUse", "activation_function", "modulate"]

Activation = Literal["relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh"]
ContextUse = Literal["concatenate", "modulate"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky-relu": functional.leaky_relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
}


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """The elementwise function of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"expected an activation among {', '.join(_ACTIVATIONS)}, got {name!r}")
    return _ACTIVATIONS[name]


def modulate(
    hidden: Float[Tensor, "batch ..."],
    scale: Float[Tensor, "#batch ..."],
    shift: Float[Tensor, "#batch ..."],
) -> Float[Tensor, "batch ..."]:
    """(B, ...) features scaled by one plus ``scale``, so that 0 leaves them, and shifted.

    Both may have one row for the whole batch.

    Example:
        >>> modulate(torch.ones(1, 2), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 3.0]]))
        tensor([[1., 5.]])
    """
    return hidden * (1 + scale) + shift


class MLP(nn.Module):
    """Linear layers with an elementwise function between them, and perhaps a context.

    Args:
        num_inputs: Numbers that come in, without the context; may be 0 where there is a context.
        num_outputs: Numbers that come out.
        hidden_sizes: Units of the hidden layers; none makes it linear.
        num_context: Numbers of the context; 0 takes none.
        activation: After each hidden layer.
        context_use: How the context enters.
        output_scale: By which the last layer's first weights are multiplied; its biases start at
            zero where it is not 1. Something small lets a residual or an invertible layer start
            near the identity.

    Raises:
        ValueError: A size is out of range, or a word unknown.

    Example:
        >>> network = MLP(2, 3, hidden_sizes=(16, 16), num_context=4, context_use="modulate")
        >>> network(torch.zeros(5, 2), torch.zeros(5, 4)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        *,
        hidden_sizes: Sequence[int] = (64, 64),
        num_context: int = 0,
        activation: Activation = "relu",
        context_use: ContextUse = "concatenate",
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if context_use not in ("concatenate", "modulate"):
            raise ValueError(f"expected to concatenate or modulate, got {context_use!r}")
        modulated = context_use == "modulate" and num_context > 0
        num_first = num_inputs + (0 if modulated else num_context)
        if min(num_first, num_outputs, *hidden_sizes, num_context + 1) < 1:
            raise ValueError(
                f"expected at least one input, one output and one unit in each layer, got "
                f"{num_inputs} inputs, {num_context} numbers of context, {num_outputs} outputs "
                f"and layers of {tuple(hidden_sizes)}"
            )
        if modulated and not hidden_sizes:
            raise ValueError("expected a hidden layer for the context to modulate, got none")
        self._activation = activation_function(activation)
        sizes = [num_first, *hidden_sizes, num_outputs]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.modulation = nn.Linear(num_context, 2 * sum(hidden_sizes)) if modulated else None
        self._parts = [size for size in hidden_sizes for _ in range(2)]
        self.num_context = num_context
        if output_scale != 1:
            last = self.layers[-1]
            assert isinstance(last, nn.Linear)
            with torch.no_grad():
                last.weight.mul_(output_scale)
                last.bias.zero_()

    def forward(
        self,
        x: Float[Tensor, "batch inputs"],
        context: Float[Tensor, "batch context"] | None = None,
    ) -> Float[Tensor, "batch outputs"]:
        """(B, outputs) from (B, inputs) and, where it takes one, a (B, context) context."""
        if self.num_context:
            assert context is not None
            if self.modulation is not None:
                return self.modulated(x, self.modulation(context))
            x = torch.cat([x, context], dim=1)
        return self.modulated(x, None)

    def modulated(
        self,
        x: Float[Tensor, "batch inputs"],
        modulations: Float[Tensor, "#batch numbers"] | None,
    ) -> Float[Tensor, "batch outputs"]:
        """(B, outputs) of a context that went through ``modulation`` before.

        Args:
            x: (B, inputs).
            modulations: What came of it, a row for each or one for all; None where there is none.
        """
        parts = () if modulations is None else torch.split(modulations, self._parts, dim=1)
        layers: Any = self.layers  # of linear layers
        *hidden, last = layers  # a slice would be a new ModuleList, which is slow
        for i, layer in enumerate(hidden):
            x = functional.linear(x, layer.weight, layer.bias)
            if parts:
                x = modulate(x, parts[2 * i], parts[2 * i + 1])
            x = self._activation(x)
        return functional.linear(x, last.weight, last.bias)
