r"""Flow matching: a continuous flow, learned as a regression on straight paths.

Noise :math:`x_0 \sim \mathcal N(0, I)` and an event :math:`x_1` are joined by the path of optimal
transport, which has a velocity,

.. math:: x_t = (1 - (1 - \sigma) t)\, x_0 + t\, x_1, \qquad
    u = x_1 - (1 - \sigma)\, x_0, \qquad t \sim U(0, 1) ,

and the loss is :math:`\| v_\theta(t, x_t, c) - u \|^2`, which is no likelihood. Its gradient is
that of the distance to the velocity that carries the noise's distribution into the events',
blurred by :math:`\sigma`: the minimum is above zero. The flow of dx/dt = v from t = 0 to 1 makes
events.

*Which density this is.* The model is made of N Runge-Kutta steps :math:`\Phi_n` from an event, at
t = 1, back to its latent, at t = 0, and ``log_prob`` is the density of exactly that map,

.. math:: \log p(x \mid c) = \log \mathcal N(z; 0, I) +
    \sum_n \log |\det \partial \Phi_n / \partial x|, \qquad
    z = \Phi_N \circ \dots \circ \Phi_1(x) ,

by N determinants of D x D Jacobians. ``decode`` inverts the same map step by step, and samples are
decoded noise. What the literature reports, the integral of a trace along the path, is
`FlowMatching.log_prob_by_trace`: it is the density of the exact flow but for the solver's error of
:math:`O(N^{-4})`, and an unbiased estimate of that with random probes in place of the trace. The
two agree as N grows.

References:
    Y. Lipman, R. T. Q. Chen, H. Ben-Hamu, M. Nickel, M. Le (2023), Flow matching for generative
        modeling, arXiv:2210.02747, equations 20 to 23.
    R. T. Q. Chen et al. (2018), Neural ordinary differential equations, arXiv:1806.07366.
    W. Grathwohl et al. (2019), FFJORD, arXiv:1810.01367.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..family import AbstractFamily
from ..generator import AbstractDensity, AbstractLatent
from ..networks.mlp import MLP, Activation, ContextUse
from ..trainable import AbstractInitialised
from .base import Normal
from .ode import (
    inverse_step,
    log_det_by_trace,
    log_det_of_steps,
    random_signs,
    runge_kutta,
)
from .transform import Standardisation

__all__ = ["FlowMatching", "FlowMatchingConfig", "straight_path", "time_features"]

_RANGES = {
    "hidden_sizes": (1, math.inf, True),
    "num_frequencies": (1, math.inf, True),
    "sigma": (0.0, 1.0, True),
    "num_steps": (1, math.inf, True),
    "num_corrections": (0, math.inf, True),
}
_CHOICES = {"activation": get_args(Activation), "context_use": get_args(ContextUse)}


def straight_path(
    x_0: Float[Tensor, "batch entries"],
    x_1: Float[Tensor, "batch entries"],
    t: Float[Tensor, "batch 1"],
    sigma: float,
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
    """(B, D) where the paths are at times t, and their velocities.

    Args:
        x_0: Noise.
        x_1: Events.
        t: (B, 1) in [0, 1].
        sigma: Deviation of the noise that is left at t = 1.

    Example:
        >>> straight_path(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([[0.25]]), 0.0)
        (tensor([[0.2500]]), tensor([[1.]]))
    """
    return (1 - (1 - sigma) * t) * x_0 + t * x_1, x_1 - (1 - sigma) * x_0


def time_features(
    t: Float[Tensor, "batch 1"], num_frequencies: int
) -> Float[Tensor, "batch features"]:
    """(B, 1 + 2F) the time itself, and sines and cosines of F whole multiples of pi t.

    Example:
        >>> time_features(torch.tensor([[1.0]]), 1).round()
        tensor([[ 1., -0., -1.]])
    """
    frequencies = torch.arange(1, num_frequencies + 1, device=t.device)
    angles = math.pi * frequencies * t
    return torch.cat([t, angles.sin(), angles.cos()], dim=1)


@dataclass(frozen=True)
class FlowMatchingConfig:
    """Hyper-parameters of flow matching.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    hidden_sizes: tuple[int, ...] = (128, 128, 128)
    """Units of the hidden layers of the velocity's network."""
    activation: Activation = "silu"
    """After each hidden layer; a smooth one keeps the solver's error small."""
    context_use: ContextUse = "modulate"
    """How time and context enter the network: beside the event, or in every layer, which learns
    several times faster."""
    num_frequencies: int = 4
    """Sines and cosines by which the network is told the time."""
    sigma: float = 1e-4
    """Deviation of the noise that blurs the events, in standard deviations of theirs."""
    num_steps: int = 32
    """Runge-Kutta steps between event and latent, of four velocities each."""
    num_corrections: int = 1
    """Of each step when latents are decoded, which takes them closer to the exact inverse."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class FlowMatching(AbstractFamily, AbstractDensity, AbstractLatent, AbstractInitialised):
    """A continuous flow over vectors or flattened pictures, learned by flow matching.

    The loss is a squared distance in the events' standard deviations, not nats. A temperature
    scales the noise that is decoded. ``log_prob`` takes memory and time for D x D Jacobians.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `FlowMatchingConfig`.

    Attributes:
        standardisation: By the first batch that `fit` trains on.
        network: Of the velocity.
        base: Of the latents.

    Example:
        >>> flow = FlowMatching((2,), hidden_sizes=(16, 16), num_steps=8)
        >>> x = torch.randn(5, 2)
        >>> torch.allclose(flow.decode(flow.encode(x)), x, atol=1e-5)
        True
    """

    Config = FlowMatchingConfig
    name = "flow-matching"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(FlowMatchingConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        self.latent_shape = (self.num_entries,)
        self.standardisation = Standardisation(self.num_entries)
        self.base = Normal(self.num_entries)
        num_features = 1 + 2 * config.num_frequencies
        self.network = MLP(
            self.num_entries,
            self.num_entries,
            hidden_sizes=config.hidden_sizes,
            num_context=num_features
            + math.prod(self.context_shape or ()) * (self.context_shape is not None),
            activation=config.activation,
            context_use=config.context_use,
        )

    # ---- the velocity ---------------------------------------------------------------------------

    def velocity(
        self,
        t: Float[Tensor, "batch 1"],
        x: Float[Tensor, "batch entries"],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch entries"]:
        """(B, D) at (B, 1) times in [0, 1] and (B, D) places, in standardised units."""
        features = time_features(t, self.config.num_frequencies)
        if context is not None:
            features = torch.cat([features, context.flatten(1)], dim=1)
        found: Tensor = self.network(x, features)
        return found

    def _field(self, context: Tensor | None, t: float, x: Tensor) -> Tensor:
        """`velocity` at one time."""
        return self.velocity(x.new_full((len(x), 1), t), x, context)

    # ---- the contract ---------------------------------------------------------------------------

    def initialise(self, x: Tensor, context: Tensor | None) -> None:
        """Standardise by these events."""
        self.standardisation.adopt(x.flatten(1))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        x_1, _ = self.standardisation(x.flatten(1), None)
        like = {"dtype": x_1.dtype, "device": x_1.device}
        x_0 = torch.randn(x_1.shape, generator=rng, **like)
        t = torch.rand(len(x_1), 1, generator=rng, **like)
        x_t, u = straight_path(x_0, x_1, t, self.config.sigma)
        error = self.velocity(t, x_t, context) - u
        return (error * error).sum(dim=1)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self._from_base(self.base.sample(num, None, temperature, rng), context)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z, total = self.standardisation.forward(x.flatten(1), None)
        field = partial(self._field, context)
        z, log_det = log_det_of_steps(field, z, 1.0, 0.0, self.config.num_steps)
        return self.base.log_prob(z, None) + total + log_det

    def log_prob_by_trace(
        self,
        x: Float[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        num_probes: int | None = None,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities of the continuous flow, but for the solver's error.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the flow takes one.
            num_probes: Vectors of random signs in place of the trace, over which the mean of an
                unbiased estimate is taken: each costs one derivative of the velocity along a path,
                and the trace D. None for the trace.
            rng: Of the signs.

        Raises:
            ValueError: A shape does not fit, a context is missing or too much, or there are no
                probes.
        """
        self._check_shapes(x, context)
        if num_probes is not None and num_probes < 1:
            raise ValueError(f"expected at least 1 probe, got {num_probes}")
        z, log_det = self.standardisation.forward(x.flatten(1), None)
        repeats = num_probes or 1
        z = z.repeat(repeats, 1)
        if context is not None:
            context = context.flatten(1).repeat(repeats, 1)
        probe = None if num_probes is None else random_signs(z, rng)
        field = partial(self._field, context)
        z, change = log_det_by_trace(field, z, 1.0, 0.0, self.config.num_steps, probe)
        densities = self.base.log_prob(z, None) + change
        return densities.view(repeats, len(x)).mean(dim=0) + log_det

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
        z, _ = self.standardisation(x.flatten(1), None)
        return runge_kutta(partial(self._field, context), z, 1.0, 0.0, self.config.num_steps)

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
        return self._from_base(z, context)

    def _from_base(self, z: Tensor, context: Tensor | None) -> Tensor:
        field, num_steps = partial(self._field, context), self.config.num_steps
        for step in reversed(range(num_steps)):
            t, h = 1 - step / num_steps, -1 / num_steps
            z = inverse_step(field, z, t, h, num_corrections=self.config.num_corrections)
        x, _ = self.standardisation.inverse(z, None)
        return x.view(len(x), *self.event_shape)
