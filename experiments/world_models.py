"""World models by the words that the command line has for them."""

from __future__ import annotations

import os
from typing import Any

import gymnasium

from ..generative.abstract_world_model import AbstractWorldModel
from ..generative.tabular_world_model import TabularWorldModel
from ..generative.world_model import WorldModel
from .role_generators import role_generator

__all__ = ["TABULAR", "check_world_model", "fit_defaults", "load_world_model", "new_world_model"]

TABULAR = "tabular"
"""Counts, where observations and actions are ``Discrete``; no generator."""


def check_world_model(generator: str) -> None:
    """Raise ValueError unless a word means a world model."""
    if generator != TABULAR:
        role_generator(generator)


def new_world_model(
    generator: str,
    env: gymnasium.Env[Any, Any],
    *,
    history: int = 1,
    num_members: int = 1,
    seed: int = 0,
) -> AbstractWorldModel:
    """A world model of an environment, untrained.

    Args:
        generator: ``tabular``, or a word of `role_generators`.
        env: Whose spaces it is for.
        history: Observations that the next one depends on.
        num_members: Of the ensemble.
        seed: Of the first parameters.

    Raises:
        ValueError: The word means nothing, or what it means does not take these spaces.
    """
    if generator == TABULAR:
        if (history, num_members) != (1, 1):
            raise ValueError(
                "expected history and members of 1 of a tabular model, got "
                f"{history} and {num_members}"
            )
        return TabularWorldModel(env.observation_space, env.action_space)
    role = role_generator(generator)
    return WorldModel(
        env.observation_space,
        env.action_space,
        role.family,
        hyperparameters=role.hyperparameters,
        history=history,
        num_members=num_members,
        seed=seed,
    )


def fit_defaults(generator: str) -> dict[str, Any]:
    """Settings of `fit` that suit it."""
    return {} if generator == TABULAR else dict(role_generator(generator).fit)


def load_world_model(generator: str, path: str | os.PathLike[str]) -> AbstractWorldModel:
    """Read a world model's file."""
    kind = TabularWorldModel if generator == TABULAR else WorldModel
    return kind.load(path)
