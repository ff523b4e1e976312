"""Train one agent in one environment, and leave a record from which the run can go on.

`train` begins a run, `resume` goes on with one that was interrupted or killed. For our own agents
the two parts of a run that was cut at any moment end with the same bytes in the agent's file as
one that was not (see `session`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from ..agents.agent import AbstractAgent
from .catalogue import agent_class
from .environment_names import EnvironmentName
from .evaluator import Evaluator
from .peers import AbstractPeer
from .population_records import PopulationRecord
from .preparation import (
    agent_facts,
    agent_name,
    describe_environment,
    evaluation_source,
    prepare,
)
from .recorded_session import RunBeginning, TrainResult, run_session
from .records import RunRecord, RunSettings, new_run_folder
from .trainees import AgentTrainee

__all__ = [
    "TrainResult",
    "agent_resumes",
    "begin_run",
    "continue_run",
    "resume",
    "train",
]


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
    video: bool = False,
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
        video: Show an episode of the trained agent in TensorBoard, played in an environment of
            its own; nothing that is learnt or evaluated depends on it.
        progress_bar: Show a bar with the rate and the time left.
        console: Print every dump of the logger as a table.
        hyperparameters: Of the agent.

    Returns:
        The agent, the run's record and its evaluations.

    Raises:
        ValueError: An argument is out of range, a name is unknown, the agent refuses the
            environment, or a video is asked for and the environment cannot be drawn.
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
    name, made, wrapped = describe_environment(env)
    evaluate_every = evaluate_every or max(1, total_timesteps // 20)
    settings = RunSettings(
        agent=agent if isinstance(agent, str) else agent_name(agent),
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
    learner, evaluator = prepare(agent_type, settings, made, evaluation_env)
    if video:
        evaluator.video().check()
    path = new_run_folder(folder, settings)
    return begin_run(
        learner,
        evaluator,
        settings,
        path,
        video=video,
        progress_bar=progress_bar,
        console=console,
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

    With a member of a population the others go on as well; should the population's folder have
    been removed, the member goes on alone, from its own checkpoint.

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
    population = PopulationRecord.of(record)
    if population is not None:
        return _resume_together(
            population,
            record,
            env=env,
            evaluation_env=evaluation_env,
            total_timesteps=total_timesteps,
            progress_bar=progress_bar,
            console=console,
        )
    if total_timesteps is not None:
        record = record.with_budget(total_timesteps)
    return continue_run(
        record,
        env=env,
        evaluation_env=evaluation_env,
        progress_bar=progress_bar,
        console=console,
    )


def _resume_together(
    population: PopulationRecord, record: RunRecord, *, env: object, **options: Any
) -> TrainResult:
    if env is not None:
        raise ValueError(
            f"expected resume_population(..., env=...) for {record.folder}, which is a member of "
            "a population: each member needs an environment of its own"
        )
    from .population_training import resume_population

    results = resume_population(population, **options)
    place = record.folder.resolve()
    return next(result for result in results if result.record.folder.resolve() == place)


def begin_run(
    agent: AbstractAgent,
    evaluator: Evaluator,
    settings: RunSettings,
    folder: Path,
    *,
    video: bool = False,
    progress_bar: bool = False,
    console: bool = False,
) -> TrainResult:
    """Run a new agent in an empty folder; see `train`."""
    facts = {**agent_facts(agent, settings), "video": video}
    record = RunRecord.create(folder, settings, facts)
    run = RunBeginning(record, evaluator, video=evaluator.video() if video else None)
    trainee = AgentTrainee(agent, record)
    (result,) = run_session(
        trainee, [run], is_new=True, progress_bar=progress_bar, console=console
    )
    return result


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
    points = []
    if not record.checkpoint.exists():
        agent, evaluator = prepare(agent_type, settings, made, evaluation_env)
    elif record.status == "finished" and record.num_timesteps >= settings.total_timesteps:
        agent = agent_type.load(record.checkpoint, env=made)
        return TrainResult(agent, record, tuple(record.evaluations()), "finished")
    elif not agent_resumes(settings.agent):
        raise ValueError(
            f"{settings.agent} cannot be resumed: the library behind it keeps neither replay "
            f"buffer nor schedules in its files; train it again ({record.folder})"
        )
    else:
        agent = agent_type.load(record.checkpoint, env=made)
        evaluator = Evaluator(settings, evaluation_source(settings, made, evaluation_env))
        points = record.evaluations_until(agent.num_timesteps)
    video = evaluator.video() if record.has_video else None
    run = RunBeginning(record, evaluator, points, video)
    trainee = AgentTrainee(agent, record)
    (result,) = run_session(
        trainee, [run], is_new=False, progress_bar=progress_bar, console=console
    )
    return result


def agent_resumes(name: str) -> bool:
    """Whether an agent's checkpoint holds all that it needs to go on."""
    return not issubclass(agent_class(name), AbstractPeer)
