"""What learners share that improve their own policy: acting by values of actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .configuration import ControlConfig
from .exploration import Exploration, compile_exploration, explored_action
from .learner import AbstractTabularAgent
from .schedules import CompiledSchedule, StepSize, compile_schedule, scheduled

__all__ = ["AbstractControl"]


class AbstractControl(AbstractTabularAgent):
    """A learner whose memory has ``action_values`` and ``exploration``."""

    @property
    def action_values(self) -> NDArray[np.float64]:
        """(S, A) a copy of the values of the actions; -inf where an action is masked."""
        values: NDArray[np.float64] = self._memory.action_values
        return np.where(self._allowed, values, -np.inf)

    @property
    def state_values(self) -> NDArray[np.float64]:
        """(S,) the largest value of an allowed action; 0 where none is allowed."""
        values: NDArray[np.float64] = self.action_values.max(axis=1)
        return np.where(self._allowed.any(axis=1), values, 0.0)

    @property
    def policy(self) -> NDArray[np.int64]:
        """(S,) the number of the best action of each state, the lowest of equals."""
        best: NDArray[np.int64] = self.action_values.argmax(axis=1).astype(np.int64)
        return best

    @property
    def exploration_rate(self) -> float:
        """The exploration rate at the present step; softmax exploration ignores it."""
        return float(scheduled(self._memory.exploration.rate, self.num_timesteps))

    def _choose(self, state: int, allowed: NDArray[np.bool_], deterministic: bool) -> int:
        if not allowed.any():
            raise ValueError(f"expected an allowed action in state {state}, got none")
        values: NDArray[np.float64] = self._memory.action_values[state]
        if deterministic:
            return int(np.where(allowed, values, -np.inf).argmax())
        exploration: Exploration = self._memory.exploration
        own = exploration._replace(
            allowed=allowed[np.newaxis], is_masked=True, random=self._prediction_random
        )
        return int(explored_action(own, values[np.newaxis], 0))

    def _scalars(self) -> dict[str, float]:
        scalars = {}
        if isinstance(self.config, ControlConfig):
            step_size: CompiledSchedule = self._memory.step_size.schedule
            scalars["train/step_size"] = float(scheduled(step_size, self.num_timesteps))
        exploration: Exploration = self._memory.exploration
        if self.config.exploration == "softmax":
            name, schedule = "rollout/temperature", exploration.temperature
        else:
            name, schedule = "rollout/exploration_rate", exploration.rate
        scalars[name] = float(scheduled(schedule, self.num_timesteps))
        return scalars

    # ---- parts of a memory, for the algorithms' _build_memory ----------------------------------

    def _initial_values(self) -> NDArray[np.float64]:
        return np.full(self._allowed.shape, float(self.config.initial_action_value))

    def _initial_counts(self) -> NDArray[np.int64]:
        return np.zeros(self._allowed.shape, dtype=np.int64)

    def _exploration(self, random: NDArray[np.uint64]) -> Exploration:
        config: Any = self.config
        return compile_exploration(
            config.exploration,
            config.exploration_rate,
            config.temperature,
            allowed=self._allowed,
            is_masked=self._is_masked,
            random=random,
            clock=self._clock,
        )

    def _step_size(self) -> StepSize:
        schedule = compile_schedule(self.config.step_size)
        return StepSize(schedule, float(self.config.step_size_decay))
