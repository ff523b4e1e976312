r"""Probe environments: the smallest worlds in which a part of an agent can be right or wrong.

Each asks for one ability more than the one before, has an exact answer, and is learnt in seconds.
The first one that an agent fails names the part that is broken.

=================  ================================  =====================================
probe              what it asks for                  exact answer
=================  ================================  =====================================
`value_probe`      a value                           :math:`V = 1`
`observation_probe`  values that see the observation   :math:`V(o) = o`, o in {-1, 1}
`discount_probe`   discounting, bootstrapping        :math:`V(0) = \gamma, V(1) = 1`
`action_probe`     choosing                          :math:`Q = (-1, 1)`
`policy_probe`     choosing by the observation       :math:`Q(o, a) = o (2 a - 1)`
`truncation_probe`  truncation is not termination     :math:`V = 1 / (1 - \gamma)`
=================  ================================  =====================================

With ``continuous=True`` the last two that choose take a number: the reward is
:math:`1 - (a - a^*)^2`, and the best action :math:`a^*` is 0.5, or half the observation.

References:
    A. Jones (2021), Debugging reinforcement learning systems: probe environments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

__all__ = [
    "ProbeEnv",
    "action_probe",
    "discount_probe",
    "observation_probe",
    "policy_probe",
    "truncation_probe",
    "value_probe",
]

_CAP = 10  # steps after which the truncation probe is cut


class ProbeEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """A world with one number to see.

    Args:
        observations: One for each step of an episode, or of each the choices of the first step.
        reward: ``(observation, action) -> reward`` of each step.
        action_space: What can be done.
        length: Steps to the end; None never ends.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        observations: tuple[float, ...],
        reward: Callable[[float, Any], float],
        action_space: spaces.Space[Any],
        length: int | None,
    ) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = action_space
        self._observations = observations
        self._reward = reward
        self._length = length
        self._now, self._steps = 0.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._steps = 0
        several = self._length == 1
        choice = int(self.np_random.integers(len(self._observations))) if several else 0
        self._now = self._observations[choice]
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take an action."""
        reward = float(self._reward(self._now, action))
        self._steps += 1
        if self._length != 1:
            self._now = self._observations[self._steps % len(self._observations)]
        return self._seen(), reward, self._steps == self._length, False, {}

    def _seen(self) -> NDArray[np.float32]:
        return np.array([self._now], dtype=np.float32)


def value_probe() -> ProbeEnv:
    """One action, one step, a reward of 1: V = 1."""
    return ProbeEnv((0.0,), lambda seen, action: 1.0, spaces.Discrete(1), 1)


def observation_probe() -> ProbeEnv:
    """One action, one step, the observation as reward: V(o) = o."""
    return ProbeEnv((-1.0, 1.0), lambda seen, action: seen, spaces.Discrete(1), 1)


def discount_probe() -> ProbeEnv:
    """One action, two steps, a reward of 1 in the second: V(0) = discount, V(1) = 1."""
    return ProbeEnv((0.0, 1.0), lambda seen, action: seen, spaces.Discrete(1), 2)


def action_probe(*, continuous: bool = False) -> ProbeEnv:
    """Two actions, one step, rewards of -1 and 1; or a number, best at 0.5."""
    if continuous:
        return ProbeEnv((0.0,), lambda seen, action: _nearness(action, 0.5), _numbers(), 1)
    return ProbeEnv((0.0,), lambda seen, action: 2.0 * action - 1.0, spaces.Discrete(2), 1)


def policy_probe(*, continuous: bool = False) -> ProbeEnv:
    """Two actions, one step, the right one depends on the observation; or half of it is best."""
    if continuous:
        return ProbeEnv(
            (-1.0, 1.0), lambda seen, action: _nearness(action, 0.5 * seen), _numbers(), 1
        )
    return ProbeEnv(
        (-1.0, 1.0), lambda seen, action: seen * (2.0 * action - 1.0), spaces.Discrete(2), 1
    )


def truncation_probe() -> gymnasium.Env[NDArray[np.float32], Any]:
    """A loop that pays 1 and is cut after ten steps: V = 1 / (1 - discount)."""
    return TimeLimit(ProbeEnv((0.0,), lambda seen, action: 1.0, spaces.Discrete(1), None), _CAP)


def _numbers() -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (1,), np.float32)


def _nearness(action: Any, best: float) -> float:
    return 1.0 - (float(np.asarray(action).reshape(-1)[0]) - best) ** 2
