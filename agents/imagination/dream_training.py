r"""Learning in a world model, from few real steps.

In rounds: take real steps, at random at first and then with the agent; train the world model on
all of them; let the agent learn in imagined episodes. One round is training only in the dream (Ha
& Schmidhuber). Several, with short episodes that begin at any step of the data, are Dyna with a
deep model, as in MBPO, but that the agent learns from imagined steps only.

References:
    R. S. Sutton (1991), Dyna, an integrated architecture for learning, planning, and reacting,
        SIGART Bulletin 2(4).
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122.
    M. Janner, J. Fu, M. Zhang, S. Levine (2019), When to trust your model: model-based policy
        optimization, arXiv:1906.08253, algorithm 2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from jaxtyping import Float64

from ...configuration import check_fields
from ...envs.imagined import ImaginedVectorEnv
from ...envs.imagined_starts import DataStarts, StartPlace
from ...generative.abstract_world_model import AbstractWorldModel
from ...generative.data.demonstrations import joined_transitions
from ...generative.data.environments import Transitions, transitions
from ...generative.world_model_fitting import WorldModelFit, fit_scales, fit_world_model
from ...generative.world_model_state import AbstractWorldState
from ..agent import AbstractAgent

__all__ = ["AgentMaker", "DreamSettings", "DreamTraining", "dreamt_returns", "learn_in_dreams"]

AgentMaker = Callable[[ImaginedVectorEnv], AbstractAgent]
"""A new agent in an imagined environment."""

_RANGES = {
    "real_steps": (20, math.inf, True),
    "rounds": (1, math.inf, True),
    "dream_steps": (1, math.inf, True),
    "num_envs": (1, math.inf, True),
    "horizon": (1, math.inf, True),
    "temperature": (0.0, math.inf, True),
    "pessimism": (0.0, math.inf, True),
}


@dataclass(frozen=True)
class DreamSettings:
    """How an agent learns in a dream.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    real_steps: int = 5_000
    """Steps in the real environment, over all rounds: at random at first, then by the agent."""
    rounds: int = 1
    """Of real steps, training of the world model, and dreaming."""
    dream_steps: int = 50_000
    """Imagined steps to learn from, over all rounds."""
    num_envs: int = 8
    """Episodes that are imagined together."""
    horizon: int = 500
    """Steps after which an imagined episode is truncated."""
    start_at: StartPlace = "first"
    """Where imagined episodes begin: at first steps of real ones, or at any."""
    temperature: float = 1.0
    """Of what is imagined: more makes it less certain, and harder to exploit."""
    pessimism: float = 0.0
    """Reward that a unit of the ensemble's disagreement costs."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {"start_at": get_args(StartPlace)})
        if self.rounds > min(self.real_steps, self.dream_steps):
            raise ValueError(f"expected steps for each of {self.rounds} rounds, got fewer")


@dataclass(frozen=True)
class DreamTraining:
    """What came of learning in a dream.

    Attributes:
        agent: The agent.
        model: The world model, in evaluation mode.
        fits: How its training went, a round each; none where it was not trained.
        data: All real steps.
        num_imagined: Steps that were imagined.
        share_clipped: Of these, those that left the observation space and were moved into it.
    """

    agent: AbstractAgent
    model: AbstractWorldModel
    fits: tuple[WorldModelFit, ...]
    data: Transitions
    num_imagined: int
    share_clipped: float


class _LatestStarts:
    """Begins at steps of the data that there are by now."""

    def __init__(self, model: AbstractWorldModel, place: StartPlace) -> None:
        self._model, self._place = model, place
        self._starts: DataStarts | None = None

    def renew(self, data: Transitions) -> None:
        self._starts = DataStarts(self._model, data, self._place)

    def __call__(self, num: int, rng: np.random.Generator) -> AbstractWorldState:
        assert self._starts is not None
        return self._starts(num, rng)


def learn_in_dreams(
    make_agent: AgentMaker,
    model: AbstractWorldModel,
    env: gymnasium.Env[Any, Any],
    settings: DreamSettings | None = None,
    *,
    seed: int = 0,
    fit_settings: Mapping[str, Any] | None = None,
    is_trained: bool = True,
    progress_bar: bool = False,
) -> DreamTraining:
    """Let a new agent learn in a world model of an environment.

    Args:
        make_agent: Makes the agent, in the imagined environment that it is given.
        model: The world model; it is trained in place.
        env: The real environment, of which ``real_steps`` are taken and no more.
        settings: How.
        seed: Of real steps and of the model's training; the agent's own is that of the dream, too.
        fit_settings: Of `fit_world_model`.
        is_trained: Whether the model is trained. Without, it knows the scales of the data only:
            the control that tells what its training is worth.
        progress_bar: Show one for the model's training.

    Raises:
        ValueError: The environment's spaces are not the model's.

    Warns:
        UserWarning: The model does not beat copying the last observation.

    Example:
        >>> import torch
        >>> from gymagine.agents.deep import DQN
        >>> from gymagine.generative import ConditionalGaussian, WorldModel
        >>> env = gymnasium.make("CartPole-v1")
        >>> model = WorldModel(env.observation_space, env.action_space, ConditionalGaussian)
        >>> small = DreamSettings(real_steps=100, dream_steps=200, num_envs=4)
        >>> found = learn_in_dreams(
        ...     lambda dream: DQN(dream, seed=0), model, env, small, is_trained=False
        ... )
        >>> found.num_imagined // 10, len(found.data)
        (20, 100)
    """
    settings = settings or DreamSettings()
    for title in ("observation_space", "action_space"):
        own, other = getattr(model, title), getattr(env, title)
        if own != other:
            raise ValueError(f"expected an environment with {title} {own}, got {other}")
    starts = _LatestStarts(model, settings.start_at)
    dream = ImaginedVectorEnv(
        model,
        starts,
        settings.num_envs,
        horizon=settings.horizon,
        temperature=settings.temperature,
        pessimism=settings.pessimism,
    )
    agent: AbstractAgent | None = None
    parts: list[Transitions] = []
    fits: list[WorldModelFit] = []
    real = _shares(settings.real_steps, settings.rounds)
    imagined = _shares(settings.dream_steps, settings.rounds)
    for number, (num_real, num_imagined) in enumerate(zip(real, imagined, strict=True)):
        parts.append(_ended(transitions(env, num_real, agent, seed=_seed(seed, number))))
        data = joined_transitions(parts)
        if is_trained:
            given = {"progress_bar": progress_bar, **(fit_settings or {})}
            fits.append(fit_world_model(model, data, seed=_seed(seed, number), **given))
        else:
            fit_scales(model.eval(), data)
        starts.renew(data)
        agent = agent or make_agent(dream)
        agent.learn(num_imagined)
    assert agent is not None
    return DreamTraining(
        agent=agent,
        model=model,
        fits=tuple(fits),
        data=data,
        num_imagined=dream.num_steps,
        share_clipped=dream.num_clipped / max(dream.num_steps, 1),
    )


def dreamt_returns(
    training: DreamTraining, settings: DreamSettings, num_episodes: int, *, seed: int = 0
) -> Float64[np.ndarray, " episodes"]:
    """Undiscounted returns of the trained agent's greedy episodes in the dream.

    They begin where real episodes do, and have no pessimism.

    Args:
        training: What came of learning.
        settings: Its settings; horizon and temperature count here.
        num_episodes: N.
        seed: Of the dream.
    """
    dream = ImaginedVectorEnv(
        training.model,
        training.data,
        num_episodes,
        horizon=settings.horizon,
        temperature=settings.temperature,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    observations, _ = dream.reset(seed=seed)
    returns = np.zeros(num_episodes)
    running = np.ones(num_episodes, dtype=np.bool_)
    state: Any = None
    starts = running
    while running.any():
        actions, state = training.agent.predict(observations, state, starts, True)
        observations, rewards, terminated, truncated, _ = dream.step(actions)
        returns += rewards * running
        starts = terminated | truncated
        running = running & ~starts
    return returns


def _shares(total: int, parts: int) -> list[int]:
    """As equal as can be, the first ones larger."""
    return [total // parts + (number < total % parts) for number in range(parts)]


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


def _ended(data: Transitions) -> Transitions:
    """The steps of an own walk: the last episode is cut off where they end."""
    truncated = data.truncated.copy()
    truncated[-1] |= not data.terminated[-1]
    return dataclasses.replace(data, truncated=truncated)
