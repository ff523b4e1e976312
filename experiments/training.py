"""Train one agent in one environment, and leave a record from which the run can go on.

`train` begins a run, `resume` goes on with one that was interrupted or killed. For our own agents
the two parts of a run that was cut at any moment end with the same bytes in the agent's file as
one that was not (see `session`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from ..agents.agent import AbstractAgent
from .catalogue import AGENTS, agent_class
from .environment_names import EnvironmentName
from .evaluator import Evaluator
from .folder_lock import folder_lock
from .interruption import interruption
from .peers import AbstractPeer
from .progress import session_progress
from .records import EvaluationPoint, RunRecord, RunSettings, RunStatus, new_run_folder
from .scalars import record_hyperparameters, run_logger
from .session import TrainingSession

__all__ = [
    "TrainResult",
    "agent_resumes",
    "begin_run",
    "continue_run",
    "prepare_run",
    "resume",
    "train",
]


@dataclass(frozen=True)
class TrainResult:
    """What a training run comes back with.

    Attributes:
        agent: The trained agent.
        record: The run's folder.
        evaluations: By step.
        status: ``finished``, or ``interrupted`` after Ctrl-C.
    """

    agent: AbstractAgent
    record: RunRecord
    evaluations: tuple[EvaluationPoint, ...]
    status: RunStatus


def train(
    agent: str | type[AbstractAgent],
    env: str | EnvSpec | EnvironmentName | gymnasium.Env[Any, Any],
    *,
    seed: int = 0,
    total_timesteps: int = 100_000,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 20,
    final_episodes: int = 100,
    checkpoint_every: int | None = None,
    evaluation_discount: float = 1.0,
    max_steps: int | None = None,
    folder: str | os.PathLike[str] = "runs",
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
    progress_bar: bool = False,
    console: bool = False,
    **hyperparameters: Any,
) -> TrainResult:
    """Train an agent and record the run in ``<folder>/<environment>/<agent>/<seed>-<time>/``.

    Args:
        agent: A name of the catalogue, such as ``q-learning`` or ``sb3:dqn``, or an agent class.
        env: An id, with options as ``FrozenLake-v1@is_slippery=false``, a spec or an environment.
        seed: All of the run's randomness comes from it.
        total_timesteps: Environment steps to learn from; planners take none.
        evaluate_every: Environment steps between evaluations; None makes 20 of them.
        evaluation_episodes: Episodes of each. Where the model is known the exact return is
            recorded beside their mean, and 0 episodes are enough.
        final_episodes: Episodes of the last evaluation, where any are played.
        checkpoint_every: Environment steps between checkpoints; None is as often as evaluations.
        evaluation_discount: Of the evaluated returns, in [0, 1]; ``discount`` is the agent's own,
            a hyper-parameter.
        max_steps: Cap on the steps of an evaluation episode; None is the environment's own time
            limit, or 1000 where it has none.
        folder: Where runs are kept.
        evaluation_env: Where to evaluate; needed only where ``env`` is an object that Gymnasium
            cannot make a second time.
        progress_bar: Show a bar with the rate and the time left.
        console: Print every dump of the logger as a table.
        hyperparameters: Of the agent.

    Returns:
        The agent, the run's record and its evaluations.

    Raises:
        ValueError: An argument is out of range, a name is unknown, or the agent refuses the
            environment.
        TypeError: A hyper-parameter is unknown.
        RunFailedError: The environment or the agent raised during the run; the record says why and
            the last checkpoint is kept.

    Example:
        >>> import tempfile
        >>> result = train("q-learning", "FrozenLake-v1", total_timesteps=20_000,
        ...                evaluation_episodes=0, folder=tempfile.mkdtemp())
        >>> result.status, len(result.evaluations), result.evaluations[-1].exact_return > 0.3
        ('finished', 21, True)
    """
    agent_type = agent_class(agent) if isinstance(agent, str) else agent
    name, made, wrapped = _describe(env)
    evaluate_every = evaluate_every or max(1, total_timesteps // 20)
    settings = RunSettings(
        agent=agent if isinstance(agent, str) else _name_of(agent),
        environment=name,
        seed=seed,
        total_timesteps=total_timesteps,
        hyperparameters=hyperparameters,
        evaluate_every=evaluate_every,
        evaluation_episodes=evaluation_episodes,
        final_episodes=final_episodes,
        checkpoint_every=checkpoint_every or evaluate_every,
        discount=evaluation_discount,
        max_steps=max_steps,
        wrapped=wrapped,
    )
    learner, evaluator = _prepare(agent_type, settings, made, evaluation_env)
    path = new_run_folder(folder, settings)
    return begin_run(
        learner, evaluator, settings, path, progress_bar=progress_bar, console=console
    )


def resume(
    run: str | os.PathLike[str] | RunRecord,
    *,
    env: gymnasium.Env[Any, Any] | None = None,
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
    total_timesteps: int | None = None,
    progress_bar: bool = False,
    console: bool = False,
) -> TrainResult:
    """Go on with a run that was interrupted, killed or failed, from its last checkpoint.

    Args:
        run: Its folder or record.
        env: The environment to learn in; needed where the run's was an object of the caller's.
        evaluation_env: The same for evaluation.
        total_timesteps: A new, larger budget; None keeps the run's.
        progress_bar: Show a bar.
        console: Print every dump of the logger.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: The run is of an agent that cannot be resumed (Stable-Baselines3 keeps no
            replay buffer), the checkpoint is damaged, or the environment is not known.
        RunFailedError: As for `train`.
    """
    record = run if isinstance(run, RunRecord) else RunRecord.open(run)
    if total_timesteps is not None:
        record = record.with_budget(total_timesteps)
    return continue_run(
        record,
        env=env,
        evaluation_env=evaluation_env,
        progress_bar=progress_bar,
        console=console,
    )


def begin_run(
    agent: AbstractAgent,
    evaluator: Evaluator,
    settings: RunSettings,
    folder: Path,
    *,
    progress_bar: bool = False,
    console: bool = False,
) -> TrainResult:
    """Run a new agent in an empty folder; see `train`."""
    given = {name: _json_value(value) for name, value in settings.hyperparameters.items()}
    facts = {
        "hyperparameters": {**given, **config_to_json(agent.config)},
        "simulator": getattr(agent, "simulator", None),
    }
    record = RunRecord.create(folder, settings, facts)
    return _run(agent, evaluator, record, [], 0.0, None, progress_bar, console)


def continue_run(
    record: RunRecord,
    *,
    env: gymnasium.Env[Any, Any] | None = None,
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
    progress_bar: bool = False,
    console: bool = False,
) -> TrainResult:
    """Run on from a record's checkpoint, or from its beginning where it has none yet."""
    settings = record.settings
    agent_type = agent_class(settings.agent)
    made = record.environment.make() if env is None else env
    if not record.checkpoint.exists():
        agent, evaluator = _prepare(agent_type, settings, made, evaluation_env)
        return _run(agent, evaluator, record, [], 0.0, 0, progress_bar, console)
    if record.status == "finished" and record.num_timesteps >= settings.total_timesteps:
        agent = agent_type.load(record.checkpoint, env=made)
        return TrainResult(agent, record, tuple(record.evaluations()), "finished")
    if not agent_resumes(settings.agent):
        raise ValueError(
            f"{settings.agent} cannot be resumed: the library behind it keeps neither replay "
            f"buffer nor schedules in its files; train it again ({record.folder})"
        )
    agent = agent_type.load(record.checkpoint, env=made)
    evaluator = Evaluator(settings, _evaluation_source(settings, made, evaluation_env))
    step = agent.num_timesteps
    points = [point for point in record.evaluations() if point.timesteps <= step]
    seconds = points[-1].train_seconds if points else 0.0
    return _run(agent, evaluator, record, points, seconds, step, progress_bar, console)


def _run(
    agent: AbstractAgent,
    evaluator: Evaluator,
    record: RunRecord,
    points: list[EvaluationPoint],
    train_seconds: float,
    resumed_at: int | None,
    progress_bar: bool,
    console: bool,
) -> TrainResult:
    settings = record.settings
    with (
        folder_lock(record.folder),
        closing(evaluator),
        run_logger(record.folder, resumed_at=resumed_at, console=console) as logger,
        session_progress(settings, agent.num_timesteps, shown=progress_bar) as on_progress,
        interruption() as interrupted,
    ):
        if resumed_at is None:
            shown = {
                "agent": settings.agent,
                "environment": settings.environment.label,
                "seed": settings.seed,
                **record.config["hyperparameters"],
            }
            record_hyperparameters(logger, shown, ("eval/mean_reward", "eval/mean_ep_length"))
        record.write_evaluations(points)
        agent.set_logger(logger)
        session = TrainingSession(
            agent,
            record,
            evaluator,
            logger,
            points=points,
            train_seconds=train_seconds,
            on_progress=on_progress,
        )
        status = session.run(interrupted)
    return TrainResult(session.agent, record, tuple(session.points), status)


def agent_resumes(name: str) -> bool:
    """Whether an agent's checkpoint holds all that it needs to go on."""
    return not issubclass(agent_class(name), AbstractPeer)


def prepare_run(settings: RunSettings) -> tuple[AbstractAgent, Evaluator]:
    """A new agent in a new environment, and what evaluates it, as the settings say.

    Raises:
        ValueError: The agent refuses the environment, or a name is unknown.
        TypeError: A hyper-parameter is unknown.
    """
    return _prepare(agent_class(settings.agent), settings, settings.environment.make(), None)


def config_to_json(config: Any) -> dict[str, Any]:
    """An agent's hyper-parameters as JSON holds them; what it cannot hold is its text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: _json_value(value) for name, value in values.items()}


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


def _name_of(agent: type[AbstractAgent]) -> str:
    entry = AGENTS.get(getattr(agent, "name", ""))
    place = f"{agent.__module__}:{agent.__qualname__}"
    return entry.name if entry is not None and entry.target == place else place


def _describe(
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


def _prepare(
    agent_type: type[AbstractAgent],
    settings: RunSettings,
    made: gymnasium.Env[Any, Any],
    evaluation_env: gymnasium.Env[Any, Any] | None,
) -> tuple[AbstractAgent, Evaluator]:
    evaluator = Evaluator(settings, _evaluation_source(settings, made, evaluation_env))
    builder: Any = agent_type  # agents differ in what they take besides
    return builder(made, seed=settings.seed, **settings.hyperparameters), evaluator


def _evaluation_source(
    settings: RunSettings,
    made: gymnasium.Env[Any, Any],
    evaluation_env: gymnasium.Env[Any, Any] | None,
) -> EnvironmentName | gymnasium.Env[Any, Any]:
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
