r"""A causal transformer over the entries of an event.

The entries :math:`x_1, \dots, x_D` are tokens in a row; pictures are read line by line, all
channels of a pixel in turn. A start token comes first, so that the features at a token, which
attention lets see itself and all tokens before, give the conditional of the entry that follows:

.. math::
    h^0_0 = s + e_0, \quad h^0_d = E(x_d) + e_d, \qquad
    h^{l} = \text{block}_l(h^{l-1}), \qquad
    x_{d+1} \sim p(\cdot \mid W \operatorname{LN}(h^L_d)) .

E is a table with a row for each category, or linear in numbers; the positions e are learnt or
sinusoids. In training all conditionals come from one pass over the event (teacher forcing);
sampling keeps keys and values, so that an entry costs one token's pass (see `networks.attention`).

A *context* joins in front of the entries, as part of the start token, or is added to every token.
A context of T steps, (T, features), can be a prefix of T tokens instead of one.

References:
    A. Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762, section 3.
    A. Radford et al. (2019), Language models are unsupervised multitask learners, section 2.3
        (normalisation before each part, and after the last block).
    M. Chen et al. (2020), Generative pretraining from pixels, ICML, section 3 (raster order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ...configuration import build_config, check_fields
from ..conditionals import (
    AbstractConditional,
    CategoricalConditional,
)
from ..networks.attention import KeyValueCache, TransformerBlock, sinusoidal_positions
from .autoregressive import (
    CONDITIONAL_CHOICES,
    CONDITIONAL_RANGES,
    AbstractAutoregressive,
    AbstractConditionalConfig,
    KnownEntries,
    network_inputs,
    raster_event,
    raster_sequence,
)

__all__ = ["Transformer", "TransformerConfig"]

PositionKind = Literal["learnt", "sinusoidal"]
ContextPlace = Literal["prefix", "added"]

_RANGES = CONDITIONAL_RANGES | {
    "width": (1, math.inf, True),
    "num_heads": (1, math.inf, True),
    "num_layers": (1, math.inf, True),
}
_CHOICES = CONDITIONAL_CHOICES | {
    "positions": get_args(PositionKind),
    "context_place": get_args(ContextPlace),
}


@dataclass(frozen=True)
class TransformerConfig(AbstractConditionalConfig):
    """Hyper-parameters of the transformer; the sizes train on a CPU.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    width: int = 64
    """Features of a token; a multiple of the number of heads."""
    num_heads: int = 4
    """Attentions side by side."""
    num_layers: int = 2
    """Blocks of attention and dense layers."""
    positions: PositionKind = "learnt"
    """What tells tokens their place."""
    context_place: ContextPlace = "prefix"
    """Where a context enters: as the start token, one for each step where it has the shape
    (steps, features); or added to every token."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.width % self.num_heads:
            raise ValueError(
                f"expected a width that is a multiple of {self.num_heads} heads, got {self.width}"
            )


class Transformer(AbstractAutoregressive):
    """A causal transformer over the entries of vectors, sequences or pictures.

    The *temperature* of samples is that of every conditional: see `conditionals`.

    Args:
        event_shape: Of one event: pictures (C, H, W) are read line by line, others as they lie.
        context_shape: Of a context, which reaches every conditional; None for none.
        hyperparameters: Fields of `TransformerConfig`.

    Attributes:
        conditional: What entries are drawn from.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range.

    Example:
        >>> transformer = Transformer((6,), conditional="categorical", num_levels=5, width=16)
        >>> x = transformer.sample(3)
        >>> x.shape, x.dtype, transformer.log_prob(x).shape
        (torch.Size([3, 6]), torch.int64, torch.Size([3]))
    """

    Config = TransformerConfig
    name = "transformer"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: object,
    ) -> None:
        config = build_config(TransformerConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, context_shape=context_shape, config=config)
        conditional = self.conditional
        shape, width = self.context_shape, config.width
        is_sequence = config.context_place == "prefix" and shape is not None and len(shape) == 2
        self._prefix_shape = shape if shape is not None and is_sequence else (1, -1)
        self.start = nn.Parameter(torch.empty(width))
        self.embedding = _embedding(conditional, width)
        self.context_embedding: nn.Linear | None = None
        if shape is not None:
            features = shape[1] if is_sequence else math.prod(shape)
            self.context_embedding = nn.Linear(features, width, bias=False)
        num_positions = self._prefix_shape[0] + self.num_entries - 1
        self.positions: Tensor
        if config.positions == "learnt":
            self.positions = nn.Parameter(torch.empty(num_positions, width))
        else:
            sinusoids = sinusoidal_positions(num_positions, width)
            self.register_buffer("positions", sinusoids, persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.num_heads) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, conditional.num_parameters)
        self._initialise()

    def _initialise(self) -> None:
        # tokens and positions of one size: where positions start smaller, as GPT-2's do beside the
        # linear embedding of numbers, they are learnt late
        std = self.config.width**-0.5
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    nn.init.normal_(module.weight, std=std)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
            nn.init.normal_(self.start, std=std)
            if isinstance(self.positions, nn.Parameter):
                nn.init.normal_(self.positions, std=std)
            self.head.bias.copy_(self.conditional.initial_parameters())

    # ---- the network ----------------------------------------------------------------------------

    def conditional_parameters(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event, P) the parameters of every entry's conditional.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
        """
        return raster_event(self._outputs(raster_sequence(x), context), self.event_shape)

    def _outputs(self, entries: Tensor, context: Tensor | None) -> Tensor:
        """(B, D, P) from (B, D) entries in their order, of which the last tells nothing."""
        prefix = self._prefix(len(entries), context)
        tokens = torch.cat([prefix, self._tokens(entries[:, :-1], context)], dim=1)
        h = tokens + self.positions
        for block in self.blocks:
            h = block(h, causal=True)
        found: Tensor = self.head(self.norm(h[:, prefix.shape[1] - 1 :]))
        return found.to(self.start.dtype)  # likelihoods need more digits than bfloat16 has

    def _prefix(self, num: int, context: Tensor | None) -> Tensor:
        """(B, S, width) the tokens before the first entry: S is 1 but for sequences."""
        if self.context_embedding is None or context is None:
            return self.start.expand(num, 1, -1)
        steps: Tensor = self.context_embedding(context.reshape(num, *self._prefix_shape))
        return steps + self.start

    def _tokens(self, entries: Tensor, context: Tensor | None) -> Tensor:
        """(B, T, width) of (B, T) entries, without their positions."""
        if isinstance(self.embedding, nn.Embedding):
            tokens: Tensor = self.embedding(entries.long())
        else:
            numbers = network_inputs(self.conditional, entries, self.start.dtype, one_hot=False)
            tokens = self.embedding(numbers)
        if self.config.context_place == "added" and context is not None:
            assert self.context_embedding is not None
            tokens = tokens + self.context_embedding(context.flatten(1)).unsqueeze(1)
        return tokens

    # ---- the contract ---------------------------------------------------------------------------

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        entries = raster_sequence(x)
        return self.conditional.log_prob(self._outputs(entries, context), entries).sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _complete(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        given: KnownEntries | None,
    ) -> Tensor:
        known = None if given is None else given.arranged(raster_sequence)
        caches = [KeyValueCache(len(self.positions)) for _ in self.blocks]
        tokens = self._prefix(num, context)
        drawn: list[Tensor] = []
        place = 0
        for entry in range(self.num_entries):
            if entry > 0:
                tokens = self._tokens(drawn[-1].unsqueeze(1), context)
            h = tokens + self.positions[place : place + tokens.shape[1]]
            place += tokens.shape[1]
            for block, cache in zip(self.blocks, caches, strict=True):
                h = block(h, cache=cache)
            parameters = self.head(self.norm(h[:, -1]))
            x = self.conditional.sample(parameters, temperature, rng)
            drawn.append(x if known is None else known.over(x, entry))
        return raster_event(torch.stack(drawn, dim=1), self.event_shape)


def _embedding(conditional: AbstractConditional, width: int) -> nn.Module:
    """A table of categories; numbers and levels in their order enter linearly."""
    if isinstance(conditional, CategoricalConditional):
        return nn.Embedding(conditional.num_values, width)
    return nn.Linear(1, width)
