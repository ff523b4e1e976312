"""What ``gymnasium.make`` and ``gymnasium.make_vec`` call to make a textbook environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode

from ..mdp import TabularMDP
from ..outcome_sampling import ModelChanges
from ..tabular_env import TabularEnv
from ..tabular_vector_env import TabularVectorEnv

__all__ = ["EntryPoint", "VectorEntryPoint"]


class EntryPoint:
    """Makes a `TabularEnv` from a function that builds a model.

    Args:
        model: Builds the model from options.
        changes: Builds the later models of a changing environment from the same options.

    Example:
        >>> def coin(reward=1.0):
        ...     return TabularMDP.from_outcomes([[[(0.5, 0, reward, False), (0.5, 0, 0.0, True)]]])
        >>> EntryPoint(coin)(reward=2.0, render_mode="ansi").P
        {0: {0: [(0.5, 0, 0.0, True), (0.5, 0, 2.0, False)]}}
    """

    metadata: ClassVar[dict[str, Any]] = TabularEnv.metadata

    def __init__(
        self,
        model: Callable[..., TabularMDP],
        *,
        changes: Callable[..., ModelChanges] | None = None,
    ) -> None:
        self.model = model
        self.changes = changes
        self.__doc__ = model.__doc__

    def __call__(self, *args: Any, render_mode: str | None = None, **options: Any) -> TabularEnv:
        """The environment with these options of the model."""
        changes = () if self.changes is None else self.changes(*args, **options)
        mdp = self.model(*args, **options)
        return TabularEnv(mdp, render_mode=render_mode, model_changes=changes)


class VectorEntryPoint:
    """Makes a `TabularVectorEnv`; the arguments are those of `EntryPoint`."""

    metadata: ClassVar[dict[str, Any]] = TabularVectorEnv.metadata

    def __init__(
        self,
        model: Callable[..., TabularMDP],
        *,
        changes: Callable[..., ModelChanges] | None = None,
    ) -> None:
        self.model = model
        self.changes = changes
        self.__doc__ = model.__doc__

    def __call__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> TabularVectorEnv:
        """The vector environment with these options of the model."""
        changes = () if self.changes is None else self.changes(**options)
        return TabularVectorEnv(
            self.model(**options),
            num_envs,
            autoreset_mode=autoreset_mode,
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
            model_changes=changes,
        )
