r"""Networks whose outputs depend on given inputs only: masks made of degrees.

An autoregressive network gives, for each of the D entries of an event, numbers that depend on the
entries before it in some order. Every unit k of a layer gets a degree m(k): the unit may depend on
the entries at the positions up to m(k), counted from 0. Inputs have the position of their entry,
hidden units any degree, and a connection from unit j to unit k is kept where that does not break
the promise,

.. math::
    M_{kj} = [m(k) \ge m(j)] \quad \text{(hidden layers)}, \qquad
    M_{kj} = [m(k) > m(j)] \quad \text{(the outputs of an entry)} ,

so that the outputs of the entry at position d see the entries at positions below d. Hidden units
need no degree above D - 2. A context is no entry: it is connected to every hidden unit, and units
of degree -1, which see nothing else, carry it to the outputs of the first entry.

References:
    M. Germain, K. Gregor, I. Murray and H. Larochelle (2015), MADE: masked autoencoder for
        distribution estimation, arXiv:1502.03509, equations 8 to 15 (masks), section 4.2 (several
        masks and orders) and 4.3 (direct connections).
    A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu (2016), Pixel recurrent neural networks,
        arXiv:1601.06759, section 3.4 (masks A and B of convolutions).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "EntryByEntry",
    "MaskedConv2d",
    "MaskedLinear",
    "MaskedMLP",
    "connections",
    "drawn_degrees",
    "drawn_order",
    "even_degrees",
    "positions",
    "raster_connections",
]


def positions(order: Sequence[int]) -> Int64[NDArray[np.int64], " entries"]:
    """(D,) at which place of the order each entry is: the degrees of the inputs.

    Raises:
        ValueError: The order is not one of 0 to D - 1.

    Example:
        >>> positions([2, 0, 1])  # entry 2 is the first
        array([1, 2, 0])
    """
    given = np.asarray(order, dtype=np.int64)
    if given.ndim != 1 or not np.array_equal(np.sort(given), np.arange(len(given))):
        raise ValueError(f"expected an order of 0 to {given.size - 1}, got {given.tolist()}")
    return np.argsort(given)


def drawn_order(num_entries: int, rng: np.random.Generator) -> tuple[int, ...]:
    """The entries in an order drawn uniformly."""
    # of rng's methods, random() is the one whose numbers stay the same: files hold no masks
    return tuple(np.argsort(rng.random(num_entries), kind="stable").tolist())


def even_degrees(
    num_units: int, num_entries: int, lowest: int = 0
) -> Int64[NDArray[np.int64], " units"]:
    """(H,) degrees from the lowest to D - 2, of each as many units as of any other, but for one.

    Example:
        >>> even_degrees(6, 4)
        array([0, 0, 1, 1, 2, 2])
    """
    num_degrees = max(num_entries - 1 - lowest, 1)
    return lowest + np.arange(num_units) * num_degrees // num_units


def drawn_degrees(
    num_units: int, num_entries: int, lowest: int, rng: np.random.Generator
) -> Int64[NDArray[np.int64], " units"]:
    """(H,) degrees drawn uniformly from the lowest to D - 2."""
    num_degrees = max(num_entries - 1 - lowest, 1)
    return lowest + np.floor(rng.random(num_units) * num_degrees).astype(np.int64)


def connections(
    inputs: Int64[NDArray[np.int64], " inputs"],
    outputs: Int64[NDArray[np.int64], " outputs"],
    *,
    strict: bool,
) -> Bool[Tensor, "outputs inputs"]:
    """(out, in) which connections are kept between units of these degrees.

    Args:
        inputs: (in,) degrees.
        outputs: (out,) degrees.
        strict: Whether an output must not see inputs of its own degree: that of an entry's.

    Example:
        >>> connections(np.array([0, 1]), np.array([0, 1]), strict=True)
        tensor([[False, False],
                [ True, False]])
    """
    kept = outputs[:, None] > inputs if strict else outputs[:, None] >= inputs
    return torch.from_numpy(kept)


def raster_connections(
    inputs: Int64[NDArray[np.int64], " inputs"],
    outputs: Int64[NDArray[np.int64], " outputs"],
    kernel: tuple[int, int],
    centre: tuple[int, int],
    *,
    strict: bool,
) -> Bool[Tensor, "outputs inputs height width"]:
    """(out, in, height, width) which taps of a convolution do not look ahead.

    Args:
        inputs: (in,) degrees of the channels.
        outputs: (out,) degrees of the channels.
        kernel: Height and width.
        centre: The tap on the output's own pixel, as row and column of the kernel.
        strict: Whether an output must not see its own degree at its own pixel: mask A, of the
            first layer; all later ones have mask B.

    Example:
        >>> one = np.zeros(1, dtype=np.int64)
        >>> raster_connections(one, one, (3, 3), (1, 1), strict=True)[0, 0].int()
        tensor([[1, 1, 1],
                [1, 0, 0],
                [0, 0, 0]], dtype=torch.int32)
    """
    height, width = kernel
    own = centre[0] * width + centre[1]
    kept = torch.zeros(len(outputs), len(inputs), height * width, dtype=torch.bool)
    kept[..., :own] = True
    kept[..., own] = connections(inputs, outputs, strict=strict)
    return kept.view(len(outputs), len(inputs), height, width)


class MaskedConv2d(nn.Module):
    """A convolution some of whose connections are cut, without padding.

    Args:
        mask: (out, in, height, width) which connections are kept.

    Attributes:
        weight: (out, in, height, width), those of cut connections included.
        bias: (out,).
    """

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "outputs inputs height width"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.get_default_dtype()), persistent=False)
        self.weight = nn.Parameter(torch.empty(mask.shape))
        self.bias = nn.Parameter(torch.empty(len(mask)))
        _start(self.weight, self.bias)

    def masked_weight(self) -> Float[Tensor, "outputs inputs height width"]:
        """(out, in, height, width) the weights, with zeros where connections are cut."""
        return self.weight * self.mask

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """(B, out, ...) the feature maps of (B, in, H, W)."""
        return functional.conv2d(x, self.masked_weight(), self.bias)


class MaskedLinear(nn.Module):
    """A dense layer some of whose connections are cut.

    The weights themselves stay as they are: masks are applied to copies.

    Args:
        masks: (out, in) which connections are kept; or R of them, (R, out, in).

    Attributes:
        weight: (out, in), those of cut connections included.
        bias: (out,).

    Example:
        >>> layer = MaskedLinear(torch.tensor([[True, False]]))
        >>> x = torch.tensor([[1.0, 2.0], [1.0, 3.0]])
        >>> bool(layer(x)[0] == layer(x)[1])
        True
    """

    masks: Tensor
    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, masks: Bool[Tensor, "... outputs inputs"]) -> None:
        super().__init__()
        masks = masks if masks.dim() == 3 else masks.unsqueeze(0)
        # a mask of floats multiplies half as fast again, but many of them take much memory
        kept = masks.to(torch.get_default_dtype()) if len(masks) == 1 else masks
        self.register_buffer("masks", kept, persistent=False)
        self.weight = nn.Parameter(torch.empty(masks.shape[1:]))
        self.bias = nn.Parameter(torch.empty(masks.shape[1]))
        _start(self.weight, self.bias)

    def masked_weight(self, mask: int | Tensor = 0) -> Float[Tensor, "outputs inputs"]:
        """(out, in) the weights, with zeros where connections are cut."""
        if isinstance(mask, int):
            return self.weight * self.masks[mask]
        # not masks[mask], which waits for the number
        return self.weight * self.masks.index_select(0, mask.view(1)).squeeze(0)

    def forward(
        self, x: Float[Tensor, "... inputs"], mask: int | Tensor = 0
    ) -> Float[Tensor, "... outputs"]:
        """(..., out) the outputs.

        Args:
            x: (..., in) inputs.
            mask: Which mask, from 0 to R - 1.
        """
        return functional.linear(x, self.masked_weight(mask), self.bias)


class MaskedMLP(nn.Module):
    """Dense layers that give each entry numbers which depend on those before it, and a context.

    Args:
        num_entries: D.
        num_outputs: P, numbers for each entry.
        hidden_sizes: Units of the hidden layers.
        orders: R orders of the D entries, each with masks of its own; None for the natural one.
        rng: Draws the hidden units' degrees; None spreads them evenly, which gives every entry's
            outputs all entries before it as soon as layers have D - 1 units (D with a context).
        inputs_per_entry: Numbers that stand for one entry in the input, side by side.
        context_size: Of the context; 0 for none.
        direct: Whether inputs are connected to outputs too, past the hidden layers.
        activation: After each hidden layer.

    Attributes:
        num_masks: R.
        num_outputs: P.
        positions: (R, D) of each entry in each order.

    Raises:
        ValueError: A size is below 1, or an order is none.

    Example:
        >>> network = MaskedMLP(3, 2, (32,))
        >>> network(torch.zeros(5, 3)).shape
        torch.Size([5, 3, 2])
    """

    positions: Tensor

    def __init__(
        self,
        num_entries: int,
        num_outputs: int,
        hidden_sizes: Sequence[int],
        *,
        orders: Sequence[Sequence[int]] | None = None,
        rng: np.random.Generator | None = None,
        inputs_per_entry: int = 1,
        context_size: int = 0,
        direct: bool = False,
        activation: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        super().__init__()
        sizes = (num_entries, num_outputs, inputs_per_entry, *hidden_sizes)
        if min(sizes) < 1 or not hidden_sizes:
            raise ValueError(
                f"expected at least 1 entry, output, input and unit of one layer or more, got "
                f"{num_entries}, {num_outputs}, {inputs_per_entry} and {tuple(hidden_sizes)}"
            )
        orders = [range(num_entries)] if orders is None else orders
        lowest = -1 if context_size else 0
        found = [
            _degrees(positions(order), hidden_sizes, lowest, inputs_per_entry, num_outputs, rng)
            for order in orders
        ]
        self.num_masks, self.num_outputs = len(orders), num_outputs
        self.activation = activation
        self.layers = nn.ModuleList(
            _layer([(degrees[i], degrees[j]) for degrees in found], strict=j == len(found[0]) - 1)
            for i, j in pairwise(range(len(found[0])))
        )
        self.direct = (
            _layer([(degrees[0], degrees[-1]) for degrees in found], strict=True)
            if direct
            else None
        )
        self.context = (
            nn.ModuleList(
                nn.Linear(context_size, size, bias=False)
                for size in (*hidden_sizes, num_entries * num_outputs)
            )
            if context_size
            else None
        )
        placed = np.stack([positions(order) for order in orders])
        self.register_buffer("positions", torch.from_numpy(placed), persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch inputs"],
        context: Float[Tensor, "batch features"] | None = None,
        mask: int | Tensor = 0,
    ) -> Float[Tensor, "batch entries outputs"]:
        """(B, D, P) the outputs.

        Args:
            x: (B, D) entries, or (B, D * inputs_per_entry).
            context: (B, C), where the network has one.
            mask: Which order and masks, from 0 to R - 1.
        """
        h = x
        for i, layer in enumerate(self.layers):
            h = layer(h if i == 0 else self.activation(h), mask)
            if self.context is not None:
                h = h + self.context[i](context)
        if self.direct is not None:
            h = h + self.direct(x, mask)
        return h.view(len(h), -1, self.num_outputs)

    def masked_layers(self) -> list[MaskedLinear]:
        """The layers from the inputs to the outputs."""
        return [layer for layer in self.layers if isinstance(layer, MaskedLinear)]


class EntryByEntry:
    """What a `MaskedMLP` gives one entry after another, as each becomes known in its order.

    It equals the whole network on an event whose later entries are anything. Weights are masked
    once, the first layer only ever adds what a new entry brings, and the last layer gives the
    asked entry's outputs alone.

    Args:
        network: Of which inputs_per_entry numbers stand for an entry.
        num: B, events at the same time.
        context: (B, C), where the network has one.
        mask: Which order and masks.

    Example:
        >>> network = MaskedMLP(3, 2, (32,))
        >>> x = torch.randn(5, 3)
        >>> known = EntryByEntry(network, 5)
        >>> known.put(0, x[:, :1])
        >>> known.put(1, x[:, 1:2])
        >>> torch.allclose(known.outputs(2), network(x)[:, 2], atol=1e-6)
        True
    """

    def __init__(
        self,
        network: MaskedMLP,
        num: int,
        context: Float[Tensor, "batch features"] | None = None,
        mask: int = 0,
    ) -> None:
        self._network = network
        layers = network.masked_layers()
        self._weights = [layer.masked_weight(mask) for layer in layers]
        self._biases = [layer.bias.expand(num, -1) for layer in layers]
        if network.context is not None:
            for i, layer in enumerate(network.context):
                self._biases[i] = self._biases[i] + layer(context)
        self._direct: Tensor | None = None
        if network.direct is not None:
            self._direct = network.direct.masked_weight(mask)
            self._biases[-1] = self._biases[-1] + network.direct.bias

    def put(self, entry: int, inputs: Float[Tensor, "batch inputs_per_entry"]) -> None:
        """Make (B, inputs_per_entry) of an entry known."""
        size = inputs.shape[1]
        own = slice(entry * size, (entry + 1) * size)
        self._biases[0] = torch.addmm(self._biases[0], inputs, self._weights[0][:, own].T)
        if self._direct is not None:
            self._biases[-1] = torch.addmm(self._biases[-1], inputs, self._direct[:, own].T)

    def outputs(self, entry: int) -> Float[Tensor, "batch outputs"]:
        """(B, P) the outputs of an entry, given those put before."""
        activation, size = self._network.activation, self._network.num_outputs
        h = self._biases[0]
        for weight, bias in zip(self._weights[1:-1], self._biases[1:-1], strict=True):
            h = torch.addmm(bias, activation(h), weight.T)
        own = slice(entry * size, (entry + 1) * size)
        return torch.addmm(self._biases[-1][:, own], activation(h), self._weights[-1][own].T)


def _degrees(
    placed: NDArray[np.int64],
    hidden_sizes: Sequence[int],
    lowest: int,
    inputs_per_entry: int,
    num_outputs: int,
    rng: np.random.Generator | None,
) -> list[NDArray[np.int64]]:
    """Of the inputs, each hidden layer's units, and the outputs."""
    num_entries = len(placed)
    found = [np.repeat(placed, inputs_per_entry)]
    for size in hidden_sizes:
        if rng is None:
            found.append(even_degrees(size, num_entries, lowest))
        else:
            # a unit of a lower degree than all of the layer below would have no inputs
            least = lowest if len(found) == 1 else int(found[-1].min())
            found.append(drawn_degrees(size, num_entries, least, rng))
    return [*found, np.repeat(placed, num_outputs)]


def _layer(
    degrees: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], *, strict: bool
) -> MaskedLinear:
    masks = [connections(inputs, outputs, strict=strict) for inputs, outputs in degrees]
    return MaskedLinear(torch.stack(masks))


def _start(weight: Tensor, bias: Tensor) -> None:
    """As PyTorch's own layers start."""
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(bias, -bound, bound)
