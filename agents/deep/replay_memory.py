r"""Experience to learn from again: transitions of a population, drawn evenly or by priority.

A transition is an observation, the action taken, the n-step reward and what to bootstrap from,

.. math::
    r_t^{(n)} = \sum_{k=0}^{n-1} \gamma^k r_{t+k}, \qquad
    \text{target} = r_t^{(n)} + \gamma_t^{(n)} \max_a Q(s_{t+n}, a),

with :math:`\gamma_t^{(n)} = \gamma^n`, or 0 where the episode was terminated within these steps.
An episode that ends earlier gives shorter sums: termination adds nothing more, truncation
bootstraps from the last observation with the discount of the steps there were. Nothing crosses
episodes.

Observations are stored once, in the dtype of their space (`ObservationLeaves`), and of a stack of
frames only the newest; stacks are put together when they are drawn, padded with the first frame of
the episode as Gymnasium's ``FrameStackObservation`` does. `replay_kernels` says which transitions
are alive, `replay_layout` how large everything is.

Transitions are drawn evenly, or by priority (`replay_priorities`).

References:
    L.-J. Lin (1992), Self-improving reactive agents based on reinforcement learning, planning and
        teaching, Machine Learning 8: experience replay.
    R. S. Sutton (1988), Learning to predict by the methods of temporal differences, Machine
        Learning 3; M. Hessel et al. (2018), Rainbow, arXiv:1710.02298, section 3: n steps.
    F. Pardo et al. (2018), Time limits in reinforcement learning, arXiv:1712.00378.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from ...envs.arguments import real_number, whole_number
from ..tabular.compilation import entry_point
from .observation_leaves import ObservationLeaves
from .replay_folder import ReplayFolder
from .replay_kernels import (
    BAD_REWARD,
    NOT_BEGUN,
    Rings,
    append_steps,
    begin_episodes,
    draw_evenly,
    locate,
)
from .replay_layout import (
    ReplayLayout,
    allocated,
    announce,
    check_first_stacks,
    discounts_of,
)
from .replay_priorities import TransitionPriorities
from .replay_state import (
    check_rings,
    checked_priorities,
    filled,
    needed_by,
    restored_array,
    ring_arrays,
)

__all__ = ["Batch", "ReplayMemory"]

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Reals = NDArray[np.float32]

_STEP_PARTS = ("taken", "actions", "rewards", "terminated", "truncated")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Transitions drawn for M members, B for each.

    Attributes:
        observations: Leaves (M, B, ...) of the observations.
        actions: (M, B) actions taken.
        rewards: (M, B) n-step rewards.
        discounts: (M, B) discounts of what follows, 0 where the episode terminated.
        next_observations: Leaves (M, B, ...) of the observations to bootstrap from.
        next_masks: (M, B, A) the actions allowed there, or None where masks are not stored.
        indices: (M, B) numbers of the transitions, for `ReplayMemory.update_priorities`.
        probabilities: (M, B) with which they were drawn.
    """

    observations: tuple[Tensor, ...]
    actions: Int64[Tensor, "members batch"]
    rewards: Float32[Tensor, "members batch"]
    discounts: Float32[Tensor, "members batch"]
    next_observations: tuple[Tensor, ...]
    next_masks: Bool[Tensor, "members batch actions"] | None
    indices: Int64[Integers, "members batch"]
    probabilities: Float32[Tensor, "members batch"]


class ReplayMemory:
    """The latest transitions of M members that step N copies of their environment each.

    Everything is allocated at once, and its size is logged before.

    Args:
        leaves: Of the observations.
        capacity: C, transitions kept to each member.
        num_actions: Actions are whole numbers below it.
        members: M.
        copies: N.
        discount: Of one step, in [0, 1]; one for all members, or M.
        n_step: Rewards that are added up before bootstrapping.
        frame_stack: K, where observations are stacks (K, ...) of frames, padded with the first
            one; only the newest frame is kept. 1 for observations that are no such stacks.
        masks: Whether the allowed actions are stored beside each observation.
        priority_exponent: Alpha, how much priorities matter, or None to draw evenly.
        episode_length: A length that episodes have on average at least; decides how much room
            there is for observations (see `replay_layout`).
        folder: Where observations are kept in files instead of memory (see `replay_folder`).

    Attributes:
        layout: Shapes of everything.
        discounts: (M,) of one step.

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is out of range, the observations are no stacks of K, the memory
            does not fit, or the folder holds another one.

    Example:
        >>> from gymnasium.spaces import Box
        >>> memory = ReplayMemory(ObservationLeaves(Box(0, 9, (1,))), 100, num_actions=2)
        >>> memory.begin(np.array([True]), (np.array([[0.0]], dtype=np.float32),))
        >>> yes, no = np.array([True]), np.array([False])
        >>> next_leaves = (np.array([[1.0]], dtype=np.float32),)
        >>> memory.add(yes, np.array([1]), np.array([2.5]), no, no, next_leaves)
        >>> batch = memory.sample(3, [np.random.default_rng(0)])
        >>> batch.rewards, batch.next_observations[0].shape
        (tensor([[2.5000, 2.5000, 2.5000]]), torch.Size([1, 3, 1]))
    """

    def __init__(
        self,
        leaves: ObservationLeaves,
        capacity: int,
        *,
        num_actions: int,
        members: int = 1,
        copies: int = 1,
        discount: float | Sequence[float] = 0.99,
        n_step: int = 1,
        frame_stack: int = 1,
        masks: bool = False,
        priority_exponent: float | None = None,
        episode_length: int = 16,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.num_actions = whole_number(num_actions, "num_actions", least=1)
        num_members = whole_number(members, "members", least=1)
        self.discounts = discounts_of(discount, num_members)
        exponent = priority_exponent
        if exponent is not None:
            exponent = real_number(exponent, "priority_exponent", least=0)
        self.layout = ReplayLayout.of(
            leaves,
            capacity=whole_number(capacity, "capacity", least=1),
            members=num_members,
            copies=whole_number(copies, "copies", least=1),
            n_step=whole_number(n_step, "n_step", least=1),
            frame_stack=whole_number(frame_stack, "frame_stack", least=1, most=256),
            episode_length=whole_number(episode_length, "episode_length", least=1),
            mask_size=self.num_actions if masks else 0,
            prioritised=exponent is not None,
        )
        place = None if folder is None else Path(folder)
        announce(self.layout, place)
        self._folder = None if place is None else ReplayFolder(place, self.layout)
        self._observations = (
            allocated(self.layout.observations) if self._folder is None else self._folder.arrays
        )
        # one row for each observation of any member and copy
        self._rows = [ring.reshape(-1, *ring.shape[3:]) for ring in self._observations.values()]
        self._rings = Rings(**allocated(self.layout.rings))
        self._rings.last_needs[:] = -1
        self._priorities = (
            None if exponent is None else TransitionPriorities(self._rings, exponent)
        )
        self._compile()

    @property
    def size(self) -> Int64[Integers, " members"]:
        """(M,) transitions that can be drawn."""
        return self._rings.written - self._rings.oldest

    @property
    def nbytes(self) -> int:
        """Bytes of everything, files included."""
        return self.layout.nbytes

    def begin(
        self, begun: Bool[Bools, " copies"], leaves: Sequence[Array], masks: Bools | None = None
    ) -> None:
        """Tell first observations of episodes.

        An episode that is still running is taken as cut at its newest observation.

        Args:
            begun: (M * N,) the copies of which an episode begins, member by member.
            leaves: (M * N, ...) leaves of a batch, read where ``begun``.
            masks: (M * N, A) the actions allowed, if they are stored.

        Raises:
            ValueError: A shape or dtype is wrong, or a stack does not consist of one frame;
                nothing has changed.
        """
        self._check_rows(begun, "begun", self._inputs[0].dtype)
        stored = self._checked(leaves, masks)
        if self.layout.frame_stack > 1:
            check_first_stacks(leaves, begun)
        if self._folder is not None and not self._rings.counts.any():
            self._folder.begin_anew()
        np.copyto(self._inputs[0], begun)
        num_rows = self._begin(self._rings, self._inputs[0], *self._destinations)
        self._store(num_rows, stored)

    def add(
        self,
        taken: Bool[Bools, " copies"],
        actions: Array,
        rewards: Array,
        terminated: Bool[Bools, " copies"],
        truncated: Bool[Bools, " copies"],
        next_leaves: Sequence[Array],
        next_masks: Bools | None = None,
    ) -> None:
        """Tell one step of all copies.

        Args:
            taken: (M * N,) which copies took a step; the rest is not read of the others.
            actions: (M * N,) actions.
            rewards: (M * N,) rewards.
            terminated: (M * N,) whether the step ended the episode.
            truncated: (M * N,) whether a cap cut the episode.
            next_leaves: (M * N, ...) leaves of what the steps led to, also where an episode
                ended: not the first observations of the next ones, which go to `begin`.
            next_masks: (M * N, A) the actions allowed there, if masks are stored.

        Raises:
            ValueError: A shape or dtype is wrong, a reward is not finite, an action out of range,
                or a copy is in no episode; nothing has changed.
        """
        stored = self._checked(next_leaves, next_masks)
        given = [taken, actions, rewards, terminated, truncated]
        for i, (own, value) in enumerate(zip(self._inputs, given, strict=True)):
            if value.dtype is own.dtype and value.shape == own.shape and value.flags.c_contiguous:
                continue
            self._check_rows(value, _STEP_PARTS[i], own.dtype)
            np.copyto(own, value)
            given[i] = own
        num_rows = self._append(
            self._rings,
            *given,
            self.num_actions,
            self.discounts,
            self.layout.frame_stack,
            *self._destinations,
        )
        if num_rows < 0:
            self._refuse(num_rows, actions, rewards)
        self._store(num_rows, stored)

    def sample(self, batch_size: int, generators: Sequence[np.random.Generator]) -> Batch:
        """Draw transitions, with replacement.

        Args:
            batch_size: B, for each member.
            generators: M sources of randomness.

        Returns:
            The batch: tensors in ordinary memory, which later steps do not change.

        Raises:
            ValueError: A member has no transition yet, or the generators are not M.
        """
        size = self.size
        if not size.all():
            raise ValueError(
                "expected a transition in every member's memory before drawing, got none in that "
                f"of member {int(np.flatnonzero(size == 0)[0])}"
            )
        if len(generators) != len(size):
            raise ValueError(f"expected {len(size)} generators, got {len(generators)}")
        if self._priorities is None:
            uniforms = np.empty((len(size), batch_size))
            for row, generator in zip(uniforms, generators, strict=True):
                generator.random(out=row)
            indices = np.empty(uniforms.shape, dtype=np.int64)
            probabilities = np.empty(uniforms.shape, dtype=np.float32)
            self._draw_evenly(self._rings, uniforms, indices, probabilities)
        else:
            indices, exact = self._priorities.draw(batch_size, generators)
            probabilities = exact.astype(np.float32)
        return self._batch(indices, probabilities)

    def update_priorities(
        self,
        indices: Int64[Integers, "members batch"],
        errors: Float[Array, "members batch"] | Float[Tensor, "members batch"],
    ) -> None:
        """Tell how far off the values of drawn transitions were.

        Args:
            indices: (M, B) from `Batch.indices`. Transitions that have gone since are passed
                over; of equal ones the last counts.
            errors: (M, B) temporal-difference errors, of any sign.

        Raises:
            ValueError: The memory has no priorities, an error is not finite, or the indices are
                none of this memory; nothing has changed.
        """
        if self._priorities is None:
            raise ValueError("expected a memory with priorities, got priority_exponent=None")
        if isinstance(errors, Tensor):
            errors = errors.detach().cpu().numpy()
        self._priorities.update(indices, errors)

    def arrays(self, member: int | None = None) -> dict[str, Array]:
        """What the memory needs to go on, of one member or of all, as numeric arrays by name.

        They are views, cut to what has been filled: write or copy them before the next step.
        Observations in a folder stay there; of these only a checksum is given.
        """
        part = slice(None) if member is None else slice(member, member + 1)
        rings = Rings(**{name: ring[part] for name, ring in self._rings._asdict().items()})
        found = ring_arrays(rings)
        if self._folder is None:
            slots = filled(rings.counts, self.layout.slots)
            rows = self._observations.items()
            found.update({name: ring[part, :, :slots] for name, ring in rows})
        elif member is None:
            self._folder.flush()
            found["checks"] = self._folder.checksums(self._rings.counts)
        else:
            raise ValueError("expected all members of a memory in a folder, got one of them")
        if self._priorities is not None:
            found.update(self._priorities.arrays(part))
        return found

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `arrays` gave to a memory of the same settings.

        A folder that went on since then lacks the oldest observations; the transitions that need
        them are left out, with a warning.

        Raises:
            ValueError: An array is missing or does not fit, the numbers cannot be those of a
                memory, or the folder does not hold its observations; nothing has changed.
        """
        rings = check_rings(self.layout, arrays, num_actions=self.num_actions)
        observations = self._restored_observations(arrays, rings)
        priorities = None
        if self._priorities is not None:
            priorities = checked_priorities(self.layout, arrays, rings)
        for name, array in observations.items():
            self._observations[name][:, :, : array.shape[2]] = array
        rings.last_needs[:] = needed_by(rings)
        for name, ring in rings._asdict().items():
            getattr(self._rings, name)[...] = ring
        if self._priorities is not None and priorities is not None:
            self._priorities.restore(*priorities)

    def _compile(self) -> None:
        """The kernels' entry points, and the arrays that they take and give."""
        num_rows = self.layout.members * self.layout.copies
        dtypes = (np.bool_, np.int64, np.float64, np.bool_, np.bool_)
        self._inputs = tuple(np.zeros(num_rows, dtype) for dtype in dtypes)
        self._destinations = tuple(np.zeros(num_rows, np.int64) for _ in range(2))
        rings, outputs = self._rings, self._outputs(1)
        uniforms, (_, indices, chances, _) = np.zeros(outputs[1].shape), outputs
        self._draw_evenly = entry_point(draw_evenly, rings, uniforms, indices, chances)
        self._begin = entry_point(begin_episodes, rings, self._inputs[0], *self._destinations)
        settings = (self.num_actions, self.discounts, self.layout.frame_stack)
        self._append = entry_point(
            append_steps, rings, *self._inputs, *settings, *self._destinations
        )
        self._locate = entry_point(locate, rings, outputs[1], *outputs)

    def _outputs(self, batch_size: int) -> tuple[Integers, Integers, Reals, Reals]:
        shape = (self.layout.members, batch_size)
        return (
            np.empty((2, *shape, self.layout.frame_stack), dtype=np.int64),
            np.empty(shape, dtype=np.int64),
            np.empty(shape, dtype=np.float32),
            np.empty(shape, dtype=np.float32),
        )

    def _batch(self, indices: Integers, probabilities: Reals) -> Batch:
        rows, actions, rewards, discounts = self._outputs(indices.shape[1])
        self._locate(self._rings, indices, rows, actions, rewards, discounts)
        newest = rows[..., -1]
        wanted = rows if self.layout.frame_stack > 1 else newest
        rings, next_masks = self._rows, None
        if self.layout.mask_size:
            *rings, masks = rings
            next_masks = torch.from_numpy(masks.take(newest[1], axis=0))
        drawn = [ring.take(wanted, axis=0) for ring in rings]
        return Batch(
            observations=tuple(torch.from_numpy(both[0]) for both in drawn),
            actions=torch.from_numpy(actions),
            rewards=torch.from_numpy(rewards),
            discounts=torch.from_numpy(discounts),
            next_observations=tuple(torch.from_numpy(both[1]) for both in drawn),
            next_masks=next_masks,
            indices=indices,
            probabilities=torch.from_numpy(probabilities),
        )

    def _store(self, num_rows: int, stored: Sequence[Array]) -> None:
        """Write observations where a kernel made room, and see to the priorities."""
        if self._folder is not None:
            self._folder.note(self._rings.counts)
        copies, rows = (places[:num_rows] for places in self._destinations)
        for ring, leaf in zip(self._rows, stored, strict=True):
            ring[rows] = leaf if num_rows == len(leaf) else leaf[copies]
        if self._priorities is not None:
            self._priorities.follow()

    def _checked(self, leaves: Sequence[Array], masks: Bools | None) -> list[Array]:
        """What is to be stored of a batch: its leaves, the newest frames of stacks, its masks."""
        layout, num_rows = self.layout, len(self._inputs[0])
        given = list(leaves)
        if layout.frame_stack > 1:
            if any(leaf.shape[1:2] != (layout.frame_stack,) for leaf in given):
                raise ValueError(f"expected stacks of {layout.frame_stack} frames, got others")
            given = [leaf[:, -1] for leaf in given]
        if (masks is not None) != bool(layout.mask_size):
            wanted = "masks" if layout.mask_size else "no masks"
            raise ValueError(f"expected {wanted} beside the observations, by the memory's masks=")
        if masks is not None:
            given.append(masks)
        if len(given) != len(self._rows):
            raise ValueError(f"expected {len(self._rows)} leaves, got {len(given)}")
        for leaf, ring in zip(given, self._rows, strict=True):
            if leaf.shape != (num_rows, *ring.shape[1:]) or leaf.dtype != ring.dtype:
                raise ValueError(
                    f"expected leaves {(num_rows, *ring.shape[1:])} of {ring.dtype}, got "
                    f"{leaf.shape} of {leaf.dtype}"
                )
        return given

    def _check_rows(self, values: Array, name: str, dtype: np.dtype[Any]) -> None:
        shape = self._inputs[0].shape
        if values.shape != shape or not np.can_cast(values.dtype, dtype, "same_kind"):
            raise ValueError(
                f"expected {name} {shape} of {dtype}, got {values.shape} of {values.dtype}"
            )

    def _refuse(self, fault: int, actions: Array, rewards: Array) -> None:
        row, kind = divmod(-fault, 4)
        copy = f"copy {row % self.layout.copies} of member {row // self.layout.copies}"
        if kind == -NOT_BEGUN:
            raise ValueError(f"expected an episode begun before its steps, got none in {copy}")
        if kind == -BAD_REWARD:
            raise ValueError(f"expected finite rewards, got {rewards[row]} in {copy}")
        raise ValueError(
            f"expected actions in [0, {self.num_actions}), got {actions[row]} in {copy}"
        )

    def _restored_observations(
        self, arrays: Mapping[str, Array], rings: Rings
    ) -> dict[str, Array]:
        """Those that a file holds; or a look at whether the folder still holds them."""
        if self._folder is None:
            slots = filled(rings.counts, self.layout.slots)
            return {
                name: restored_array(arrays, name, (*shape[:2], slots, *shape[3:]), dtype)
                for name, (shape, dtype) in self.layout.observations.items()
            }
        kind = np.dtype(np.uint32)
        checks = restored_array(arrays, "checks", rings.counts.shape, kind)
        lost = self._folder.check(rings, checks)
        if lost:
            _logger.warning(
                "replay memory: %s went on after the checkpoint; %d transitions are lost",
                self._folder.folder,
                lost,
            )
        return {}
