r"""A model of an environment with finitely many observations and actions: what followed how often.

Of :math:`n(o, a)` steps with observation o and action a, :math:`n(o, a, x)` led to the outcome
:math:`x = (o', r, \text{terminated})`, and

.. math:: \hat p(x \mid o, a) \propto n(o, a, x)^{1 / \tau} ,

with the temperature :math:`\tau`; at 0 the most frequent outcome is drawn. A pair that was never
tried leads back to where it was, without reward. What is not known of a pair is told as
:math:`1 / \sqrt{1 + n(o, a)}`, in the place of the disagreement of an ensemble.

References:
    R. S. Sutton, A. G. Barto (2018), Reinforcement learning: an introduction, second edition,
        sections 8.2 and 8.3 (models of samples; what untried actions are taken to do).
    A. L. Strehl, M. L. Littman (2008), An analysis of model-based interval estimation for Markov
        decision processes, Journal of Computer and System Sciences 74, equation 5 (what is not
        known falls with the root of the number of tries).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from ..space_json import space_from_json, space_to_json
from ..storage import read_arrays, write_arrays
from .abstract_world_model import AbstractWorldModel
from .codec import Codec
from .data.environments import Transitions
from .world_model_state import AbstractWorldState, ImaginedStep

__all__ = ["TabularState", "TabularWorldModel"]

_FORMAT = "gymagine-tabular-world-model-1"
_TABLES = ("pairs", "next_numbers", "rewards", "terminated", "counts")


@dataclass(frozen=True)
class TabularState(AbstractWorldState):
    """What B episodes of a `TabularWorldModel` remember.

    Attributes:
        numbers: (B,) of what is seen, from 0.
    """

    numbers: Int64[Tensor, " batch"]


class TabularWorldModel(AbstractWorldModel):
    """Draws outcomes of steps as often as they were seen. `fit_world_model` counts them.

    Args:
        observation_space: Of the environment: ``Discrete``, with any start.
        action_space: Likewise.

    Attributes:
        pairs: (K,) of each different outcome, the number of its observation and action.
        next_numbers: (K,) what was seen then.
        rewards: (K,) what it earned.
        terminated: (K,) whether the episode ended.
        counts: (K,) how often that was so.

    Raises:
        ValueError: A space is no ``Discrete``.

    Example:
        >>> four, two = spaces.Discrete(4), spaces.Discrete(2)
        >>> model = TabularWorldModel(four, two)
        >>> ones, no = np.ones(3, dtype=int), np.zeros(3, dtype=bool)
        >>> model.count(Transitions(ones, ones, np.array([0.0, 0.0, 5.0]), ones + 1, no, no))
        >>> state, step = model.step(model.begin(np.array([1, 3])), np.array([1, 1]))
        >>> step.observation, step.disagreement
        (array([2, 3]), array([0.5, 1. ]))
    """

    State = TabularState

    pairs: Tensor
    next_numbers: Tensor
    rewards: Tensor
    terminated: Tensor
    counts: Tensor

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> None:
        super().__init__()
        for title, space in (("observations", observation_space), ("actions", action_space)):
            if not isinstance(space, spaces.Discrete):
                raise ValueError(f"expected Discrete {title} to count, got {space}")
        self.observation_codec, self.action_codec = Codec(observation_space), Codec(action_space)
        self._set_tables(np.zeros((0, 4)), np.zeros(0))
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    # ---- learning -------------------------------------------------------------------------------

    def count(self, data: Transitions) -> None:
        """Learn from steps, in the place of all that was learnt before.

        Raises:
            ValueError: They do not fit the spaces, or a reward is not finite.
        """
        if not np.isfinite(data.reward).all():
            raise ValueError("expected finite rewards, got NaN or infinity")
        before, actions = self._numbers(data.observation), self._action_numbers(data.action)
        rows = np.stack(
            [
                self._pairs(before, actions).numpy().astype(np.float64),
                self._numbers(data.next_observation).numpy().astype(np.float64),
                data.reward,
                data.terminated.astype(np.float64),
            ],
            axis=1,
        )
        self._set_tables(*np.unique(rows, axis=0, return_counts=True))
        self.is_fitted.fill_(True)

    def _set_tables(self, rows: NDArray[np.float64], counts: NDArray[Any]) -> None:
        """Of (K, 4) different outcomes, by pair."""
        columns = torch.from_numpy(rows).unbind(dim=1)
        device = self.counts.device if hasattr(self, "counts") else None
        tables = (
            columns[0].long(),
            columns[1].long(),
            columns[2].double(),
            columns[3].bool(),
            torch.from_numpy(np.asarray(counts)).double(),
        )
        for name, table in zip(_TABLES, tables, strict=True):
            self.register_buffer(name, table.to(device))

    def probabilities(self, temperature: float = 1.0) -> Float[Tensor, " outcomes"]:
        """(K,) of each outcome, given its observation and action.

        Raises:
            ValueError: The temperature is below 0.
        """
        if not temperature >= 0:
            raise ValueError(f"expected a temperature of at least 0, got {temperature}")
        most = self._by_pair(self.counts, "amax")
        if temperature == 0:
            weights = (self.counts == most[self.pairs]).double()
        else:
            weights = (self.counts / most[self.pairs]) ** (1 / temperature)
        return weights / self._by_pair(weights, "sum")[self.pairs]

    def _by_pair(self, values: Tensor, how: str) -> Float[Tensor, " pairs"]:
        zeros = values.new_zeros(self._num_observations * self._num_actions)
        return zeros.scatter_reduce(0, self.pairs, values, how, include_self=False)

    def expectations(
        self, observations: Any, actions: Any
    ) -> tuple[
        Float64[Tensor, "batch observations"], Float64[Tensor, " batch"], Float64[Tensor, " batch"]
    ]:
        """What is expected of steps.

        Args:
            observations: (B,) before them.
            actions: (B,).

        Returns:
            (B, S) probabilities of what is seen then, (B,) mean rewards, and (B,) probabilities of
            an end, half a try of each kind added so that none is certain.
        """
        numbers = self._numbers(observations)
        pairs = self._pairs(numbers, self._action_numbers(actions))
        shares = self.probabilities()
        num_pairs = self._num_observations * self._num_actions
        following = shares.new_zeros(num_pairs, self._num_observations)
        following.index_put_((self.pairs, self.next_numbers), shares, accumulate=True)
        tries = self._by_pair(self.counts, "sum")[pairs]
        ends = self._by_pair(self.counts * self.terminated, "sum")[pairs]
        unknown = (tries == 0).unsqueeze(1)
        stays = torch.nn.functional.one_hot(numbers, self._num_observations).double()
        return (
            torch.where(unknown, stays, following[pairs]),
            self._by_pair(shares * self.rewards, "sum")[pairs],
            (ends + 0.5) / (tries + 1),
        )

    # ---- imagining ------------------------------------------------------------------------------

    def begin(self, observations: Any) -> TabularState:
        """Begin B episodes with (B,) observations; see `AbstractWorldModel`."""
        return TabularState(self._numbers(observations).to(self.counts.device))

    def recall(self, data: Transitions, steps: NDArray[np.int64]) -> TabularState:
        """What is seen at steps of data; see `AbstractWorldModel`."""
        return self.begin(data.observation[steps])

    def observe(self, state: TabularState, actions: Any, observations: Any) -> TabularState:
        """What is seen then; see `AbstractWorldModel`."""
        self._taken(state, actions)
        after = self.begin(observations)
        if len(after) != len(state):
            raise ValueError(f"expected {len(state)} observations, got {len(after)}")
        return after

    def step(
        self,
        state: TabularState,
        actions: Any,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[TabularState, ImaginedStep]:
        """Draw an outcome for each episode; see `AbstractWorldModel`."""
        pairs = self._pairs(state.numbers, self._taken(state, actions))
        tries = self._by_pair(self.counts, "sum")[pairs]
        drawn = self._drawn(pairs, temperature, rng)
        known = tries > 0
        numbers = torch.where(known, self._of_outcome(self.next_numbers, drawn), state.numbers)
        reward = torch.where(known, self._of_outcome(self.rewards, drawn), 0.0)
        ended = known & self._of_outcome(self.terminated, drawn)
        after = TabularState(numbers)
        return after, ImaginedStep(
            observation=self.observations(after),
            reward=reward.cpu().numpy(),
            terminated=ended.cpu().numpy(),
            disagreement=(1 + tries).rsqrt().cpu().numpy(),
            num_clipped=np.zeros(len(state), dtype=np.int64),
        )

    def _drawn(
        self, pairs: Tensor, temperature: float, rng: torch.Generator | None
    ) -> Int64[Tensor, " batch"]:
        """(B,) the number of an outcome of each pair; of pairs without one, any."""
        device = self.counts.device
        uniform = torch.rand(len(pairs), generator=rng, dtype=torch.float64, device=device)
        cumulative = self.probabilities(temperature).cumsum(dim=0)
        first = torch.searchsorted(self.pairs, pairs)
        last = torch.searchsorted(self.pairs, pairs, right=True) - 1
        below = torch.cat([cumulative.new_zeros(1), cumulative])[first]
        found = torch.searchsorted(cumulative, below + uniform, right=True)
        return torch.minimum(torch.maximum(found, first), torch.maximum(last, first))

    def _of_outcome(self, table: Tensor, drawn: Tensor) -> Tensor:
        # a model that has seen nothing has no outcome to point to
        return table[drawn.clamp(max=len(table) - 1)] if len(table) else drawn.to(table.dtype)

    def encoded(self, state: TabularState) -> Float[Tensor, "batch entries"]:
        """(B, S) ones at what is seen; see `AbstractWorldModel`."""
        dtype = torch.get_default_dtype()
        return torch.nn.functional.one_hot(state.numbers, self._num_observations).to(dtype)

    @property
    def num_latents(self) -> int:
        """S, different observations."""
        return self._num_observations

    def latents(self, state: TabularState) -> Float[Tensor, "batch latents"]:
        """(B, S) ones at what is seen; see `AbstractWorldModel`."""
        return self.encoded(state)

    # ---- numbers --------------------------------------------------------------------------------

    @property
    def _num_observations(self) -> int:
        return self.observation_codec.event_shape[0]

    @property
    def _num_actions(self) -> int:
        return self.action_codec.event_shape[0]

    def _numbers(self, observations: Any) -> Int64[Tensor, " batch"]:
        return self.observation_codec.encode(observations).argmax(dim=1)

    def _action_numbers(self, actions: Any) -> Int64[Tensor, " batch"]:
        return self.action_codec.encode(actions).argmax(dim=1)

    def _taken(self, state: TabularState, actions: Any) -> Int64[Tensor, " batch"]:
        found = self._action_numbers(actions)
        if len(found) != len(state):
            raise ValueError(f"expected {len(state)} actions, got {len(found)}")
        return found.to(state.numbers.device)

    def _pairs(self, numbers: Tensor, actions: Tensor) -> Int64[Tensor, " batch"]:
        return numbers * self._num_actions + actions

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tables to one file, whole or not at all."""
        header = {
            "format": _FORMAT,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "is_fitted": bool(self.is_fitted),
        }
        tables = {name: getattr(self, name).cpu().numpy() for name in _TABLES}
        write_arrays(path, tables, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Make the world model that `save` wrote, in evaluation mode.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or foreign.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        kinds = ("observation_space", "action_space")
        loaded = cls(*(space_from_json(header[kind]) for kind in kinds))
        for name in _TABLES:
            loaded.register_buffer(name, torch.from_numpy(arrays[name]))
        loaded.is_fitted.fill_(header["is_fitted"])
        return loaded.eval()
