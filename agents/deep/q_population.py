r"""A population of deep Q-learners in its environments: acting, remembering, updating.

One round steps all copies of all members once; every fourth environment step (or as many as
``train_freq`` says) a batch is drawn from each member's memory and the networks are updated.
Members share the arithmetic and nothing else: each has its own streams of random numbers, memory
and environments.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        algorithm 1.
    M. Fortunato et al. (2018), Noisy networks for exploration, arXiv:1706.10295, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from .action_value_targets import importance_weights, masked_values
from .adam import AdamState
from .categorical_values import expected_values
from .layers import layer_noise
from .member_steps import AbstractMemberSteps, MemberTransitions
from .member_streams import MemberStreams, Streams
from .networks import QNetwork
from .q_update import QUpdate, UpdateBatch, UpdateResult
from .replay_memory import ReplayMemory

__all__ = ["QPopulation", "QSettings"]

Array = NDArray[Any]
Ints = NDArray[np.int64]
Leaves = tuple[Array, ...]


@dataclass(frozen=True)
class QSettings:
    """When a population acts at random, and when it learns; in environment steps of a member.

    Attributes:
        batch_size: B, transitions of a member in one update.
        learning_starts: Steps taken at random before the first update.
        train_freq: Steps between updates.
        gradient_steps: Updates each time.
        target_update_interval: Steps between two moves of the target network.
        tau: Its share of the way.
        atoms: (N,) of the values' distributions, or None for plain values.
        action_start: The environment's first action.
    """

    batch_size: int
    learning_starts: int
    train_freq: int
    gradient_steps: int
    target_update_interval: int
    tau: float
    atoms: Tensor | None
    action_start: int


class QPopulation:
    """M members with N copies of their environment each.

    Args:
        network: Of all members.
        update: Moves it.
        remember: Makes the members' memory, with or without masks, when it is known whether the
            environments give any.
        steps: The environments, M * N rows; None for a population that only acts.
        streams: The members' random numbers.
        settings: When it does what.

    Attributes:
        memory: The members' transitions; None before the first step.
        num_timesteps: Environment steps of one member so far.
        num_updates: Updates so far.
        last_update: What came of the latest one, or None before the first.
        last_actions: (M * N,) numbers of the latest actions.
        begun: Whether all rows are in an episode that the memory knows.
    """

    last_actions: Int64[Ints, " rows"]

    def __init__(
        self,
        network: QNetwork,
        update: QUpdate,
        remember: Callable[[bool], ReplayMemory],
        steps: AbstractMemberSteps | None,
        streams: Streams,
        settings: QSettings,
    ) -> None:
        self.network, self.update = network, update
        self._remember = remember
        self.memory: ReplayMemory | None = None
        self.streams, self.settings = streams, settings
        self._steps = steps
        self._members = len(streams.acting.generators)
        self.begun = False
        self._saved_place: tuple[dict[str, Array], Any] = ({}, None)
        self.num_timesteps = 0
        self.num_updates = 0
        self.last_update: UpdateResult | None = None

    def round(self, exploration_rate: float, importance_exponent: float) -> MemberTransitions:
        """Step all copies once, and learn where it is due.

        Args:
            exploration_rate: Epsilon, with which an action is random.
            importance_exponent: Beta of prioritised replay.

        Returns:
            The step.
        """
        steps = self._environments()
        memory = self._begin() if not self.begun or self.memory is None else self.memory
        actions = self._act(steps.leaves, steps.masks, exploration_rate)
        self.last_actions = actions
        self.begun = False  # should the environment raise, episodes begin anew
        found = steps.step(actions + self.settings.action_start)
        memory.add(
            found.taken,
            actions,
            found.rewards,
            found.terminated,
            found.truncated,
            found.next_leaves,
            found.next_masks,
        )
        if found.begun.any():
            memory.begin(found.begun, steps.leaves, steps.masks)
        self.begun = True
        before = self.num_timesteps
        # rows that wait for an episode take no step; with several members none waits
        self.num_timesteps += int(found.taken.sum()) // self._members
        self._learn(memory, before, importance_exponent)
        return found

    def values(
        self, leaves: Leaves, noise: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "members batch actions"]:
        """(M, B, A) values of the actions.

        Args:
            leaves: (M, B, ...) leaves of observations.
            noise: Of noisy layers.
        """
        with torch.no_grad():
            tensors = tuple(torch.from_numpy(np.ascontiguousarray(leaf)) for leaf in leaves)
            out: Tensor = self.network(tensors, noise)
            if self.settings.atoms is not None:
                out = expected_values(out, self.settings.atoms)
            return out

    def choose(
        self,
        leaves: Leaves,
        masks: Bool[Array, "rows actions"] | None,
        deterministic: bool,
        rate: float,
    ) -> Int64[Ints, " rows"]:
        """(R,) actions of the first member for observations that are nobody's steps.

        Args:
            leaves: (R, ...) leaves of observations.
            masks: (R, A) the actions allowed, or None for all.
            deterministic: Without exploration and noise.
            rate: Epsilon.
        """
        streams = self.streams.prediction
        noise = None if deterministic else self._noise(streams)
        greedy = self._greedy(tuple(leaf[np.newaxis] for leaf in leaves), masks, noise)
        if deterministic:
            return greedy
        uniforms = streams.uniforms(len(greedy), 2)[0]
        random = _random_actions(uniforms[:, 1], masks, self.network.num_actions)
        return np.where(uniforms[:, 0] < rate, random, greedy)

    # ---- inside ---------------------------------------------------------------------------------

    def _environments(self) -> AbstractMemberSteps:
        if self._steps is None:
            raise ValueError(
                "expected an environment to learn in, got none: load the agent with env=..."
            )
        return self._steps

    def _begin(self) -> ReplayMemory:
        steps = self._environments()
        copies = steps.num_rows // self._members
        seeds = self.streams.environments.integers(2**31, copies)
        steps.reset([int(seed) for seed in seeds.ravel()])
        if self.memory is None:
            self.memory = self._remember(steps.masks is not None)
        self.memory.begin(np.ones(steps.num_rows, dtype=np.bool_), steps.leaves, steps.masks)
        self.begun = True
        return self.memory

    def _act(
        self, leaves: Leaves, masks: Bool[Array, "rows actions"] | None, rate: float
    ) -> Int64[Ints, " rows"]:
        """(M * N,) numbers of actions."""
        members, rows = self._members, len(leaves[0])
        uniforms = self.streams.acting.uniforms(rows // members, 2).reshape(rows, 2)
        if self.num_timesteps < self.settings.learning_starts:
            rate = 1.0
        explores = uniforms[:, 0] < rate
        random = _random_actions(uniforms[:, 1], masks, self.network.num_actions)
        if explores.all():
            return random
        shaped = tuple(leaf.reshape(members, -1, *leaf.shape[1:]) for leaf in leaves)
        greedy = self._greedy(shaped, masks, self._noise(self.streams.noise))
        return np.where(explores, random, greedy)

    def _greedy(
        self,
        leaves: Leaves,
        masks: Bool[Array, "rows actions"] | None,
        noise: Sequence[Tensor] | None,
    ) -> Int64[Ints, " rows"]:
        values = self.values(leaves, noise)
        if masks is not None:
            allowed = torch.from_numpy(np.ascontiguousarray(masks))
            values = masked_values(values, allowed.view(values.shape))
        best: Ints = values.argmax(dim=-1).numpy().reshape(-1)
        return best

    def _noise(self, streams: MemberStreams) -> tuple[Tensor, ...] | None:
        shapes = self.network.noise_shapes
        return layer_noise(shapes, streams.generators) if shapes else None

    def _learn(self, memory: ReplayMemory, before: int, importance_exponent: float) -> None:
        settings, now = self.settings, self.num_timesteps
        if now > settings.learning_starts:
            for _ in range(now // settings.train_freq - before // settings.train_freq):
                for _ in range(settings.gradient_steps):
                    self._update(memory, importance_exponent)
        interval = settings.target_update_interval
        if now // interval > before // interval:
            self.update.move_targets(settings.tau)

    def _update(self, memory: ReplayMemory, importance_exponent: float) -> None:
        drawn = memory.sample(self.settings.batch_size, self.streams.sampling.generators)
        weights = None
        prioritised = memory.layout.prioritised
        if prioritised:
            size = torch.from_numpy(memory.size)
            weights = importance_weights(drawn.probabilities, size, importance_exponent)
        batch = UpdateBatch(
            observations=drawn.observations,
            actions=drawn.actions,
            rewards=drawn.rewards,
            discounts=drawn.discounts,
            next_observations=drawn.next_observations,
            next_masks=drawn.next_masks,
            weights=weights,
        )
        before, after, of_target = (self._noise(self.streams.noise) for _ in range(3))
        self.last_update = self.update(batch, (before, after, of_target))
        self.num_updates += 1
        if prioritised:
            memory.update_priorities(drawn.indices, self.last_update.errors)

    # ---- for checkpoints ------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Everything that is an array: networks, optimiser, memory, where the rows stand."""
        adam = self.update.adam
        found: dict[str, Array] = {"adam.decays": adam.decays.numpy()}
        for prefix, tensors in self._tensors(adam).items():
            found.update({f"{prefix}.{name}": tensor.numpy() for name, tensor in tensors.items()})
        if self.memory is not None:
            found.update({f"memory.{name}": array for name, array in self.memory.arrays().items()})
        return found | self._place()[0]

    def _place(self) -> tuple[dict[str, Array], Any]:
        """Where the rows stand: the observations to act on, and the environments' state."""
        if not self.begun or self._steps is None:
            return self._saved_place
        steps = self._steps
        leaves = {f"rows.leaf{i}": leaf for i, leaf in enumerate(steps.leaves)}
        masks = {} if steps.masks is None else {"rows.masks": steps.masks}
        return leaves | masks, steps.state()

    def header(self) -> dict[str, Any]:
        """The rest, as JSON holds it."""
        return {
            "num_timesteps": self.num_timesteps,
            "num_updates": self.num_updates,
            "streams": self.streams.state(),
            "environment": self._place()[1],
            "begun": self.begun,
            "remembers": self.memory is not None,
            "masks": self.memory is not None and self.memory.layout.mask_size > 0,
        }

    @property
    def tells_its_state(self) -> bool:
        """Whether `header` holds the environments' own state."""
        return self._steps is None or self._steps.state() is not None

    def restore(self, arrays: Mapping[str, Array], header: Mapping[str, Any]) -> bool:
        """Go on where a population stood.

        Returns:
            Whether the environments do too; if not, they begin new episodes.

        Raises:
            ValueError: An array is missing or of another shape: the file is damaged.
        """
        adam = self.update.adam
        for prefix, tensors in self._tensors(adam).items():
            for name, tensor in tensors.items():
                _fill(tensor, arrays, f"{prefix}.{name}")
        _fill(adam.decays, arrays, "adam.decays")
        if header["remembers"]:
            self.memory = self._remember(bool(header["masks"]))
            self.memory.restore(
                {
                    name.removeprefix("memory."): array
                    for name, array in arrays.items()
                    if name.startswith("memory.")
                }
            )
        self.streams.restore(header["streams"])
        self.num_timesteps, self.num_updates = header["num_timesteps"], header["num_updates"]
        if not header["begun"]:
            return True
        rows = {name: array for name, array in arrays.items() if name.startswith("rows.")}
        if self._steps is None:
            self._saved_place = rows, header["environment"]
            self.begun = True
            return True
        if header["environment"] is None:
            return False
        try:
            self._steps.restore(header["environment"])
        except ValueError:  # of other environments
            return False
        num_leaves = sum(name.startswith("rows.leaf") for name in rows)
        self._steps.leaves = tuple(rows[f"rows.leaf{i}"] for i in range(num_leaves))
        self._steps.masks = rows.get("rows.masks")
        self.begun = True
        return True

    def _tensors(self, adam: AdamState) -> dict[str, dict[str, Tensor]]:
        names = list(self.update.parameters)
        return {
            "parameters": self.update.parameters,
            "targets": self.update.targets,
            "means": dict(zip(names, adam.means, strict=True)),
            "squares": dict(zip(names, adam.squares, strict=True)),
        }


def _random_actions(
    uniforms: Float[Array, " rows"], masks: Bool[Array, "rows actions"] | None, num_actions: int
) -> Int64[Ints, " rows"]:
    """(R,) an allowed action for each uniform number."""
    if masks is None:
        return (uniforms * num_actions).astype(np.int64)
    counts = masks.sum(axis=1)
    nth = (uniforms * counts).astype(np.int64)  # of the allowed ones
    chosen: Ints = (masks.cumsum(axis=1) > nth[:, np.newaxis]).argmax(axis=1)
    return chosen


def _fill(tensor: Tensor, arrays: Mapping[str, Array], name: str) -> None:
    saved = arrays.get(name)
    if saved is None or saved.shape != tuple(tensor.shape):
        found = "nothing" if saved is None else f"shape {saved.shape}"
        raise ValueError(f"expected {name} of shape {tuple(tensor.shape)}, got {found}")
    tensor.copy_(torch.from_numpy(np.array(saved)))
