"""Demonstrations as Minari data sets, and back.

Minari is the Farama Foundation's format for data sets of environments. A data set has an id such
as ``cartpole/expert-v0`` and lies in a folder of data sets: the one that is given, that of
``MINARI_DATASETS_PATH``, or Minari's own in the home folder. Nothing is fetched from anywhere.

An episode of T steps is stored with its T + 1 observations, the final one included, and with its
seed where that is known; pictures are stored without loss. Whether it succeeded is in the info
``success``, of T + 1 flags that are true from the last step on: there is none at the reset.

References:
    O. G. Younis et al. (2024), Minari, doi:10.5281/zenodo.13767625.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from .demonstrations import Demonstrations, joined_transitions
from .environment_identity import options_of
from .environments import Transitions

__all__ = ["read_minari", "write_minari"]

_FOLDER = "MINARI_DATASETS_PATH"


def write_minari(
    demonstrations: Demonstrations,
    dataset_id: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    description: str | None = None,
    author: str | None = None,
) -> Path:
    """Write demonstrations as a new Minari data set.

    Args:
        demonstrations: All of whose steps begin with what the step before ended with.
        dataset_id: ``(namespace/)name-v0``.
        folder: Of data sets; None is Minari's.
        description: What they are.
        author: Who made them.

    Returns:
        Where the data set lies.

    Raises:
        ImportError: Minari is not installed.
        ValueError: There is a data set of this id, or none can have it; or an observation was not
            the one that the step before ended with, which Minari cannot store.
    """
    minari = _minari()
    buffers = [_buffer(minari, demonstrations, i) for i in range(demonstrations.num_episodes)]
    spec = _spec_of(demonstrations)
    with _datasets_in(folder), warnings.catch_warnings():
        # it misses whatever of authors and links is not given
        warnings.simplefilter("ignore", UserWarning)
        minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            env=spec,
            observation_space=demonstrations.observation_space,
            action_space=demonstrations.action_space,
            description=description,
            author=author,
            jpeg_encoding=False,
        )
        return Path(minari.storage.get_dataset_path(dataset_id))


def read_minari(
    dataset_id: str, *, folder: str | os.PathLike[str] | None = None
) -> Demonstrations:
    """Read a Minari data set.

    Args:
        dataset_id: Of one that is there.
        folder: Of data sets; None is Minari's.

    Raises:
        ImportError: Minari is not installed.
        FileNotFoundError: There is no such data set.
        ValueError: It has no episodes, or spaces whose values are no arrays.
    """
    minari = _minari()
    with _datasets_in(folder):
        where = minari.storage.get_dataset_path(dataset_id)
        if not (where / "data").is_dir():
            raise FileNotFoundError(f"expected a Minari data set at {where}, found none")
        dataset = minari.load_dataset(dataset_id)
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise ValueError(f"expected a data set with episodes, got {dataset_id} without any")
    metadata = dataset.storage.get_episode_metadata(dataset.episode_indices)
    seeds = tuple(one.get("seed") for one in metadata)
    told = [_success(one.infos) for one in episodes]
    known = [success for success in told if success is not None]
    spec = dataset.env_spec
    of_spaces = dataset.observation_space, dataset.action_space
    return Demonstrations(
        joined_transitions([_transitions(one, *of_spaces) for one in episodes]),
        None if spec is None else spec.id,
        *of_spaces,
        np.array(known, dtype=np.bool_) if len(known) == len(episodes) else None,
        None if all(seed is None for seed in seeds) else seeds,
        {} if spec is None else options_of(spec),
    )


def _minari() -> Any:
    try:
        import_module("h5py")
        return import_module("minari")
    except ImportError as error:
        raise ImportError("Minari data sets need Minari: pip install gymagine[minari]") from error


@contextmanager
def _datasets_in(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Minari takes its folder from the process's environment only."""
    before = os.environ.get(_FOLDER)
    if folder is not None:
        os.environ[_FOLDER] = os.fspath(folder)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_FOLDER, None)
        else:
            os.environ[_FOLDER] = before


def _spec_of(demonstrations: Demonstrations) -> EnvSpec | None:
    """With which the environment can be made again, where Gymnasium knows it."""
    name = demonstrations.environment
    if name is None or name not in gymnasium.registry:
        return None
    spec = gymnasium.spec(name)
    return replace(spec, kwargs={**spec.kwargs, **demonstrations.options})


# ---- writing ------------------------------------------------------------------------------------


def _buffer(minari: Any, demonstrations: Demonstrations, number: int) -> Any:
    episode = demonstrations.episode(number)
    infos = None
    if demonstrations.success is not None:
        flags = np.zeros(len(episode) + 1, dtype=np.bool_)
        flags[-1] = demonstrations.success[number]
        infos = {"success": flags}
    return minari.data_collector.EpisodeBuffer(
        seed=None if demonstrations.seeds is None else demonstrations.seeds[number],
        observations=_with_final(episode.observation, episode.next_observation, number),
        actions=episode.action,
        rewards=episode.reward,
        terminations=episode.terminated,
        truncations=episode.truncated,
        infos=infos,
    )


def _with_final(before: Any, after: Any, number: int) -> Any:
    """(T + 1, ...) observations of an episode."""
    if isinstance(before, dict):
        return {key: _with_final(before[key], after[key], number) for key in before}
    if isinstance(before, tuple):
        pairs = zip(before, after, strict=True)
        return tuple(_with_final(one, other, number) for one, other in pairs)
    if not np.array_equal(before[1:], after[:-1]):
        raise ValueError(
            f"expected steps that begin with what the step before ended with, got others in "
            f"episode {number}"
        )
    found: NDArray[Any] = np.concatenate([before, after[-1:]])
    return found


# ---- reading ------------------------------------------------------------------------------------


def _transitions(
    episode: Any, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> Transitions:
    terminated = np.asarray(episode.terminations, dtype=np.bool_)
    truncated = np.asarray(episode.truncations, dtype=np.bool_).copy()
    # one that merely stops was cut off
    truncated[-1] |= not terminated[-1]
    num = len(terminated)
    return Transitions(
        observation=_rows(observation_space, episode.observations, slice(0, num)),
        action=_rows(action_space, episode.actions, slice(0, num)),
        reward=np.asarray(episode.rewards, dtype=np.float64),
        next_observation=_rows(observation_space, episode.observations, slice(1, num + 1)),
        terminated=terminated,
        truncated=truncated,
    )


def _rows(space: spaces.Space[Any], values: Any, rows: slice) -> Any:
    """Some rows of a batch, with keys in the order of the space, which Minari sorts by name."""
    if isinstance(space, spaces.Dict):
        return {key: _rows(part, values[key], rows) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_rows(part, values[i], rows) for i, part in enumerate(space.spaces))
    if not isinstance(values, np.ndarray):
        raise ValueError(f"expected values in arrays, got {type(values).__name__} of {space}")
    return values[rows]


def _success(infos: Any) -> bool | None:
    if not infos or "success" not in infos:
        return None
    return bool(np.any(np.asarray(infos["success"]).astype(np.float64) > 0))
