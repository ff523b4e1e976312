r"""Replay of steps that never were: a generator learns what was remembered, and adds its own.

A generator learns the joint distribution of whole steps (o, a, r, o', terminated), as one vector:
numbers in deviations from their means, categories one-hot, a bit for the end, which is drawn as
ended above 1/2. Every so many steps of the environment it learns again from what the memory then
holds, and fills a pool. Of every batch that the agent learns from, a share comes from the pool.
With many updates to a step the memory's few transitions are learnt by heart; the pool's are new.

It is for agents that learn from single transitions: DQN here (`add_synthetic_replay`), and the
off-policy agents of Stable-Baselines3 (`synthetic_replay_buffer`). What the generator gets wrong
the agent believes: `SyntheticFit` tells how far the pool's means and deviations are off.

References:
    C. Lu, P. J. Ball, Y. W. Teh, J. Parker-Holder (2023), Synthetic experience replay,
        arXiv:2303.06614 (there with EDM, half of each batch, learning anew every 10,000 steps).
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from ...configuration import build_config, check_fields
from ...generative.codec import Codec
from ...generative.data.dataset import Dataset, Events
from ...generative.data.environments import Transitions
from ...generative.generator import AbstractGenerator
from ...generative.training import FitResult, fit
from ...generative.world_model_fitting import TargetNoise
from ..deep.dqn import DQN
from ..deep.observation_leaves import ObservationLeaves
from ..deep.q_losses import UpdateBatch

__all__ = [
    "SyntheticFit",
    "SyntheticReplay",
    "SyntheticReplayConfig",
    "add_synthetic_replay",
    "transition_codec",
]

_RANGES = {
    "share": (0.0, 1.0, True),
    "first_fit": (2, math.inf, True),
    "refit_every": (1, math.inf, True),
    "num_samples": (1, math.inf, True),
    "temperature": (0.0, math.inf, True),
    "noise": (0.0, 1.0, True),
}
_CHUNK = 4_096  # events that are drawn at once


@dataclass(frozen=True)
class SyntheticReplayConfig:
    """Settings of `SyntheticReplay`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    share: float = 0.5
    """Of every batch that is synthetic."""
    first_fit: int = 5_000
    """Steps of the environment before the generator learns for the first time."""
    refit_every: int = 10_000
    """Steps between two times."""
    num_samples: int = 50_000
    """Steps in the pool, which is filled anew each time."""
    temperature: float = 1.0
    """Of the draws."""
    noise: float = 0.01
    """Deviation of noise on what is learnt, in deviations; bits and categories have ten times as
    much, so that densities of what is certain stay finite."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {})


@dataclass(frozen=True)
class SyntheticFit:
    """How the generator learnt, once.

    Attributes:
        training: How `fit` went.
        num_steps: Steps learnt from.
        mean_error: The largest distance of an entry's mean in the pool from that in the data, in
            its deviations.
        deviation_ratio: The ratio of deviations, pool to data, that is furthest from 1.
    """

    training: FitResult
    num_steps: int
    mean_error: float
    deviation_ratio: float


def transition_codec(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> Codec:
    """Of whole steps; its ``event_shape`` is that of the generator to make.

    Example:
        >>> transition_codec(spaces.Box(-1, 1, (4,)), spaces.Discrete(2)).event_shape
        (12,)
    """
    return Codec(
        spaces.Dict(
            observation=observation_space,
            action=action_space,
            reward=spaces.Box(-np.inf, np.inf, (1,), np.float64),
            next_observation=observation_space,
            terminated=spaces.MultiBinary(1),
        )
    )


class SyntheticReplay:
    """A generator of steps, with its pool.

    Args:
        generator: Of events of `transition_codec`, vectors of real numbers, without a context; it
            is trained in place.
        observation_space: Of the environment.
        action_space: Of the environment.
        seed: Of training and draws.
        fit_settings: Of `fit`, each time.
        settings: Fields of `SyntheticReplayConfig`.

    Attributes:
        config: The settings.
        observation_space: Of the environment.
        action_space: Of the environment.
        fits: What came of each training.

    Raises:
        TypeError: There is no generator, or a setting is unknown.
        ValueError: The generator has other events, or a setting is out of range.

    Example:
        >>> from gymagine.generative import RealNVP, transitions
        >>> box, two = spaces.Box(-np.inf, np.inf, (4,), np.float32), spaces.Discrete(2)
        >>> flow, few = RealNVP((12,), num_couplings=2), {"num_updates": 20}
        >>> replay = SyntheticReplay(flow, box, two, num_samples=100, fit_settings=few)
        >>> replay.learn(transitions("CartPole-v1", 200)).num_steps
        200
        >>> replay.draw(3, np.random.default_rng(0)).action.shape
        (3,)
    """

    def __init__(
        self,
        generator: AbstractGenerator,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        seed: int = 0,
        fit_settings: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        if not isinstance(generator, AbstractGenerator):
            raise TypeError(f"expected a generator of steps, got {type(generator).__name__}")
        self.config: SyntheticReplayConfig = build_config(
            SyntheticReplayConfig, settings, type(self).__name__
        )
        self.observation_space, self.action_space = observation_space, action_space
        self._codec = transition_codec(observation_space, action_space)
        if generator.context_shape is not None or generator.support.is_discrete:
            raise ValueError(
                "expected a generator of real numbers without a context, got a "
                f"{type(generator).__name__} in {generator.support}"
            )
        if generator.event_shape != self._codec.event_shape:
            raise ValueError(
                f"expected a generator of steps of shape {self._codec.event_shape} (observation, "
                "action, reward, next observation, terminated), got a "
                f"{type(generator).__name__} of {generator.event_shape}"
            )
        self._generator, self._fit_settings = generator, dict(fit_settings or {})
        self._seed = seed
        self._pool: Transitions | None = None
        self._next_fit: int = self.config.first_fit
        self.fits: list[SyntheticFit] = []

    @property
    def is_ready(self) -> bool:
        """Whether there is a pool to draw from."""
        return self._pool is not None

    def is_due(self, num_steps: int) -> bool:
        """Whether to `learn`, after so many steps of the environment."""
        return num_steps >= self._next_fit

    def learn(self, data: Transitions, num_steps: int | None = None) -> SyntheticFit:
        """Learn from steps, and fill the pool.

        Args:
            data: What the memory holds.
            num_steps: Of the environment so far, from which the next time is counted; None is the
                number of those in ``data``.

        Raises:
            ValueError: They do not fit the spaces.

        Warns:
            UserWarning: A mean in the pool is off by half a deviation, or a deviation by a factor
                of 2.
        """
        values = _values_of(data)
        scaled = Codec.fitted(self._codec.space, values, "z-score")
        self._codec.normaliser.load_state_dict(scaled.normaliser.state_dict())
        x = self._codec.encode(values).to(self._generator.example)
        seed = self._seed + len(self.fits)
        noise = TargetNoise(self._deviations())
        found = fit(
            self._generator, Dataset(Events(x), prepare=noise), seed=seed, **self._fit_settings
        )
        pool = self._sampled(torch.Generator(device=x.device).manual_seed(seed))
        self._pool = _steps_of(self._codec.decode(pool))
        scale = x.std(dim=0, correction=0)
        varies = scale > 0
        scale = torch.where(varies, scale, 1.0)
        ratios = torch.where(varies, pool.std(dim=0, correction=0) / scale, 1.0)
        self.fits.append(
            SyntheticFit(
                training=found,
                num_steps=len(data),
                mean_error=float(((pool.mean(dim=0) - x.mean(dim=0)) / scale).abs().max()),
                deviation_ratio=float(ratios[(ratios - 1).abs().argmax()]),
            )
        )
        _warn_of_poor(self.fits[-1])
        taken = len(data) if num_steps is None else num_steps
        self._next_fit = taken + self.config.refit_every
        return self.fits[-1]

    def draw(self, num: int, rng: np.random.Generator) -> Transitions:
        """Steps of the pool, with replacement; none of them follows another.

        Raises:
            ValueError: Nothing was learnt yet.
        """
        if self._pool is None:
            raise ValueError("expected a pool to draw from, got none: call learn first")
        rows = rng.integers(len(self._pool), size=num)
        parts = {field.name: getattr(self._pool, field.name) for field in _FIELDS}
        return Transitions(**{name: _taken(part, rows) for name, part in parts.items()})

    def _sampled(self, rng: torch.Generator) -> Tensor:
        """(N, D) events of the generator."""
        left, found = self.config.num_samples, []
        while left > 0:
            size = min(left, _CHUNK)
            temperature = self.config.temperature
            found.append(self._generator.sample(size, temperature=temperature, rng=rng))
            left -= size
        return torch.cat(found)

    def _deviations(self) -> tuple[float, ...]:
        noise = np.full(self._codec.event_shape, self.config.noise)
        for part in self._codec.parts:
            if part.kind in ("category", "bits"):
                noise[part.entries] *= 10
        return tuple(noise.tolist())


_FIELDS = dataclasses.fields(Transitions)


# ---- DQN ----------------------------------------------------------------------------------------


def add_synthetic_replay(agent: DQN, replay: SyntheticReplay, *, seed: int = 0) -> None:
    """Let a DQN learn from synthetic transitions too, from its next step on.

    A share of each batch that it draws from its memory is replaced. Neither pool nor generator are
    in the agent's file: one that is loaded learns without, until this is called again.

    Args:
        agent: Without priorities, stacked frames, sums of rewards (``n_step``) and action masks.
        replay: Of the agent's spaces.
        seed: Of the draws.

    Raises:
        TypeError: The agent is no DQN, or the replay is none.
        ValueError: The agent's memory is of another kind, or the spaces differ.
    """
    if not isinstance(agent, DQN):
        raise TypeError(f"expected a DQN, got {type(agent).__name__}")
    if not isinstance(replay, SyntheticReplay):
        raise TypeError(f"expected a SyntheticReplay, got {type(replay).__name__}")
    config = agent.config
    if config.prioritised or max(config.frame_stack, config.n_step) > 1:
        raise ValueError(
            "expected a DQN of single transitions without priorities, got prioritised="
            f"{config.prioritised}, frame_stack={config.frame_stack}, n_step={config.n_step}"
        )
    if agent.learners.num_members > 1:
        raise ValueError(f"expected a DQN alone, got one of {agent.learners.num_members} members")
    found = (replay.observation_space, replay.action_space)
    if found != (agent.observation_space, agent.action_space):
        raise ValueError(
            f"expected a replay of {agent.observation_space} and {agent.action_space}, got one of "
            f"{found[0]} and {found[1]}"
        )
    learners: Any = agent.learners
    learners.update = _MixedUpdate(agent, replay, seed)


class _MixedUpdate:
    """The agent's update, on batches of which a share is synthetic.

    It stands between memory and update, and is asked for all else that an update is.
    """

    def __init__(self, agent: DQN, replay: SyntheticReplay, seed: int) -> None:
        self._inner: Any = agent.learners.update
        self._learners, self._replay = agent.learners, replay
        self._leaves = ObservationLeaves(agent.observation_space)
        self._discount = float(agent.config.discount)
        self._start = agent.learners.settings.action_start
        self._space = agent.observation_space
        self._random = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, batch: UpdateBatch, noise: Any) -> Any:
        """Update on a batch that is partly synthetic."""
        if batch.next_masks is not None:
            raise ValueError("expected no action masks, which synthetic transitions have none of")
        num_steps = self._learners.num_timesteps
        if self._replay.is_due(num_steps):
            self._replay.learn(self._remembered(), num_steps)
        if self._replay.is_ready:
            batch = self._mixed(batch)
        return self._inner(batch, noise)

    def _mixed(self, batch: UpdateBatch) -> UpdateBatch:
        num = round(self._replay.config.share * batch.actions.shape[1])
        if not num:
            return batch
        steps = self._replay.draw(num, self._random)
        kept = batch.actions.shape[1] - num
        bootstrap = np.where(steps.terminated, 0.0, self._discount).astype(np.float32)

        def joined(real: Tensor, synthetic: NDArray[Any]) -> Tensor:
            added = torch.from_numpy(np.ascontiguousarray(synthetic)).to(real)
            return torch.cat([real[:, :kept], added[None]], dim=1)

        before, after = (
            self._leaves.of_batch(part) for part in (steps.observation, steps.next_observation)
        )
        pairs = [
            tuple(joined(real, own) for real, own in zip(reals, owns, strict=True))
            for reals, owns in (
                (batch.observations, before),
                (batch.next_observations, after),
            )
        ]
        return batch._replace(
            observations=pairs[0],
            next_observations=pairs[1],
            actions=joined(batch.actions, steps.action - self._start),
            rewards=joined(batch.rewards, steps.reward),
            discounts=joined(batch.discounts, bootstrap),
        )

    def _remembered(self) -> Transitions:
        """As many transitions as the memory has, drawn evenly from it."""
        memory = self._learners.memory
        assert memory is not None, "there is an update of what is remembered"
        drawn = memory.sample(int(memory.size[0]), [self._random])
        before, after = (
            _nested(self._space, self._leaves, [leaf[0].numpy() for leaf in leaves])
            for leaves in (drawn.observations, drawn.next_observations)
        )
        ended = (drawn.discounts[0] == 0).numpy()
        return Transitions(
            observation=before,
            action=drawn.actions[0].numpy() + self._start,
            reward=drawn.rewards[0].double().numpy(),
            next_observation=after,
            terminated=ended,
            truncated=np.zeros(len(ended), dtype=bool),
        )


# ---- steps as values of one space ---------------------------------------------------------------


def _values_of(data: Transitions) -> dict[str, Any]:
    return {
        "observation": data.observation,
        "action": data.action,
        "reward": data.reward[:, None],
        "next_observation": data.next_observation,
        "terminated": data.terminated[:, None].astype(np.int8),
    }


def _steps_of(values: Mapping[str, Any]) -> Transitions:
    return Transitions(
        observation=values["observation"],
        action=values["action"],
        reward=values["reward"][:, 0].astype(np.float64),
        next_observation=values["next_observation"],
        terminated=values["terminated"][:, 0].astype(bool),
        truncated=np.zeros(len(values["terminated"]), dtype=bool),
    )


def _warn_of_poor(found: SyntheticFit) -> None:
    if found.mean_error > 0.5 or not 0.5 < found.deviation_ratio < 2:
        warnings.warn(
            f"synthetic steps are unlike the {found.num_steps} that were learnt from: a mean is "
            f"off by {found.mean_error:.2g} deviations, a deviation by a factor of "
            f"{found.deviation_ratio:.2g}; more updates, or a generator without far outliers, are "
            "needed",
            stacklevel=3,
        )


def _taken(part: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(part, dict):
        return {key: _taken(own, rows) for key, own in part.items()}
    if isinstance(part, tuple):
        return tuple(_taken(own, rows) for own in part)
    return part[rows]


def _nested(space: spaces.Space[Any], leaves: ObservationLeaves, found: list[Any]) -> Any:
    """A batch of observations, of its one leaf."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        raise ValueError(f"expected observations of one array, got {space}")
    return found[0] + np.asarray(leaves.starts[0], dtype=found[0].dtype)
