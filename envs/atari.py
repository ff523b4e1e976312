"""Atari games as deep learners see them: four grey frames of 84 x 84 pixels, one action for four.

The screen is asked for every fourth frame only, as the brighter of the last two (sprites flicker),
and the action is repeated until then; games begin with up to 30 idle frames, so that they differ.
To learn, an episode ends with every life and rewards are clipped to [-1, 1], which puts all games
on one scale. To evaluate, games are played to their end and rewards are the game's own.

What the id says stays: games of version 5 repeat the last action with probability 0.25 (sticky
actions), which ``repeat_action_probability=0`` switches off, as it was in 2015. They have no time
limit but that of 108,000 frames, 27,000 steps here.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        Methods: preprocessing, training details, evaluation procedure.
    M. C. Machado et al. (2018), Revisiting the Arcade Learning Environment, Journal of Artificial
        Intelligence Research 61, sections 4 and 5 (sticky actions; life loss).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import AtariPreprocessing, ClipReward, FrameStackObservation

__all__ = ["ATARI_OPTIONS", "is_atari", "preprocess_atari"]

ATARI_OPTIONS: Mapping[str, Any] = MappingProxyType({"frameskip": 1})
"""What a game must be made with to be preprocessed: the wrapper itself repeats actions."""

_FRAME_SKIP = 4
_SCREEN_SIZE = 84
_NOOP_MAX = 30
_STACK = 4


def is_atari(spec: EnvSpec) -> bool:
    """Whether an environment is a game of the Arcade Learning Environment."""
    return str(spec.entry_point).startswith("ale_py")


def preprocess_atari(
    env: gymnasium.Env[Any, Any], *, evaluating: bool = False
) -> gymnasium.Env[Any, Any]:
    """A game as (4, 84, 84) bytes, whose spec tells all that was done to it.

    Args:
        env: A game made with `ATARI_OPTIONS`.
        evaluating: Play games to their end and leave rewards as they are.

    Raises:
        ValueError: It skips frames itself, or shows its memory in place of pictures.
    """
    shape = env.observation_space.shape or ()
    if len(shape) < 2:  # the wrapper would fail at the first reset only
        raise ValueError(f"expected a game that shows pictures, got observations of {shape}")
    env = AtariPreprocessing(
        env,
        noop_max=_NOOP_MAX,
        frame_skip=_FRAME_SKIP,
        screen_size=_SCREEN_SIZE,
        terminal_on_life_loss=not evaluating,
    )
    if not evaluating:
        env = ClipReward(env, -1.0, 1.0)
    return FrameStackObservation(env, _STACK)
