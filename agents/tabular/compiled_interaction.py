"""Learning on the compiled simulator of a known model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from ...envs.state_index import StateIndex
from ..episodes import FinishedEpisodes
from ..learning_session import Step
from .compilation import entry_point
from .interaction import AbstractInteraction, Kernels
from .observations import ObservationIndex
from .simulator import (
    ACTION,
    LOG_LIMIT,
    LOGGED,
    OBSERVATION,
    STATE,
    TAKEN,
    TERMINATED,
    TRUNCATED,
    simulate_model,
)

__all__ = ["CompiledInteraction"]


class CompiledInteraction(AbstractInteraction):
    """Steps of a `Simulation`, many in one call.

    Args:
        mdp: The model, its states or observations numbered as ``observations`` numbers them.
        kernels: The algorithm's.
        observations: Numbers the observation space.
        actions: Numbers the action space.
        seed: Seeds the simulation's own stream.
        start_anywhere: Begin episodes in any state (exploring starts).
    """

    def __init__(
        self,
        mdp: TabularMDP,
        kernels: Kernels,
        *,
        observations: ObservationIndex,
        actions: StateIndex,
        seed: np.random.SeedSequence,
        start_anywhere: bool = False,
    ) -> None:
        self._simulation = simulate_model(mdp, seed, start_anywhere=start_anywhere)
        self._kernels = kernels
        self._observations = observations
        self._actions = actions
        self._run: Callable[..., Any] | None = None
        self._fingerprint = _fingerprint(mdp)

    def take(self, memories: Sequence[Any], num_steps: int) -> None:
        """Learn from up to ``num_steps`` steps, fewer when the episode log is full."""
        (memory,) = memories
        if self._run is None:
            self._run = entry_point(self._kernels.run, memory, self._simulation, num_steps)
        self._run(memory, self._simulation, num_steps)

    def last_step(self) -> Step:
        """The last step taken."""
        position = self._simulation.position
        return Step(
            observation=self._observations.decode(int(position[OBSERVATION])),
            action=self._actions.decode(int(position[TAKEN])),
            reward=float(self._simulation.episode[1]),
            terminated=bool(position[TERMINATED]),
            truncated=bool(position[TRUNCATED]),
            info={},
        )

    def collect(self) -> FinishedEpisodes:
        """The episodes that ended since the last call."""
        log = self._simulation
        num = int(log.position[LOGGED])
        episodes = FinishedEpisodes(
            timesteps=log.log_ends[:num].copy(),
            returns=log.log_returns[:num].copy(),
            lengths=log.log_lengths[:num].copy(),
        )
        log.position[LOGGED] = 0
        return episodes

    def resume(self) -> None:
        """Nothing: nobody else can move a simulation."""

    def pause(self) -> None:
        """Nothing: nobody else can move a simulation."""

    def __getstate__(self) -> dict[str, Any]:
        """Without the compiled function, which cannot be pickled and is looked up again."""
        return {**self.__dict__, "_run": None}

    def limit_log(self, num_episodes: int | None) -> None:
        """Make `take` return when so many episodes are waiting to be collected."""
        size = len(self._simulation.log_returns)
        self._simulation.position[LOG_LIMIT] = min(size, num_episodes or size)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Where it stands, for a checkpoint."""
        simulation = self._simulation
        return {
            "position": simulation.position[: LOG_LIMIT + 1],
            "episode": simulation.episode,
            "random": simulation.random,
            "log_ends": simulation.log_ends[: simulation.position[LOGGED]],
            "log_returns": simulation.log_returns[: simulation.position[LOGGED]],
            "log_lengths": simulation.log_lengths[: simulation.position[LOGGED]],
        }

    def header(self) -> dict[str, Any]:
        """What of a checkpoint is not an array, as JSON holds it."""
        return {"model": self._fingerprint}

    def restore(
        self, arrays: dict[str, NDArray[Any]], header: dict[str, Any], fresh_seed: int
    ) -> bool:
        """Stand where a checkpoint stood; begin an episode if that was in another model."""
        simulation = self._simulation
        own = {
            name: simulation._asdict()[name]
            for name in ("position", "episode", "random", "log_ends", "log_returns", "log_lengths")
        }
        fits = set(arrays) == set(own) and all(
            array.dtype == own[name].dtype and len(array) <= len(own[name])
            for name, array in arrays.items()
        )
        if not fits:
            raise ValueError("expected where a simulation stood, got other arrays: damaged file")
        same = bool(header.get("model") == self._fingerprint)
        self._check_position(arrays["position"], same)
        for name, array in arrays.items():
            own[name][: len(array)] = array
        if not same:
            self._simulation.position[ACTION] = -1
        return same

    def _check_position(self, position: NDArray[np.int64], same_model: bool) -> None:
        """Refuse places outside the model, which compiled code would follow."""
        log_size = len(self._simulation.log_ends)
        sizes = [(LOGGED, 0, log_size), (LOG_LIMIT, 1, log_size + 1)]
        if same_model:
            num_states, num_actions = len(self._simulation.observations), self._actions.num_states
            sizes += [(STATE, 0, num_states), (ACTION, -1, num_actions)]
            sizes += [(OBSERVATION, 0, self._observations.num_states), (TAKEN, 0, num_actions)]
        if len(position) != LOG_LIMIT + 1 or any(
            not low <= position[place] < high for place, low, high in sizes
        ):
            raise ValueError(
                f"expected a place in the model, got {position.tolist()}: the file is damaged"
            )


def _fingerprint(mdp: TabularMDP) -> str:
    digest = hashlib.sha256()
    for array in (mdp.row_starts, mdp.next_states, mdp.probabilities, mdp.rewards, mdp.terminated):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(np.ascontiguousarray(mdp.initial_distribution).tobytes())
    if mdp.observation_index is not None:
        digest.update(np.ascontiguousarray(mdp.observation_index).tobytes())
    digest.update(f"{mdp.num_actions} {mdp.max_episode_steps}".encode())
    return digest.hexdigest()[:16]
