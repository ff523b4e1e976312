"""Collecting demonstrations: somebody acts, and whole episodes are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from tqdm import tqdm

from .demonstrations import Demonstrations, joined_transitions
from .environment_identity import EnvironmentIdentity
from .environments import Environment, Predictor, Step, Transitions, Walk, opened, stacked_steps

__all__ = ["Success", "collect"]

Success: TypeAlias = Callable[[Transitions], bool]
"""Whether an episode succeeded, from all of its steps."""

_MOST_TRIES = 10  # for each success that is wanted


def collect(
    env: Environment,
    policy: Predictor | None,
    episodes: int,
    *,
    seed: int = 0,
    success_only: bool = False,
    max_steps: int = 10_000,
    success: Success | None = None,
    deterministic: bool = True,
    progress_bar: bool = False,
) -> Demonstrations:
    """Let somebody act, for whole episodes.

    Args:
        env: An id, or an environment, which is left open.
        policy: Acts; None draws actions from the action space.
        episodes: E, how many are kept.
        seed: Every episode has a seed of its own that comes from this one, so that each can be
            played again.
        success_only: Keep those that succeed, and go on until there are as many as wanted. Ten
            times as many are tried.
        max_steps: Episodes are truncated after this many, if the environment has not done so.
        success: Says of an episode's steps whether it succeeded; None asks ``info["success"]``.
        deterministic: What the policy is asked for.
        progress_bar: Show one.

    Raises:
        TypeError: The environment is a vector of several, or the policy has no ``predict``.
        ValueError: A number is out of range, or success is wanted where nobody says what it is
            or too little of it comes.

    Example:
        >>> class Right:
        ...     def predict(self, observation, state=None, episode_start=None, deterministic=True):
        ...         return 1, None
        >>> found = collect("CartPole-v1", Right(), 3, success=lambda one: len(one) > 9)
        >>> found.lengths, found.success
        (array([10,  9,  9]), array([ True, False, False]))
    """
    for name, number in (("episodes", episodes), ("max_steps", max_steps)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"expected {name} of at least 1, got {number!r}")
    kept: list[_Episode] = []
    with opened(env) as own, tqdm(total=episodes, disable=not progress_bar, unit="ep") as bar:
        played = _episodes(own, policy, seed, deterministic, max_steps)
        for tried, (own_seed, steps) in enumerate(played, start=1):
            one = _Episode(own_seed, stacked_steps(own, steps), _told_success(steps))
            if success is not None:
                one = replace(one, success=bool(success(one.transitions)))
            if success_only and one.success is None:
                raise ValueError(
                    f"expected a function for success, as {own} has no info['success'], got none"
                )
            if one.success or not success_only:
                kept.append(one)
                bar.update()
            if len(kept) == episodes:
                break
            if tried == _MOST_TRIES * episodes:
                raise ValueError(
                    f"expected {episodes} episodes that succeed, got {len(kept)} of {tried} tried"
                )
        return _demonstrations(own, kept)


@dataclass(frozen=True)
class _Episode:
    seed: int
    transitions: Transitions
    success: bool | None


def _episodes(
    env: gymnasium.Env[Any, Any],
    policy: Predictor | None,
    seed: int,
    deterministic: bool,
    max_steps: int,
) -> Iterator[tuple[int, list[Step]]]:
    """Seeds and steps of one episode after the other."""
    seeds = _seeds(seed)
    # the walk begins an episode as soon as the last has ended, and so draws its seed
    of_walk, own = itertools.tee(seeds)
    walk = Walk(env, policy, of_walk, deterministic=deterministic)
    for own_seed in own:
        steps = [walk.step()]
        while not (steps[-1].terminated or steps[-1].truncated):
            if len(steps) == max_steps:
                steps[-1] = replace(steps[-1], truncated=True)
                walk.begin()
            else:
                steps.append(walk.step())
        yield own_seed, steps


def _seeds(seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(2**31))


def _told_success(steps: Sequence[Step]) -> bool | None:
    """What the environment says of an episode, or None where it does not."""
    told = [step.info["success"] for step in steps if "success" in step.info]
    return any(map(bool, told)) if told else None


def _demonstrations(env: gymnasium.Env[Any, Any], episodes: Sequence[_Episode]) -> Demonstrations:
    known = [one.success for one in episodes if one.success is not None]
    identity = EnvironmentIdentity.of(env)
    return Demonstrations(
        joined_transitions([one.transitions for one in episodes]),
        identity.environment,
        identity.observation_space,
        identity.action_space,
        np.array(known, dtype=np.bool_) if len(known) == len(episodes) else None,
        tuple(one.seed for one in episodes),
        identity.options,
    )
