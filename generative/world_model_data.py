r"""What a world model learns from: each step's history, what came of it, and whether it ended.

Steps of an environment are numbered as they are taken: :math:`(o_t, a_t, r_{t+1}, o_{t+1},
\text{terminated}_{t+1})`. The context of step t is the last H observations and actions of *its*
episode, with flags of which there were; no history reaches over an episode's end.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from .data.environments import Transitions

__all__ = ["episode_starts", "histories", "split_by_episodes", "stacked_context"]


def episode_starts(data: Transitions) -> Int64[np.ndarray, " steps"]:
    """(N,) the number of the first step of each step's episode.

    Example:
        >>> from gymagine.generative.data.environments import Transitions
        >>> x, no = np.zeros((4, 1)), np.zeros(4, dtype=bool)
        >>> ends = np.array([False, True, False, False])
        >>> episode_starts(Transitions(x, x, np.zeros(4), x, ends, no))
        array([0, 0, 2, 2])
    """
    begins = np.concatenate([[True], (data.terminated | data.truncated)[:-1]])
    return np.maximum.accumulate(np.where(begins, np.arange(len(data)), 0))


def histories(
    starts: Int64[np.ndarray, " steps"], length: int
) -> tuple[Int64[np.ndarray, "steps length"], Bool[np.ndarray, "steps length"]]:
    """Which steps each step remembers, itself last, and whether they are of its episode.

    Args:
        starts: (N,) of `episode_starts`.
        length: H.

    Returns:
        (N, H) numbers of steps, the first of the episode where there are no earlier ones, and
        (N, H) whether they are known.

    Example:
        >>> steps, known = histories(np.array([0, 0, 2]), 2)
        >>> steps.tolist(), known.tolist()
        ([[0, 0], [0, 1], [2, 2]], [[False, True], [True, True], [False, True]])
    """
    steps = np.arange(len(starts))[:, None] - np.arange(length)[::-1]
    return np.maximum(steps, starts[:, None]), steps >= starts[:, None]


def stacked_context(
    observations: Float[Tensor, "batch length observation"],
    actions: Float[Tensor, "batch length action"],
    known: Bool[Tensor, "batch length"],
) -> Float[Tensor, "batch context"]:
    """(B, C) what a generator is given: observations, actions, and which of them there were.

    Args:
        observations: (B, H, D) oldest first.
        actions: (B, H, A) that were taken there, the last of which is to be answered.
        known: (B, H); the last always is, and is left out.

    Example:
        >>> ones, known = torch.ones(1, 2, 1), torch.tensor([[False, True]])
        >>> stacked_context(ones, ones, known)
        tensor([[0., 1., 0., 1., 0.]])
    """
    shown = known.unsqueeze(2).to(observations.dtype)
    parts = [(observations * shown).flatten(1), (actions * shown).flatten(1), shown[:, :-1, 0]]
    return torch.cat(parts, dim=1)


def split_by_episodes(
    starts: Int64[np.ndarray, " steps"], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps to learn from, and those of whole episodes that are held out.

    Where there is one episode only, its last steps are.

    Args:
        starts: (N,) of `episode_starts`.
        share: Of the steps that are held out, about, in (0, 1).
        seed: Of the draw.

    Raises:
        ValueError: A part would be empty.
    """
    num = len(starts)
    wanted = round(share * num)
    if not 1 <= wanted < num:
        raise ValueError(f"expected a share that leaves steps in both parts, got {share} of {num}")
    episodes, lengths = np.unique(starts, return_counts=True)
    if len(episodes) == 1:
        return np.arange(num - wanted), np.arange(num - wanted, num)
    order = np.random.default_rng(seed).permutation(len(episodes))
    # one episode at least in each part
    reached = np.cumsum(lengths[order])
    several = min(int(np.searchsorted(reached, wanted)) + 1, len(episodes) - 1)
    is_held_out = np.isin(starts, episodes[order[:several]])
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
