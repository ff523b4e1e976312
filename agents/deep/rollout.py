"""The last few steps of a population, which an actor-critic learns from once and forgets.

A roll-out has T slots for each of M members with N copies of their environment. Slot t holds what
was seen and drawn at step t and what came of it; one more observation, after the last step, is
kept for its value. Where an episode was truncated, the value of what the step really led to is
kept too, because the next slot holds the beginning of another episode.

Arrays are (M, T, N, ...), so that the steps of a member are one batch without copying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Shaped
from numpy.typing import NDArray

from .policy_gradient_losses import RolloutBatch

__all__ = ["Rollout"]

Array = NDArray[Any]

_DERIVED = ("discounts", "continues")  # worked out when the roll-out is full


class Rollout:
    """Room for T steps of M members with N copies each.

    Args:
        num_members: M.
        num_steps: T.
        num_copies: N.
        leaves: Shape and dtype of each leaf of an observation.
        latent: Shape and dtype of what is drawn.
        num_actions: A, where actions are masked; 0 where they are not.

    Attributes:
        filled: How many slots hold a step.

    Raises:
        ValueError: There is no room for the arrays.
    """

    def __init__(
        self,
        num_members: int,
        num_steps: int,
        num_copies: int,
        *,
        leaves: Sequence[tuple[tuple[int, ...], np.dtype[Any]]],
        latent: tuple[tuple[int, ...], np.dtype[Any]],
        num_actions: int = 0,
    ) -> None:
        self._sizes = num_members, num_steps, num_copies
        self.filled = 0
        longer = num_members, num_steps + 1, num_copies
        self._arrays: dict[str, Array] = {
            f"leaf{i}": np.zeros((*longer, *shape), dtype)
            for i, (shape, dtype) in enumerate(leaves)
        }
        self._num_leaves = len(leaves)
        self._arrays["latents"] = np.zeros((*self._sizes, *latent[0]), latent[1])
        if num_actions:
            self._arrays["allowed"] = np.ones((*self._sizes, num_actions), np.bool_)
        for name in (*_DERIVED, "rewards", "cut_values"):
            self._arrays[name] = np.zeros(self._sizes, np.float32)
        for name in ("terminated", "truncated", "taken"):
            self._arrays[name] = np.zeros(self._sizes, np.bool_)
        self._ended = np.zeros(self._sizes, np.bool_)
        # each member's steps are one batch, and time comes first where returns are computed
        self._batched = {
            name: torch.from_numpy(array).flatten(1, 2) for name, array in self._arrays.items()
        }
        self._over_time = {
            name: torch.from_numpy(self._arrays[name]).transpose(0, 1)
            for name in (*_DERIVED, "rewards", "cut_values", "truncated")
        }

    @property
    def masked(self) -> bool:
        """Whether it holds the actions that could be chosen."""
        return "allowed" in self._arrays

    @property
    def full(self) -> bool:
        """Whether all slots hold a step."""
        return self.filled == self._sizes[1]

    def begin_step(
        self,
        leaves: Sequence[Shaped[Array, "rows ..."]],
        allowed: Bool[Array, "rows actions"] | None,
        latents: Shaped[Array, "members copies ..."],
    ) -> None:
        """Write what was seen and drawn into the next slot, which the step's end will fill.

        Args:
            leaves: (M * N, ...) leaves of the observations.
            allowed: (M * N, A) the actions that could be chosen, or None for all.
            latents: (M, N, ...) what was drawn.
        """
        self._put_leaves(leaves, self.filled)
        arrays = self._arrays
        arrays["latents"][:, self.filled] = latents
        if "allowed" in arrays:
            slot = arrays["allowed"][:, self.filled]
            slot[...] = True if allowed is None else allowed.reshape(slot.shape)

    def end_step(
        self,
        rewards: Float64[Array, " rows"],
        terminated: Bool[Array, " rows"],
        truncated: Bool[Array, " rows"],
        taken: Bool[Array, " rows"],
        cut_values: Float[Array, " rows"] | None,
    ) -> None:
        """Write what came of the step, and go on to the next slot.

        Args:
            rewards: (M * N,) rewards.
            terminated: (M * N,) whether the step ended the episode.
            truncated: (M * N,) whether a cap cut the episode.
            taken: (M * N,) whether the row took its action at all.
            cut_values: (M * N,) value of what the step led to, where a cap cut the episode; None
                where none did.
        """
        arrays, t = self._arrays, self.filled
        shape = self._sizes[0], self._sizes[2]
        arrays["rewards"][:, t] = rewards.reshape(shape)
        arrays["terminated"][:, t] = terminated.reshape(shape)
        arrays["truncated"][:, t] = (truncated & ~terminated).reshape(shape)
        arrays["taken"][:, t] = taken.reshape(shape)
        arrays["cut_values"][:, t] = 0.0 if cut_values is None else cut_values.reshape(shape)
        self.filled += 1

    def batch(
        self,
        leaves: Sequence[Shaped[Array, "rows ..."]],
        discounts: Float32[Array, " members"],
        *,
        alike: bool = False,
    ) -> RolloutBatch:
        """All steps, as views of the arrays; the next one begins the roll-out anew.

        Args:
            leaves: (M * N, ...) leaves of the observations after the last step.
            discounts: (M,) each member's own.
            alike: Whether no part is left out, so that one compiled graph takes every batch.
        """
        self._put_leaves(leaves, self._sizes[1])
        self.filled = 0
        arrays = self._arrays
        np.logical_or(arrays["terminated"], arrays["truncated"], out=self._ended)
        np.logical_not(self._ended, out=arrays["continues"])
        np.logical_not(arrays["terminated"], out=arrays["discounts"])
        arrays["discounts"] *= discounts[:, np.newaxis, np.newaxis]
        over_time = self._over_time
        return RolloutBatch(
            observations=tuple(self._batched[f"leaf{i}"] for i in range(self._num_leaves)),
            allowed=self._batched.get("allowed"),
            latents=self._batched["latents"],
            rewards=over_time["rewards"],
            discounts=over_time["discounts"],
            continues=over_time["continues"],
            cut=over_time["truncated"] if alike or arrays["truncated"].any() else None,
            cut_values=over_time["cut_values"],
            weights=self._batched["taken"].float() if alike or not arrays["taken"].all() else None,
        )

    def clear(self) -> None:
        """Forget the steps."""
        self.filled = 0

    # ---- for checkpoints ------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """The slots that hold a step: (M, filled, N, ...) each."""
        return {
            name: array[:, : self.filled]
            for name, array in self._arrays.items()
            if name not in _DERIVED
        }

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Take over what `arrays` gave.

        Raises:
            ValueError: An array is missing or of another shape or dtype: the file is damaged.
        """
        filled = saved["rewards"].shape[1] if "rewards" in saved else -1
        for name in self.arrays():
            own = self._arrays[name]
            array = saved.get(name)
            expected = own[:, :filled]
            fits = array is not None and array.shape == expected.shape
            if array is None or not fits or array.dtype != own.dtype or not 0 <= filled:
                got = "none" if array is None else f"{array.shape} of {array.dtype}"
                raise ValueError(
                    f"expected a roll-out's {name} of shape {expected.shape} and {own.dtype}, "
                    f"got {got}: the file is damaged"
                )
            expected[...] = array
        self.filled = filled

    def _put_leaves(self, leaves: Sequence[Array], t: int) -> None:
        for i, leaf in enumerate(leaves):
            slot = self._arrays[f"leaf{i}"][:, t]
            slot[...] = leaf.reshape(slot.shape)
