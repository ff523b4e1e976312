r"""Windows of trajectories as the events of a generator, and what came after them.

The window of step t is what was seen and done in H steps, one row of D + A entries for each,

.. math:: \tau_t = \big((o_t, a_t), (o_{t+1}, a_{t+1}), \dots, (o_{t+H-1}, a_{t+H-1})\big) ,

or what was seen alone. No window crosses an episode's end. Where the episode terminated nothing
changes any more: rows after the end repeat the last observation, the one that it terminated in,
and the last action, which nobody will execute. Windows over an episode's end that was only cut off
are left out. The return-to-go of a window is that of its first step,
:math:`G_t = \sum_{k \ge 0} \gamma^k r_{t+k+1}`, up to the end of the episode or of its record.

References:
    M. Janner, Y. Du, J. B. Tenenbaum, S. Levine (2022), Planning with diffusion for flexible
        behavior synthesis, arXiv:2205.09991, equation 2 (states and actions in one array).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ...generative.chunk_coding import ChunkLayout
from ...generative.chunks import ChunkWindows
from ...generative.data.environments import Transitions

__all__ = ["WindowCoding", "returns_to_go", "window_rows"]


def returns_to_go(data: Transitions, discount: float) -> Float64[np.ndarray, " steps"]:
    """(N,) discounted returns from each step to the end of its episode, as far as it is recorded.

    Args:
        data: Steps of an environment, in the order in which they were taken.
        discount: γ.

    Example:
        >>> x, ends = np.zeros((4, 1)), np.array([False, True, False, False])
        >>> data = Transitions(x, x, np.array([1.0, 2, 4, 8]), x, ends, np.zeros(4, bool))
        >>> returns_to_go(data, 0.5)
        array([2., 2., 8., 8.])
    """
    found, following = np.zeros(len(data)), 0.0
    ended = data.terminated | data.truncated
    for t in range(len(data) - 1, -1, -1):
        following = data.reward[t] + (0.0 if ended[t] else discount * following)
        found[t] = following
    return found


def window_rows(
    windows: ChunkWindows,
    before: Float[Tensor, "steps observation"],
    after: Float[Tensor, "steps observation"],
    actions: Float[Tensor, "steps action"] | None,
) -> Float[Tensor, "windows time entries"]:
    """(N, H, D + A) rows of windows, or (N, H, D) of what was seen alone.

    Args:
        windows: With H predicted steps.
        before: (T, D) encoded observations of all steps.
        after: (T, D) encoded observations that they led to.
        actions: (T, A) encoded; None for what was seen alone.
    """
    acted, known = torch.from_numpy(windows.acted), torch.from_numpy(windows.acted_known)
    seen = torch.where(known.unsqueeze(2), before[acted], after[acted])
    return seen if actions is None else torch.cat([seen, actions[acted]], dim=2)


@dataclass(frozen=True)
class WindowCoding:
    """Between (B, H, E) rows and (B, *event) events.

    Attributes:
        horizon: H.
        num_entries: E, of a row.
        num_observed: D of these, the first, are the observation.
        layout: ``vector`` of H E entries, or ``sequence`` (E, H) for networks over time.

    Example:
        >>> coding = WindowCoding(2, 3, 1, "sequence")
        >>> coding.event_shape, coding.known_start.int().tolist()
        ((3, 2), [[1, 0], [0, 0], [0, 0]])
    """

    horizon: int
    num_entries: int
    num_observed: int
    layout: ChunkLayout

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Of a window."""
        if self.layout == "vector":
            return (self.horizon * self.num_entries,)
        return (self.num_entries, self.horizon)

    @property
    def known_start(self) -> Bool[Tensor, ...]:
        """(*event) which entries are the first observation."""
        rows = torch.zeros(1, self.horizon, self.num_entries)
        rows[:, 0, : self.num_observed] = 1
        return self.events(rows)[0].bool()

    def events(self, rows: Float[Tensor, "batch time entries"]) -> Float[Tensor, "batch ..."]:
        """(B, *event) of (B, H, E)."""
        ordered = rows if self.layout == "vector" else rows.transpose(1, 2)
        return ordered.reshape(len(rows), *self.event_shape)

    def rows(self, events: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch time entries"]:
        """(B, H, E) of (B, *event)."""
        if self.layout == "vector":
            return events.reshape(len(events), self.horizon, self.num_entries)
        return events.transpose(1, 2)

    def starting(self, observed: Float[Tensor, "batch observation"]) -> Float[Tensor, "batch ..."]:
        """(B, *event) of which the first observations are these, and the rest is 0."""
        rows = observed.new_zeros(len(observed), self.horizon, self.num_entries)
        rows[:, 0, : self.num_observed] = observed
        return self.events(rows)
