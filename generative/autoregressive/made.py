r"""MADE: an autoencoder whose masks make it autoregressive.

A dense network reads the whole event and gives the parameters of all conditionals at once. Masks
on its weights (see `networks.masked`) leave of each conditional's inputs those entries that come
before it in an order. With R masks, made of R orders or of R draws of the hidden units' degrees,
one network holds R models; training draws one of them for every batch, and the model is their
mixture,

.. math:: p(x) = \frac{1}{R} \sum_{r=1}^R p_r(x), \qquad
    p_r(x) = \prod_d p\big(x_d \mid x_{\{j :\, o_r(j) < o_r(d)\}}\big),

with :math:`o_r(d)` the position of entry d. By Jensen's inequality the mean of the R losses, which
is what training minimises, is no less than :math:`-\log p(x)`.

Sampling takes one small step for each entry: see `networks.masked.EntryByEntry`.

References:
    M. Germain, K. Gregor, I. Murray and H. Larochelle (2015), MADE: masked autoencoder for
        distribution estimation, arXiv:1502.03509, equations 8 to 15 and section 4.2; averaging the
        probabilities of several masks: section 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ...configuration import build_config, check_fields
from ..networks.masked import EntryByEntry, MaskedMLP, drawn_order
from .autoregressive import (
    CONDITIONAL_CHOICES,
    CONDITIONAL_RANGES,
    AbstractAutoregressive,
    AbstractConditionalConfig,
    KnownEntries,
    network_inputs,
)

__all__ = ["MADE", "MADEConfig"]

EntryOrder = Literal["natural", "random"]

_RANGES = CONDITIONAL_RANGES | {
    "hidden_sizes": (1, math.inf, True),
    "num_masks": (1, math.inf, True),
    "mask_seed": (0, math.inf, True),
}
_CHOICES = CONDITIONAL_CHOICES | {"order": get_args(EntryOrder)}


@dataclass(frozen=True)
class MADEConfig(AbstractConditionalConfig):
    """Hyper-parameters of MADE; the defaults are the paper's for binarised MNIST with one mask.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    one_hot: bool = False
    """Tell the network levels by an indicator each, in place of one number from -1 to 1: for
    levels without an order, such as codes."""
    hidden_sizes: tuple[int, ...] = (500, 500)
    """Units of the hidden layers."""
    num_masks: int = 1
    """Models that share the weights. With one, degrees are spread evenly over the hidden units;
    with more, they are drawn for each."""
    order: EntryOrder = "natural"
    """Of the entries: as in the event (of pictures: channels, rows, columns), or drawn, another
    one for every mask."""
    mask_seed: int = 0
    """Of orders and degrees."""
    direct: bool = False
    """Connect inputs to outputs, too, past the hidden layers."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if not self.hidden_sizes:
            raise ValueError("expected at least one hidden layer, got hidden_sizes of ()")


class MADE(AbstractAutoregressive):
    """A masked autoencoder for distribution estimation, of events of any shape.

    The *temperature* of samples is that of every conditional: see `conditionals`.

    Args:
        event_shape: Of one event; its entries are taken in the order of the config.
        context_shape: Of a context, which reaches every conditional; None for none.
        hyperparameters: Fields of `MADEConfig`.

    Attributes:
        conditional: What entries are drawn from.
        network: The masked network.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range.

    Example:
        >>> made = MADE((6,), hidden_sizes=(32,), num_masks=4, order="random")
        >>> x = made.sample(5)
        >>> x.shape, made.log_prob(x).shape
        (torch.Size([5, 6]), torch.Size([5]))
    """

    Config = MADEConfig
    name = "made"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: object,
    ) -> None:
        config = build_config(MADEConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, context_shape=context_shape, config=config)
        conditional = self.conditional
        size = self.num_entries
        rng = np.random.default_rng(config.mask_seed)
        orders: list[Sequence[int]] = [
            range(size) if config.order == "natural" else drawn_order(size, rng)
            for _ in range(config.num_masks)
        ]
        inputs = conditional.num_values if config.one_hot else None
        self.network = MaskedMLP(
            size,
            conditional.num_parameters,
            config.hidden_sizes,
            orders=orders,
            rng=rng if config.num_masks > 1 else None,
            inputs_per_entry=inputs or 1,
            context_size=0 if self.context_shape is None else math.prod(self.context_shape),
            direct=config.direct,
        )
        with torch.no_grad():
            start = conditional.initial_parameters().repeat(size)
            self.network.masked_layers()[-1].bias.copy_(start)

    def conditional_parameters(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        mask: int | Tensor = 0,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event, P) the parameters of every entry's conditional in one of the models.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
            mask: Which model, from 0 to R - 1.
        """
        inputs = self._inputs(x)
        outputs: Tensor = self.network(inputs, _flat(context), mask)
        # likelihoods need more digits than bfloat16 has
        return outputs.to(inputs.dtype).view(len(x), *self.event_shape, -1)

    def _mask_log_prob(self, x: Tensor, context: Tensor | None, mask: int | Tensor) -> Tensor:
        parameters = self.conditional_parameters(x, context, mask=mask)
        return self.conditional.log_prob(parameters, x).flatten(1).sum(dim=1)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        masks = range(self.network.num_masks)
        each = torch.stack([self._mask_log_prob(x, context, mask) for mask in masks])
        return torch.logsumexp(each, dim=0) - math.log(len(masks))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        if self.network.num_masks == 1:
            return -self._mask_log_prob(x, context, 0)
        mask = torch.randint(self.network.num_masks, (), generator=rng, device=x.device)
        return -self._mask_log_prob(x, context, mask)

    def _complete(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        given: KnownEntries | None,
    ) -> Tensor:
        num_masks = self.network.num_masks
        if num_masks == 1:
            return self._drawn(num, context, temperature, rng, given, 0)
        which = torch.randint(num_masks, (num,), generator=rng, device=self.example.device)
        parts, places = [], []
        for mask in range(num_masks):
            rows = (which == mask).nonzero().flatten()
            if len(rows):
                own = None if context is None else context[rows]
                known = None if given is None else given.arranged(partial(_taken, rows=rows))
                parts.append(self._drawn(len(rows), own, temperature, rng, known, mask))
                places.append(rows)
        return torch.cat(parts)[torch.cat(places).argsort()]

    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        given: KnownEntries | None,
        mask: int,
    ) -> Tensor:
        """(num, *event) samples of one of the models."""
        order = self.network.positions[mask].argsort().tolist()
        flat = None if given is None else given.arranged(lambda x: x.flatten(1))
        known = EntryByEntry(self.network, num, _flat(context), mask)
        columns: list[Tensor] = [torch.empty(0)] * len(order)
        for entry in order:
            x = self.conditional.sample(known.outputs(entry), temperature, rng)
            columns[entry] = x if flat is None else flat.over(x, entry)
            known.put(entry, self._inputs(columns[entry]))
        return torch.stack(columns, dim=1).view(num, *self.event_shape)

    def _inputs(self, x: Tensor) -> Tensor:
        """(B, I) what the network is told of (B, ...) entries."""
        one_hot = self.config.one_hot
        return network_inputs(self.conditional, x, self.example.dtype, one_hot=one_hot).flatten(1)


def _taken(x: Tensor, rows: Tensor) -> Tensor:
    return x[rows]


def _flat(context: Tensor | None) -> Tensor | None:
    return None if context is None else context.flatten(1)
