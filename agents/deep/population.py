"""Many seeds, or many settings, of one deep agent, trained together in one process.

A small network keeps a processor busy for a fraction of the time that the calls around it take.
Members of a population share these calls: layers are batched products over the members, and all
environments are stepped in one round. Members share nothing else. What one draws, sees and learns
depends on its own seed and settings, so that member i equals the agent of the same seed trained
alone, up to the rounding of batched products, which add in another order than single ones; the
difference grows with the updates as any rounding does, and where it flips an action the two go on
apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Self, TypeAlias

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from ...configuration import build_config, config_from_json, config_to_json
from ...envs.arguments import whole_number
from ...envs.environments import spaces_of
from ...generative.arithmetic import learning_arithmetic
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..checkpoint import check_same_space, checked_seed, damage_in, package_versions
from ..learning_session import ScalarLog, check_budget
from .deep_agent import AbstractDeepAgent, check_num_rows, steps_of
from .devices import with_device_there
from .environment_copies import copies_of
from .member_learners import AbstractMemberLearners
from .observation_leaves import ObservationLeaves

__all__ = ["Population", "PopulationSource"]

PopulationSource: TypeAlias = str | EnvSpec | Callable[[], gymnasium.Env[Any, Any]]

_FORMAT = "gymagine-population-1"
_MANY = 1 << 14  # episodes


class Population:
    """M agents of a kind that learn together.

    Args:
        agent: Their class.
        env: An id, a spec, or a function that makes an environment; each member gets its own
            ``num_envs`` copies.
        seeds: Of the members, or how many: 10 means 0 to 9.
        settings: Of each member, on top of the shared hyper-parameters: only what is in the
            class's ``per_member`` may differ. None for none.
        hyperparameters: Shared fields of the agent's ``Config``.

    Attributes:
        members: The agents. They act, are evaluated and saved like any; they learn here.
        environment_restored: False after loading a file whose environments could not be put back
            into their state, so that the next step begins episodes.

    Raises:
        ValueError: A hyper-parameter is out of range or differs where it must not, there is no
            seed, not one setting for each, or the environment is of another kind.
        TypeError: A hyper-parameter is unknown.

    Example:
        >>> from gymagine.agents.deep.dqn import DQN
        >>> population = Population(DQN, "CartPole-v1", seeds=2, learning_starts=50)
        >>> population.learn(100).num_timesteps
        100
        >>> [member.seed for member in population.members]
        [0, 1]
    """

    members: tuple[AbstractDeepAgent, ...]
    environment_restored: bool

    def __init__(
        self,
        agent: type[AbstractDeepAgent],
        env: PopulationSource,
        *,
        seeds: int | Sequence[int],
        settings: Sequence[Mapping[str, Any]] | None = None,
        **hyperparameters: Any,
    ) -> None:
        given = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
        each = [{}] * len(given) if settings is None else list(settings)
        if not given or len(each) != len(given):
            raise ValueError(
                f"expected at least one seed, and settings for each, got {len(given)} seeds and "
                f"{len(each)} settings"
            )
        configs = [
            build_config(agent.Config, {**hyperparameters, **own}, agent.__name__) for own in each
        ]
        self._set_up(agent, env, configs, [checked_seed(seed) for seed in given], None)

    @property
    def num_timesteps(self) -> int:
        """Environment steps that each member has learnt from."""
        return self._learners.num_timesteps

    @property
    def tells_its_state(self) -> bool:
        """Whether a file holds the environments' own states, so that nothing is lost."""
        return self._learners.tells_its_state

    def learn(self, total_timesteps: int, *, log_interval: int = 4) -> Self:
        """Let every member learn for ``total_timesteps`` more steps of its environment.

        Args:
            total_timesteps: The budget of each member.
            log_interval: Episodes between two dumps of a member's logger.

        Raises:
            ValueError: The budget is no positive integer, there is no environment, or one gives a
                reward that is not finite or an observation outside its space.
        """
        end = self.num_timesteps + check_budget(total_timesteps)
        logs = [ScalarLog(member, log_interval) for member in self.members]
        with learning_arithmetic(self.members[0].config.num_threads):
            while self.num_timesteps < end:
                limit = min(
                    (log.episodes_to_go for log in logs if log.is_read),
                    default=_MANY,
                )
                try:
                    self._learners.advance(end - self.num_timesteps, limit)
                finally:
                    for i, member in enumerate(self.members):
                        member._hear_of(self._learners.episodes.take(i))
                for log in logs:
                    log.dump_if_due()
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all members to one file, whole or not at all."""
        arrays = self._learners.arrays()
        for i, member in enumerate(self.members):
            arrays[f"episodes{i}.returns"] = member._episodes.returns
            arrays[f"episodes{i}.lengths"] = member._episodes.lengths
        first = self.members[0]
        header = {
            "format": _FORMAT,
            "agent": first.name,
            "configs": [config_to_json(member.config) for member in self.members],
            "seeds": [member.seed for member in self.members],
            "num_episodes": [member.num_episodes for member in self.members],
            "num_timesteps": self.num_timesteps,
            "observation_space": space_to_json(first.observation_space),
            "action_space": space_to_json(first.action_space),
            "versions": package_versions(),
            "learners": self._learners.header(),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        agent: type[AbstractDeepAgent],
        env: PopulationSource,
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: The file.
            agent: The members' class.
            env: What to go on learning in. If it is not of the same kind, or does not tell its
                state, learning goes on with new episodes.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, foreign, of another agent or of other spaces.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        with damage_in(path):
            if header["agent"] != agent.name:
                raise ValueError(f"expected {agent.name} agents, got {path} of {header['agent']}")
            read = (config_from_json(agent.Config, each) for each in header["configs"])
            configs = [with_device_there(config) for config in read]
            seeds = [whole_number(seed, "seed", least=0) for seed in header["seeds"]]
            if not seeds or len(configs) != len(seeds):
                raise ValueError(f"expected a seed of each member, got {path}, which is damaged")
            check_num_rows(arrays, len(seeds), configs[0].num_envs)
            saved = tuple(
                space_from_json(header[f"{kind}_space"]) for kind in ("observation", "action")
            )
        population = cls.__new__(cls)
        population._set_up(agent, env, configs, seeds, saved)
        with damage_in(path):
            restored = population._learners.restore(arrays, header["learners"])
            population.environment_restored = restored
            for i, member in enumerate(population.members):
                member.environment_restored = restored
                member._episodes.restore(
                    header["num_episodes"][i],
                    arrays[f"episodes{i}.returns"],
                    arrays[f"episodes{i}.lengths"],
                )
        population.members[0]._say_what_was_not_restored()
        return population

    # ---- inside ---------------------------------------------------------------------------------

    def _set_up(
        self,
        agent: type[AbstractDeepAgent],
        env: PopulationSource,
        configs: Sequence[Any],
        seeds: Sequence[int],
        saved_spaces: tuple[spaces.Space[Any], ...] | None,
    ) -> None:
        _check_settings(agent, configs)
        num_rows = len(seeds) * configs[0].num_envs
        copies = copies_of(env, num_rows)
        if not isinstance(copies, list) or len({id(copy) for copy in copies}) < num_rows:
            raise ValueError(
                "expected an id, a spec or a function that makes a new environment, of which each "
                f"member gets its own, got {env!r}"
            )
        own_spaces = spaces_of(copies[0])
        for kind, old, new in zip(
            ("observation", "action"), saved_spaces or own_spaces, own_spaces, strict=True
        ):
            check_same_space(kind, old, new)
        observation_space, action_space = own_spaces
        agent._check_action_space(action_space)
        leaves = ObservationLeaves(observation_space)
        steps = steps_of(copies, leaves, action_space, configs[0])
        self._learners: AbstractMemberLearners = agent._learners(
            configs, leaves, action_space, steps, seeds, num_rows
        )
        self.environment_restored = True
        members = []
        for i, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
            member = agent.__new__(agent)
            own = copies[i * config.num_envs : (i + 1) * config.num_envs]
            member._join(self._learners, i, config, seed, own_spaces, own)
            members.append(member)
        self.members = tuple(members)


def _check_settings(agent: type[AbstractDeepAgent], configs: Sequence[Any]) -> None:
    """Raise a ValueError where members differ in what the arithmetic must share."""
    if len(configs) > 1 and getattr(configs[0], "replay_folder", None) is not None:
        raise ValueError(
            "expected replay_folder=None in a population, whose members are saved one by one, got "
            f"{configs[0].replay_folder!r}"
        )
    for field in fields(agent.Config):
        if field.name in agent.per_member:
            continue
        values = [getattr(config, field.name) for config in configs]
        other = next((value for value in values if value != values[0]), values[0])
        if other != values[0]:
            raise ValueError(
                f"expected the same {field.name} in all members of a population, got "
                f"{values[0]!r} and {other!r}; they may differ in "
                f"{', '.join(sorted(agent.per_member))}"
            )
