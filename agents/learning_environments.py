"""The environments that an agent learns in, as Stable-Baselines3's callbacks look at them.

`AbstractAgent.get_env` gives callbacks their ``training_env``. Single environments go into a
``DummyVecEnv`` that shares them. A vector environment cannot: Stable-Baselines3's interface has
one way of beginning episodes anew, Gymnasium's has three, and between two steps of a learner a
foreign step would spoil what it is in the midst of. What callbacks such as ``EvalCallback`` ask
(how many, of which spaces, what attributes) is answered; stepping and resetting are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

__all__ = ["LearningEnvironments", "as_vec_env"]


def as_vec_env(envs: Sequence[gymnasium.Env[Any, Any]] | VectorEnv[Any, Any, Any]) -> VecEnv:
    """Environments as a ``VecEnv`` that shares them; a vector environment only to be looked at."""
    if isinstance(envs, VectorEnv):
        return LearningEnvironments(envs)
    return DummyVecEnv([partial(_same, env) for env in envs])


def _same(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return env


class LearningEnvironments(DummyVecEnv):
    """A vector environment that is learning: it can be asked, but not be stepped or reset.

    It is a ``DummyVecEnv`` by name only, as ``EvalCallback`` warns of a training environment that
    is of another type than the evaluating one, which is a ``DummyVecEnv`` as a rule.

    Args:
        env: The vector environment.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self._env = env
        VecEnv.__init__(self, env.num_envs, env.single_observation_space, env.single_action_space)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the environments, or the one that they have together.

        Methods are given, not called; those of environments in other processes are of copies.

        Raises:
            AttributeError: They have no such attribute.
        """
        inner = self._env.unwrapped
        values: Sequence[Any]
        if isinstance(inner, SyncVectorEnv | AsyncVectorEnv) and attr_name != "render_mode":
            # an asynchronous one that fails in there is closed, and its get_attr calls methods
            if not all(inner.call("has_wrapper_attr", attr_name)):
                raise AttributeError(f"{inner} has no environments with {attr_name!r}")
            values = inner.call("get_wrapper_attr", attr_name)
        else:
            holder = self._env if hasattr(self._env, attr_name) else inner
            values = [getattr(holder, attr_name)] * self.num_envs
        return [values[row] for row in self._get_indices(indices)]

    def close(self) -> None:
        """Close the vector environment."""
        self._env.close()

    def reset(self) -> NoReturn:
        """Refused.

        Raises:
            NotImplementedError: Always; so do the other methods that would change anything.
        """
        self._refuse()

    def step_async(self, actions: Any) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def step_wait(self) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Not known; see `reset`."""
        self._refuse()

    def get_images(self) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def render(self, mode: str | None = None) -> NoReturn:
        """Refused; see `reset`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            f"expected an environment of its own to act in, got the {self.num_envs} copies that "
            "an agent is learning in: they can be asked for their spaces and attributes only"
        )
