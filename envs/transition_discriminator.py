r"""A discriminator of steps: does this look like the expert's, or like the learner's?

Its logit d is large for what looks like the expert's, :math:`D = \sigma(d)`. Trained on both, it
tends to :math:`d = \log p_E(s, a) - \log p_\pi(s, a)`. Two forms:

* ``gail``, any function of observation and action;
* ``airl``, a reward and a potential, with the policy's own log-probability taken away,

.. math:: d = f(s, a, s') - \log \pi(a \mid s), \qquad
    f(s, a, s') = g(s, a) + \gamma h(s') - h(s),

where the potential of what ends an episode is 0. What is shaping goes into h, and g is left to be
the reward, up to a constant, where it depends on the observation alone and rewards are the
expert's.

References:
    J. Ho, S. Ermon (2016), Generative adversarial imitation learning, arXiv:1606.03476.
    J. Fu, K. Luo, S. Levine (2018), Learning robust rewards with adversarial inverse reinforcement
        learning, arXiv:1710.11248, equation 4 and appendix A.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor, nn

from ..generative.codec import vector_codec
from ..generative.data.environments import Transitions
from ..generative.module_state import load_state, save_state
from ..generative.networks.mlp import MLP
from ..generative.normalisers import Normaliser

__all__ = ["DiscriminatorForm", "EncodedSteps", "TransitionDiscriminator"]

DiscriminatorForm = Literal["gail", "airl"]


@dataclass(frozen=True)
class EncodedSteps:
    """N steps as a discriminator takes them.

    Attributes:
        observation: (N, D) encoded, not normalised.
        action: (N, A) likewise.
        next_observation: (N, D).
        terminated: (N,) zeros and ones.
    """

    observation: Float[Tensor, "batch observation"]
    action: Float[Tensor, "batch action"]
    next_observation: Float[Tensor, "batch observation"]
    terminated: Float[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.terminated)

    def take(self, rows: Tensor) -> EncodedSteps:
        """Those of some rows."""
        return EncodedSteps(
            self.observation[rows],
            self.action[rows],
            self.next_observation[rows],
            self.terminated[rows],
        )


class TransitionDiscriminator(nn.Module):
    """Tells an expert's steps from a learner's.

    Args:
        observation_space: Of the environment; one that a `Codec` makes vectors of.
        action_space: Likewise.
        form: ``gail`` or ``airl``.
        hidden_sizes: Units of the hidden layers, of each network.
        discount: Gamma, of ``airl``.
        seed: Of the first parameters.

    Attributes:
        form: Which.
        scales: Of observations; the identity until `fit_scales`.
        is_fitted: () whether scales were taken from data.

    Raises:
        ValueError: A space is not a vector's, or an argument is out of range.

    Example:
        >>> box, two = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)
        >>> discriminator = TransitionDiscriminator(box, two, form="airl")
        >>> from gymagine.generative.data.environments import transitions
        >>> cart = TransitionDiscriminator(spaces.Box(-9, 9, (4,)), two)
        >>> steps = cart.encode(transitions("CartPole-v1", 5))
        >>> cart(steps).shape
        torch.Size([5])
    """

    is_fitted: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        form: DiscriminatorForm = "gail",
        hidden_sizes: Sequence[int] = (64, 64),
        discount: float = 0.99,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if form not in get_args(DiscriminatorForm):
            raise ValueError(
                f"expected form as one of {get_args(DiscriminatorForm)}, got {form!r}"
            )
        if not 0 <= discount <= 1:
            raise ValueError(f"expected a discount in [0, 1], got {discount}")
        self.form, self.discount = form, float(discount)
        self.observation_codec = vector_codec(observation_space, "observation")
        self.action_codec = vector_codec(action_space, "action")
        (num,), (num_actions,) = self.observation_codec.event_shape, self.action_codec.event_shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes: Any = {"hidden_sizes": tuple(hidden_sizes), "activation": "tanh"}
            self.reward = MLP(num + num_actions, 1, **sizes)
            self.potential = MLP(num, 1, **sizes) if form == "airl" else None
        self.scales = Normaliser(num)
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    # ---- steps ----------------------------------------------------------------------------------

    def encode(self, data: Transitions) -> EncodedSteps:
        """Steps as tensors.

        Raises:
            ValueError: They do not fit the spaces.
        """
        observation, following = (
            self.observation_codec.encode(part)
            for part in (data.observation, data.next_observation)
        )
        ended = torch.from_numpy(data.terminated).to(observation.dtype)
        return EncodedSteps(observation, self.action_codec.encode(data.action), following, ended)

    def encode_step(
        self, observation: Any, action: Any, next_observation: Any, terminated: bool
    ) -> EncodedSteps:
        """One step as tensors of one row."""
        before, after = (
            self.observation_codec.encode_one(part) for part in (observation, next_observation)
        )
        taken = self.action_codec.encode_one(action)
        ended = before.new_tensor([float(terminated)])
        return EncodedSteps(before[None], taken[None], after[None], ended)

    def fit_scales(self, observations: Float[Tensor, "batch observation"]) -> None:
        """Take the scales of observations from data.

        Args:
            observations: (N, D) encoded.
        """
        fitted = Normaliser.fitted(observations, "z-score")
        self.scales.load_state_dict(fitted.state_dict())
        self.is_fitted.fill_(True)

    # ---- judging --------------------------------------------------------------------------------

    def forward(
        self, steps: EncodedSteps, log_policy: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, " batch"]:
        """(B,) logits d; of ``airl`` without the policy's log-probabilities f.

        Args:
            steps: B of them.
            log_policy: (B,) log pi(a | s), for ``airl``.
        """
        before = self._scaled(steps.observation)
        found: Tensor = self.reward(torch.cat([before, steps.action], dim=1))[:, 0]
        if self.potential is not None:
            after: Tensor = self.potential(self._scaled(steps.next_observation))[:, 0]
            found = found + self.discount * (1 - steps.terminated) * after
            found = found - self.potential(before)[:, 0]
            if log_policy is not None:
                found = found - log_policy
        return found

    def _scaled(self, observations: Tensor) -> Tensor:
        scaled: Tensor = self.scales(observations)
        return scaled.to(observations.dtype)

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and scales to a file, whole or not at all."""
        save_state(self, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what `save` wrote of a discriminator that was made in the same way.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, or of another discriminator.
        """
        load_state(self, path)
