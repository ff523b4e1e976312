"""Demonstrations: whole episodes of somebody who can do it, to imitate.

They are steps (`Transitions`) with what makes them demonstrations: from which environment they
are, where each episode ends, what it earned, and whether it succeeded. Success is what the
environment says in ``info["success"]``, at any step of the episode, or a function of one's own;
where neither speaks it is not known, and None.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import gymnasium
import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike, NDArray

from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..space_batches import rows_of
from .environment_identity import EnvironmentIdentity
from .environments import Environment, Transitions, opened

__all__ = ["Demonstrations", "joined_transitions"]

_FORMAT = "gymagine-demonstrations-1"
_VALUES = ("observation", "action", "next_observation")
_PARTS = (*_VALUES, "reward", "terminated", "truncated")


@dataclass(frozen=True)
class Demonstrations:
    """E whole episodes of one environment.

    Attributes:
        transitions: Their N steps, episode after episode; the last step of each terminates or
            truncates it.
        environment: Id of the environment; None where it is not known.
        observation_space: Of the environment.
        action_space: Of the environment.
        success: (E,) which episodes succeeded, or None where nobody says so.
        seeds: What each episode's environment was seeded with; None where that is not known.
        options: What the environment is made with besides its id.

    Raises:
        ValueError: The last episode is not whole, or there are not as many successes or seeds as
            episodes.

    Example:
        >>> from gymagine.generative.data.collecting import collect
        >>> random = collect("CartPole-v1", None, 5, seed=0)
        >>> random.num_episodes, len(random), random.success
        (5, 86, None)
        >>> best = random.select(random.returns >= 25)
        >>> best.returns
        array([28.])
    """

    transitions: Transitions
    environment: str | None
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    success: Bool[np.ndarray, " episodes"] | None = None
    seeds: tuple[int | None, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends = self._ends
        if not len(ends) or ends[-1] != len(self.transitions) - 1:
            raise ValueError(
                f"expected whole episodes, got {len(self.transitions)} steps of which the last "
                "neither terminates nor truncates its episode"
            )
        for name, found in (("successes", self.success), ("seeds", self.seeds)):
            if found is not None and len(found) != len(ends):
                raise ValueError(
                    f"expected {name} of {len(ends)} episodes, got those of {len(found)}"
                )

    def __len__(self) -> int:
        return len(self.transitions)

    # ---- episodes -------------------------------------------------------------------------------

    @property
    def num_episodes(self) -> int:
        """E."""
        return len(self._ends)

    @property
    def lengths(self) -> Int64[np.ndarray, " episodes"]:
        """(E,) steps of each episode."""
        return np.diff(self._ends, prepend=-1)

    @property
    def returns(self) -> Float64[np.ndarray, " episodes"]:
        """(E,) undiscounted return of each episode."""
        starts = self._ends - self.lengths + 1
        return np.add.reduceat(self.transitions.reward, starts)

    def episode(self, number: int) -> Transitions:
        """The steps of one episode, counted from 0 (or from the last, -1).

        Raises:
            IndexError: There is no such episode.
        """
        end = self._ends[number]
        return _taken(self.transitions, np.arange(end - self.lengths[number] + 1, end + 1))

    @property
    def _ends(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.transitions.terminated | self.transitions.truncated)

    # ---- parts ----------------------------------------------------------------------------------

    def select(self, episodes: ArrayLike) -> Self:
        """Some of the episodes.

        Args:
            episodes: (E,) bools, or numbers of episodes in the order that is wanted.

        Raises:
            ValueError: There would be none, or there are not as many bools as episodes.
            IndexError: There is no such episode.
        """
        chosen = np.asarray(episodes)
        if chosen.dtype == np.bool_ and chosen.shape != (self.num_episodes,):
            raise ValueError(
                f"expected which of {self.num_episodes} episodes, got shape {chosen.shape}"
            )
        if not (chosen.any() if chosen.dtype == np.bool_ else chosen.size):
            raise ValueError(f"expected at least one episode, got none of {self.num_episodes}")
        numbers = np.arange(self.num_episodes)[chosen]
        starts = self._ends - self.lengths + 1
        rows = np.concatenate([np.arange(starts[i], self._ends[i] + 1) for i in numbers])
        return self._with(
            _taken(self.transitions, rows),
            None if self.success is None else self.success[numbers],
            None if self.seeds is None else tuple(self.seeds[i] for i in numbers),
        )

    def successful(self) -> Self:
        """The episodes that succeeded.

        Raises:
            ValueError: None did, or it is not known.
        """
        if self.success is None:
            raise ValueError(
                f"expected episodes of which is known whether they succeeded, got those of "
                f"{self.environment}, which has no info['success']; collect takes a function"
            )
        if not self.success.any():
            raise ValueError(f"expected a success among {self.num_episodes} episodes, got none")
        return self.select(self.success)

    def with_return(self, at_least: float) -> Self:
        """The episodes that earned this much or more.

        Raises:
            ValueError: None did.
        """
        if not (self.returns >= at_least).any():
            raise ValueError(
                f"expected a return of at least {at_least:g} among {self.num_episodes} episodes, "
                f"got {self.returns.max():g} at most"
            )
        return self.select(self.returns >= at_least)

    def split(self, held_out: float = 0.1, *, seed: int = 0) -> tuple[Self, Self]:
        """Episodes to learn from, and others, drawn at random.

        Args:
            held_out: Share of the episodes in the second part, in (0, 1).
            seed: Of the draw.

        Raises:
            ValueError: A part would be empty.
        """
        num = round(held_out * self.num_episodes)
        if not 1 <= num < self.num_episodes:
            raise ValueError(
                f"expected a share that leaves episodes in both parts, got {held_out} of "
                f"{self.num_episodes}"
            )
        order = np.random.default_rng(seed).permutation(self.num_episodes)
        return self.select(np.sort(order[num:])), self.select(np.sort(order[:num]))

    def joined(self, *others: Demonstrations) -> Self:
        """These episodes and then those of others.

        What not all of them know, success or seeds, is not known afterwards.

        Raises:
            ValueError: They are of another environment; the message names both.
        """
        for other in others:
            self._check_same(other._identity, "demonstrations")
        every: list[Demonstrations] = [self, *others]
        successes = [one.success for one in every if one.success is not None]
        seeds = [one.seeds for one in every if one.seeds is not None]
        return self._with(
            joined_transitions([one.transitions for one in every]),
            np.concatenate(successes) if len(successes) == len(every) else None,
            tuple(itertools.chain(*seeds)) if len(seeds) == len(every) else None,
        )

    def _with(
        self,
        transitions: Transitions,
        success: NDArray[np.bool_] | None,
        seeds: tuple[int | None, ...] | None,
    ) -> Self:
        return type(self)(
            transitions,
            self.environment,
            self.observation_space,
            self.action_space,
            success,
            seeds,
            self.options,
        )

    # ---- which environment ----------------------------------------------------------------------

    def check_fits(self, env: Environment) -> None:
        """Make sure that these are demonstrations in an environment.

        How it is drawn (``render_mode``) and which part of its goals it sets (``goals``) may
        differ.

        Args:
            env: An id, or an environment.

        Raises:
            ValueError: They are of another, or of one with other options or spaces; the message
                names both.
        """
        with opened(env) as own:
            self._check_same(EnvironmentIdentity.of(own), "an environment")

    @property
    def _identity(self) -> EnvironmentIdentity:
        return EnvironmentIdentity(
            self.environment, self.options, self.observation_space, self.action_space
        )

    def _check_same(self, other: EnvironmentIdentity, what: str) -> None:
        difference = self._identity.difference(other)
        if difference is not None:
            ours, theirs = difference
            raise ValueError(
                f"expected {what} of {ours}, as these demonstrations are, got {theirs}"
            )

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them to one file, whole or not at all."""
        arrays = {
            f"{name}.{i}": array
            for name in _PARTS
            for i, array in enumerate(_leaves(getattr(self.transitions, name)))
        }
        if self.success is not None:
            arrays["success"] = self.success
        header = {
            "format": _FORMAT,
            "environment": self.environment,
            "options": dict(self.options),
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "seeds": None if self.seeds is None else list(self.seeds),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or foreign.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        try:
            spaces = [
                space_from_json(header[f"{name}_space"]) for name in ("observation", "action")
            ]
            parts = {
                name: _nested(
                    spaces[name == "action"] if name in _VALUES else None,
                    (arrays[f"{name}.{i}"] for i in itertools.count()),
                )
                for name in _PARTS
            }
            seeds, success = header["seeds"], arrays.get("success")
            return cls(
                Transitions(**parts),
                header["environment"],
                spaces[0],
                spaces[1],
                success,
                None if seeds is None else tuple(seeds),
                header["options"],
            )
        except KeyError as error:
            raise ValueError(
                f"expected demonstrations, got {path}, which lacks {error}"
            ) from error


def joined_transitions(parts: Sequence[Transitions]) -> Transitions:
    """The steps of several, one part after the other; at least one part."""
    return Transitions(
        **{name: _joined([getattr(part, name) for part in parts]) for name in _PARTS}
    )


def _joined(values: Sequence[Any]) -> Any:
    """One batch after the other: of arrays, or of dicts and tuples of arrays."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _joined([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_joined(list(inner)) for inner in zip(*values, strict=True))
    return np.concatenate(values)


def _taken(transitions: Transitions, rows: NDArray[np.int64]) -> Transitions:
    return Transitions(**{name: rows_of(getattr(transitions, name), rows) for name in _PARTS})


def _leaves(values: Any) -> Iterator[NDArray[Any]]:
    if isinstance(values, dict | tuple):
        for inner in values.values() if isinstance(values, dict) else values:
            yield from _leaves(inner)
    else:
        yield values


def _nested(space: gymnasium.Space[Any] | None, leaves: Iterator[NDArray[Any]]) -> Any:
    """Arrays in the structure of a space; None is a single array."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _nested(part, leaves) for key, part in space.spaces.items()}
    if isinstance(space, gymnasium.spaces.Tuple):
        return tuple([_nested(part, leaves) for part in space.spaces])
    return next(leaves)
