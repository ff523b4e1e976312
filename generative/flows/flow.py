r"""What all flows of stacked transforms have in common.

An event is standardised, passes the transforms and arrives at a base distribution,

.. math:: \log p(x \mid c) = \log p_Z(f(x; c) \mid c) + \log |\det \partial f / \partial x| ,

whose negative is the loss. Samples take the way back. Pictures are flattened; one flat vector is
the latent of every event.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config
from ..family import AbstractFamily
from ..generator import AbstractDensity, AbstractLatent
from ..trainable import AbstractInitialised
from .base import AbstractBase, BaseName, GaussianMixture, Logistic, Normal, StudentT
from .transform import AbstractTransform, Composition, Standardisation

__all__ = ["AbstractFlow", "make_base"]


class AbstractFlow(AbstractFamily, AbstractDensity, AbstractLatent, AbstractInitialised):
    """A flow: a family gives the transforms.

    Its ``Config`` has at least ``base`` and ``num_components``.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        hyperparameters: Fields of ``Config``.

    Attributes:
        standardisation: By the first batch that `fit` trains on.
        transform: All the others.
        base: Of the latents.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or the shapes are not for this family.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        self.latent_shape = (self.num_entries,)
        self.standardisation = Standardisation(self.num_entries)
        self.base = make_base(
            config.base, self.num_entries, config.num_components, self.context_shape
        )
        # where classes select the base's mixture one map serves them all
        tells = self.context_shape is not None and config.base != "class-mixture"
        num_context = math.prod(self.context_shape or ()) if tells else 0
        self.transform = Composition(self._make_transforms(num_context))

    @abstractmethod
    def _make_transforms(self, num_context: int) -> list[AbstractTransform]:
        """Of flattened events, given so many numbers of a flattened context."""

    def to_base(
        self, x: Float[Tensor, "batch ..."], context: Float[Tensor, "batch ..."] | None = None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """(B, D) latents and (B,) log-determinants of (B, *event), given (B, *context)."""
        z, log_det = self.standardisation(x.flatten(1), None)
        z, more = self.transform(z, self._flat(context))
        return z, log_det + more

    def from_base(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch ..."] | None = None
    ) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, " batch"]]:
        """(B, *event) and (B,) log-determinants of (B, D) latents, given (B, *context)."""
        x, log_det = self.transform.inverse(z, self._flat(context))
        x, more = self.standardisation.inverse(x, None)
        return x.view(len(x), *self.event_shape), log_det + more

    def encode(
        self,
        x: Float[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch entries"]:
        """(B, D) the latents of (B, *event); there is nothing to draw.

        Raises:
            ValueError: A shape does not fit, or a context is missing or too much.
        """
        self._check_shapes(x, context)
        return self.to_base(x, context)[0]

    def decode(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) the events of (B, D) latents: what `encode` gives these for.

        Raises:
            ValueError: A shape does not fit, or a context is missing or too much.
        """
        if z.shape[1:] != self.latent_shape:
            raise ValueError(
                f"expected latents of shape (B, {self.num_entries}), got {tuple(z.shape)}"
            )
        self._check_context(context, len(z))
        return self.from_base(z, context)[0]

    def initialise(self, x: Tensor, context: Tensor | None) -> None:
        """Standardise by these events."""
        self.standardisation.adopt(x.flatten(1))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z, log_det = self.to_base(x, context)
        return self.base.log_prob(z, self._flat(context)) + log_det

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        z = self.base.sample(num, self._flat(context), temperature, rng)
        return self.from_base(z, context)[0]

    @staticmethod
    def _flat(context: Tensor | None) -> Tensor | None:
        return None if context is None else context.flatten(1)


def make_base(
    name: BaseName, num_entries: int, num_components: int, context_shape: Sequence[int] | None
) -> AbstractBase:
    """A base distribution by its name.

    Args:
        name: Which.
        num_entries: D.
        num_components: Of a mixture.
        context_shape: (G,) of one-hot classes, for a mixture of each class.

    Raises:
        ValueError: A mixture of each class is asked for without classes.
    """
    if name == "class-mixture":
        if context_shape is None or len(context_shape) != 1:
            raise ValueError(
                f"expected a context_shape (number of classes,) for a base of class mixtures, got "
                f"{context_shape}"
            )
        return GaussianMixture(num_entries, num_components, num_classes=context_shape[0])
    if name == "mixture":
        return GaussianMixture(num_entries, num_components)
    simple: dict[str, type[Normal | Logistic | StudentT]] = {
        "normal": Normal,
        "logistic": Logistic,
        "student-t": StudentT,
    }
    return simple[name](num_entries)
