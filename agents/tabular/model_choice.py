"""Whether an environment's model is known exactly, and whether learning on it loses nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import wrappers
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.environments import step_cap
from ...envs.mdp import TabularMDP
from ...envs.state_index import StateIndex
from .bins import BinIndex
from .observations import ObservationIndex

__all__ = ["ModelChoice", "choose_model"]

# A simulation has no use for these; any other wrapper was put there to be run.
_IDLE_WRAPPERS = (wrappers.TimeLimit, wrappers.OrderEnforcing, wrappers.PassiveEnvChecker)


@dataclass(frozen=True)
class ModelChoice:
    """What is known of an environment.

    Attributes:
        mdp: Its model with the step cap that stepping would meet, or None.
        compiled: Whether to learn on a simulation of it.
        allowed: (S, A) the actions that the model allows, by observation.
        reads_masks: Whether ``info["action_mask"]`` forbids actions.
    """

    mdp: TabularMDP | None
    compiled: bool
    allowed: NDArray[np.bool_]
    reads_masks: bool


def choose_model(
    env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any],
    simulator: str,
    *,
    action_masks: str,
    observations: ObservationIndex,
    actions: StateIndex,
) -> ModelChoice:
    """Decide between simulating and stepping; a vector environment is stepped, whatever its model.

    Args:
        env: The environment.
        simulator: ``auto``, ``compiled`` or ``stepped``.
        action_masks: ``auto``, ``always`` or ``never``; ``always`` means that info must be read,
            so that nothing can be simulated.
        observations: Numbers the observation space.
        actions: Numbers the action space.

    Raises:
        ValueError: ``simulator`` is none of the three, or is ``compiled`` where the model is not
            known or a simulation would leave something out; the message says what. Also if the
            model's states that share an observation have no allowed action in common.
    """
    if isinstance(env, VectorEnv):
        return _choose_for_copies(simulator, action_masks, observations, actions)
    if simulator not in ("auto", "compiled", "stepped"):
        raise ValueError(f"expected simulator as auto, compiled or stepped, got {simulator!r}")
    obstacle = _obstacle(env, action_masks == "always")
    mdp: TabularMDP | None = None
    if isinstance(observations, BinIndex):
        obstacle = obstacle or "no model knows the bins of its continuous observations"
    else:
        try:
            mdp = replace(TabularMDP.from_env(env), max_episode_steps=step_cap(env))
        except ValueError as error:
            obstacle = obstacle or str(error)
    if mdp is not None and not _fits(mdp, observations, actions):
        obstacle = f"{mdp} does not fit {env.observation_space} and {env.action_space}"
        mdp = None
    if obstacle and simulator == "compiled":
        raise ValueError(f"expected an environment that can be simulated, got {env}: {obstacle}")
    shape = (observations.num_states, actions.num_states)
    allowed = _allowed(mdp, shape)
    if action_masks == "always":
        allowed[~allowed.any(axis=1)] = True  # info will tell
    elif not allowed.any(axis=1).all():
        raise ValueError(
            f"expected states that look alike to share an allowed action, got none for "
            f"observation {int(np.argmin(allowed.any(axis=1)))} of {env}"
        )
    return ModelChoice(
        mdp=mdp,
        compiled=not obstacle and simulator != "stepped",
        allowed=allowed,
        reads_masks=action_masks == "always" or (action_masks == "auto" and mdp is None),
    )


def _choose_for_copies(
    simulator: str, action_masks: str, observations: ObservationIndex, actions: StateIndex
) -> ModelChoice:
    if simulator not in ("auto", "stepped"):
        raise ValueError(
            f"expected simulator as auto or stepped for a vector environment, got {simulator!r}: "
            "one environment, or its id, can be simulated"
        )
    return ModelChoice(
        mdp=None,
        compiled=False,
        allowed=np.ones((observations.num_states, actions.num_states), dtype=np.bool_),
        reads_masks=action_masks != "never",
    )


def _obstacle(env: gymnasium.Env[Any, Any], masks_from_info: bool) -> str:
    """What a simulation would leave out; empty where it is nothing."""
    if masks_from_info:
        return "action_masks='always' reads them from the environment's info"
    if env.render_mode == "human":
        return "render_mode='human' shows the steps of the environment"
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if type(layer) not in _IDLE_WRAPPERS:
            return f"its wrapper {type(layer).__name__} would not be run"
        layer = layer.env
    overridden = _overridden(type(layer))
    if overridden:
        return f"its model does not know of {overridden}, which overrides that of its base class"
    return ""


def _overridden(env_type: type) -> str:
    """The step or reset that a subclass put over a concrete one; empty where there is none.

    A subclass that shapes rewards, say, inherits the model of the class that it changes.
    """
    for name in ("step", "reset"):
        own = [base for base in env_type.__mro__ if name in vars(base)]
        if len([base for base in own if base is not gymnasium.Env]) > 1:
            return f"{own[0].__name__}.{name}"
    return ""


def _fits(mdp: TabularMDP, observations: ObservationIndex, actions: StateIndex) -> bool:
    return (
        mdp.num_actions == actions.num_states and mdp.num_observations <= observations.num_states
    )


def _allowed(mdp: TabularMDP | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    allowed = np.ones(shape, dtype=np.bool_)
    if mdp is None or mdp.action_mask is None:
        return allowed
    observed = mdp.observation_index
    if observed is None:
        observed = np.arange(mdp.num_states)
    np.logical_and.at(allowed, observed, mdp.action_mask)
    return allowed
