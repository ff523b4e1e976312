r"""What all tabular learners share: spaces, seeds, experience, prediction and checkpoints.

An algorithm is three compiled functions on a tuple of arrays (`Kernels`). The same ``observe``
learns from an environment that is stepped and from a simulation of a known model; which one an
agent uses is `AbstractTabularAgent.simulator`. The state of a learner is arrays throughout
(tables, traces, buffers, counters, random streams, the place in the episode), so that saving and
loading at any step, also in mid-episode, goes on bit for bit.
"""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...configuration import build_config, config_from_json, config_to_json
from ...envs.environment_state import capture
from ...envs.environments import EnvLike, make_env, spaces_of
from ...envs.state_index import StateIndex
from ...envs.vector_environment_state import capture_vector
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask, masks_of_batch
from ..checkpoint import check_same_space, checked_seed, damage_in, package_versions
from ..episodes import RecentEpisodes
from ..learner import AbstractLearner, Step
from .bins import BinIndex
from .checkpoint import (
    FORMAT,
    fill_arrays,
    num_copies_in,
)
from .compiled_interaction import CompiledInteraction
from .configuration import TabularConfig
from .interaction import AbstractInteraction, Kernels
from .memory import (
    episode_arrays,
    for_another_episode,
    named_arrays,
    room_for_steps,
    with_room,
    with_room_for,
)
from .model_choice import ModelChoice, choose_model
from .observations import (
    ObservationIndex,
    action_index,
    batch_of_states,
    observation_index,
)
from .random_stream import random_stream
from .stepped_interaction import SteppedInteraction
from .vector_interaction import VectorInteraction

__all__ = ["AbstractTabularAgent", "Simulator"]

Simulator = Literal["auto", "compiled", "stepped"]
_Place: TypeAlias = tuple[dict[str, NDArray[Any]], dict[str, Any]]
_LOG = logging.getLogger(__name__)


class AbstractTabularAgent(AbstractLearner):
    """A learner whose values are tables. Algorithms implement the abstract members.

    Args:
        env: The environment to learn in: an id, a spec or an environment whose actions are finite,
            and whose observations are or form a Box. Each dimension of a Box is cut into equal
            bins between its bounds, or CartPole's known ones; the agent is still shown, and
            predicts from, the observations themselves. Also a vector environment, whose copies are
            stepped together and learnt from in turn; a step of one copy counts as one.
        seed: Seeds everything random here and, in the first reset, the environment; None draws a
            seed, which is kept in ``agent.seed``.
        simulator: ``compiled`` learns on a simulation of the environment's model, ``stepped`` by
            stepping the environment, ``auto`` simulates where the model is known exactly.
        hyperparameters: Fields of the agent's ``Config``.

    Attributes:
        simulator: Which of the two is used; None for an agent loaded without an environment.

    Raises:
        ValueError: The actions are not finite, the observations neither finite nor a Box, a Box
            has an infinite bound or too many bins for a table, a hyper-parameter is out of range,
            or ``compiled`` was asked for and the model is not known.
        TypeError: A hyper-parameter is unknown.
    """

    Config: ClassVar[type[TabularConfig]]
    kernels: ClassVar[Kernels]

    _memories: list[Any]
    simulator: Literal["compiled", "stepped"] | None

    def __init__(
        self,
        env: EnvLike | VectorEnv[Any, Any, Any],
        *,
        seed: int | None = None,
        simulator: Simulator = "auto",
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        made = env if isinstance(env, VectorEnv) else make_env(env)
        observation_space, action_space = spaces_of(made)
        actions = action_index(action_space)
        observations = observation_index(
            observation_space, bins=config.bins, num_actions=actions.num_states
        )
        self._set_up(made, observations, actions, config, seed, simulator)

    # ---- what an algorithm implements -----------------------------------------------------------

    @abstractmethod
    def _build_memory(self, random: NDArray[np.uint64]) -> Any:
        """The tuple of arrays and numbers that the kernels take.

        It may use ``self.config``, ``num_states``, ``num_actions``, ``_allowed`` and ``_clock``;
        the latter two belong into it.
        """

    @property
    @abstractmethod
    def action_values(self) -> NDArray[np.float64]:
        """(S, A) values of the actions; -inf where an action is masked."""

    @property
    @abstractmethod
    def state_values(self) -> NDArray[np.float64]:
        """(S,) values of the states under `policy`."""

    @property
    @abstractmethod
    def policy(self) -> NDArray[np.int64]:
        """(S,) the deterministic policy that `predict` follows, as numbers of actions."""

    @abstractmethod
    def _choose(self, state: int, allowed: NDArray[np.bool_], deterministic: bool) -> int:
        """The number of the action for a state, among the (A,) allowed ones."""

    @property
    def _memory(self) -> Any:
        """The memory; in a vector environment that of the first copy, whose tables all share."""
        return self._memories[0]

    # ---- learning -------------------------------------------------------------------------------

    def _warn_of_overflow(self) -> None:
        for name in ("action_values", "state_values"):
            values = getattr(self._memory, name, None)
            if values is not None and not np.isfinite(values).all():
                _LOG.warning(
                    "the values of %s overflowed: its steps are too large or the rewards are, so "
                    "that nothing can be learnt from here",
                    self.name,
                )

    def _advance(self, num_steps: int) -> None:
        """Take up to ``num_steps`` steps and hear of the episodes that ended."""
        interaction = self._interaction_or_raise()
        self._memories = [with_room(memory) for memory in self._memories]
        room = min(room_for_steps(memory) for memory in self._memories)
        try:
            interaction.take(self._memories, min(num_steps, room))
        finally:
            self._hear_of(interaction.collect())

    def _last_steps(self) -> list[Step]:
        step = self._interaction_or_raise().last_step()
        if not (step.terminated or step.truncated):
            return [step]
        episode = float(self.episode_returns[-1]), int(self.episode_lengths[-1])
        return [replace(step, episode=episode)]

    def _begin_session(self) -> None:
        self._interaction_or_raise().resume()

    def _end_session(self) -> None:
        self._interaction_or_raise().pause()
        self._warn_of_overflow()

    @property
    def tells_its_state(self) -> bool:
        """Whether a checkpoint holds the environment's own state, so that nothing is lost."""
        if isinstance(self.env, VectorEnv):
            return capture_vector(self.env) is not None
        if self.simulator != "stepped":
            return True
        return self.env is not None and capture(self.env) is not None

    def _limit_episodes(self, num_episodes: int | None) -> None:
        self._interaction_or_raise().limit_log(num_episodes)

    @property
    def num_timesteps(self) -> int:
        """Environment steps learnt from so far."""
        return int(self._clock[0])

    @num_timesteps.setter
    def num_timesteps(self, steps: int) -> None:
        self._clock[0] = steps

    @property
    def num_states(self) -> int:
        """S, the number of observations, or of the bins of continuous ones."""
        return self._observations.num_states

    @property
    def num_actions(self) -> int:
        """A."""
        return self._actions.num_states

    # ---- acting ---------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """The action for one observation or for a batch (see `AbstractAgent`).

        Without ``deterministic`` the action is drawn as while learning, from a stream of its own,
        so that predictions do not disturb learning.

        Raises:
            ValueError: An observation is outside the space, or the mask allows no action.
        """
        states, is_batch = batch_of_states(self._observations, observation)
        masks = self._allowed[states]
        if action_mask is not None:
            given = masks_of_batch(action_mask, len(masks), masks.shape[1:])
            # of what infos said, the table has only the last of each observation
            masks = given if self.reads_masks else masks & given
        numbers = [
            self._choose(int(number), mask, deterministic)
            for number, mask in zip(states, masks, strict=True)
        ]
        if isinstance(self.action_space, spaces.Discrete):
            actions = np.array(numbers, dtype=np.int64) + int(self.action_space.start)
        else:
            actions = np.array([self._actions.decode(number) for number in numbers])
        return (actions if is_batch else actions[0]), state

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write tables, counters, random streams and the environment's state to one file."""
        arrays = {f"memory.{name}": array for name, array in self._named_arrays()}
        arrays["prediction_random"] = self._prediction_random
        arrays["episodes.returns"] = self._episodes.returns
        arrays["episodes.lengths"] = self._episodes.lengths
        place, header = self._saved_place
        if self._interaction is not None:
            place, header = self._interaction.arrays(), self._interaction.header()
        arrays.update({f"interaction.{name}": array for name, array in place.items()})
        content = {
            "format": FORMAT,
            "agent": self.name,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "simulator": self.simulator or self._saved_simulator,
            "num_copies": len(self._memories),
            "num_timesteps": self.num_timesteps,
            "num_episodes": self.num_episodes,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "interaction": header,
            "reads_masks": self.reads_masks,
            "versions": package_versions(),
        }
        if isinstance(self._observations, BinIndex):
            content["bounds"] = self._observations.to_json()
        write_arrays(path, arrays, content)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], env: EnvLike | VectorEnv[Any, Any, Any] | None = None
    ) -> Self:
        """Read what `save` wrote (see `AbstractAgent`).

        With an environment, learning goes on where it stopped, in the way it was done
        (``compiled`` or ``stepped``); in one of another number of copies with new episodes. Vector
        environments are stepped, whatever was done before.
        """
        arrays, header = read_arrays(path, expected_format=FORMAT)
        with damage_in(path):
            if header["agent"] != cls.name:
                raise ValueError(f"expected a {cls.name} agent, got {path} of {header['agent']}")
            config = config_from_json(cls.Config, header["config"])
            observation_space = space_from_json(header["observation_space"])
            action_space = space_from_json(header["action_space"])
            simulator, seed = header["simulator"], checked_seed(header["seed"])
            actions = action_index(action_space)
            observations = observation_index(
                observation_space,
                bins=config.bins,
                num_actions=actions.num_states,
                bounds=header.get("bounds"),
            )
        made = env if env is None or isinstance(env, VectorEnv) else make_env(env)
        if made is not None:
            found = spaces_of(made)
            check_same_space("observation", observation_space, found[0])
            check_same_space("action", action_space, found[1])
        how: Any = "stepped" if isinstance(made, VectorEnv) else simulator
        agent = cls.__new__(cls)
        agent._set_up(made, observations, actions, config, seed, how)
        with damage_in(path):
            agent._restore(arrays, header)
        return agent

    # ---- inside ---------------------------------------------------------------------------------

    def _set_up(
        self,
        env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any] | None,
        observations: ObservationIndex,
        actions: StateIndex,
        config: Any,
        seed: int | None,
        simulator: Simulator,
    ) -> None:
        self.env = env
        self.observation_space, self.action_space = observations.space, actions.space
        self._observations, self._actions = observations, actions
        self.config = config
        self.seed = checked_seed(seed)
        self.environment_restored = True
        self.episode_watcher = None
        self._episodes = RecentEpisodes()
        self._clock = np.zeros(1, dtype=np.int64)
        self._allowed = np.ones((self.num_states, self.num_actions), dtype=np.bool_)
        self._model_allowed: NDArray[np.bool_] | None = None
        self._is_masked = True
        self.reads_masks = False
        self._start_anywhere = False
        self._interaction: AbstractInteraction | None = None
        self._saved_place: _Place = ({}, {})
        self._saved_simulator: str = simulator
        self.simulator = None
        choice = None
        if env is not None:
            choice = choose_model(
                env,
                simulator,
                action_masks=self.config.action_masks,
                observations=self._observations,
                actions=self._actions,
            )
            self._allowed[:] = choice.allowed
            self._model_allowed = None if choice.reads_masks else choice.allowed
            self.reads_masks = choice.reads_masks
            self._is_masked = choice.reads_masks or not self._allowed.all()
        learning, simulation, environment, prediction = np.random.SeedSequence(self.seed).spawn(4)
        self._prediction_random = random_stream(prediction)
        memory = self._build_memory(random_stream(learning))
        self._memories = [memory]
        if isinstance(env, VectorEnv):
            self._memories += [for_another_episode(memory) for _ in range(1, env.num_envs)]
        if env is not None and choice is not None:
            self._connect(env, choice, simulation, environment)

    def _connect(
        self,
        env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any],
        choice: ModelChoice,
        simulation: np.random.SeedSequence,
        environment: np.random.SeedSequence,
    ) -> None:
        if choice.compiled and choice.mdp is not None:
            self.simulator = "compiled"
            self._interaction = CompiledInteraction(
                choice.mdp,
                self.kernels,
                observations=self._observations,
                actions=self._actions,
                seed=simulation,
                start_anywhere=self._start_anywhere,
            )
            return
        if self._start_anywhere:
            raise ValueError(
                "expected an environment whose model is known, to be simulated from exploring "
                f"starts, got {env}: a stepped environment begins where it likes"
            )
        self.simulator = "stepped"
        options: dict[str, Any] = {
            "observations": self._observations,
            "actions": self._actions,
            "seed": _environment_seed(environment),
            "allowed": self._allowed,
            "clock": self._clock,
            "read_masks": choice.reads_masks,
        }
        if isinstance(env, VectorEnv):
            self._interaction = VectorInteraction(env, self.kernels, **options)
        else:
            self._interaction = SteppedInteraction(env, self.kernels, **options)

    def _named_arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The arrays of the memory, and what the other copies have of their own."""
        yield from named_arrays(self._memory)
        for copy, memory in enumerate(self._memories[1:], start=1):
            for name, array in episode_arrays(memory):
                yield f"copy{copy}.{name}", array

    def _interaction_or_raise(self) -> AbstractInteraction:
        if self._interaction is None:
            raise ValueError(
                "expected an environment to learn in, got none: load the agent with env=..."
            )
        return self._interaction

    def _restore(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
        if self._interaction is None:  # all copies are kept, to be saved again
            others = range(1, num_copies_in(arrays, header))
            self._memories += [for_another_episode(self._memory) for _ in others]
        self._restore_memory(
            {
                name.removeprefix("memory."): array
                for name, array in arrays.items()
                if name.startswith("memory.")
            }
        )
        if self._model_allowed is not None:  # not those of the environment of the file
            self._allowed[:] = self._model_allowed
        self._prediction_random[:] = arrays["prediction_random"]
        self._episodes.restore(
            header["num_episodes"], arrays["episodes.returns"], arrays["episodes.lengths"]
        )
        place = {
            name.removeprefix("interaction."): array
            for name, array in arrays.items()
            if name.startswith("interaction.")
        }
        if self._interaction is None:
            self._saved_place = (place, header["interaction"])
            # older files do not say: most often info forbade something, if anything is forbidden
            told = self.config.action_masks != "never" and not self._allowed.all()
            self.reads_masks = bool(header.get("reads_masks", told))
            return
        fresh = np.random.SeedSequence(self.seed, spawn_key=(2, self.num_timesteps))
        self.environment_restored = self._interaction.restore(
            place, header["interaction"], _environment_seed(fresh)
        )
        self._say_what_was_not_restored()

    def _restore_memory(self, arrays: dict[str, NDArray[Any]]) -> None:
        prefixes = ["", *(f"copy{copy}." for copy in range(1, len(self._memories)))]
        self._memories = [
            with_room_for(memory, arrays.get(f"{prefix}episode.states"))
            for memory, prefix in zip(self._memories, prefixes, strict=True)
        ]
        own = dict(self._named_arrays())
        fill_arrays(own, arrays, num_states=self.num_states, num_actions=self.num_actions)


def _environment_seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0] >> 1)  # Gymnasium takes 31 bits everywhere
