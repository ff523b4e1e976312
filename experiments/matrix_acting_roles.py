"""Roles of generators with a context: world model, policy, planner."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np

from ..generative.data.environments import Transitions, transitions
from .matrix import MatrixRole, Numbers
from .matrix_measures import (
    OTHER_SEED,
    Settings,
    random_return,
    random_success,
    success,
)
from .role_generators import RoleGenerator, role_generator

__all__ = ["ACTING_ROLES"]

_PENDULUM = "Pendulum-v1"
_WAYS = "gymagine/TwoWays-v0"
_MAZE = "gymagine/PointMaze-v0"

# ---- world model --------------------------------------------------------------------------------


def _make_world(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..generative.world_model import WorldModel

    env = gymnasium.make(_PENDULUM)
    return WorldModel(
        env.observation_space,
        env.action_space,
        entry.family,
        hyperparameters=entry.hyperparameters,
        termination="never",  # and where rewards are costs, an end would be what is planned for
        seed=seed,
    )


def _planned(model: Any, seed: int, settings: Settings) -> Numbers:
    """Return of what is planned in a model, action by action; episodes are played together."""
    from ..agents.imagination.model_predictive_control import ModelPredictiveControl

    num = settings["episodes"]
    own = {name: settings[name] for name in ("planner", "horizon", "num_candidates")}
    agent = ModelPredictiveControl(_PENDULUM, model=model, seed=seed, **own)
    envs = gymnasium.make_vec(
        _PENDULUM,
        num_envs=num,
        vectorization_mode="sync",
        max_episode_steps=settings["longest"],
    )
    observations, _ = envs.reset(seed=seed + OTHER_SEED)
    memory, returns, truncated = None, np.zeros(num), np.zeros(num, dtype=np.bool_)
    while not truncated.any():  # all episodes have the same length
        actions, memory = agent.predict(observations, memory)
        observations, rewards, _, truncated, _ = envs.step(actions)
        returns += rewards
    envs.close()
    return {"return": float(returns.mean())}


def _score_world(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    from ..generative.world_model_fitting import fit_world_model

    model = _make_world(entry, settings, seed)
    data = transitions(_PENDULUM, settings["real_steps"], seed=seed)
    fit = {**entry.fit, "num_updates": settings["updates"]}
    found = fit_world_model(model, data, seed=seed, **fit)
    errors = {"error of a step": found.error, "of a linear model": found.linear_error}
    return {**_planned(model, seed, settings), **errors}


def _untrained_world(seed: int, settings: Settings) -> Numbers:
    from ..generative.world_model_fitting import fit_scales

    model = _make_world(role_generator("gaussian"), settings, seed)
    fit_scales(model.eval(), transitions(_PENDULUM, settings["real_steps"], seed=seed))
    return _planned(model, seed, settings)


# ---- policy -------------------------------------------------------------------------------------


def _make_policy(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..agents.imagination.generative_policy import GenerativePolicy

    return GenerativePolicy(
        _WAYS,
        generator=entry.family,
        hyperparameters=entry.hyperparameters,
        seed=seed,
        prediction_horizon=4,
        action_horizon=2,
    )


def _score_policy(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    from ..envs.two_ways import two_ways_expert

    expert = two_ways_expert(np.random.default_rng(seed))
    data = transitions(_WAYS, settings["demonstrated"], expert, seed=seed)
    policy = _make_policy(entry, settings, seed)
    fit = {"learning_rate": settings["learning_rate"], **entry.fit}
    found = policy.fit(data, seed=seed, num_updates=settings["updates"], **fit).errors
    numbers = {"success": success(policy, _WAYS, settings["episodes"], seed)}
    return {**numbers, "energy score": found.energy_score}


def _demonstrator_of_ways(seed: int, settings: Settings) -> Numbers:
    from ..envs.two_ways import two_ways_expert

    expert = two_ways_expert(np.random.default_rng(OTHER_SEED + seed))
    return {"success": success(expert, _WAYS, settings["episodes"], seed)}


# ---- planner ------------------------------------------------------------------------------------


def _make_planner(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..agents.imagination.trajectory_planner import TrajectoryPlanner

    return TrajectoryPlanner(
        _MAZE,
        generator=entry.family,
        hyperparameters=entry.hyperparameters,
        seed=seed,
        horizon=settings["horizon"],
        num_plans=settings["plans"],
        discount=0.98,
    )


def _maze_data(seed: int, settings: Settings) -> Transitions:
    from ..envs.point_maze import WaypointController

    env = gymnasium.make(_MAZE)
    guide = WaypointController(env, seed=seed, detour=0.7, noise=0.3)
    return transitions(env, settings["demonstrated"], guide, seed=seed)


def _score_planner(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    planner = _make_planner(entry, settings, seed)
    planner.fit(
        _maze_data(seed, settings),
        seed=seed,
        num_updates=settings["updates"],
        second_settings={"num_updates": settings["second_updates"]},
        **entry.fit,
    )
    return {"success": success(planner, _MAZE, settings["episodes"], seed)}


def _cloned_in_maze(seed: int, settings: Settings) -> Numbers:
    from ..agents.imagination.generative_policy import GenerativePolicy

    entry = role_generator("regression")
    clone = GenerativePolicy(
        _MAZE,
        generator=entry.family,
        hyperparameters=entry.hyperparameters,
        seed=seed,
        observation_horizon=1,
        prediction_horizon=4,
        action_horizon=4,
    )
    data = _maze_data(seed, settings)
    clone.fit(data, seed=seed, num_updates=settings["updates"], **entry.fit)
    return {"success": success(clone, _MAZE, settings["episodes"], seed)}


# ---- the roles ----------------------------------------------------------------------------------

ACTING_ROLES: tuple[MatrixRole, ...] = (
    MatrixRole(
        "world-model",
        _PENDULUM,
        "return",
        "Model-predictive control ({planner}, {num_candidates} candidates of {horizon} actions) "
        "in a model that learnt from {real_steps:,} steps at random with {updates:,} updates; "
        "{episodes} episodes of {longest} steps. Errors are of held-out steps, in deviations of "
        "what is learnt.",
        settings={
            "real_steps": 1_200,
            "updates": 1_000,
            "horizon": 12,
            "longest": 200,
            "planner": "random-shooting",
            "num_candidates": 64,
            "episodes": 3,
        },
        make=_make_world,
        score=_score_world,
        controls={
            "untrained gaussian": _untrained_world,
            "random": partial(random_return, env=_PENDULUM),
        },
        decimals=0,
    ),
    MatrixRole(
        "policy",
        _WAYS,
        "success",
        "Chunks of 4 actions, of which 2 are executed, from {demonstrated:,} demonstrated steps "
        "that pass the block above or below, with {updates:,} updates; the mean action crashes. "
        "Share of {episodes} episodes.",
        settings={
            "demonstrated": 4_000,
            "updates": 1_200,
            "learning_rate": 2e-3,
            "episodes": 100,
        },
        make=_make_policy,
        score=_score_policy,
        controls={
            "random": partial(random_success, env=_WAYS),
            "demonstrator": _demonstrator_of_ways,
        },
    ),
    MatrixRole(
        "planner",
        _MAZE,
        "success",
        "Plans of {horizon} steps, the best of {plans} by predicted return, of which 4 are "
        "executed; guided where the family can be. {demonstrated:,} steps of a noisy controller "
        "on detours, {updates:,} updates. Share of {episodes} episodes.",
        settings={
            "demonstrated": 10_000,
            "updates": 1_500,
            "second_updates": 500,
            "horizon": 16,
            "plans": 4,
            "episodes": 40,
        },
        make=_make_planner,
        score=_score_planner,
        controls={
            "cloning (least squares)": _cloned_in_maze,
            "random": partial(random_success, env=_MAZE),
        },
    ),
)
