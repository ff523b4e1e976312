"""What all deep agents share: acting, learning, files, and their place in a population.

An agent is one member of learners that step together (`member_learners`): of a population of one,
if it was made by itself, or of a `Population`. Either way it acts, is evaluated and saved alike.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, NoReturn, Self

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import nn

from ...configuration import build_config, config_from_json, config_to_json
from ...envs.arguments import whole_number
from ...envs.environments import EnvLike, spaces_of
from ...generative.arithmetic import acting_arithmetic, learning_arithmetic
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask, choice_sizes, masks_of_batch
from ..checkpoint import check_same_space, checked_seed, damage_in, package_versions
from ..episodes import RecentEpisodes
from ..learner import AbstractLearner, Step
from .devices import with_device_there
from .environment_copies import EnvironmentCopies, copies_of, num_rows_of
from .member_learners import AbstractMemberLearners
from .member_steps import AbstractMemberSteps, EnvironmentSteps, VectorMemberSteps
from .observation_leaves import ObservationLeaves

__all__ = ["AbstractDeepAgent", "check_num_rows", "steps_of"]

_FORMAT = "gymagine-deep-agent-1"
_MANY = 1 << 14  # episodes


class AbstractDeepAgent(AbstractLearner):
    """A deep agent. Algorithms implement the abstract members.

    Args:
        env: An id, a spec, an environment or a vector environment. With ``num_envs`` above 1 the
            other copies are made by its spec; a vector environment has its own. Copies step
            together, so that a session may end up to one step a copy late.
        seed: Seeds everything random here and, in the first reset, the environments; None draws
            one.
        hyperparameters: Fields of ``Config``.

    Attributes:
        per_member: Fields of ``Config`` that may differ between the members of a population.
        learners: Those of which this agent is a member.

    Raises:
        ValueError: A space is of another kind, or a hyper-parameter is out of range.
        TypeError: A hyper-parameter is unknown.
    """

    per_member: ClassVar[frozenset[str]]
    learners: AbstractMemberLearners
    _member: int

    def __init__(
        self,
        env: EnvLike | VectorEnv[Any, Any, Any],
        *,
        seed: int | None = 0,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        copies = copies_of(env, config.num_envs)
        seed = checked_seed(seed)
        self._learn_alone(copies, spaces_of(_first(copies)), config, seed, num_rows_of(copies))

    # ---- what an algorithm implements -----------------------------------------------------------

    @classmethod
    @abstractmethod
    def _check_action_space(cls, space: spaces.Space[Any]) -> None:
        """Raise a ValueError where the algorithm has no use for these actions."""

    @classmethod
    @abstractmethod
    def _learners(
        cls,
        configs: Sequence[Any],
        leaves: ObservationLeaves,
        action_space: spaces.Space[Any],
        steps: AbstractMemberSteps | None,
        seeds: Sequence[int],
        num_rows: int,
    ) -> AbstractMemberLearners:
        """New learners, one for each of the configurations.

        Args:
            configs: Of the members; they differ at most in the fields of ``per_member``.
            leaves: Of the observations.
            action_space: Of one action.
            steps: The environments, or None.
            seeds: Of the members.
            num_rows: M * N.
        """

    @abstractmethod
    def policy_module(self) -> nn.Module:
        """The greedy policy as a PyTorch module of its own, of what has been learnt so far.

        Its inputs are the leaves of a batch of observations (one tensor for a plain space), its
        output the actions; `policy_export.export_onnx` writes it to a file.
        """

    # ---- learning -------------------------------------------------------------------------------

    @property
    def num_timesteps(self) -> int:
        """Environment steps learnt from so far, of all copies together."""
        return self.learners.num_timesteps

    @num_timesteps.setter
    def num_timesteps(self, steps: int) -> None:
        self.learners.num_timesteps = steps

    @property
    def tells_its_state(self) -> bool:
        """Whether a checkpoint holds the environment's own state, so that nothing is lost."""
        return self.learners.tells_its_state

    def _advance(self, num_steps: int) -> None:
        try:
            self.learners.advance(num_steps, self._episode_limit)
        finally:
            self._hear_of(self.learners.episodes.take(self._member))

    def _last_steps(self) -> list[Step]:
        learners, found = self.learners, self.learners.last
        assert found is not None, "there was no step yet"
        return [
            Step(
                observation=self._leaves.observation(found.next_leaves, row),
                action=learners.last_actions[row],
                reward=float(found.rewards[row]),
                terminated=bool(found.terminated[row]),
                truncated=bool(found.truncated[row]),
                info=found.infos[row],
                episode=learners.episodes.ended.get(row),
            )
            for row in np.flatnonzero(found.taken).tolist()
        ]

    def _begin_session(self) -> None:
        if self.learners.num_members > 1:
            raise ValueError(
                "expected an agent that learns alone, got a member of a population: call learn of "
                "the population"
            )
        if self.env is None:
            raise ValueError(
                "expected an environment to learn in, got none: load the agent with env=..."
            )
        self._session.enter_context(learning_arithmetic(self.config.num_threads))

    def _end_session(self) -> None:
        self._session.close()

    def _limit_episodes(self, num_episodes: int | None) -> None:
        self._episode_limit = num_episodes or _MANY

    def _scalars(self) -> dict[str, float]:
        return self.learners.scalars(self._member)

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

        Without ``deterministic`` the action is drawn as while learning, from a stream of its own.

        Raises:
            ValueError: An observation is outside the space, or the mask of another shape.
        """
        leaves, is_batch = self._read(observation)
        masks = self._mask_of(action_mask, len(leaves[0]))
        with acting_arithmetic(self.config.num_threads):
            actions = self.learners.choose(self._member, leaves, masks, deterministic)
        return (actions if is_batch else actions[0]), state

    def _read(self, observation: Any) -> tuple[tuple[NDArray[Any], ...], bool]:
        """(B, ...) leaves of an observation or a batch, and whether it was a batch."""
        found = self._leaves.of_batch(observation)  # arrays of whatever shape
        shapes = self._leaves.shapes
        is_one = all(leaf.shape == shape for leaf, shape in zip(found, shapes, strict=True))
        if is_one:
            found = tuple(leaf[np.newaxis] for leaf in found)
        self._leaves.check(found)
        return found, not is_one

    def _mask_of(self, action_mask: Any, num_rows: int) -> NDArray[np.bool_] | None:
        if action_mask is None:
            return None
        sizes = choice_sizes(self.action_space)
        if not sizes:
            raise ValueError(
                f"expected no action mask, which {self.action_space} has no use for, got one"
            )
        return masks_of_batch(action_mask, num_rows, sizes)

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write networks, optimiser, memory, streams and the environments' state to one file."""
        arrays = self.learners.arrays(self._member)
        arrays["episodes.returns"] = self._episodes.returns
        arrays["episodes.lengths"] = self._episodes.lengths
        header = {
            "format": _FORMAT,
            "agent": self.name,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_rows": self.learners.num_rows // self.learners.num_members,
            "num_timesteps": self.num_timesteps,
            "num_episodes": self.num_episodes,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "versions": package_versions(),
            "learners": self.learners.header(self._member),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], env: EnvLike | VectorEnv[Any, Any, Any] | None = None
    ) -> Self:
        """Read what `save` wrote (see `AbstractAgent`).

        In an environment that is not of the same kind, or does not tell its state, learning goes
        on with new episodes.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        with damage_in(path):
            if header["agent"] != cls.name:
                raise ValueError(f"expected a {cls.name} agent, got {path} of {header['agent']}")
            config = with_device_there(config_from_json(cls.Config, header["config"]))
            saved = tuple(
                space_from_json(header[f"{kind}_space"]) for kind in ("observation", "action")
            )
            seed = whole_number(header["seed"], "seed", least=0)
            num_rows = whole_number(header["num_rows"], "num_rows", least=1)
            check_num_rows(arrays, 1, num_rows)
        copies = None
        if env is not None:
            copies = copies_of(env, num_rows)
            for kind, old, new in zip(
                ("observation", "action"), saved, spaces_of(_first(copies)), strict=True
            ):
                check_same_space(kind, old, new)
            if num_rows_of(copies) != num_rows:
                raise ValueError(
                    f"expected an environment of {num_rows} copies, as the agent's memory is, got "
                    f"{num_rows_of(copies)}"
                )
        agent = cls.__new__(cls)
        agent._learn_alone(copies, saved, config, seed, num_rows)
        with damage_in(path):
            agent.environment_restored = agent.learners.restore(arrays, header["learners"])
            agent._episodes.restore(
                header["num_episodes"], arrays["episodes.returns"], arrays["episodes.lengths"]
            )
        agent._say_what_was_not_restored()
        return agent

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """No copies: acting and learning work on the same memory, which copies would not share.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"expected {type(self).__name__}.save and load, got an agent to copy or pickle"
        )

    # ---- inside ---------------------------------------------------------------------------------

    def _learn_alone(
        self,
        copies: EnvironmentCopies | None,
        own_spaces: tuple[spaces.Space[Any], ...],
        config: Any,
        seed: int,
        num_rows: int,
    ) -> None:
        """Become the one member of new learners."""
        observation_space, action_space = own_spaces
        self._check_action_space(action_space)
        leaves = ObservationLeaves(observation_space)
        steps = steps_of(copies, leaves, action_space, config)
        learners = self._learners([config], leaves, action_space, steps, [seed], num_rows)
        self._join(learners, 0, config, seed, own_spaces, copies)

    def _join(
        self,
        learners: AbstractMemberLearners,
        member: int,
        config: Any,
        seed: int,
        own_spaces: tuple[spaces.Space[Any], ...],
        copies: EnvironmentCopies | None,
    ) -> None:
        """Become a member of learners, which learns in these copies."""
        self.learners, self._member = learners, member
        self.config, self.seed = config, seed
        self.env = None if copies is None else _first(copies)
        self._other_envs = copies[1:] if isinstance(copies, list) else ()
        self.observation_space, self.action_space = own_spaces
        self._leaves = ObservationLeaves(self.observation_space)
        self.reads_masks = bool(_masked_choices(config, self.action_space))
        self._episodes, self.episode_watcher = RecentEpisodes(), None
        self.environment_restored = True
        self._episode_limit = _MANY
        self._session = ExitStack()


def check_num_rows(arrays: Mapping[str, NDArray[Any]], num_members: int, num_copies: int) -> None:
    """Make sure that a file has arrays for as many copies as it says, before these are made.

    Raises:
        ValueError: It has not: the file is damaged.
    """
    found = arrays["rows.returns"].shape
    if found != (num_members, num_copies):
        raise ValueError(
            f"expected returns of {num_members} x {num_copies} copies of the environment, got "
            f"{found}: the file is damaged"
        )


def steps_of(
    copies: EnvironmentCopies | None,
    leaves: ObservationLeaves,
    action_space: spaces.Space[Any],
    config: Any,
) -> AbstractMemberSteps | None:
    """How to step environments, or None where there are none."""
    if copies is None:
        return None
    masked = _masked_choices(config, action_space)
    if isinstance(copies, VectorEnv):
        return VectorMemberSteps(copies, leaves, masked)
    return EnvironmentSteps(copies, leaves, masked)


def _masked_choices(config: Any, action_space: spaces.Space[Any]) -> tuple[int, ...]:
    """The sizes of the choices whose masks are read; none where none are."""
    return choice_sizes(action_space) if config.action_masks == "auto" else ()


def _first(copies: EnvironmentCopies) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    return copies if isinstance(copies, VectorEnv) else copies[0]
