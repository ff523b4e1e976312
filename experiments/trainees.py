"""What a session drives: one agent, or the members of a population in step.

Both learn a number of steps, save all that they are to files, and can begin anew from these files.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.vector import VectorEnv

from ..agents.agent import AbstractAgent
from ..agents.learner import AbstractLearner
from .population_records import PopulationRecord
from .records import RunRecord

if TYPE_CHECKING:
    from ..agents.deep.population import Population

__all__ = ["AbstractTrainee", "AgentTrainee", "EnvironmentMaker", "PopulationTrainee"]


class AbstractTrainee(ABC):
    """One or more agents that learn together. Sessions call it.

    Attributes:
        title: What messages call it.
        folder: Where its checkpoint lies, for messages.
        checkpoint: The file that it goes on from; once it is there, so is all that belongs to it.
    """

    title: str
    folder: Path
    checkpoint: Path

    @property
    @abstractmethod
    def agents(self) -> tuple[AbstractAgent, ...]:
        """The agents as they are now, one for each recording of the session."""

    @property
    @abstractmethod
    def num_timesteps(self) -> int:
        """Environment steps that each agent has taken."""

    @property
    @abstractmethod
    def tells_its_state(self) -> bool:
        """Whether the checkpoint holds the environments' own state, so that nothing is lost."""

    @abstractmethod
    def learn(self, num_steps: int, *, log_interval: int) -> None:
        """Take so many more steps with each agent."""

    @abstractmethod
    def save(self) -> None:
        """Write the agents' files, and the checkpoint last."""

    @abstractmethod
    def reload(self) -> None:
        """Begin anew from the checkpoint, as if the process had been killed after `save`."""


class AgentTrainee(AbstractTrainee):
    """One agent on its own.

    Args:
        agent: The agent.
        record: Of its run.
    """

    def __init__(self, agent: AbstractAgent, record: RunRecord) -> None:
        settings = record.settings
        self.title = f"{settings.agent} on {settings.environment.label}"
        self.folder, self.checkpoint = record.folder, record.checkpoint
        self._agent = agent

    @property
    def agents(self) -> tuple[AbstractAgent, ...]:
        """The agent."""
        return (self._agent,)

    @property
    def num_timesteps(self) -> int:
        """Environment steps that it has taken."""
        return self._agent.num_timesteps

    @property
    def tells_its_state(self) -> bool:
        """Agents of other libraries do not go on, and planners have no state of an environment."""
        return not isinstance(self._agent, AbstractLearner) or self._agent.tells_its_state

    def learn(self, num_steps: int, *, log_interval: int) -> None:
        """Take so many more steps."""
        self._agent.learn(num_steps, log_interval=log_interval)

    def save(self) -> None:
        """Write the agent's file."""
        self._agent.save(self.checkpoint)

    def reload(self) -> None:
        """Read the agent's file, in the same environment."""
        logger, env = self._agent.logger, self._agent.env
        assert not isinstance(env, VectorEnv)  # a run has one environment
        with _expected_new_episode():
            self._agent = type(self._agent).load(self.checkpoint, env=env)
        self._agent.set_logger(logger)


class EnvironmentMaker:
    """Makes environments, and remembers which.

    Args:
        make: Makes one.
    """

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        self._make = make
        self._made: list[gymnasium.Env[Any, Any]] = []

    def __call__(self) -> gymnasium.Env[Any, Any]:
        """Make one."""
        self._made.append(self._make())
        return self._made[-1]

    def hand_over(self) -> list[gymnasium.Env[Any, Any]]:
        """All that were made so far, for the caller to close."""
        made, self._made = self._made, []
        return made


class PopulationTrainee(AbstractTrainee):
    """The members of a population.

    Args:
        population: The population.
        record: Where it is kept.
        make: Made its environments.
    """

    def __init__(
        self, population: Population, record: PopulationRecord, make: EnvironmentMaker
    ) -> None:
        settings = record.members[0].settings
        self.title = f"{len(record.members)} x {settings.agent} on {settings.environment.label}"
        self.folder, self.checkpoint = record.folder, record.checkpoint
        self._population, self._record, self._make = population, record, make

    @property
    def agents(self) -> tuple[AbstractAgent, ...]:
        """The members."""
        return self._population.members

    @property
    def num_timesteps(self) -> int:
        """Environment steps that each member has taken."""
        return self._population.num_timesteps

    @property
    def tells_its_state(self) -> bool:
        """Of the members' environments."""
        return self._population.tells_its_state

    def learn(self, num_steps: int, *, log_interval: int) -> None:
        """Take so many more steps with each member."""
        self._population.learn(num_steps, log_interval=log_interval)

    def save(self) -> None:
        """Write the members' files, then the population's: it is what is gone on from."""
        for member, record in zip(self.agents, self._record.members, strict=True):
            member.save(record.checkpoint)
        self._population.save(self.checkpoint)

    def reload(self) -> None:
        """Read the population's file, in new environments."""
        loggers = [member.logger for member in self.agents]
        earlier = self._make.hand_over()
        with _expected_new_episode():
            self._population = type(self._population).load(
                self.checkpoint, type(self._population.members[0]), self._make
            )
        for env in earlier:
            env.close()
        for member, logger in zip(self.agents, loggers, strict=True):
            member.set_logger(logger)


@contextmanager
def _expected_new_episode() -> Iterator[None]:
    """Leave one warning of the learner unsaid: here it is no surprise, but what is wanted."""
    learner_log = logging.getLogger(AbstractLearner.__module__)

    def is_other(record: logging.LogRecord) -> bool:
        told = "the environment's state could not be restored"
        return not record.getMessage().startswith(told)

    learner_log.addFilter(is_other)
    try:
        yield
    finally:
        learner_log.removeFilter(is_other)
