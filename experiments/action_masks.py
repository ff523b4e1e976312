"""The actions that an environment forbids, for agents that learnt under them.

An environment may say in ``info["action_mask"]`` which actions its current state allows. A learner
that keeps to that never tries the others, so that what it holds of them means nothing, and whoever
plays it must hand it the mask of each observation. `AbstractAgent.reads_masks` says of our own
agents whether they want it; of others the signature of ``predict`` does.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from ..agents.action_masks import ACTION_MASK, mask_rows
from ..agents.agent import AbstractAgent
from ..envs.mdp import TabularMDP
from ..envs.state_index import StateIndex
from ..envs.tabular_env import TabularEnv

if TYPE_CHECKING:
    from .evaluation import Predictor

__all__ = ["masks_of_states", "wants_masks"]

_NUM_PROBES = 8


def wants_masks(agent: Predictor) -> bool:
    """Whether whoever plays an agent is to hand it masks.

    Args:
        agent: One of ours, which knows what it learnt under, or anything that predicts: a model
            of Stable-Baselines3 has no such keyword.
    """
    if isinstance(agent, AbstractAgent):
        return agent.reads_masks
    try:
        return ACTION_MASK in inspect.signature(agent.predict).parameters
    except ValueError:  # compiled code need not tell its signature
        return False


def masks_of_states(
    env: gymnasium.Env[Any, Any], mdp: TabularMDP
) -> Bool[NDArray[np.bool_], "states actions"] | None:
    """(S, A) what an environment would allow in each state of its model; None if it has no masks.

    Our own environments tell it by their model, others by a method ``action_mask(state)``, as
    Gymnasium's Taxi has. States without any allowed action are those in which nobody acts; their
    rows allow all.

    Args:
        env: Is reset here.
        mdp: Its model.

    Raises:
        ValueError: It has masks, but tells them of the current state only, or otherwise than in
            ``info``.
    """
    starts = [env.reset(seed=seed) for seed in range(_NUM_PROBES)]
    if not any(ACTION_MASK in info for _, info in starts):
        return None
    inner = env.unwrapped
    if isinstance(inner, TabularEnv):
        masks = mdp.allowed
    else:
        masks = _told_masks(inner, mdp)
        states = StateIndex(env.observation_space)
        for observation, info in starts:
            expected = mask_rows([info])
            state = states.encode(observation)
            if expected is None or not np.array_equal(masks[state], expected[0]):
                raise ValueError(
                    f"expected {inner}.action_mask to tell the masks of info, got "
                    f"{masks[state].tolist()} in state {state}"
                )
    return np.where(masks.any(axis=1, keepdims=True), masks, True)


def _told_masks(inner: gymnasium.Env[Any, Any], mdp: TabularMDP) -> NDArray[np.bool_]:
    # no type of Gymnasium's says so: Taxi has the method, and others have taken it over
    tell = getattr(inner, ACTION_MASK, None)
    if not callable(tell) or mdp.observation_index is not None:
        raise ValueError(f"{inner} tells its masks of the current state only")
    try:
        masks = np.stack([np.asarray(tell(state)) for state in range(mdp.num_states)])
    except Exception as error:  # whatever a function raises that is meant for something else
        raise ValueError(
            f"{inner}.action_mask does not tell the masks of states: {error}"
        ) from error
    if masks.shape != (mdp.num_states, mdp.num_actions):
        raise ValueError(
            f"expected {inner}.action_mask to tell {mdp.num_actions} entries, got "
            f"{masks.shape[1:]}"
        )
    return masks.astype(np.bool_)
