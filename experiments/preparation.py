"""What a run needs before it begins: its environment named, its agent and its evaluator made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from ..agents.agent import AbstractAgent
from ..agents.learner import AbstractLearner
from ..configuration import config_from_json
from .catalogue import AGENTS, agent_class
from .environment_names import EnvironmentName
from .evaluator import Evaluator
from .records import RunSettings

__all__ = [
    "agent_facts",
    "agent_name",
    "config_to_json",
    "describe_environment",
    "evaluation_source",
    "from_json",
    "prepare",
    "prepare_run",
    "preprocessed_for",
    "preset_of",
]


def prepare_run(settings: RunSettings) -> tuple[AbstractAgent, Evaluator]:
    """A new agent in a new environment, and what evaluates it, as the settings say.

    Raises:
        ValueError: The agent refuses the environment, or a name is unknown.
        TypeError: A hyper-parameter is unknown.
    """
    return prepare(agent_class(settings.agent), settings, settings.environment.make(), None)


def prepare(
    agent_type: type[AbstractAgent],
    settings: RunSettings,
    made: gymnasium.Env[Any, Any],
    evaluation_env: gymnasium.Env[Any, Any] | None,
) -> tuple[AbstractAgent, Evaluator]:
    """The same of a class, in environments that are there; see `evaluation_source`."""
    evaluator = Evaluator(settings, evaluation_source(settings, made, evaluation_env))
    builder: Any = agent_type  # agents differ in what they take besides
    hyperparameters = from_json(agent_type, settings.hyperparameters)
    return builder(made, seed=settings.seed, **hyperparameters), evaluator


def evaluation_source(
    settings: RunSettings,
    made: gymnasium.Env[Any, Any],
    evaluation_env: gymnasium.Env[Any, Any] | None,
) -> EnvironmentName | gymnasium.Env[Any, Any]:
    """Where to evaluate: not the environment that learns, but one of its kind.

    Raises:
        ValueError: None was given, and Gymnasium cannot make one.
    """
    if evaluation_env is not None:
        return evaluation_env
    if not settings.wrapped:
        return settings.environment
    if made.spec is None:
        raise ValueError(
            "expected evaluation_env=..., as Gymnasium cannot make a second "
            f"{settings.environment.id} (it has no spec) and the first is learning"
        )
    try:
        return gymnasium.make(made.spec)
    except (ValueError, gymnasium.error.Error) as error:
        raise ValueError(
            "expected evaluation_env=..., as Gymnasium cannot make a second "
            f"{settings.environment.id} with the same wrappers ({error})"
        ) from error


def describe_environment(
    env: str | EnvSpec | EnvironmentName | gymnasium.Env[Any, Any],
) -> tuple[EnvironmentName, gymnasium.Env[Any, Any], bool]:
    """The name of an environment, the environment, and whether the name does not tell it all."""
    if isinstance(env, str):
        env = EnvironmentName.parse(env)
    if isinstance(env, EnvironmentName):
        return env, env.make(), False
    made = gymnasium.make(env) if isinstance(env, EnvSpec) else env
    spec = made.spec
    if spec is None:
        return EnvironmentName(type(made.unwrapped).__name__), made, True
    options = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    plain = _json_value(options) == options and not spec.additional_wrappers
    registered = gymnasium.registry.get(spec.id)
    same_limit = registered is not None and registered.max_episode_steps == spec.max_episode_steps
    own = {} if registered is None else registered.kwargs
    given = {key: value for key, value in options.items() if own.get(key, ...) != value}
    name = EnvironmentName(spec.id, _json_value(given))
    return name, made, not (plain and same_limit)


def agent_facts(agent: AbstractAgent, settings: RunSettings) -> dict[str, Any]:
    """What a record says of an agent: all hyper-parameters, and how it meets its environment."""
    given = {name: _json_value(value) for name, value in settings.hyperparameters.items()}
    return {
        "hyperparameters": {**given, **config_to_json(agent.config)},
        "simulator": getattr(agent, "simulator", None),
    }


def config_to_json(config: Any) -> dict[str, Any]:
    """An agent's hyper-parameters as JSON holds them; what it cannot hold is its text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: _json_value(value) for name, value in values.items()}


def from_json(
    agent_type: type[AbstractAgent], hyperparameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Hyper-parameters from a record or the command line, of the types that a learner wants.

    Raises:
        ValueError: A value is out of range.
    """
    if not issubclass(agent_type, AbstractLearner):
        return dict(hyperparameters)
    names = {field.name for field in dataclasses.fields(agent_type.Config)} & set(hyperparameters)
    config = config_from_json(agent_type.Config, {name: hyperparameters[name] for name in names})
    return {**hyperparameters, **{name: getattr(config, name) for name in names}}


def preset_of(agent: str, environment: EnvironmentName) -> dict[str, Any]:
    """The hyper-parameters known for an agent in an environment, as JSON holds them; or none."""
    from ..agents.deep.presets import preset

    found = preset(agent, environment.id)
    return {} if found is None else {k: _json_value(v) for k, v in found.hyperparameters.items()}


def preprocessed_for(agents: Iterable[str], environment: EnvironmentName) -> EnvironmentName:
    """An environment with the wrappers that the presets of agents count on, the same for all."""
    from ..agents.deep.presets import preset

    for agent in agents:
        found = preset(agent, environment.id)
        if found is not None and found.preprocessing:
            return environment.preprocessed(found.preprocessing)
    return environment


def agent_name(agent: type[AbstractAgent]) -> str:
    """What the catalogue calls a class, or its place as ``module:Class``."""
    entry = AGENTS.get(getattr(agent, "name", ""))
    place = f"{agent.__module__}:{agent.__qualname__}"
    return entry.name if entry is not None and entry.target == place else place


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    return str(value)
