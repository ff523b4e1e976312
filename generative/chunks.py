r"""Windows of demonstrations: what was seen up to a step, and what was done from it on.

Steps of an environment are numbered as they are taken: :math:`(o_t, a_t, r_{t+1}, o_{t+1})`. The
window of step t, with an observation horizon :math:`T_o` and a prediction horizon :math:`T_p`, is

.. math:: (o_{t-T_o+1}, \dots, o_t) \;\mapsto\; (a_t, a_{t+1}, \dots, a_{t+T_p-1}) .

The *chunk* begins at the current step: of its actions the first :math:`T_a`, the action horizon,
are executed before the next chunk is asked for. Diffusion Policy counts its windows from the first
observation, predicts :math:`a_{t-T_o+1}` to :math:`a_t` once more, and executes the slice
:math:`[T_o - 1 : T_o - 1 + T_a]` of them: the same actions.

No window crosses an episode's end. What is missing is padded, and marked:

- Before the first step its observation is repeated, as a policy does that has seen no other yet.
- After the last step its action is repeated. Where the environment *terminated* nothing comes
  after it, and what a chunk says of it is never executed. Where the episode was only cut off, by
  a time limit or because the data end there, something would have come, and repeating the last
  action would be a wrong lesson: windows that reach over a cut are left out, unless asked for.

Every step of a finished episode begins a window, so that a policy knows what to do wherever the
last chunk ran out.

References:
    C. Chi et al. (2023), Diffusion policy: visuomotor policy learning via action diffusion,
        arXiv:2303.04137, section 2.3 (horizons) and the code's padding by repetition.
    T. Z. Zhao, V. Kumar, S. Levine, C. Finn (2023), Learning fine-grained bimanual manipulation
        with low-cost hardware, arXiv:2304.13705, section IV-A (action chunking).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int64

from .data.environments import Transitions
from .world_model_data import episode_starts, histories

__all__ = ["ChunkWindows", "CutEpisodes", "chunk_windows", "episode_ends"]

CutEpisodes = Literal["leave-out", "repeat"]


@dataclass(frozen=True)
class ChunkWindows:
    """N windows, as numbers of the steps that they are made of.

    Attributes:
        steps: (N,) the current step of each.
        observed: (N, To) steps whose observations are seen, oldest first, the current one last.
        observed_known: (N, To) which of them are no padding.
        acted: (N, Tp) steps whose actions are predicted, the current one first.
        acted_known: (N, Tp) which of them are no padding.
    """

    steps: Int64[np.ndarray, " windows"]
    observed: Int64[np.ndarray, "windows observed"]
    observed_known: Bool[np.ndarray, "windows observed"]
    acted: Int64[np.ndarray, "windows acted"]
    acted_known: Bool[np.ndarray, "windows acted"]

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, rows: Int64[np.ndarray, " rows"]) -> ChunkWindows:
        """Those of some numbers."""
        return ChunkWindows(
            self.steps[rows],
            self.observed[rows],
            self.observed_known[rows],
            self.acted[rows],
            self.acted_known[rows],
        )


def chunk_windows(
    data: Transitions,
    *,
    observation_horizon: int,
    prediction_horizon: int,
    cut_episodes: CutEpisodes = "leave-out",
) -> ChunkWindows:
    """The windows of demonstrations, in the order of their steps.

    Args:
        data: Steps of an environment, in the order in which they were taken.
        observation_horizon: To, at least 1.
        prediction_horizon: Tp, at least 1.
        cut_episodes: What becomes of windows that reach over a cut: ``leave-out``, or ``repeat``
            the last action, where demonstrators hold still at the end.

    Raises:
        ValueError: A horizon is less than 1, or no window is left.

    Example:
        >>> x, no = np.zeros((4, 1)), np.zeros(4, dtype=bool)
        >>> ends = np.array([False, True, False, True])
        >>> data = Transitions(x, x, np.zeros(4), x, ends, no)
        >>> windows = chunk_windows(data, observation_horizon=2, prediction_horizon=2)
        >>> windows.observed.tolist(), windows.acted.tolist()
        ([[0, 0], [0, 1], [2, 2], [2, 3]], [[0, 1], [1, 1], [2, 3], [3, 3]])
    """
    for name, horizon in (
        ("observation_horizon", observation_horizon),
        ("prediction_horizon", prediction_horizon),
    ):
        if horizon < 1:
            raise ValueError(f"expected {name} of at least 1, got {horizon}")
    if cut_episodes not in get_args(CutEpisodes):
        raise ValueError(
            f"expected cut_episodes among {get_args(CutEpisodes)}, got {cut_episodes!r}"
        )
    observed, observed_known = histories(episode_starts(data), observation_horizon)
    ends = episode_ends(data)
    acted = np.arange(len(data))[:, None] + np.arange(prediction_horizon)
    found = ChunkWindows(
        np.arange(len(data)),
        observed,
        observed_known,
        np.minimum(acted, ends[:, None]),
        acted <= ends[:, None],
    )
    if cut_episodes == "repeat":
        return found
    kept = np.flatnonzero(data.terminated[ends] | found.acted_known.all(axis=1))
    if not len(kept):
        raise ValueError(
            f"expected an episode that terminates, or one of at least {prediction_horizon} steps "
            f"before it is cut off, for a prediction_horizon of {prediction_horizon}, got none in "
            f"{len(data)} steps"
        )
    return found.take(kept)


def episode_ends(data: Transitions) -> Int64[np.ndarray, " steps"]:
    """(N,) the number of the last step of each step's episode.

    Example:
        >>> x, no = np.zeros((4, 1)), np.zeros(4, dtype=bool)
        >>> ends = np.array([False, True, False, False])
        >>> episode_ends(Transitions(x, x, np.zeros(4), x, ends, no))
        array([1, 1, 3, 3])
    """
    starts = episode_starts(data)
    firsts, lengths = np.unique(starts, return_counts=True)
    return np.repeat(firsts + lengths - 1, lengths)
