"""Train many seeds of a deep agent, or many settings, together in one process.

The members of a population cost little more than one of them (see `Population`), and each leaves
the record of a run like any other: `evaluate`, `watch` and TensorBoard take it as it is. Only the
way back differs: what goes on after a Ctrl-C or a kill is the population as a whole, from one file
(see `population_records`). Members that learn together also fail together: where the environment
of one raises, all of them stop there, with the same message.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium
from gymnasium.envs.registration import EnvSpec

from ..agents.deep.deep_agent import AbstractDeepAgent
from ..agents.deep.population import Population
from .catalogue import agent_class
from .environment_names import EnvironmentName
from .evaluator import Evaluator
from .population_records import PopulationRecord
from .preparation import (
    agent_facts,
    agent_name,
    describe_environment,
    from_json,
)
from .recorded_session import RunBeginning, TrainResult, run_session
from .records import RunRecord, RunSettings, new_folder, new_run_folder
from .trainees import EnvironmentMaker, PopulationTrainee

__all__ = [
    "begin_population",
    "continue_population",
    "prepare_population",
    "resume_population",
    "train_population",
    "trains_together",
]

MakesEnvironment: TypeAlias = Callable[[], gymnasium.Env[Any, Any]]


def train_population(
    agent: str | type[AbstractDeepAgent],
    env: str | EnvSpec | EnvironmentName | MakesEnvironment,
    *,
    seeds: int | Sequence[int],
    settings: Sequence[Mapping[str, Any]] | None = None,
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
) -> tuple[TrainResult, ...]:
    """Train a population, with a record of its own for each member (see `train`).

    Args:
        agent: The name of a deep agent, such as ``dqn``, or its class.
        env: An id, with options as ``Blackjack-v1@natural=true``, a spec, or a function that makes
            an environment: each member has its own.
        seeds: Of the members, or how many: 5 means 0 to 4.
        settings: Hyper-parameters of each member beside those of all; see `Population`.
        total_timesteps: Environment steps that each member learns from.
        evaluate_every: As in `train`, like all that follows.
        evaluation_episodes: Of each member.
        final_episodes: Of each member.
        checkpoint_every: Environment steps of each member.
        evaluation_discount: Of the evaluated returns.
        max_steps: Cap on the steps of an evaluation episode.
        folder: Where runs are kept.
        evaluation_env: Where to evaluate; None is another environment of the same kind.
        video: Show an episode of each trained member in TensorBoard, as in `train`.
        progress_bar: Show a bar over the steps of all members.
        console: Print the tables of the first member's logger.
        hyperparameters: Of all members.

    Returns:
        For each member what `train` returns.

    Raises:
        ValueError: As in `train`, or the agent is no deep one.
        TypeError: A hyper-parameter is unknown.
        RunFailedError: An environment or the population raised; every member's record says why,
            and the last checkpoint is kept.

    Example:
        >>> import tempfile
        >>> results = train_population("dqn", "CartPole-v1", seeds=3, total_timesteps=200,
        ...                            evaluate_every=200, evaluation_episodes=2,
        ...                            final_episodes=2, folder=tempfile.mkdtemp())
        >>> [(result.agent.seed, result.status) for result in results]
        [(0, 'finished'), (1, 'finished'), (2, 'finished')]
    """
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    own = [{} for _ in seeds] if settings is None else [dict(values) for values in settings]
    if not seeds or len(own) != len(seeds):
        raise ValueError(
            f"expected one seed or more, each with its settings, got {len(seeds)} seeds and "
            f"{len(own)} settings"
        )
    name, make, wrapped = _described(env)
    evaluate_every = evaluate_every or max(1, total_timesteps // 20)
    shared = RunSettings(
        agent=agent if isinstance(agent, str) else agent_name(agent),
        environment=name,
        seed=seeds[0],
        total_timesteps=total_timesteps,
        evaluate_every=evaluate_every,
        evaluation_episodes=evaluation_episodes,
        final_episodes=final_episodes,
        checkpoint_every=checkpoint_every or evaluate_every,
        discount=evaluation_discount,
        max_steps=max_steps,
        wrapped=wrapped,
    )
    of_members = [
        dataclasses.replace(shared, seed=seed, hyperparameters={**hyperparameters, **values})
        for seed, values in zip(seeds, own, strict=True)
    ]
    prepared = prepare_population(of_members, make=make, evaluation_env=evaluation_env)
    if video:
        prepared.evaluators[0].video().check()
    folders = [new_run_folder(folder, member) for member in of_members]
    place = new_folder(folders[0].parent, f"population-{seeds[0]}-{seeds[-1]}")
    return begin_population(
        prepared, place, folders, video=video, progress_bar=progress_bar, console=console
    )


def resume_population(
    run: str | os.PathLike[str] | RunRecord | PopulationRecord,
    *,
    env: MakesEnvironment | None = None,
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
    total_timesteps: int | None = None,
    progress_bar: bool = False,
    console: bool = False,
) -> tuple[TrainResult, ...]:
    """Go on with a population that was interrupted, killed or failed, from its last checkpoint.

    Args:
        run: Its folder or record, or those of one of its members.
        env: Makes an environment; needed where the population's were made by a function and
            their name does not tell it all.
        evaluation_env: As in `train_population`.
        total_timesteps: A new, larger budget of each member; None keeps what it was.
        progress_bar: Show a bar.
        console: Print the tables of the first member's logger.

    Raises:
        FileNotFoundError: There is no such population.
        ValueError: A file of it is damaged, or the environment is not known.
        RunFailedError: As for `train_population`.
    """
    if isinstance(run, PopulationRecord):
        record = run
    elif isinstance(run, RunRecord) or not PopulationRecord.is_at(Path(run)):
        member = run if isinstance(run, RunRecord) else RunRecord.open(run)
        found = PopulationRecord.of(member)
        if found is None:
            raise ValueError(f"expected a member of a population, got {member.folder}")
        record = found
    else:
        record = PopulationRecord.open(run)
    if total_timesteps is not None:
        record = record.with_budget(total_timesteps)
    return continue_population(
        record,
        env=env,
        evaluation_env=evaluation_env,
        progress_bar=progress_bar,
        console=console,
    )


@dataclass(frozen=True)
class PreparedPopulation:
    """A new population that nothing is written of yet.

    Attributes:
        population: The population.
        settings: Of its members.
        evaluators: Of its members.
        make: Made its environments.
    """

    population: Population
    settings: Sequence[RunSettings]
    evaluators: Sequence[Evaluator]
    make: EnvironmentMaker


def prepare_population(
    settings: Sequence[RunSettings],
    *,
    make: MakesEnvironment | None = None,
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
) -> PreparedPopulation:
    """A new population, and what evaluates its members.

    Args:
        settings: Of the members: one agent, environment, budget and rhythm.
        make: Makes an environment; None makes it by its name.
        evaluation_env: Where to evaluate; None is an environment of the same kind.

    Raises:
        ValueError: The agent is no deep one or refuses the environment, or a setting differs that
            all members must share.
        TypeError: A hyper-parameter is unknown.
    """
    agent_type = deep_agent_class(settings[0].agent)
    make = settings[0].environment.make if make is None else make
    evaluators = _evaluators(settings, make, evaluation_env)
    given = [from_json(agent_type, member.hyperparameters) for member in settings]
    shared = {
        name: value
        for name, value in given[0].items()
        if all(name in other and other[name] == value for other in given)
    }
    own = [{name: other[name] for name in other if name not in shared} for other in given]
    seeds = [member.seed for member in settings]
    maker = EnvironmentMaker(make)
    population = Population(agent_type, maker, seeds=seeds, settings=own, **shared)
    return PreparedPopulation(population, settings, evaluators, maker)


def begin_population(
    prepared: PreparedPopulation,
    folder: Path,
    member_folders: Sequence[Path],
    *,
    video: bool = False,
    progress_bar: bool = False,
    console: bool = False,
) -> tuple[TrainResult, ...]:
    """Run a new population in empty folders; see `train_population`."""
    members = []
    for settings, agent, place in zip(
        prepared.settings, prepared.population.members, member_folders, strict=True
    ):
        population = {"population": Path(os.path.relpath(folder, place)).as_posix()}
        facts = {**agent_facts(agent, settings), "video": video, **population}
        members.append(RunRecord.create(place, settings, facts))
    record = PopulationRecord.create(folder, members)
    runs = [
        RunBeginning(member, evaluator, video=evaluator.video() if video else None)
        for member, evaluator in zip(members, prepared.evaluators, strict=True)
    ]
    trainee = PopulationTrainee(prepared.population, record, prepared.make)
    return run_session(trainee, runs, is_new=True, progress_bar=progress_bar, console=console)


def continue_population(
    record: PopulationRecord,
    *,
    env: MakesEnvironment | None = None,
    evaluation_env: gymnasium.Env[Any, Any] | None = None,
    progress_bar: bool = False,
    console: bool = False,
) -> tuple[TrainResult, ...]:
    """Run on from a population's checkpoint, or from its beginning where it has none yet."""
    record = record.with_one_budget()
    members, settings = record.members, [member.settings for member in record.members]
    make = members[0].environment.make if env is None else env
    if record.checkpoint.exists():
        maker = EnvironmentMaker(make)
        population = Population.load(record.checkpoint, deep_agent_class(settings[0].agent), maker)
        evaluators = _evaluators(settings, make, evaluation_env)
        points = [member.evaluations_until(population.num_timesteps) for member in members]
    else:
        prepared = prepare_population(settings, make=make, evaluation_env=evaluation_env)
        population, maker = prepared.population, prepared.make
        evaluators, points = list(prepared.evaluators), [[] for _ in members]
    runs = [
        RunBeginning(member, evaluator, past, evaluator.video() if member.has_video else None)
        for member, evaluator, past in zip(members, evaluators, points, strict=True)
    ]
    if record.status == "finished" and population.num_timesteps >= settings[0].total_timesteps:
        return tuple(
            TrainResult(agent, run.record, tuple(run.points), "finished")
            for agent, run in zip(population.members, runs, strict=True)
        )
    trainee = PopulationTrainee(population, record, maker)
    return run_session(trainee, runs, is_new=False, progress_bar=progress_bar, console=console)


def trains_together(agent: str) -> bool:
    """Whether the seeds of an agent of the catalogue can be a population."""
    return issubclass(agent_class(agent), AbstractDeepAgent)


def deep_agent_class(agent: str) -> type[AbstractDeepAgent]:
    """The class of a deep agent.

    Raises:
        ValueError: It is no deep one.
    """
    found = agent_class(agent)
    if not issubclass(found, AbstractDeepAgent):
        raise ValueError(f"expected a deep agent, whose seeds can learn together, got {agent}")
    return found


def _evaluators(
    settings: Sequence[RunSettings],
    make: MakesEnvironment,
    evaluation_env: gymnasium.Env[Any, Any] | None,
) -> list[Evaluator]:
    first = settings[0]
    if evaluation_env is None and first.wrapped:
        evaluation_env = make()
    source = first.environment if evaluation_env is None else evaluation_env
    return [Evaluator(member, source) for member in settings]


def _described(
    env: str | EnvSpec | EnvironmentName | MakesEnvironment,
) -> tuple[EnvironmentName, MakesEnvironment, bool]:
    """The name of an environment, what makes it, and whether the name does not tell it all."""
    if isinstance(env, gymnasium.Env):
        raise ValueError(
            "expected an id, a spec or a function that makes an environment, as each member has "
            f"its own, got {env}"
        )
    name, made, wrapped = describe_environment(env() if callable(env) else env)
    made.close()
    if callable(env):
        return name, env, wrapped
    if wrapped and isinstance(env, EnvSpec):
        return name, partial(gymnasium.make, env), wrapped
    return name, name.make, wrapped
