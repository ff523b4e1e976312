r"""The steps of whole episodes, kept until a member has as many as REINFORCE learns from at once.

Each of M * N rows writes one step after another, its ended episodes first and the running one
after them. Where an episode ends, the returns from each of its steps on are worked out,

.. math:: G_t = r_{t+1} + \gamma G_{t+1}, \qquad
    G_T = 0 \text{ if it terminated, } V(s_T) \text{ if it was truncated.}

When the member learns, the ended ones leave and the running one moves to the front.

References:
    R. S. Sutton, A. G. Barto (2018), Reinforcement learning: an introduction, 2nd edition, section
        13.3 and box "REINFORCE".
    F. Pardo et al. (2018), Time limits in reinforcement learning, arXiv:1712.00378, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from .policy_gradient_losses import EpisodeBatch

__all__ = ["EpisodeStorage"]

Array = NDArray[Any]
Ints = NDArray[np.int64]

_FIRST_CAPACITY = 64


class EpisodeStorage:
    """Room for the episodes of M members with N copies each, which grows as they do.

    Args:
        num_members: M.
        num_copies: N.
        leaves: Shape and dtype of each leaf of an observation.
        latent: Shape and dtype of what is drawn.
        num_actions: A, where actions are masked; 0 where they are not.

    Attributes:
        lengths: (M * N,) steps in each row.
        starts: (M * N,) where the running episode of each begins: the steps of ended ones.
        ended: (M,) episodes that have ended and wait.
    """

    lengths: Int64[Ints, " rows"]
    starts: Int64[Ints, " rows"]
    ended: Int64[Ints, " members"]

    def __init__(
        self,
        num_members: int,
        num_copies: int,
        *,
        leaves: Sequence[tuple[tuple[int, ...], np.dtype[Any]]],
        latent: tuple[tuple[int, ...], np.dtype[Any]],
        num_actions: int = 0,
    ) -> None:
        self._num_members, self._num_copies = num_members, num_copies
        num_rows = num_members * num_copies
        self._rows = np.arange(num_rows)
        self._capacity = _FIRST_CAPACITY
        kinds = {f"leaf{i}": kind for i, kind in enumerate(leaves)}
        kinds["latents"] = latent
        if num_actions:
            kinds["allowed"] = (num_actions,), np.dtype(np.bool_)
        for name in ("rewards", "returns"):
            kinds[name] = (), np.dtype(np.float64)
        kinds["times"] = (), np.dtype(np.int64)
        self._arrays: dict[str, Array] = {
            name: np.zeros((num_rows, self._capacity, *shape), dtype)
            for name, (shape, dtype) in kinds.items()
        }
        self._num_leaves = len(leaves)
        self.lengths = np.zeros(num_rows, dtype=np.int64)
        self.starts = np.zeros(num_rows, dtype=np.int64)
        self.ended = np.zeros(num_members, dtype=np.int64)

    @property
    def masked(self) -> bool:
        """Whether it holds the actions that could be chosen."""
        return "allowed" in self._arrays

    def add(
        self,
        leaves: Sequence[Shaped[Array, "rows ..."]],
        allowed: Bool[Array, "rows actions"] | None,
        latents: Shaped[Array, "rows ..."],
        rewards: Float64[Array, " rows"],
        taken: Bool[Array, " rows"],
    ) -> None:
        """Write a step.

        Args:
            leaves: (M * N, ...) leaves of the observations that were acted at.
            allowed: (M * N, A) the actions that could be chosen, or None for all.
            latents: (M * N, ...) what was drawn.
            rewards: (M * N,) rewards.
            taken: (M * N,) which rows took the step at all.
        """
        new = {f"leaf{i}": leaf for i, leaf in enumerate(leaves)}
        new["latents"], new["rewards"] = latents, rewards
        if "allowed" in self._arrays:
            of_rows = len(self._rows), self._arrays["allowed"].shape[2]
            new["allowed"] = np.ones(of_rows, np.bool_) if allowed is None else allowed
        new["times"] = self.lengths - self.starts
        rows, cursors = self._rows, self.lengths
        if not taken.all():
            rows, cursors = rows[taken], cursors[taken]
            new = {name: array[taken] for name, array in new.items()}
        for name, array in new.items():
            self._arrays[name][rows, cursors] = array
        self.lengths += taken
        if self.lengths.max() == self._capacity:
            self._resize(2 * self._capacity)

    def end(self, row: int, discount: float, last_value: float) -> None:
        """The running episode of a row has ended.

        Args:
            row: Which.
            discount: Gamma.
            last_value: What follows the last step: 0 where it terminated the episode.
        """
        begin, end = int(self.starts[row]), int(self.lengths[row])
        returns, after = [], last_value
        # Python's floats: a NumPy recursion would take ten times as long
        for reward in reversed(self._arrays["rewards"][row, begin:end].tolist()):
            after = reward + discount * after
            returns.append(after)
        self._arrays["returns"][row, begin:end] = returns[::-1]
        self.starts[row] = end
        self.ended[row // self._num_copies] += 1

    def forget_running(self) -> None:
        """Drop the running episodes."""
        self.lengths[:] = self.starts

    def take(
        self,
        member: int,
        *,
        discount: float | None,
        over_episodes: bool,
        padded: bool = False,
    ) -> EpisodeBatch:
        """A member's ended episodes, which leave the storage.

        Args:
            member: Which.
            discount: Gamma, where step t is weighed with gamma^t; None weighs all alike.
            over_episodes: Whether sums are divided by the number of episodes, in place of steps.
            padded: Whether to fill up to a power of two steps, so that few graphs are compiled.
        """
        parts = {
            name: self._ended_steps(member, array)
            for name, array in self._arrays.items()
            if name != "rewards"
        }
        steps = len(parts["returns"])
        room = max(_FIRST_CAPACITY, 1 << (steps - 1).bit_length()) if padded else steps
        tensors = {name: _filled_up(array, room) for name, array in parts.items()}
        weights = factors = None
        if padded:
            weights = (torch.arange(room) < steps).to(torch.float32).unsqueeze(0)
        if discount is not None:
            factors = (discount ** tensors["times"].double()).float()
        divisors = None
        if over_episodes:
            divisors = torch.tensor([self.ended[member]], dtype=torch.float32)
        self._leave(member)
        return EpisodeBatch(
            observations=tuple(tensors[f"leaf{i}"] for i in range(self._num_leaves)),
            allowed=tensors.get("allowed"),
            latents=tensors["latents"],
            returns=tensors["returns"].float(),
            factors=factors,
            weights=weights,
            divisors=divisors,
        )

    # ---- for checkpoints ------------------------------------------------------------------------

    def arrays(self, member: int | None) -> dict[str, Array]:
        """All steps of a member or of all: (M, N, T, ...) with T the steps of the longest row."""
        rows = self._rows if member is None else self._rows[self._of(member)]
        longest = int(self.lengths[rows].max())
        unused = np.arange(longest) >= self.lengths[rows, np.newaxis]
        found = {name: array[rows, :longest].copy() for name, array in self._arrays.items()}
        for array in found.values():
            array[unused] = 0  # leftovers: equal states give equal files
        running = np.arange(longest) >= self.starts[rows, np.newaxis]
        found["returns"][running] = 0  # they are not known before the episode ends
        found |= {"lengths": self.lengths[rows], "starts": self.starts[rows]}
        shape = len(rows) // self._num_copies, self._num_copies
        shaped = {name: array.reshape(*shape, *array.shape[1:]) for name, array in found.items()}
        ended = self.ended if member is None else self.ended[member : member + 1]
        return shaped | {"ended": ended}

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave of as many members.

        Raises:
            ValueError: An array is missing or of another shape or dtype: the file is damaged.
        """
        counts = {"lengths": self.lengths, "starts": self.starts, "ended": self.ended}
        rewards = saved.get("rewards")
        longest = rewards.shape[2] if rewards is not None and rewards.ndim == 3 else 0
        if longest >= self._capacity:
            self._resize(1 << longest.bit_length())
        for name, own in counts.items():
            own[...] = self._fitting(saved, name, own)
        for name, own in self._arrays.items():
            own[:, :longest] = self._fitting(saved, name, own[:, :longest])
        in_order = (self.starts >= 0) & (self.starts <= self.lengths) & (self.lengths <= longest)
        if not (in_order.all() and (self.ended >= 0).all() and (self._arrays["times"] >= 0).all()):
            raise ValueError("expected episodes within the steps of the file: it is damaged")

    def _fitting(self, saved: Mapping[str, Array], name: str, own: Array) -> Array:
        """A saved array in the shape of one's own."""
        array = saved.get(name)
        shape = own.shape
        if name != "ended":
            shape = self._num_members, self._num_copies, *own.shape[1:]
        if array is None or array.shape != shape or array.dtype != own.dtype:
            got = "none" if array is None else f"{array.shape} of {array.dtype}"
            raise ValueError(
                f"expected the episodes' {name} of shape {shape} and {own.dtype}, got {got}: the "
                "file is damaged"
            )
        return array.reshape(own.shape)

    # ---- inside ---------------------------------------------------------------------------------

    def _of(self, member: int) -> slice:
        return slice(member * self._num_copies, (member + 1) * self._num_copies)

    def _resize(self, capacity: int) -> None:
        for name, old in self._arrays.items():
            new = np.zeros((len(old), capacity, *old.shape[2:]), old.dtype)
            new[:, : old.shape[1]] = old
            self._arrays[name] = new
        self._capacity = capacity

    def _ended_steps(self, member: int, array: Array) -> Array:
        """(T, ...) row by row."""
        rows = self._rows[self._of(member)].tolist()
        return np.concatenate([array[row, : self.starts[row]] for row in rows])

    def _leave(self, member: int) -> None:
        for row in self._rows[self._of(member)].tolist():
            begin, end = int(self.starts[row]), int(self.lengths[row])
            if begin:
                for array in self._arrays.values():
                    array[row, : end - begin] = array[row, begin:end].copy()
        mine = self._of(member)
        self.lengths[mine] -= self.starts[mine]
        self.starts[mine] = 0
        self.ended[member] = 0


def _filled_up(array: Array, room: int) -> Tensor:
    """(1, room, ...) the array and zeros."""
    if len(array) < room:
        padding = np.zeros((room - len(array), *array.shape[1:]), array.dtype)
        array = np.concatenate([array, padding])
    return torch.from_numpy(array).unsqueeze(0)
