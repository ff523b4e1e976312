r"""REINFORCE: a policy that learns from whole episodes.

.. math::
    \nabla J = \mathbb E\Bigl[\sum_t \gamma^t \nabla \log \pi_\theta(a_t \mid s_t)
        \bigl(G_t - V(s_t)\bigr)\Bigr], \qquad G_t = \sum_{k \ge 0} \gamma^k r_{t+k+1}

where the baseline :math:`V` is learnt beside the policy, towards the same returns; subtracting it
changes the variance of the estimate and not its mean. The factor :math:`\gamma^t` belongs to the
gradient of the discounted return, and is left out unless ``discount_in_gradient`` asks for it.

The return of an episode that was truncated goes on with the baseline's value of what its last step
led to: the time limit is no part of the world. Without a baseline nothing is known of what would
have followed, and the return ends there as if the episode had terminated; observe the time, or
learn a baseline, where that matters.

An update comes when ``episodes_per_update`` episodes have ended (see `REINFORCEConfig` on running
ones). Learning may stop and go on in the middle of an episode.

References:
    R. J. Williams (1992), Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, Machine Learning 8.
    R. S. Sutton, A. G. Barto (2018), Reinforcement learning: an introduction, 2nd edition,
        sections 13.3 and 13.4.
    F. Pardo et al. (2018), Time limits in reinforcement learning, arXiv:1712.00378, section 2.
    C. Nota, P. S. Thomas (2020), Is the policy gradient a gradient?, arXiv:1906.07073.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gymnasium import spaces

from .member_steps import AbstractMemberSteps
from .member_streams import member_streams
from .observation_leaves import ObservationLeaves
from .policy_agent import AbstractPolicyAgent
from .policy_gradient_configuration import REINFORCEConfig
from .reinforce_learners import ReinforceLearners

__all__ = ["REINFORCE"]


class REINFORCE(AbstractPolicyAgent):
    """REINFORCE (see the module).

    Args:
        env: An id, a spec, an environment or a vector environment; actions are Discrete,
            MultiDiscrete, MultiBinary or a Box of floats, observations anything of arrays (see
            `ObservationLeaves`). See `AbstractDeepAgent`.
        seed: Seeds everything random here and, in the first reset, the environments.
        hyperparameters: Fields of `REINFORCEConfig`.

    Raises:
        ValueError: A space is of another kind, or a hyper-parameter is out of range.
        TypeError: A hyper-parameter is unknown.

    Example:
        >>> from gymagine.envs.probes import action_probe
        >>> agent = REINFORCE(action_probe(), seed=0, learning_rate=1e-2).learn(500)
        >>> int(agent.predict(agent.observation_space.sample())[0])
        1
    """

    Config = REINFORCEConfig
    name = "reinforce"
    per_member: ClassVar[frozenset[str]] = frozenset(
        {
            "learning_rate",
            "discount",
            "value_weight",
            "entropy_weight",
            "reward_scale",
            "episodes_per_update",
        }
    )
    config: REINFORCEConfig
    learners: ReinforceLearners

    @classmethod
    def _learners(
        cls,
        configs: Sequence[REINFORCEConfig],
        leaves: ObservationLeaves,
        action_space: spaces.Space[Any],
        steps: AbstractMemberSteps | None,
        seeds: Sequence[int],
        num_rows: int,
    ) -> ReinforceLearners:
        streams = member_streams(seeds)
        return ReinforceLearners(configs, leaves, action_space, steps, streams, num_rows)
