"""Many copies of a tabular model stepped together, by numpy instead of a loop.

Copy i has its own generator and takes from it exactly the uniform numbers that a `TabularEnv`
would, one for each step and one for each reset. With equal seeds the episodes are therefore those
of ``gymnasium.vector.SyncVectorEnv`` over `TabularEnv`, number for number, in all three autoreset
modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from .arguments import whole_number
from .mdp import TabularMDP
from .outcome_sampling import ModelChanges, checked_changes, checked_start
from .stacked_models import StackedModels

__all__ = ["TabularVectorEnv"]

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

_DRAWN_AHEAD = 128  # uniform numbers kept for each copy, so that generators are called rarely
_NOT_RESET = -1


class TabularVectorEnv(VectorEnv[IntArray, IntArray, NDArray[Any]]):
    """``num_envs`` copies of a `TabularMDP`.

    Each copy behaves as a `TabularEnv` (its ``info``, its ``options``, its clock of
    ``model_changes``) inside a ``TimeLimit``.

    Args:
        mdp: The model.
        num_envs: N, at least 1.
        autoreset_mode: When copies whose episode ended start anew. NEXT_STEP: at the following
            step, which ignores their action and returns reward 0. SAME_STEP: at once; the final
            observation is in ``infos["final_obs"]``, its info in ``infos["final_info"]``.
            DISABLED: when ``reset(options={"reset_mask": mask})`` says so.
        max_episode_steps: Steps after which an episode is truncated, or None for never, whatever
            ``mdp.max_episode_steps`` says; ``gymnasium.make_vec`` passes the registered cap.
        render_mode: ``ansi``, ``rgb_array`` (a tuple with one picture per copy) or None.
        model_changes: As in `TabularEnv`; every copy has its own clock.

    Attributes:
        mdp: The model, before any change.
        states: (N,) current states; -1 before the first reset.

    Raises:
        ValueError: An option makes no sense; the message names it.
        TypeError: A model is none, or ``num_envs``, ``max_episode_steps`` or a step of
            ``model_changes`` is no whole number.

    Example:
        >>> walk = [[[(0.5, 0, 0.0, True), (0.5, 1, 0.0, False)]], [[(1.0, 0, 1.0, True)]]]
        >>> envs = TabularVectorEnv(TabularMDP.from_outcomes(walk), 3)
        >>> observations, infos = envs.reset(seed=0)
        >>> observations
        array([0, 0, 0])
        >>> observations, rewards, terminations, truncations, infos = envs.step([0, 0, 0])
        >>> terminations
        array([ True, False,  True])
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it on the instance
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        mdp: TabularMDP,
        num_envs: int,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        model_changes: ModelChanges = (),
    ) -> None:
        num_envs = whole_number(num_envs, "num_envs", least=1)
        if max_episode_steps is not None:
            max_episode_steps = whole_number(max_episode_steps, "max_episode_steps", least=1)
        _check_modes(render_mode, autoreset_mode)
        changes = checked_changes(mdp, model_changes)
        self.mdp = mdp
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self.single_observation_space = spaces.Discrete(mdp.num_observations)
        self.single_action_space = spaces.Discrete(mdp.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.states = np.full(num_envs, _NOT_RESET, dtype=np.int64)
        self._models = StackedModels((mdp, *(model for _, model in changes)))
        self._change_steps = np.array([step for step, _ in changes], dtype=np.int64)
        self._all = np.arange(num_envs)
        self._clock = np.zeros(num_envs, dtype=np.int64)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._ended = np.zeros(num_envs, dtype=np.bool_)
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds = [-1] * num_envs
        self._uniforms = np.empty((num_envs, _DRAWN_AHEAD))
        self._used = np.full(num_envs, _DRAWN_AHEAD)
        self._state_values: FloatArray | None = None
        self._policy: NDArray[Any] | None = None

    # ---- Gymnasium's interface ------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[IntArray, dict[str, Any]]:
        """Start an episode in every copy, or in those of a mask.

        Args:
            seed: One seed (copy i gets ``seed + i``), one for each copy, or None to go on.
            options: ``{"reset_mask": mask}``, (N,) bool, resets only these copies, and
                ``{"state": s}`` starts them in state s.

        Returns:
            (N,) observations, and infos of the copies that were reset.

        Raises:
            ValueError: The number of seeds, the mask or the state is wrong.
            TypeError: The mask is no boolean array, or the state no whole number.
        """
        chosen = dict(options or {})
        start = checked_start(self.mdp, chosen["state"]) if "state" in chosen else None
        seeds = _seed_list(seed, self.num_envs)
        if "reset_mask" in chosen:
            which = np.flatnonzero(_checked_mask(chosen["reset_mask"], self.num_envs))
        else:
            which = self._all
        for copy in which.tolist():
            if seeds[copy] is not None:
                self._seed(copy, seeds[copy])
        probabilities = self._start(which, start)
        return self._observations(self.states), self._infos(which, probabilities)

    def step(
        self, actions: ArrayLike
    ) -> tuple[IntArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one action in every copy.

        Args:
            actions: (N,) actions; those of copies that reset in this step are ignored.

        Returns:
            (N,) observations, rewards, terminations, truncations, and infos.

        Raises:
            ValueError: An action is no action, or is masked in its copy's state.
            ResetNeeded: A copy needs a reset first.
        """
        chosen = self._checked_actions(actions)
        which, restarting = self._all, None
        if self.autoreset_mode is not AutoresetMode.SAME_STEP and self._ended.any():
            if self.autoreset_mode is AutoresetMode.DISABLED:
                ended = np.flatnonzero(self._ended).tolist()
                raise ResetNeeded(f"expected reset(options={{'reset_mask': ...}}) of {ended}")
            restarting, which = np.flatnonzero(self._ended), np.flatnonzero(~self._ended)
        rewards = np.zeros(self.num_envs)
        probabilities = np.empty(self.num_envs)
        terminations = np.zeros(self.num_envs, dtype=np.bool_)
        outcomes = self._draw_outcomes(which, chosen[which])
        self.states[which] = self._models.next_states[outcomes]
        rewards[which] = self._models.rewards[outcomes]
        terminations[which] = self._models.terminated[outcomes]
        probabilities[which] = self._models.probabilities[outcomes]
        truncations = self._tick(which)
        if restarting is not None:
            probabilities[restarting] = self._start(restarting, None)
            truncations[restarting] = False
        self._ended = terminations | truncations
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            infos, probabilities = self._restart_at_once(probabilities)
        infos.update(self._infos(self._all, probabilities))
        return self._observations(self.states), rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...] | None:
        """One picture (H, W, 3) or text of each copy."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render mode draws nothing")
            return None
        from .grid_drawing import describe_model, draw_model

        models = [self._models.models[phase] for phase in self._phases(self._all).tolist()]
        if self.render_mode == "ansi":
            return tuple(
                describe_model(model, agent_state=state, policy=self._policy)
                for model, state in zip(models, self.states.tolist(), strict=True)
            )
        return tuple(
            draw_model(
                model, agent_state=state, state_values=self._state_values, policy=self._policy
            )
            for model, state in zip(models, self.states.tolist(), strict=True)
        )

    # ---- what Gymnasium does not ask for --------------------------------------------------------

    @property  # type: ignore[misc]  # read-only, as in SyncVectorEnv
    def np_random(self) -> tuple[np.random.Generator | None, ...]:  # type: ignore[override]  # as SyncVectorEnv
        """The generators; each is up to 128 numbers ahead of its copy."""
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # as SyncVectorEnv
        """The seed of each copy, -1 before the first reset."""
        return tuple(self._seeds)

    def set_values(self, state_values: ArrayLike | None, policy: ArrayLike | None = None) -> None:
        """Show values and a policy in renderings from now on, as `TabularEnv.set_values`."""
        from .grid_drawing import checked_values

        self._state_values, self._policy = checked_values(self.mdp, state_values, policy)

    # ---- inside ---------------------------------------------------------------------------------

    def _seed(self, copy: int, seed: int | None) -> None:
        generator, self._seeds[copy] = seeding.np_random(seed)
        self._generators[copy] = generator
        self._used[copy] = _DRAWN_AHEAD
        self._clock[copy] = 0

    def _draw(self, which: IntArray) -> FloatArray:
        used = self._used[which]
        for copy in which[used == _DRAWN_AHEAD].tolist():
            if self._generators[copy] is None:
                clock = self._clock[copy]
                self._seed(copy, None)
                self._clock[copy] = clock
            generator = self._generators[copy]
            assert generator is not None
            generator.random(out=self._uniforms[copy])
            self._used[copy] = 0
        drawn: FloatArray = self._uniforms[which, self._used[which]]
        self._used[which] += 1
        return drawn

    def _phases(self, which: IntArray) -> IntArray:
        return np.searchsorted(self._change_steps, self._clock[which], side="right")

    def _start(self, which: IntArray, state: int | None) -> FloatArray:
        self._elapsed[which] = 0
        self._ended[which] = False
        if state is not None:
            self.states[which] = state
            return np.ones(len(which))
        self.states[which], probabilities = self._models.starts(
            self._phases(which), self._draw(which)
        )
        return probabilities

    def _draw_outcomes(self, which: IntArray, actions: IntArray) -> IntArray:
        states = self.states[which]
        if (states == _NOT_RESET).any():
            raise ResetNeeded("expected reset() before the first step()")
        phases = self._phases(which) if len(self._change_steps) else None
        rows = self._models.rows(phases, states, actions)
        illegal = self._models.illegal(rows)
        if illegal is not None:
            raise ValueError(
                f"expected an action allowed in state {states[illegal]}, "
                f"got {actions[illegal]} in environment {which[illegal]}"
            )
        return self._models.outcomes(rows, self._draw(which))

    def _tick(self, which: IntArray) -> BoolArray:
        if len(self._change_steps):
            self._clock[which] += 1
        if self.max_episode_steps is None:
            return np.zeros(self.num_envs, dtype=np.bool_)
        self._elapsed[which] += 1
        return self._elapsed >= self.max_episode_steps

    def _checked_actions(self, actions: ArrayLike) -> IntArray:
        chosen = np.asarray(actions)
        if chosen.shape != (self.num_envs,) or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(
                f"expected {self.num_envs} whole numbers as actions, got {chosen.dtype} of "
                f"shape {chosen.shape}"
            )
        bad = (chosen < 0) | (chosen >= self.mdp.num_actions)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            bad &= ~self._ended
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"expected actions in [0, {self.mdp.num_actions}), got {chosen[first]} in "
                f"environment {first}"
            )
        return chosen.astype(np.int64, copy=False)

    def _restart_at_once(self, probabilities: FloatArray) -> tuple[dict[str, Any], FloatArray]:
        ended = np.flatnonzero(self._ended)
        final_obs = np.full(self.num_envs, None, dtype=object)
        final_obs[ended] = self._observations(self.states[ended])
        infos = {
            "final_obs": final_obs,
            "_final_obs": self._ended.copy(),
            "final_info": self._infos(ended, probabilities[ended]),
            "_final_info": self._ended.copy(),
        }
        probabilities[ended] = self._start(ended, None)
        return infos, probabilities

    def _observations(self, states: IntArray) -> IntArray:
        observations = self.mdp.observation_index
        return states.copy() if observations is None else observations[states]

    def _infos(self, which: IntArray, probabilities: FloatArray) -> dict[str, Any]:
        present = np.zeros(self.num_envs, dtype=np.bool_)
        present[which] = True
        prob = np.zeros(self.num_envs)
        prob[which] = probabilities
        infos: dict[str, Any] = {"prob": prob, "_prob": present}
        if self.mdp.action_mask is not None:
            masks = np.zeros((self.num_envs, self.mdp.num_actions), dtype=np.int8)
            masks[which] = self._models.masks(self._phases(which), self.states[which])
            infos |= {"action_mask": masks, "_action_mask": present.copy()}
        return infos


def _check_modes(render_mode: str | None, autoreset_mode: str | AutoresetMode) -> None:
    known = TabularVectorEnv.metadata["render_modes"]
    if render_mode is not None and render_mode not in known:
        raise ValueError(f"expected a render mode of {known}, got {render_mode!r}")
    modes = [mode.value for mode in AutoresetMode]
    if autoreset_mode not in (*AutoresetMode, *modes):
        raise ValueError(f"expected an autoreset mode of {modes}, got {autoreset_mode!r}")


def _seed_list(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return [int(seed) + copy for copy in range(num_envs)]
    given: object = seed
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        raise TypeError(f"expected one seed or {num_envs} of them, got {seed!r}")
    if len(seed) != num_envs:
        raise ValueError(f"expected {num_envs} seeds, got {len(seed)}")
    return [None if one is None else whole_number(one, "each seed", least=0) for one in seed]


def _checked_mask(mask: Any, num_envs: int) -> BoolArray:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"expected a boolean array as options['reset_mask'], got {mask!r}")
    if mask.shape != (num_envs,):
        raise ValueError(f"expected a reset_mask of shape ({num_envs},), got {mask.shape}")
    if not mask.any():
        raise ValueError("expected a reset_mask with at least one True, got none")
    return mask
