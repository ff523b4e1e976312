"""What happens in a vector environment, told alike in all three of Gymnasium's autoreset modes.

When a copy's episode ends, the vector environment begins the next one by itself at the next step,
in the same step, or not at all (``metadata["autoreset_mode"]``), and where the last observation
and the first one are to be found differs. Learners want the same either way: the transitions, each
with the observation that it really led to, and the first observations of episodes.

References:
    Gymnasium, vector environments, autoreset modes: ``gymnasium.vector.AutoresetMode``.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from ..envs.tabular_vector_env import TabularVectorEnv

__all__ = ["VectorSteps", "VectorTransitions", "info_of_copy"]

Bools = NDArray[np.bool_]
_SEEDED_BY_COPY = (SyncVectorEnv, AsyncVectorEnv, TabularVectorEnv)


@dataclass(frozen=True)
class VectorTransitions:
    """One step of all N copies.

    Batches are as the environment gives them, and may be overwritten by its next step.

    Attributes:
        taken: (N,) which copies took their action; the others only began an episode.
        rewards: (N,) rewards, meaningless where no action was taken, as the next three.
        terminated: (N,) whether the step ended the episode.
        truncated: (N,) whether a cap cut the episode.
        next_observations: A batch: where each step led to, also where it was the last.
        infos: What the environment said of the steps, as a dictionary or a list of one each.
        begun: (N,) which copies are at the beginning of an episode now.
        first_observations: A batch, to be read where ``begun``.
        first_infos: What the environment said of the beginnings.
    """

    taken: Bool[Bools, " copies"]
    rewards: Float64[NDArray[np.float64], " copies"]
    terminated: Bool[Bools, " copies"]
    truncated: Bool[Bools, " copies"]
    next_observations: Any
    infos: Any
    begun: Bool[Bools, " copies"]
    first_observations: Any
    first_infos: Any

    def info(self, copy: int) -> dict[str, Any]:
        """What the environment said of one copy's step."""
        own = info_of_copy(self.infos, copy)
        if self.begun[copy] and self.infos is self.first_infos:  # which are of the beginning
            final: dict[str, Any] = own.get("final_info", {})
            return final
        return own


class VectorSteps:
    """Resets and steps a vector environment.

    Args:
        env: The environment.

    Attributes:
        env: The environment.
        autoreset_mode: Its mode.
        waiting: (N,) copies that will ignore their next action and begin an episode.

    Raises:
        ValueError: The environment does not declare its mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode not in (*AutoresetMode, *(known.value for known in AutoresetMode)):
            raise ValueError(
                "expected a vector environment that declares metadata['autoreset_mode'], got "
                f"{mode!r} in {env}"
            )
        self.env = env
        self.autoreset_mode = AutoresetMode(mode)
        self.waiting = np.zeros(env.num_envs, dtype=np.bool_)

    def reset(self, seed: int | Sequence[int] | None = None) -> tuple[Any, Any]:
        """The first observations of an episode in every copy, and the infos.

        Args:
            seed: One seed, a seed for each copy, or None to go on. Of several, environments get
                the first that take one only, as ``VectorEnv.reset`` has it: CartPole's own.
        """
        self.waiting[:] = False
        if isinstance(seed, Sequence) and not isinstance(self.env.unwrapped, _SEEDED_BY_COPY):
            seed = seed[0]
        return self.env.reset(seed=seed)  # type: ignore[arg-type]  # a sequence serves as a list

    def step(self, actions: Any) -> VectorTransitions:
        """Step every copy, and reset those that ended where the environment leaves it to us."""
        observations, *outcome, infos = self.env.step(actions)
        rewards = np.array(outcome[0], dtype=np.float64)  # copies: a reset may write over them
        terminated, truncated = (np.array(flags, dtype=np.bool_) for flags in outcome[1:])
        taken = ~self.waiting
        ended = (terminated | truncated) & taken
        begun, following, first, first_infos = ended, observations, observations, infos
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            begun, self.waiting = self.waiting, ended
        elif ended.any():
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                following = self._with_final(observations, infos, ended)
            else:
                following = deepcopy(observations)  # a reset may write over them
                first, first_infos = self.env.reset(options={"reset_mask": ended.copy()})
        return VectorTransitions(
            taken=taken,
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            next_observations=following,
            infos=infos,
            begun=begun,
            first_observations=first,
            first_infos=first_infos,
        )

    def _with_final(self, observations: Any, infos: Any, ended: Bools) -> Any:
        rows = list(iterate(self.env.observation_space, observations))
        for copy in np.flatnonzero(ended).tolist():
            own = info_of_copy(infos, copy)
            if "final_obs" not in own:
                raise ValueError(
                    f"expected infos['final_obs'] of copy {copy}, whose episode ended in a step "
                    f"that began the next one, got none from {self.env}"
                )
            rows[copy] = own["final_obs"]
        space = self.env.single_observation_space
        out: Any = create_empty_array(space, n=len(rows), fn=np.zeros)
        return concatenate(space, rows, out)


def info_of_copy(infos: Any, copy: int) -> dict[str, Any]:
    """One copy's share of a vector environment's infos.

    Gymnasium keeps ``infos[key]`` for all copies, and in ``infos["_" + key]`` whose are set; after
    its wrapper ``DictInfoToList`` each copy has a dictionary. What is not given copy by copy is
    said of all of them.
    """
    if isinstance(infos, list):
        return dict(infos[copy])
    own: dict[str, Any] = {}
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        present = infos.get(f"_{key}")
        if present is not None and not present[copy]:
            continue
        own[key] = info_of_copy(values, copy) if isinstance(values, dict) else _share(values, copy)
    return own


def _share(values: Any, copy: int) -> Any:
    if isinstance(values, str):
        return values
    try:
        return values[copy]
    except (TypeError, IndexError):  # a number, or not one for each copy
        return values
