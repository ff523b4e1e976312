r"""Advantage actor-critic: a policy and state values that learn from a few steps at a time.

.. math::
    \nabla J \approx \mathbb E\bigl[\nabla \log \pi_\theta(a_t \mid s_t)\, \hat A_t\bigr], \qquad
    \hat A_t = \sum_k (\gamma \lambda)^k \delta_{t+k}, \qquad
    \delta_t = r_{t+1} + \gamma V(s_{t+1}) - V(s_t)

The values are learnt towards :math:`\hat A_t + V(s_t)`, and the entropy of the policy may be
rewarded. Several copies of the environment step together; after ``n_steps`` steps of each their
steps are one batch, which is used once. An episode that terminated has no value after it; one that
was truncated goes on with the value of what its last step led to. Images go through one encoder,
which policy and values share.

References:
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783
        (A3C, of which this is the synchronous form).
    J. Schulman et al. (2016), High-dimensional continuous control using generalized advantage
        estimation, arXiv:1506.02438.
    F. Pardo et al. (2018), Time limits in reinforcement learning, arXiv:1712.00378.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gymnasium import spaces

from .actor_critic_learners import ActorCriticLearners
from .member_steps import AbstractMemberSteps
from .member_streams import member_streams
from .observation_leaves import ObservationLeaves
from .policy_agent import AbstractPolicyAgent
from .policy_gradient_configuration import A2CConfig

__all__ = ["A2C"]


class A2C(AbstractPolicyAgent):
    """The advantage actor-critic (see the module).

    Args:
        env: An id, a spec, an environment or a vector environment; actions are Discrete,
            MultiDiscrete, MultiBinary or a Box of floats, observations anything of arrays (see
            `ObservationLeaves`). See `AbstractDeepAgent`.
        seed: Seeds everything random here and, in the first reset, the environments.
        hyperparameters: Fields of `A2CConfig`.

    Raises:
        ValueError: A space is of another kind, or a hyper-parameter is out of range.
        TypeError: A hyper-parameter is unknown.

    Example:
        >>> import numpy as np
        >>> from gymagine.envs.probes import value_probe
        >>> agent = A2C(value_probe(), seed=0, num_envs=1, learning_rate=1e-2).learn(1_000)
        >>> round(float(agent.state_values(np.zeros(1, np.float32))), 1)
        1.0
    """

    Config = A2CConfig
    name = "a2c"
    per_member: ClassVar[frozenset[str]] = frozenset(
        {
            "learning_rate",
            "discount",
            "gae_lambda",
            "value_weight",
            "entropy_weight",
            "reward_scale",
        }
    )
    config: A2CConfig
    learners: ActorCriticLearners

    @classmethod
    def _learners(
        cls,
        configs: Sequence[A2CConfig],
        leaves: ObservationLeaves,
        action_space: spaces.Space[Any],
        steps: AbstractMemberSteps | None,
        seeds: Sequence[int],
        num_rows: int,
    ) -> ActorCriticLearners:
        streams = member_streams(seeds)
        return ActorCriticLearners(configs, leaves, action_space, steps, streams, num_rows)
