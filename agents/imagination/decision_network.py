r"""The network of a decision transformer: actions from returns-to-go, observations and actions.

Each of K steps is three tokens, the return-to-go, the observation and the action,

.. math:: (\hat R_1, o_1, a_1, \hat R_2, o_2, a_2, \dots, \hat R_K, o_K, a_K) ,

each embedded by a linear map, with the step's place in the window and its time in the episode
added. Attention is causal, and action k is predicted where observation k is: from all before it,
and not from itself. Windows shorter than K are padded at their *end*, which no earlier token looks
at; a mask keeps the padding out of the loss.

Numbers are predicted by a tanh and squared errors, categories by logits and cross-entropy.

References:
    L. Chen et al. (2021), Decision transformer: reinforcement learning via sequence modeling,
        arXiv:2106.01345, section 3 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ...generative.codec_leaves import CodecPart
from ...generative.generator import AbstractGenerator
from ...generative.networks.attention import TransformerBlock, sinusoidal_positions

__all__ = ["DecisionNetwork"]


class DecisionNetwork(AbstractGenerator):
    """Actions of K steps, given what a policy knows at each.

    An event is (K A,) encoded actions. A context is (K, 3 + D + A): the normalised return-to-go,
    the time as a share of the longest episode, whether the step is no padding, the observation,
    the action. The temperature divides the logits of categories: 0 takes the most probable.

    Args:
        num_observed: D.
        parts: Of an encoded action; numbers and categories.
        context_length: K.
        width: Of a token.
        num_layers: Of the transformer.
        num_heads: Of its attention.

    Raises:
        ValueError: Actions have other parts.

    Example:
        >>> part = CodecPart("", "category", 0, 2)
        >>> network = DecisionNetwork(
        ...     4, [part], context_length=3, width=8, num_layers=1, num_heads=1)
        >>> network.eval().sample(1, torch.zeros(5, 3, 9)).shape
        torch.Size([1, 5, 6])
    """

    def __init__(
        self,
        num_observed: int,
        parts: Sequence[CodecPart],
        *,
        context_length: int,
        width: int,
        num_layers: int,
        num_heads: int,
    ) -> None:
        num_acted = max(part.stop for part in parts)
        super().__init__(
            (context_length * num_acted,),
            context_shape=(context_length, 3 + num_observed + num_acted),
        )
        for part in parts:
            if part.kind not in ("numbers", "category"):
                raise ValueError(f"expected actions of numbers or categories, got {part.kind}")
        self._parts, self._length = tuple(parts), context_length
        self._num_observed, self._num_acted = num_observed, num_acted
        self.embed_return = nn.Linear(1, width)
        self.embed_observation = nn.Linear(num_observed, width)
        self.embed_action = nn.Linear(num_acted, width)
        self.embed_time = nn.Linear(1, width)
        self.register_buffer("places", sinusoidal_positions(context_length, width))
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            [TransformerBlock(width, num_heads) for _ in range(num_layers)]
        )
        self.head = nn.Linear(width, num_acted)

    places: Tensor

    def outputs(
        self, context: Float[Tensor, "batch time entries"]
    ) -> Float[Tensor, "batch time action"]:
        """(B, T, A) numbers in [-1, 1] and logits of categories, T at most K."""
        batch, length, _ = context.shape
        returns, times, rest = context[:, :, :1], context[:, :, 1:2], context[:, :, 3:]
        observed, acted = rest[:, :, : self._num_observed], rest[:, :, self._num_observed :]
        at = self.embed_time(times) + self.places[:length]
        tokens = torch.stack(
            [
                self.embed_return(returns) + at,
                self.embed_observation(observed) + at,
                self.embed_action(acted) + at,
            ],
            dim=2,
        )
        hidden = self.norm_in(tokens.flatten(1, 2))
        for block in self.blocks:
            hidden = block(hidden, causal=True)
        seen = self.norm_out(hidden).view(batch, length, 3, -1)[:, :, 1]
        raw: Tensor = self.head(seen)
        found = raw.clone()
        for part in self._parts:
            if part.kind == "numbers":
                found[..., part.entries] = torch.tanh(raw[..., part.entries])
        return found

    def drawn(
        self,
        outputs: Float[Tensor, "batch action"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "batch action"]:
        """(B, A) encoded actions of (B, A) outputs of single steps."""
        found = outputs.clone()
        for part in self._parts:
            if part.kind == "category":
                logits = outputs[:, part.entries]
                if temperature > 0:
                    shares = torch.softmax(logits / temperature, dim=1)
                    chosen = torch.multinomial(shares, 1, generator=rng)[:, 0]
                else:
                    chosen = logits.argmax(dim=1)
                marked = functional.one_hot(chosen, part.stop - part.start)
                found[:, part.entries] = marked.to(found.dtype)
        return found

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        assert context is not None, "the context's shape was checked"
        wanted, known = x.view(len(x), self._length, -1), context[:, :, 2]
        outputs, total = self.outputs(context), torch.zeros_like(known)
        for part in self._parts:
            own, truth = outputs[..., part.entries], wanted[..., part.entries]
            if part.kind == "numbers":
                total = total + (own - truth).square().sum(dim=2)
            else:
                total = total - (truth * torch.log_softmax(own, dim=2)).sum(dim=2)
        return (total * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def _sample(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        assert context is not None, "the context's shape was checked"
        outputs = self.outputs(context).flatten(0, 1)
        return self.drawn(outputs, temperature, rng).view(num, -1)
