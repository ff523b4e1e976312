"""Stable-Baselines3 on any of Gymnasium's vector environments.

Stable-Baselines3 has vector environments of its own kind, ``VecEnv``, and refuses Gymnasium's.
When a copy's episode ends, a ``VecEnv`` begins the next one within the same step: it returns the
first observation of the new episode, and in the copy's info the last one of the old
(``terminal_observation``) and whether a cap cut it (``TimeLimit.truncated``). Gymnasium has three
modes, of which the adapter makes the same:

==========  ==================================  =================================================
mode        after an episode's last step        the adapter
==========  ==================================  =================================================
SAME_STEP   the next episode has begun          reads ``final_obs`` and ``final_info``
DISABLED    the copy waits for a reset          calls ``reset(options={"reset_mask": ended})``
NEXT_STEP   the next step will be no step       the same, at once, so that no copy is left waiting
==========  ==================================  =================================================

In NEXT_STEP the step that only resets would reach Stable-Baselines3 as a transition that never
happened, and it could not be left out, for the other copies move on in it. That is why the reset
must take a mask there. No environment declares whether it does, so each reset is looked at: where
it changes what the copies that go on observe, the adapter raises instead of returning. Gymnasium's
own ``CartPoleVectorEnv`` takes no mask, but its state is public, and poles are set up anew in it.

References:
    Gymnasium, vector environments, autoreset modes: ``gymnasium.vector.AutoresetMode``.
    Stable-Baselines3, documentation, Vectorized Environments: VecEnv API vs Gym API.
    A. Raffin et al. (2021), Stable-Baselines3: Reliable Reinforcement Learning Implementations,
    Journal of Machine Learning Research 22(268).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import (
    NormalizeObservation,
    NormalizeReward,
    RecordEpisodeStatistics,
)
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

__all__ = ["SB3VecEnv"]

Array: TypeAlias = NDArray[Any]
Observations: TypeAlias = Array | dict[str, Array]
Infos: TypeAlias = list[dict[str, Any]]
Bools: TypeAlias = NDArray[np.bool_]

_REMEDY = (
    "gymnasium.make_vec(id, num_envs, vectorization_mode='sync') takes a mask, and needs none "
    "with vector_kwargs={'autoreset_mode': gymnasium.vector.AutoresetMode.SAME_STEP}"
)
_OWN = ("reset", "step", "close")


class SB3VecEnv(VecEnv):
    """A vector environment of Gymnasium as Stable-Baselines3 wants it.

    Observations are those of the environment, except that ``Discrete`` and ``MultiDiscrete``
    observations and actions that start elsewhere than at 0 are shifted to start there, and that a
    ``Tuple`` is a ``Dict`` with the keys "0", "1", ... (for ``MultiInputPolicy``):
    Stable-Baselines3 knows neither.

    Args:
        env: The environment. It is stepped, reset and closed from here only.

    Attributes:
        env: The environment.
        autoreset_mode: Its mode.

    Raises:
        TypeError: ``env`` is no vector environment.
        ValueError: It declares no autoreset mode, its spaces are none of Stable-Baselines3's, or
            it is known to go wrong at resets with a mask. Later: a step or reset does what
            `step_wait` cannot put right.

    Example:
        >>> import gymnasium
        >>> from stable_baselines3 import PPO
        >>> envs = SB3VecEnv(gymnasium.make_vec("CartPole-v1", num_envs=4))
        >>> model = PPO("MlpPolicy", envs, n_steps=32, batch_size=32, seed=0, device="cpu")
        >>> model.learn(128).num_timesteps
        128
        >>> envs.close()
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.autoreset_mode = _checked_mode(env)
        _check_resets(env, self.autoreset_mode)
        self.env = env
        self._base = env.unwrapped
        self._actions: Array | None = None
        super().__init__(
            env.num_envs,
            _presented(env.single_observation_space, "observation"),
            _presented(env.single_action_space, "action"),
        )
        self.metadata = dict(env.metadata)

    # ---- episodes -------------------------------------------------------------------------------

    def reset(self) -> Observations:
        """Begin an episode in every copy, with the seed and the options given before.

        Of ``seed(n)`` the environment gets n, by which Gymnasium's own seed copy i with n + i.

        Returns:
            The first observations: (N, ...) each, in a dictionary where the space is one.
        """
        seed, options = self._seeds[0], self._options[0]
        observations, infos = self.env.reset(
            seed=None if seed is None else int(seed), options=options or None
        )
        self._reset_seeds()
        self._reset_options()
        self._actions = None
        self.reset_infos = _infos_of_copies(infos, self.num_envs)
        return _seen(self.env.single_observation_space, observations)

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Give the next `reset` these options.

        Raises:
            ValueError: They are a list: a vector environment takes one dictionary for all copies.
        """
        if isinstance(options, list):
            raise ValueError(f"expected one dictionary of options for all copies, got {options}")
        super().set_options(options)

    def step_async(self, actions: Array) -> None:
        """Take note of the actions.

        Args:
            actions: (N, ...) actions.

        Raises:
            ValueError: They are not N, or no whole numbers where the environment wants these.
        """
        self._actions = self._checked(actions)

    def step_wait(self) -> tuple[Observations, NDArray[np.float32], Bools, Infos]:
        """Take the noted actions, and begin the next episode where one ended.

        Returns:
            Observations, of the new episode where one ended; (N,) rewards; (N,) whether an episode
            ended; N infos of the steps. Infos of the beginnings are in ``reset_infos``.

        Raises:
            RuntimeError: No actions are noted.
            ValueError: The environment does not say how an episode ended, or reset more copies
                than it should.
        """
        if self._actions is None:
            raise RuntimeError("expected step_async(actions) before step_wait(), got none")
        actions, self._actions = self._actions, None
        observations, *outcome, batched_infos = self.env.step(actions)
        rewards = np.array(outcome[0], dtype=np.float32)  # copies: a reset may write over them
        terminated, truncated = (np.array(flags, dtype=np.bool_) for flags in outcome[1:])
        ended = terminated | truncated
        seen = _seen(self.env.single_observation_space, observations)
        infos = _infos_of_copies(batched_infos, self.num_envs)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            for copy in np.flatnonzero(ended).tolist():
                infos[copy], self.reset_infos[copy] = self._told_apart(infos[copy], copy)
        elif ended.any():
            for copy in np.flatnonzero(ended).tolist():
                infos[copy]["terminal_observation"] = _row(seen, copy)
            seen = self._begin(ended, seen)
        for info, cut in zip(infos, (truncated & ~terminated).tolist(), strict=True):
            info["TimeLimit.truncated"] = cut
        return seen, rewards, ended, infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    # ---- access to the copies -------------------------------------------------------------------

    def has_attr(self, attr_name: str) -> bool:
        """Whether `get_attr` finds it."""
        if isinstance(self._base, AsyncVectorEnv):
            return all(self._base.call("has_wrapper_attr", attr_name))
        return super().has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each copy.

        An environment that steps its copies together, so is no ``SyncVectorEnv`` and no
        ``AsyncVectorEnv``, has its own attribute given as that of each.

        Raises:
            AttributeError: There is none.
        """
        which = list(self._get_indices(indices))
        if isinstance(self._base, SyncVectorEnv):
            return [self._base.envs[copy].get_wrapper_attr(attr_name) for copy in which]
        if isinstance(self._base, AsyncVectorEnv):
            self._check_has(attr_name)
            values = self._base.call("get_wrapper_attr", attr_name)
            return [values[copy] for copy in which]
        return [getattr(self._owner(attr_name), attr_name)] * len(which)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each copy.

        Raises:
            AttributeError: The environment steps its copies together and has no such attribute.
            ValueError: Only some copies are asked for, which only ``SyncVectorEnv`` can do.
        """
        if isinstance(self._base, SyncVectorEnv):
            for copy in self._get_indices(indices):
                self._base.envs[copy].set_wrapper_attr(attr_name, value)
            return
        self._check_all(indices)
        if isinstance(self._base, AsyncVectorEnv):
            self._base.set_attr(attr_name, [value] * self.num_envs)
            return
        setattr(self._owner(attr_name), attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of each copy.

        An environment that steps its copies together has its own method called, once; it must
        return an answer for each copy, or None.

        Raises:
            AttributeError: There is no such method.
            ValueError: It is one of this adapter's, or only some copies are asked for, which only
                ``SyncVectorEnv`` can do, or the answers are not one for each copy.
        """
        if method_name in _OWN:
            raise ValueError(f"expected a call of the SB3VecEnv's own method, got {method_name!r}")
        if isinstance(self._base, SyncVectorEnv):
            copies = [self._base.envs[copy] for copy in self._get_indices(indices)]
            methods = [copy.get_wrapper_attr(method_name) for copy in copies]
            return [method(*method_args, **kwargs) for method in methods]
        self._check_all(indices)
        if isinstance(self._base, AsyncVectorEnv):
            self._check_has(method_name)
            return list(self._base.call(method_name, *method_args, **kwargs))
        method: Callable[..., Any] = getattr(self._owner(method_name), method_name)
        answers = method(*method_args, **kwargs)
        if answers is None:
            return [None] * self.num_envs
        if not _is_one_each(answers, self.num_envs):
            raise ValueError(
                f"expected {method_name} of {self.env} to answer for each of {self.num_envs} "
                f"copies, got {answers!r}"
            )
        return list(answers)

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Whether each copy is wrapped so.

        Copies in other processes tell the names of their wrappers only, so that there a wrapper
        counts as another one of the same name. Copies that are stepped together have no wrappers.
        """
        which = list(self._get_indices(indices))
        if isinstance(self._base, SyncVectorEnv):
            return [is_wrapped(self._base.envs[copy], wrapper_class) for copy in which]
        if isinstance(self._base, AsyncVectorEnv):
            chains = self._base.call("__str__")  # "<TimeLimit<OrderEnforcing<...>>>"
            names = [chain.split("<")[1:-1] for chain in chains]
            return [wrapper_class.__name__ in names[copy] for copy in which]
        return [False] * len(which)

    def get_images(self) -> list[Array | None]:
        """A picture (H, W, 3) of each copy."""
        pictures: Any = self.env.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if pictures is None else list(pictures)

    # ---- inside ---------------------------------------------------------------------------------

    def _checked(self, actions: Any) -> Array:
        space = self.env.action_space
        given = np.asarray(actions)
        if given.shape != space.shape:
            raise ValueError(f"expected actions of shape {space.shape}, got {given.shape}")
        cast: Array = given.astype(space.dtype)
        if np.issubdtype(cast.dtype, np.integer) and not np.array_equal(cast, given):
            raise ValueError(f"expected whole numbers as actions, got {given}")
        return _shifted(self.env.single_action_space, cast, 1)

    def _told_apart(
        self, info: dict[str, Any], copy: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The info of an episode's last step, and that of the next one's beginning."""
        if "final_obs" not in info:
            raise ValueError(
                f"expected infos['final_obs'] of copy {copy}, whose episode ended in a step that "
                f"began the next one, got none from {self.env}"
            )
        last = dict(info.pop("final_info", {}))
        if "episode" in info:  # vector wrappers put their statistics of the end beside it
            last.setdefault("episode", info.pop("episode"))
        final = _seen(self.env.single_observation_space, info.pop("final_obs"))
        last["terminal_observation"] = final if isinstance(final, dict) else final[()]
        return last, info

    def _begin(self, ended: Bools, last: Observations) -> Observations:
        """Begin an episode in the copies whose one ended, and see that the others stay."""
        if type(self.env) is CartPoleVectorEnv:
            first, infos = _reset_cart_poles(self.env, ended)
        elif ended.all():
            first, infos = self.env.reset()
        else:
            first, infos = self.env.reset(options={"reset_mask": ended.copy()})
        seen = _seen(self.env.single_observation_space, first)
        moved = _changed(last, seen) & ~ended
        if moved.any():
            raise ValueError(
                f"expected reset(options={{'reset_mask': ...}}) to leave the other copies as they "
                f"were, got other observations of copies {np.flatnonzero(moved).tolist()} from "
                f"{self.env}, which takes no mask; {_REMEDY}"
            )
        beginnings = _infos_of_copies(infos, self.num_envs)
        for copy in np.flatnonzero(ended).tolist():
            self.reset_infos[copy] = beginnings[copy]
        return seen

    def _check_all(self, indices: VecEnvIndices) -> None:
        which = list(self._get_indices(indices))
        if sorted(which) != list(range(self.num_envs)):
            raise ValueError(f"expected indices=None, as {self.env} has no others, got {indices}")

    def _check_has(self, name: str) -> None:
        if not self.has_attr(name):  # asked first: an error in a process would end it
            raise AttributeError(
                f"expected an attribute of the copies of {self.env}, got {name!r}"
            )

    def _owner(self, name: str) -> VectorEnv[Any, Any, Any]:
        """The outermost wrapper that has the attribute, or the environment itself."""
        for layer in _layers(self.env):
            if hasattr(layer, name):
                return layer
        raise AttributeError(f"expected an attribute of {self.env}, got {name!r}")


def _checked_mode(env: Any) -> AutoresetMode:
    if not isinstance(env, VectorEnv):
        raise TypeError(
            f"expected a gymnasium.vector.VectorEnv, as of gymnasium.make_vec(id, num_envs), got "
            f"{env!r} (a single environment needs no adapter)"
        )
    mode = env.metadata.get("autoreset_mode")
    if mode not in (*AutoresetMode, *(known.value for known in AutoresetMode)):
        raise ValueError(
            "expected a vector environment that declares metadata['autoreset_mode'] as one of "
            f"{[known.value for known in AutoresetMode]}, got {mode!r} in {env}"
        )
    return AutoresetMode(mode)


def _check_resets(env: VectorEnv[Any, Any, Any], mode: AutoresetMode) -> None:
    """Refuse what is known to go wrong at a reset with a mask."""
    if mode is AutoresetMode.SAME_STEP:
        return
    base = env.unwrapped
    if type(base) is CartPoleVectorEnv and base is not env and env.num_envs > 1:
        raise ValueError(
            f"expected CartPole's own vector environment without wrappers, as its reset takes no "
            f"mask, got {env}; {_REMEDY}"
        )
    if isinstance(base, AsyncVectorEnv) and mode is AutoresetMode.NEXT_STEP:
        if not base.shared_memory:  # its processes forget resets then, and reset once more
            raise ValueError(f"expected shared_memory=True in mode NextStep, got False in {env}")
    for wrapper in _layers(env) if env.num_envs > 1 else ():
        if isinstance(wrapper, NormalizeObservation | NormalizeReward | RecordEpisodeStatistics):
            raise ValueError(
                f"expected no {type(wrapper).__name__} in mode {mode.value}, whose statistics "
                f"do not outlast the reset of some copies, got {env}; leave it out for VecMonitor "
                f"or VecNormalize around the SB3VecEnv"
            )


def _layers(env: VectorEnv[Any, Any, Any]) -> Iterator[VectorEnv[Any, Any, Any]]:
    """The environment and what it wraps, from without to within."""
    while isinstance(env, VectorWrapper):
        yield env
        env = env.env
    yield env


def _presented(space: spaces.Space[Any], role: str) -> spaces.Space[Any]:
    """The space of what `_seen` returns, or of actions."""
    if role == "observation" and isinstance(space, spaces.Dict | spaces.Tuple):
        return spaces.Dict({str(key): _presented(part, "part") for key, part in _parts(space)})
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete) and space.start.any():
        return spaces.MultiDiscrete(space.nvec, dtype=space.dtype)
    if not isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        raise ValueError(
            "expected Box, Discrete, MultiDiscrete or MultiBinary, or for observations a Dict or "
            f"Tuple of these, as Stable-Baselines3 takes no others, got {space} as {role}; "
            "gymnasium.wrappers.FlattenObservation makes one Box of nested observations"
        )
    return space


def _seen(space: spaces.Space[Any], observations: Any) -> Observations:
    """Observations, batched or single, as `_presented` has them; copies."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return {str(key): _shifted(part, observations[key], -1) for key, part in _parts(space)}
    return _shifted(space, observations, -1)


def _parts(space: spaces.Space[Any]) -> list[tuple[Any, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        return list(space.items())
    assert isinstance(space, spaces.Tuple)
    return list(enumerate(space.spaces))


def _shifted(space: spaces.Space[Any], values: Any, sign: int) -> Array:
    """A copy of whole numbers that start at 0 as those of the space, or (-1) the other way."""
    copied: Array = np.array(values, dtype=space.dtype)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        copied = np.asarray(copied + space.start if sign > 0 else copied - space.start)
    return copied.astype(space.dtype, copy=False)


def _row(observations: Observations, copy: int) -> Any:
    if isinstance(observations, dict):
        return {key: batch[copy] for key, batch in observations.items()}
    return observations[copy]


def _changed(before: Observations, after: Observations) -> Bools:
    """(N,) whether a copy's observation is another one."""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = np.stack([_changed(before[key], after[key]) for key in before])
        return np.asarray(parts.any(axis=0))
    assert isinstance(before, np.ndarray) and isinstance(after, np.ndarray)
    same: Bools = (before == after) | ((before != before) & (after != after))  # NaN is as NaN was
    return np.asarray(~same.reshape(len(same), -1).all(axis=1))


def _infos_of_copies(infos: Any, num_envs: int) -> Infos:
    """One dictionary for each copy.

    Gymnasium keeps ``infos[key]`` for all copies, and in ``infos["_" + key]`` whose are set; after
    its wrapper ``DictInfoToList`` each copy has a dictionary. What is not given copy by copy is
    said of all of them.
    """
    if isinstance(infos, list):
        return [dict(info) for info in infos]
    rows: Infos = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        shares = values
        if isinstance(values, dict):
            shares = _infos_of_copies(values, num_envs)
        elif not _is_one_each(values, num_envs):
            shares = [values] * num_envs
        present = infos.get(f"_{key}", np.ones(num_envs, dtype=np.bool_))
        for copy in np.flatnonzero(present).tolist():
            rows[copy][key] = shares[copy]
    return rows


def _is_one_each(values: Any, num_envs: int) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim > 0 and len(values) == num_envs
    return isinstance(values, list | tuple) and len(values) == num_envs


def _reset_cart_poles(env: CartPoleVectorEnv, ended: Bools) -> tuple[Array, dict[str, Any]]:
    """What the environment would do in its next step, where it would move the others, too."""
    state: Array = np.asarray(env.state)  # itself, to be written to
    state[:, ended] = env.np_random.uniform(env.low, env.high, (4, int(ended.sum())))
    env.steps[ended] = 0
    env.prev_done[ended] = False
    return state.T.astype(np.float32), {}
