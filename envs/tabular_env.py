r"""A tabular model as a Gymnasium environment.

One step draws an outcome of the pair :math:`(s, a)` from :math:`p(s', r, \text{terminated} \mid
s, a)`; one reset draws a state from the initial distribution. Each takes exactly one uniform
number from ``np_random``, so that the stream does not depend on the model.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 3.1.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from operator import index
from typing import Any, SupportsIndex, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from jaxtyping import Float64, UInt8
from numpy.typing import ArrayLike, NDArray

from .mdp import TabularMDP
from .outcome_sampling import ModelChanges, checked_changes, checked_start, start_states

__all__ = ["TabularEnv"]

# (observation, next state, reward, terminated, probability)
_Row: TypeAlias = tuple[list[float], list[tuple[int, int, float, bool, float]]]
_Table: TypeAlias = dict[int, dict[int, list[tuple[float, int, float, bool]]]]
_NOT_RESET = -1


class TabularEnv(gymnasium.Env[Any, Any]):
    """A `TabularMDP` to step through: discrete observations, discrete actions.

    It has no time limit of its own, whatever ``mdp.max_episode_steps`` says: as everywhere in
    Gymnasium that is the ``TimeLimit`` wrapper's, which ``gymnasium.make`` adds.

    ``info`` has ``prob``, the probability of what was drawn, and ``action_mask``, the (A,) int8
    mask of the actions allowed in the new state, where the model has one. ``reset`` takes
    ``options={"state": s}`` to start an episode in a state of choice (exploring starts).

    Args:
        mdp: The model.
        render_mode: ``ansi`` (text), ``rgb_array`` (picture), ``human`` (window) or None.
        model_changes: Pairs ``(step, model)``: from then on, counted in steps since the
            environment was made or last reset with a seed, another model is in force. A
            plain ``reset`` does not turn the clock back. All models share their spaces.

    Attributes:
        mdp: The model in force.
        model_changes: As given; empty for an ordinary, stationary environment.
        s: The current state (toy text's name); -1 before the first reset.
        last_action: The last action, or None at the start of an episode.
        steps_taken: Steps on the clock of ``model_changes``.
        initial_state_distrib: (S,) distribution of the first state (toy text's name).

    Raises:
        ValueError: An unknown render mode, or models that do not fit each other.
        TypeError: A model is none, or a step of ``model_changes`` is no whole number.

    Example:
        >>> coin = [[(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]]
        >>> env = TabularEnv(TabularMDP.from_outcomes([coin]))
        >>> observation, info = env.reset(seed=0)
        >>> observation, info
        (0, {'prob': 1.0})
        >>> env.step(0)
        (0, 0.0, True, False, {'prob': 0.5})
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it on the instance
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 4,
    }

    def __init__(
        self,
        mdp: TabularMDP,
        *,
        render_mode: str | None = None,
        model_changes: ModelChanges = (),
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"expected a render mode of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        self.model_changes = checked_changes(mdp, model_changes)
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(mdp.num_observations)
        self.action_space = spaces.Discrete(mdp.num_actions)
        self.s = _NOT_RESET
        self.last_action: int | None = None
        self._models = (mdp, *(model for _, model in self.model_changes))
        self._state_values: NDArray[np.float64] | None = None
        self._policy: NDArray[Any] | None = None
        self._window: Any = None
        self._model_index = -1
        self._table: _Table | None = None
        self.steps_taken = 0

    # ---- Gymnasium's interface ------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds ``np_random``, and puts the clock of ``model_changes`` back to 0.
            options: ``{"state": s}`` starts in state s instead of a drawn one.

        Raises:
            ValueError: ``options["state"]`` is no state.
            TypeError: It is no whole number.
        """
        super().reset(seed=seed)
        if seed is not None:
            self.steps_taken = 0
        if options is not None and "state" in options:
            state = checked_start(self.mdp, options["state"])
            probability = 1.0
        else:
            states, bounds = self._starts
            state = int(states[bisect_right(bounds, self.np_random.random())])
            probability = float(self.mdp.initial_distribution[state])
        self.s = state
        self.last_action = None
        if self.render_mode == "human":
            self.render()
        return self._observation(state), self._info(probability)

    def step(self, action: SupportsIndex) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Take one action.

        Raises:
            ValueError: The action is no action, or is masked in this state.
            ResetNeeded: There was no reset yet.
        """
        action = index(action)
        row = self._rows.get((self.s, action))
        if row is None:
            row = self._read_row(action)
        bounds, outcomes = row
        observation, self.s, reward, terminated, probability = outcomes[
            bisect_right(bounds, self.np_random.random())
        ]
        self.last_action = action
        self._steps_taken += 1
        if self._steps_taken == self._next_change:
            self._select_model()
        if self.render_mode == "human":
            self.render()
        if self._masks is None:
            return observation, reward, terminated, False, {"prob": probability}
        return observation, reward, terminated, False, self._info(probability)

    def render(self) -> Any:
        """A picture (H, W, 3), a text, or None after drawing to the window."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() without a render mode draws nothing: give render_mode='rgb_array', "
                "'ansi' or 'human' when making the environment"
            )
            return None
        if self.render_mode == "ansi":
            return self._text()
        frame = self._frame()
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            from .grid_window import GridWindow

            self._window = GridWindow(self.mdp.name, frames_per_second=self.metadata["render_fps"])
        self._window.show(frame)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    # ---- what Gymnasium does not ask for --------------------------------------------------------

    @property
    def mdp(self) -> TabularMDP:
        """The model in force; the only one, unless there are ``model_changes``."""
        return self._models[self._model_index]

    @property
    def P(self) -> _Table:  # noqa: N802 - toy text's name
        """Toy text's ``P[s][a] = [(probability, s', r, terminated)]``, built when first asked for.

        The list of a masked action is empty. Next states are states, also where the observations
        are coarser.
        """
        if self._table is None:
            self._table = self.mdp.to_dict()
        return self._table

    @property
    def initial_state_distrib(self) -> Float64[NDArray[np.float64], " states"]:
        """(S,) distribution of the first state."""
        return self.mdp.initial_distribution

    @property
    def steps_taken(self) -> int:
        """Steps on the clock of ``model_changes``; setting it selects the model in force."""
        return self._steps_taken

    @steps_taken.setter
    def steps_taken(self, steps: int) -> None:
        self._steps_taken = steps
        self._select_model()

    def set_values(self, state_values: ArrayLike | None, policy: ArrayLike | None = None) -> None:
        """Show values as a heat map and a policy as arrows in renderings from now on.

        Args:
            state_values: (S,) values, or None for none.
            policy: (S,) actions or (S, A) action probabilities, or None for none.

        Raises:
            ValueError: A shape does not fit the model, or the policy has actions that it has not.
            TypeError: These are no numbers.
        """
        from .grid_drawing import checked_values

        self._state_values, self._policy = checked_values(self.mdp, state_values, policy)

    def __getstate__(self) -> dict[str, Any]:
        # a window is the process's own: a copy opens another
        return {**self.__dict__, "_window": None}

    # ---- inside ---------------------------------------------------------------------------------

    def _select_model(self) -> None:
        selected = sum(step <= self._steps_taken for step, _ in self.model_changes)
        if selected == self._model_index:
            return
        self._model_index = selected
        later = self.model_changes[selected:]
        self._next_change = later[0][0] if later else -1
        self._table = None
        # rows become Python lists when first visited: bisecting a list is faster than numpy
        self._rows: dict[tuple[int, int], _Row] = {}
        states, bounds = start_states(self.mdp)
        self._starts = (states, bounds.tolist())
        mask = self.mdp.action_mask
        self._masks = None if mask is None else mask.astype(np.int8)

    def _read_row(self, action: int) -> _Row:
        if self.s == _NOT_RESET:
            raise ResetNeeded("expected reset() before the first step()")
        if not 0 <= action < self.mdp.num_actions:
            raise ValueError(
                f"expected an action in [0, {self.mdp.num_actions}), got {action} in state "
                f"{self.s}"
            )
        outcomes = self.mdp.outcomes(self.s, action)
        if not outcomes:
            allowed = np.flatnonzero(self.mdp.allowed[self.s]).tolist()
            raise ValueError(
                f"expected an action allowed in state {self.s}, one of {allowed}, got {action}"
            )
        bounds = list(accumulate(outcome[0] for outcome in outcomes))[:-1]
        row = (
            bounds,
            [(self._observation(s), s, r, ended, p) for p, s, r, ended in outcomes],
        )
        self._rows[self.s, action] = row
        return row

    def _observation(self, state: int) -> int:
        observations = self.mdp.observation_index
        return state if observations is None else int(observations[state])

    def _info(self, probability: float) -> dict[str, Any]:
        if self._masks is None:
            return {"prob": probability}
        return {"prob": probability, "action_mask": self._masks[self.s].copy()}

    def _frame(self) -> UInt8[NDArray[np.uint8], "height width 3"]:
        from .grid_drawing import draw_model

        return draw_model(
            self.mdp, agent_state=self.s, state_values=self._state_values, policy=self._policy
        )

    def _text(self) -> str:
        from .grid_drawing import describe_model

        return describe_model(
            self.mdp, agent_state=self.s, last_action=self.last_action, policy=self._policy
        )
