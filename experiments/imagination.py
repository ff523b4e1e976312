"""Agents that learn in a dream, measured in the real environment beside their controls.

from gymagine.experiments.imagination import imagine
from gymagine.experiments.imagination_records import ImaginationSettings
settings = ImaginationSettings("CartPole-v1", generator="flow", agent="dqn")
record, results = imagine(settings)

``runs/<environment>/imagine-<generator>-<agent>/<seed>-<time>/`` holds ``config.json``; for each
condition and seed a folder with ``result.json``, TensorBoard's events, the agent and the world
model; and in the end ``results.json``, ``open_loop.png`` and ``beside.gif``, a real episode beside
the same imagined. Runs that are there already are not done again, so that a command that was
killed goes on. `draw_pictures` makes the last two.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..agents.agent import AbstractAgent
from ..agents.imagination.dream_training import (
    DreamTraining,
    dreamt_returns,
    learn_in_dreams,
)
from ..agents.random_policy import RandomPolicy
from ..envs.imagined import ImaginedVectorEnv
from ..generative.abstract_world_model import AbstractWorldModel
from ..generative.arithmetic import acting_arithmetic
from ..generative.data.environments import transitions
from ..generative.open_loop import open_loop_errors
from ..storage import write_json, write_whole
from .catalogue import agent_class
from .evaluation import evaluate
from .imagination_film import can_film, film_beside
from .imagination_records import ImaginationRecord, ImaginationSettings
from .imagination_results import Condition, ImaginationResults, ImaginationRun
from .peers import AbstractPeer
from .preparation import from_json, preset_of
from .scalars import run_logger
from .world_models import fit_defaults, load_world_model, new_world_model

__all__ = ["draw_pictures", "imagine", "new_record"]

_HELD_OUT_STEPS = 2_000
_OTHER_SEED = 1_000_003  # of real episodes that nobody learns from


def imagine(
    settings: ImaginationSettings | ImaginationRecord,
    *,
    folder: str | os.PathLike[str] = "runs",
    num_processes: int = 1,
    progress_bar: bool = False,
) -> tuple[ImaginationRecord, ImaginationResults]:
    """Do all that is asked for, or what a record still lacks.

    Args:
        settings: What to do, or a record to go on with.
        folder: Where runs are kept.
        num_processes: That work at once.
        progress_bar: Show one, of runs.

    Raises:
        ValueError: A name is unknown, or the generator or the agent cannot do what is asked.
    """
    if isinstance(settings, ImaginationRecord):
        record = settings
        _check(record.settings)
    else:
        record = new_record(settings, folder)
    left = [job for job in record.jobs() if record.run(*job) is None]
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    calls = (delayed(_run)(record, condition, seed) for condition, seed in left)
    done = Parallel(n_jobs=num_processes, return_as="generator_unordered")(calls)
    for _ in tqdm(done, total=len(left), unit="run", disable=not progress_bar):
        pass
    results = record.results()
    value = {"title": results.title, "runs": [run.to_json() for run in results.runs]}
    write_json(record.folder / "results.json", value)
    return record, results


def new_record(
    settings: ImaginationSettings, folder: str | os.PathLike[str] = "runs"
) -> ImaginationRecord:
    """A new folder, once it is clear that what is asked for can be done.

    Args:
        settings: What to do.
        folder: Where runs are kept.

    Raises:
        ValueError: As `imagine`.
    """
    _check(settings)
    return ImaginationRecord.create(folder, settings)


def _check(settings: ImaginationSettings) -> None:
    """Find out now, before an hour's work, what cannot be done."""
    env = settings.env_name.make()
    try:
        model = _new_model(settings, env, seed=0)
        dream = ImaginedVectorEnv(model, transitions(env, 2), 2, horizon=2)
        _new_agent(settings, dream, seed=0)
        _new_agent(settings, env, seed=0)
    finally:
        env.close()


def _new_model(settings: ImaginationSettings, env: Any, seed: int) -> AbstractWorldModel:
    return new_world_model(
        settings.generator,
        env,
        history=settings.history,
        num_members=settings.num_members,
        seed=seed,
    )


def _new_agent(settings: ImaginationSettings, env: Any, seed: int) -> AbstractAgent:
    kind: Any = agent_class(settings.agent)
    usual = preset_of(settings.agent, settings.env_name) if settings.presets else {}
    chosen = from_json(kind, {**usual, **settings.hyperparameters})
    made: AbstractAgent = kind(env, seed=seed, **chosen)
    return made


def _fit_settings(settings: ImaginationSettings) -> dict[str, Any]:
    usual = fit_defaults(settings.generator)
    head = {"num_updates": settings.head_updates, "batch_size": 256}
    return {**usual, "num_updates": settings.num_updates, "head_settings": head}


def _run(record: ImaginationRecord, condition: Condition, seed: int) -> None:
    """Do one condition with one seed, and write what came of it."""
    settings, place = record.settings, record.place(condition, seed)
    shutil.rmtree(place, ignore_errors=True)  # what a run that was killed left behind
    place.mkdir()
    begun = time.perf_counter()
    with acting_arithmetic(1), run_logger(place) as logger:
        run = _of_condition(settings, condition, seed, place, logger)
    run = replace(run, seconds=time.perf_counter() - begun)
    write_json(place / "result.json", run.to_json())


def _of_condition(
    settings: ImaginationSettings, condition: Condition, seed: int, place: Path, logger: Any
) -> ImaginationRun:
    env = settings.env_name.make()
    try:
        if condition in ("dream", "untrained"):
            return _dreamt(settings, env, condition, seed, place, logger)
        agent: AbstractAgent = RandomPolicy(env, seed=seed)
        num_steps = 0
        if condition != "random":
            few = condition == "real-few"
            num_steps = settings.dream.real_steps if few else settings.dream.dream_steps
            agent = _new_agent(settings, env, seed)
            agent.set_logger(logger)
            agent.learn(num_steps)
            agent.save(place / "agent.safetensors")
        return _measured(settings, agent, condition, seed, num_steps)
    finally:
        env.close()


def _dreamt(
    settings: ImaginationSettings,
    env: Any,
    condition: Condition,
    seed: int,
    place: Path,
    logger: Any,
) -> ImaginationRun:
    def agent_in(dream: ImaginedVectorEnv) -> AbstractAgent:
        agent = _new_agent(settings, dream, seed)
        agent.set_logger(logger)
        return agent

    found = learn_in_dreams(
        agent_in,
        _new_model(settings, env, seed),
        env,
        settings.dream,
        seed=seed,
        fit_settings=_fit_settings(settings),
        is_trained=condition == "dream",
    )
    found.agent.save(place / "agent.safetensors")
    found.model.save(place / "world_model.safetensors")
    run = _measured(settings, found.agent, condition, seed, settings.dream.real_steps)
    run = replace(
        run,
        imagined_return=float(
            dreamt_returns(found, settings.dream, settings.episodes, seed=seed).mean()
        ),
        imagined_steps=settings.dream.dream_steps,
        share_clipped=found.share_clipped,
    )
    if not found.fits:
        return run
    last = found.fits[-1]
    return replace(
        run,
        model_error=last.error,
        copying_error=last.copying_error,
        linear_error=last.linear_error,
        open_loop=_open_loop(settings, found, env, seed),
    )


def _open_loop(settings: ImaginationSettings, found: DreamTraining, env: Any, seed: int) -> Any:
    """On real episodes that nobody learnt from, acted as the first of the data were."""
    unseen = transitions(env, _HELD_OUT_STEPS, seed=seed + _OTHER_SEED)
    horizons = tuple(length for length in (1, 2, 5, 10, 20) if length <= settings.dream.horizon)
    temperature = settings.dream.temperature
    return open_loop_errors(
        found.model, unseen, found.data, horizons=horizons, temperature=temperature, seed=seed
    )


def _measured(
    settings: ImaginationSettings,
    agent: AbstractAgent,
    condition: Condition,
    seed: int,
    num_steps: int,
) -> ImaginationRun:
    found = evaluate(
        agent,
        settings.env_name.for_evaluation,
        num_episodes=settings.episodes,
        seed=seed + _OTHER_SEED,
        deterministic=condition != "random",
    )
    return ImaginationRun(
        condition=condition,
        seed=seed,
        real_return=found.mean,
        real_returns=tuple(found.returns.tolist()),
        real_steps=num_steps,
        imagined_steps=0,
        seconds=0.0,
    )


def draw_pictures(record: ImaginationRecord, results: ImaginationResults) -> None:
    """Draw ``open_loop.png`` and ``beside.gif``, where there is something to draw.

    Args:
        record: Of `imagine`, whose folder they go to.
        results: Of `imagine`.
    """
    errors = results.open_loop()
    if errors is not None:
        from .imagination_plots import draw_errors

        write_whole(record.folder / "open_loop.png", draw_errors(results.title, errors))
    settings, seed = record.settings, record.settings.seed
    place = record.place("dream", seed)
    if not (place / "agent.safetensors").is_file() or not can_film(settings.env_name):
        return
    kind = agent_class(settings.agent)
    with acting_arithmetic(1):
        env = settings.env_name.make() if issubclass(kind, AbstractPeer) else None
        agent = kind.load(place / "agent.safetensors", env)
        model = load_world_model(settings.generator, place / "world_model.safetensors")
        film = film_beside(
            agent, model, settings.env_name, seed=seed, temperature=settings.dream.temperature
        )
    write_whole(record.folder / "beside.gif", film.content)
