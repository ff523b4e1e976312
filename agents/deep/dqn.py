r"""Deep Q-learning: a network in place of the table, learning from remembered transitions.

.. math:: L(\theta) = \mathbb E\Bigl[\ell\bigl(r + \gamma \max_{a'} Q_{\theta^-}(s', a')
    - Q_\theta(s, a)\bigr)\Bigr]

with a target network :math:`\theta^-` that follows slowly, and no bootstrap where the episode
terminated (but one where it was only truncated). Six switches, each on its own, make it Rainbow
together: *double* (the learning network chooses the next action), *duelling* (streams for the
value and the advantages), *prioritised* (transitions with larger errors are drawn more often),
*n-step* returns, *categorical* (C51) and *noisy* layers in place of random actions.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.
    H. van Hasselt et al. (2016), Deep reinforcement learning with double Q-learning,
        arXiv:1509.06461.
    Z. Wang et al. (2016), Dueling network architectures for deep reinforcement learning,
        arXiv:1511.06581.
    T. Schaul et al. (2016), Prioritized experience replay, arXiv:1511.05952.
    M. G. Bellemare et al. (2017), A distributional perspective on reinforcement learning,
        arXiv:1707.06887.
    M. Fortunato et al. (2018), Noisy networks for exploration, arXiv:1706.10295.
    M. Hessel et al. (2018), Rainbow: combining improvements in deep reinforcement learning,
        arXiv:1710.02298.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from numpy.typing import NDArray

from .categorical_values import value_atoms
from .configuration import DQNConfig
from .deep_agent import AbstractDeepAgent
from .devices import device_for
from .encoders import Encoder
from .member_rates import MemberRates
from .member_steps import AbstractMemberSteps
from .member_streams import member_streams
from .networks import QNetwork
from .observation_leaves import ObservationLeaves
from .policy_export import GreedyPolicy
from .q_learners import QLearners, QSettings
from .q_losses import QLossSettings
from .q_update import QUpdate
from .replay_memory import ReplayMemory

__all__ = ["DQN"]


class DQN(AbstractDeepAgent):
    """Deep Q-learning (see the module).

    Args:
        env: An id, a spec, an environment or a vector environment; actions are Discrete,
            observations anything of arrays (see `ObservationLeaves`). See `AbstractDeepAgent`.
        seed: Seeds everything random here and, in the first reset, the environments.
        hyperparameters: Fields of `DQNConfig`.

    Raises:
        ValueError: A space is of another kind, or a hyper-parameter is out of range. Whether the
            memory fits shows in `learn`, when it is known whether actions are masked.
        TypeError: A hyper-parameter is unknown.

    Example:
        >>> from gymagine.envs.probes import value_probe
        >>> agent = DQN(value_probe(), seed=0, learning_rate=1e-2, buffer_size=1_000)
        >>> agent = agent.learn(1_000)
        >>> round(float(agent.action_values(np.zeros(1, np.float32))[0]), 1)
        1.0
    """

    Config = DQNConfig
    name = "dqn"
    per_member: ClassVar[frozenset[str]] = frozenset(
        {"learning_rate", "discount", "exploration_rate", "importance_exponent"}
    )
    config: DQNConfig
    learners: QLearners

    def action_values(self, observation: Any) -> Float32[NDArray[np.float32], "*batch actions"]:
        """(A,) values of the actions for one observation, or (B, A) for a batch; without noise."""
        leaves, is_batch = self._read(observation)
        values = self.learners.member_values(self._member, leaves)
        return values if is_batch else values[0]

    def policy_module(self) -> GreedyPolicy:
        """See `AbstractDeepAgent.policy_module`."""
        network = self.learners.update.network_of(self._member)
        atoms = self.learners.settings.atoms
        atoms = None if atoms is None else atoms.cpu()
        return GreedyPolicy(network, self._leaves, self.action_space, atoms)

    @classmethod
    def _check_action_space(cls, space: spaces.Space[Any]) -> None:
        if not isinstance(space, spaces.Discrete):
            raise ValueError(
                f"expected Discrete actions, whose values DQN can compare, got {space}"
            )

    @classmethod
    def _learners(
        cls,
        configs: Sequence[DQNConfig],
        leaves: ObservationLeaves,
        action_space: spaces.Space[Any],
        steps: AbstractMemberSteps | None,
        seeds: Sequence[int],
        num_rows: int,
    ) -> QLearners:
        assert isinstance(action_space, spaces.Discrete), "checked before"
        config, members = configs[0], len(configs)
        num_actions = int(action_space.n)
        streams = member_streams(seeds)
        atoms = value_atoms(config.v_min, config.v_max, config.num_atoms)
        network = _network(config, leaves, num_actions, streams.parameters.generators)
        device = device_for(config.device, network.encoder)
        network.to(device)
        settings = _settings(configs, atoms.to(device), int(action_space.start))
        loss = QLossSettings(
            double=config.double,
            error_loss=config.error_loss,
            atoms=settings.atoms,
            max_grad_norm=config.max_grad_norm,
            adam_epsilon=config.adam_epsilon,
        )

        def remember(masks: bool) -> ReplayMemory:
            return ReplayMemory(
                leaves,
                config.buffer_size,
                num_actions=num_actions,
                members=members,
                copies=num_rows // members,
                discount=[own.discount for own in configs],
                n_step=config.n_step,
                frame_stack=config.frame_stack,
                masks=masks,
                priority_exponent=config.priority_exponent if config.prioritised else None,
                folder=config.replay_folder,
            )

        rates = torch.tensor(settings.learning_rates, dtype=torch.float32).to(device)
        update = QUpdate(network, loss, rates, compiled=config.compile)
        return QLearners(network, update, remember, steps, streams, settings, num_rows=num_rows)


def _settings(configs: Sequence[DQNConfig], atoms: torch.Tensor, action_start: int) -> QSettings:
    config = configs[0]
    return QSettings(
        batch_size=config.batch_size,
        learning_starts=config.learning_starts,
        train_freq=config.train_freq,
        gradient_steps=config.gradient_steps,
        target_update_interval=config.target_update_interval,
        tau=config.tau,
        atoms=atoms if config.categorical else None,
        action_start=action_start,
        exploration=MemberRates([0.0 if own.noisy else own.exploration_rate for own in configs]),
        importance=MemberRates([own.importance_exponent for own in configs]),
        learning_rates=tuple(own.learning_rate for own in configs),
    )


def _network(
    config: DQNConfig,
    leaves: ObservationLeaves,
    num_actions: int,
    rngs: Sequence[np.random.Generator],
) -> QNetwork:
    return QNetwork(
        Encoder(leaves.spaces, leaves.names, rngs=rngs),
        num_actions,
        rngs=rngs,
        hidden_sizes=config.hidden_sizes,
        activation=config.activation,
        duelling=config.duelling,
        num_atoms=config.num_atoms if config.categorical else None,
        noisy=config.noisy,
    )
