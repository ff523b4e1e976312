"""Where demonstrations come from, written as one word.

======================  =======================================================================
``expert``              the scripted expert of the environment, which acts now
``expert:NAME``         one of that name, such as ``expert:lunar-lander``
``expert:RUN``          the agent of a run, ours or Stable-Baselines3's
``minari:ID``           a Minari data set
``PATH``                a file of demonstrations, a folder with one, or a Minari data set's folder
======================  =======================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium

from ..envs.experts import EXPERTS, expert_for, expert_name_for, expert_named
from ..generative.data.collecting import collect
from ..generative.data.demonstrations import Demonstrations
from ..generative.data.environments import Predictor
from ..generative.data.minari_files import read_minari
from .records import RunRecord

__all__ = ["DEMONSTRATIONS_FILE", "demonstrations_from", "expert_from", "is_expert"]

DEMONSTRATIONS_FILE = "demonstrations.safetensors"

_EXPERT, _MINARI = "expert", "minari:"


def is_expert(source: str) -> bool:
    """Whether somebody is to act now."""
    return source == _EXPERT or source.startswith(f"{_EXPERT}:")


def expert_from(source: str, env: gymnasium.Env[Any, Any], *, seed: int = 0) -> Predictor | None:
    """Who demonstrates, or could: the expert of a word, or else the environment's own.

    Args:
        source: As above.
        env: Where it is to act.
        seed: Of the choices of experts that make some.

    Returns:
        The expert; None where the source is a file and the environment has no scripted expert.

    Raises:
        ValueError: The word asks for an expert that there is not, or of another environment.
        FileNotFoundError: It asks for a run that there is not.
    """
    _, colon, name = source.partition(":")
    if not is_expert(source):
        try:
            expert_name_for(env)
        except ValueError:
            return None
        return expert_for(env, seed=seed)
    if not colon:
        return expert_for(env, seed=seed)
    if Path(name).is_dir():
        return _agent_of(Path(name), env)
    try:
        return expert_named(name, env, seed=seed)
    except ValueError as error:
        if "unknown expert" not in str(error):
            raise
        raise ValueError(
            f"expected an expert ({', '.join(EXPERTS)}) or the folder of a run after expert:, got "
            f"{name!r}"
        ) from error


def demonstrations_from(
    source: str,
    env: gymnasium.Env[Any, Any],
    *,
    episodes: int,
    seed: int,
    success_only: bool = False,
    max_steps: int = 10_000,
    progress_bar: bool = False,
) -> Demonstrations:
    """Collect demonstrations, or read them.

    Args:
        source: As above.
        env: Where they are collected, or must be from.
        episodes: How many; of more that are read the first.
        seed: Of those that are collected.
        success_only: Leave out those that failed; all are kept where nobody says which did.
        max_steps: Of an episode that is collected.
        progress_bar: Show one.

    Raises:
        ImportError: Minari is asked for and not installed.
        FileNotFoundError: There is nothing at the path.
        ValueError: They are of another environment, are damaged, or there is no such expert.
    """
    if is_expert(source):
        expert = expert_from(source, env, seed=seed)
        return collect(
            env,
            expert,
            episodes,
            seed=seed,
            success_only=success_only and _tells_success(env, expert, seed, max_steps),
            max_steps=max_steps,
            progress_bar=progress_bar,
        )
    found = _read(source)
    found.check_fits(env)
    if success_only and found.success is not None:
        found = found.successful()
    return found.select(range(min(episodes, found.num_episodes)))


def _tells_success(
    env: gymnasium.Env[Any, Any], expert: Predictor | None, seed: int, max_steps: int
) -> bool:
    """Whether the environment says so of the first episode."""
    return collect(env, expert, 1, seed=seed, max_steps=max_steps).success is not None


def _read(source: str) -> Demonstrations:
    if source.startswith(_MINARI):
        return read_minari(source.removeprefix(_MINARI))
    path = Path(source)
    if path.is_file():
        return Demonstrations.load(path)
    if (path / DEMONSTRATIONS_FILE).is_file():
        return Demonstrations.load(path / DEMONSTRATIONS_FILE)
    if (path / "data").is_dir():
        return read_minari(path.name, folder=path.parent)
    raise FileNotFoundError(
        f"expected expert, expert:NAME, minari:ID or a path as demonstrations, got {source!r}, "
        "where there are none"
    )


def _agent_of(folder: Path, env: gymnasium.Env[Any, Any]) -> Predictor:
    agent: Predictor = RunRecord.open(folder).load_agent(env)
    return agent
