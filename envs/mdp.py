r"""The tabular Markov decision process: one validated model for every planner and learner.

For each state :math:`s` and action :math:`a` the model lists its *outcomes*: a probability, the
next state, the reward of that outcome, and whether it terminates the episode,

.. math:: p(s', r, \text{terminated} \mid s, a).

The outcomes of all pairs lie one after another in flat arrays (compressed sparse rows): those of
the pair :math:`(s, a)` stand at ``row_starts[s * A + a] : row_starts[s * A + a + 1]``. A
terminated outcome contributes its reward and nothing of the next state's value, whatever that
state's own rows say: Gymnasium's goal and cliff cells are not absorbing, so a planner must go by
this flag.

Symbols: S states, A actions, K outcomes in all.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 2.1.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 3.1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy.typing import ArrayLike, NDArray

from ..storage import read_arrays, write_arrays
from .arguments import whole_number
from .environments import EnvLike
from .grid_layout import GridLayout
from .mdp_validation import (
    canonical_rows,
    check_initial_distribution,
    check_model,
    row_chunks,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["FloatArray", "TabularMDP"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
IndexArray: TypeAlias = NDArray[np.int32]
BoolArray: TypeAlias = NDArray[np.bool_]
Outcome: TypeAlias = tuple[float, int, float, bool]
# numpy's scalars and whole rewards are welcome, so entries are not pinned down here
OutcomeLists: TypeAlias = (
    Sequence[Sequence[Sequence[Any]]] | Mapping[Any, Mapping[Any, Sequence[Any]]]
)

_FORMAT = "gymagine-mdp-1"


@dataclass(frozen=True, eq=False, repr=False)
class TabularMDP:
    """A finite Markov decision process, validated when it is built.

    Build one with `from_outcomes`, `from_arrays`, `from_env` or `estimate`, or take a random
    one from `garnet`. The constructor takes the compressed rows themselves, sorts each row by next
    state, reward and termination, sums outcomes that agree in all three, and drops impossible
    ones. Arrays that are in order already are kept, not copied; all become read-only.

    Attributes:
        row_starts: (S * A + 1,) offsets of the rows; the row of pair (s, a) is ``s * A + a``.
        next_states: (K,) next state of each outcome, in [0, S).
        probabilities: (K,) in (0, 1]; each row sums to 1 within 1e-8.
        rewards: (K,) reward of each outcome, finite.
        terminated: (K,) whether the outcome ends the episode.
        initial_distribution: (S,) probabilities of the first state.
        num_actions: A.
        action_mask: (S, A) which actions are allowed, or None where all are. A masked pair has
            no outcomes.
        max_episode_steps: The environment's step cap, or None. The model itself is uncapped;
            `backward_induction` and the simulators read this.
        observation_index: (S,) the observation shown in each state where the states are finer than
            the observations (Blackjack's naturals), or None where they are the same.
        layout: Where the states lie on a grid, or None; used for drawing only.
        name: For tables and plots.

    Raises:
        ValueError: The arrays are no model; the message names the first bad state and action.
        TypeError: ``num_actions`` or ``max_episode_steps`` is no whole number.
    """

    row_starts: Int64[IntArray, " rows_and_one"]
    next_states: Int32[IndexArray, " outcomes"]
    probabilities: Float64[FloatArray, " outcomes"]
    rewards: Float64[FloatArray, " outcomes"]
    terminated: Bool[BoolArray, " outcomes"]
    initial_distribution: Float64[FloatArray, " states"]
    num_actions: int
    action_mask: Bool[BoolArray, "states actions"] | None = None
    max_episode_steps: int | None = None
    observation_index: Int64[IntArray, " states"] | None = None
    layout: GridLayout | None = None
    name: str = "mdp"

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_actions", whole_number(self.num_actions, "num_actions"))
        if self.max_episode_steps is not None:
            cap = whole_number(self.max_episode_steps, "max_episode_steps", least=1)
            object.__setattr__(self, "max_episode_steps", cap)
        check_model(self)
        for key, value in canonical_rows(self).items():
            object.__setattr__(self, key, value)
        for key, value in self._arrays().items():
            object.__setattr__(self, key, _frozen(value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for value in state.values():  # arrays come out of a pickle writeable
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __deepcopy__(self, memo: dict[int, Any]) -> TabularMDP:
        return self  # nothing in it changes, and copies of an environment may share it

    # ---- constructors -------------------------------------------------------------------------

    @classmethod
    def from_outcomes(
        cls,
        outcomes: OutcomeLists,
        *,
        initial_distribution: ArrayLike | int = 0,
        max_episode_steps: int | None = None,
        layout: GridLayout | None = None,
        name: str = "mdp",
    ) -> TabularMDP:
        """Build a model from lists, ``outcomes[s][a] = [(probability, s', r, terminated)]``.

        Args:
            outcomes: For each state and action its outcomes; an empty list masks the action.
                Dictionaries with the keys 0, 1, ... do as well, as in toy text's ``P``; there an
                action without a key is masked.
            initial_distribution: (S,) probabilities, or the index of the one start state.
            max_episode_steps: The step cap to record, or None.
            layout: Where the states lie on a grid, for drawing.
            name: For tables and plots.

        Raises:
            ValueError: States list different numbers of actions, or the result is no model.

        Example:
            >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], name="loop")
            >>> loop
            TabularMDP('loop', states=1, actions=1, outcomes=1)
        """
        from .outcome_models import compress_outcomes

        rows = compress_outcomes(outcomes)
        num_states = len(outcomes)
        return cls(
            **rows,
            initial_distribution=check_initial_distribution(initial_distribution, num_states),
            max_episode_steps=max_episode_steps,
            layout=layout,
            name=name,
        )

    @classmethod
    def from_arrays(
        cls,
        transitions: Any,
        rewards: Any,
        *,
        terminal_states: ArrayLike | int | None = None,
        initial_distribution: ArrayLike | int | None = None,
        action_mask: ArrayLike | None = None,
        max_episode_steps: int | None = None,
        name: str = "mdp",
    ) -> TabularMDP:
        """Build a model from transition and reward arrays, dense or scipy sparse.

        Args:
            transitions: (S, A, S) dense probabilities, or one sparse matrix of shape (S * A, S)
                with row s * A + a, or a sequence of A sparse or dense (S, S) matrices.
            rewards: (S,) for leaving each state, (S, A), or (S, A, S) dense, or in the sparse
                forms of ``transitions``.
            terminal_states: Indices, or an (S,) boolean mask, of states whose entering terminates
                the episode; their own rows, whatever they hold (zeros will do), become a
                terminated loop without reward.
            initial_distribution: (S,) probabilities, or one index; None is uniform over the states
                that are not terminal.
            action_mask: (S, A) which actions are allowed, or None where all are. What the arrays
                say of other pairs is left out.
            max_episode_steps: The step cap to record, or None.
            name: For tables and plots.

        Raises:
            ValueError: The shapes do not fit each other, or the result is no model.

        Example:
            >>> stay, swap = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
            >>> transitions = [np.array(stay), np.array(swap)]  # one matrix per action
            >>> TabularMDP.from_arrays(transitions, np.array([0.0, 1.0]))
            TabularMDP('mdp', states=2, actions=2, outcomes=4)
        """
        from .array_models import model_from_arrays

        return model_from_arrays(
            transitions,
            rewards,
            terminal_states=terminal_states,
            initial_distribution=initial_distribution,
            action_mask=action_mask,
            max_episode_steps=max_episode_steps,
            name=name,
        )

    @classmethod
    def from_env(
        cls,
        env: EnvLike,
        *,
        initial_distribution: ArrayLike | int | None = None,
    ) -> TabularMDP:
        """Read the exact model of a Gymnasium environment.

        Works for `TabularEnv`, for every environment whose ``unwrapped.P`` follows toy text's
        convention, and for Blackjack, whose model is built from its rules.

        Args:
            env: An id, a spec or an environment. Wrappers that limit, record, draw or check are
                looked through; the least time limit gives ``max_episode_steps``.
            initial_distribution: Overrides the environment's own, and is needed where it has none.

        Raises:
            ValueError: The environment tells no model (`estimate` makes one from samples), its
                model changes with time (``model_changes``), or a wrapper may change observations,
                rewards or actions, so that the model would not be that of the wrapped
                environment.
            TypeError: ``env`` is none of the three.

        Example:
            >>> TabularMDP.from_env("FrozenLake-v1")
            TabularMDP('FrozenLake-v1', states=16, actions=4, outcomes=148)
        """
        from .env_models import model_from_env

        return model_from_env(env, initial_distribution=initial_distribution)

    @classmethod
    def estimate(
        cls,
        env: EnvLike,
        *,
        num_steps: int,
        seed: int,
        policy: NDArray[np.float64] | None = None,
    ) -> TabularMDP:
        """Estimate a model from the frequencies of sampled transitions.

        Args:
            env: An id, a spec or an environment, with finite observation and action spaces.
            num_steps: Environment steps to take, at least 1.
            seed: Seeds the environment and the actions, in independent streams.
            policy: (S, A) action probabilities; None is uniform.

        Returns:
            The maximum-likelihood model. A pair that was never tried loops on its state without
            reward; a warning says how many there are.

        Raises:
            ValueError: A space is not finite, ``num_steps`` is not positive, ``policy`` is no
                policy, or the environment gives an observation outside its space or a reward that
                is not finite.
        """
        from .estimated_models import estimate_model

        return estimate_model(env, num_steps=num_steps, seed=seed, policy=policy)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TabularMDP:
        """Read a model that `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or of another kind, or holds no valid model.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        fields: dict[str, Any] = dict(arrays)
        try:
            layout = header["layout"]
            return cls(
                **fields,
                num_actions=header["num_actions"],
                max_episode_steps=header["max_episode_steps"],
                name=header["name"],
                layout=None if layout is None else GridLayout.from_json(layout),
            )
        except (KeyError, TypeError) as error:  # a field too few or too many, or of another type
            raise ValueError(f"expected a model in {os.fspath(path)}, got {error!r}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, whole or not at all."""
        header = {
            "format": _FORMAT,
            "num_actions": self.num_actions,
            "max_episode_steps": self.max_episode_steps,
            "name": self.name,
            "layout": None if self.layout is None else self.layout.to_json(),
        }
        write_arrays(path, self._arrays(), header)

    def with_initial_distribution(self, initial_distribution: ArrayLike | int) -> TabularMDP:
        """The same model started elsewhere: (S,) probabilities or one index."""
        start = check_initial_distribution(initial_distribution, self.num_states)
        return replace(self, initial_distribution=start)

    # ---- what it holds --------------------------------------------------------------------------

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.initial_distribution)

    @property
    def num_observations(self) -> int:
        """How many observations there are: S unless ``observation_index`` joins some states."""
        if self.observation_index is None:
            return self.num_states
        return int(self.observation_index.max()) + 1

    @property
    def num_outcomes(self) -> int:
        """K."""
        return len(self.next_states)

    @property
    def num_bytes(self) -> int:
        """Size of the arrays in bytes."""
        return sum(array.nbytes for array in self._arrays().values())

    @cached_property
    def allowed(self) -> Bool[BoolArray, "states actions"]:
        """(S, A) which actions are allowed, also where ``action_mask`` is None."""
        if self.action_mask is not None:
            return self.action_mask
        everything = np.ones((self.num_states, self.num_actions), dtype=np.bool_)
        everything.flags.writeable = False
        return everything

    @cached_property
    def expected_rewards(self) -> Float64[FloatArray, "states actions"]:
        """(S, A) expected reward of one step; 0 for masked pairs."""
        flat = np.zeros(self.num_states * self.num_actions)
        for first, last in row_chunks(self.row_starts):
            start, stop = self.row_starts[first], self.row_starts[last]
            lengths = np.diff(self.row_starts[first : last + 1])
            row = np.repeat(np.arange(last - first), lengths)
            weight = self.probabilities[start:stop] * self.rewards[start:stop]
            flat[first:last] = np.bincount(row, weights=weight, minlength=last - first)
        expected = flat.reshape(self.num_states, self.num_actions)
        expected.flags.writeable = False
        return expected

    def outcomes(self, state: int, action: int) -> list[Outcome]:
        """The outcomes of one pair: ``[(probability, next_state, reward, terminated), ...]``.

        Raises:
            IndexError: The state or the action is out of range.
        """
        if not (0 <= state < self.num_states and 0 <= action < self.num_actions):
            raise IndexError(
                f"expected a state in [0, {self.num_states}) and an action in "
                f"[0, {self.num_actions}), got state {state} and action {action}"
            )
        row = state * self.num_actions + action
        here = slice(int(self.row_starts[row]), int(self.row_starts[row + 1]))
        return list(
            zip(
                self.probabilities[here].tolist(),
                self.next_states[here].tolist(),
                self.rewards[here].tolist(),
                self.terminated[here].tolist(),
                strict=True,
            )
        )

    def to_dict(self) -> dict[int, dict[int, list[Outcome]]]:
        """The model as toy text's ``P[s][a] = [(probability, s', r, terminated)]``.

        The list of a masked pair is empty. `from_outcomes` is the inverse.
        """
        return {
            state: {action: self.outcomes(state, action) for action in range(self.num_actions)}
            for state in range(self.num_states)
        }

    def continuation_matrix(self) -> csr_array[np.float64]:
        """(S * A, S) sparse probabilities of going on: terminated outcomes are left out.

        Row s * A + a sums to the probability that the episode does not end there, so that
        ``expected_rewards.ravel() + discount * continuation_matrix() @ values`` is the backup of
        every pair.
        """
        from scipy.sparse import csr_array

        weights = np.where(self.terminated, 0.0, self.probabilities)
        shape = (self.num_states * self.num_actions, self.num_states)
        matrix = csr_array((weights, self.next_states.copy(), self.row_starts.copy()), shape=shape)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return matrix

    def __repr__(self) -> str:
        return (
            f"TabularMDP({self.name!r}, states={self.num_states}, actions={self.num_actions}, "
            f"outcomes={self.num_outcomes})"
        )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any] | None] = {
            "row_starts": self.row_starts,
            "next_states": self.next_states,
            "probabilities": self.probabilities,
            "rewards": self.rewards,
            "terminated": self.terminated,
            "initial_distribution": self.initial_distribution,
            "action_mask": self.action_mask,
            "observation_index": self.observation_index,
        }
        return {name: array for name, array in arrays.items() if array is not None}


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, contiguous and read-only; a view of what others can still write is copied."""
    array = np.ascontiguousarray(array)
    owner: Any = array.base
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    # whoever holds the array under a read-only view can still write to it
    if isinstance(owner, np.ndarray) or (array.flags.writeable and array.base is not None):
        array = array.copy()
    array.flags.writeable = False
    return array
