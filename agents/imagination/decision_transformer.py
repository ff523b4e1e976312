r"""A policy that is asked for a return: a sequence model of returns-to-go, observations, actions.

It learns, of recorded steps of any quality, which action was taken where so much was still to
come, :math:`p(a_t \mid \hat R_{t-K+1:t}, o_{t-K+1:t}, a_{t-K+1:t-1})` (see `decision_network`).
Playing begins with the return that is asked for, of which each step's reward is taken off,

.. math:: \hat R_0 = R^*, \qquad \hat R_{t+1} = \hat R_t - r_{t+1} .

Whoever plays an agent does not tell it rewards; they are predicted from what was seen, done and
seen then, by a conditional Gaussian's mean that learns from the same steps. Its error on episodes
that were held out is part of what `fit` returns.

References:
    L. Chen et al. (2021), Decision transformer: reinforcement learning via sequence modeling,
        arXiv:2106.01345, section 3, algorithm 1 and appendix A.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ...configuration import build_config, check_fields, config_from_json, config_to_json
from ...envs.environments import EnvLike, make_env
from ...generative.arithmetic import acting_arithmetic
from ...generative.baselines.conditional_gaussian import ConditionalGaussian
from ...generative.chunks import ChunkWindows, chunk_windows
from ...generative.codec import Codec, vector_codec
from ...generative.data.dataset import Dataset, Events
from ...generative.data.environments import Transitions
from ...generative.module_state import module_arrays, restore_module
from ...generative.normalisers import Normaliser
from ...generative.space_batches import rows_of
from ...generative.training import FitResult, fit
from ...generative.world_model_data import episode_starts, split_by_episodes
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask
from ..agent import AbstractAgent, Callback
from ..checkpoint import damage_in
from .decision_memory import DecisionMemory
from .decision_network import DecisionNetwork
from .offline_learning import collected_at_random, enter
from .trajectory_windows import returns_to_go
from .value_batches import as_batch

__all__ = [
    "DecisionTransformer",
    "DecisionTransformerConfig",
    "DecisionTransformerFit",
]

_FORMAT = "gymagine-decision-transformer-1"
_RANGES = {
    "context_length": (1, math.inf, True),
    "width": (1, math.inf, True),
    "num_layers": (1, math.inf, True),
    "num_heads": (1, math.inf, True),
    "target_return": (-math.inf, math.inf, False),
    "num_threads": (1, math.inf, True),
}
_SETTINGS = {"batch_size": 64, "warm_up": 100, "max_grad_norm": 0.25, "weight_decay": 1e-4}
_REWARD_SETTINGS = {"num_updates": 2_000, "evaluation_interval": 250, "patience": 4}


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """Hyper-parameters of `DecisionTransformer`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    context_length: int = 20
    """K, steps that are looked back on."""
    width: int = 64
    """Of a token; the paper has 128."""
    num_layers: int = 3
    """Of the transformer."""
    num_heads: int = 1
    """Of its attention."""
    target_return: float | None = None
    """That is asked for; None takes the highest of an episode in the data."""
    num_threads: int | None = 1
    """Of torch while it acts; None leaves them."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {})


@dataclass(frozen=True)
class DecisionTransformerFit:
    """What came of training.

    Attributes:
        training: How the sequence model's went.
        rewards: How that of the rewards' prediction did.
        reward_error: Root mean square error of rewards on held-out episodes, in the environment's
            units.
        lowest_return: Of an episode in the data.
        highest_return: Likewise.
    """

    training: FitResult
    rewards: FitResult
    reward_error: float
    lowest_return: float
    highest_return: float


class DecisionTransformer(AbstractAgent):
    """Plays for a return that it is asked for.

    `fit` learns from recorded steps; `learn` takes steps at random first. ``deterministic`` takes
    the most probable category; without, categories are drawn, from a stream that begins with the
    seed.

    Args:
        env: An id, a spec or an environment; its observations are vectors, its actions numbers or
            categories.
        seed: Of first parameters and draws.
        config: Fields of `DecisionTransformerConfig`.

    Attributes:
        target_return: That is asked for; NaN before `fit` where none was given.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A space is not a vector's, actions have bits, or a number is out of range.

    Example:
        >>> from gymagine.generative import transitions
        >>> agent = DecisionTransformer("CartPole-v1", context_length=4, width=8, num_layers=1)
        >>> found = agent.fit(transitions("CartPole-v1", 200), num_updates=5, warm_up=0,
        ...                   reward_settings={"num_updates": 5})
        >>> action, memory = agent.predict(np.zeros((3, 4), np.float32))
        >>> action.shape, memory.lengths.tolist()
        ((3,), [1, 1, 1])
    """

    Config = DecisionTransformerConfig
    name = "decision-transformer"
    config: DecisionTransformerConfig
    reads_masks = False

    def __init__(self, env: EnvLike, *, seed: int = 0, **config: Any) -> None:
        made = make_env(env)
        built = build_config(self.Config, config, type(self).__name__)
        self._set_up(made.observation_space, made.action_space, seed, built)
        self.env = made

    def _set_up(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        seed: int,
        config: DecisionTransformerConfig,
    ) -> None:
        self.config, self.seed, self.num_timesteps, self.env = config, seed, 0, None
        self.observation_space, self.action_space = observation_space, action_space
        self._observations = vector_codec(observation_space, "observation")
        self._actions = vector_codec(action_space, "action")
        observed, acted = self._observations.event_shape[0], self._actions.event_shape[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = DecisionNetwork(
                observed,
                self._actions.parts,
                context_length=config.context_length,
                width=config.width,
                num_layers=config.num_layers,
                num_heads=config.num_heads,
            )
            self._rewards = ConditionalGaussian(
                (1,), context_shape=(2 * observed + acted,), hidden_sizes=(64, 64)
            )
        self._reward_scale, self._return_scale = Normaliser(1), Normaliser(1)
        self._longest = 1
        self.target_return = math.nan if config.target_return is None else config.target_return
        self._rng = torch.Generator().manual_seed(seed)

    def ask_for(self, target_return: float) -> None:
        """Ask for another return from the next episodes on; nothing is learnt anew.

        Raises:
            ValueError: It is not finite.
        """
        if not math.isfinite(target_return):
            raise ValueError(f"expected a finite return to ask for, got {target_return}")
        self.target_return = float(target_return)

    # ---- acting ---------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: DecisionMemory | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, DecisionMemory]:
        """The action by which the rest of the return is to come, or a batch of them.

        Args:
            observation: One, or a batch of B.
            state: What the last call returned; None where all episodes begin.
            episode_start: (B,) which episodes begin.
            deterministic: Whether the most probable category is taken, or one drawn.
            action_mask: Not taken.

        Raises:
            ValueError: Observations do not fit the space or are not as many as before, no return
                was ever asked for, or there is a mask.
        """
        if action_mask is not None:
            raise ValueError("expected no action_mask: actions are predicted without")
        if math.isnan(self.target_return):
            raise ValueError("expected a return to play for: fit, ask_for, or target_return=...")
        batch, is_batch = as_batch(self.observation_space, observation, "observation")
        with acting_arithmetic(self.config.num_threads), torch.no_grad():
            seen = self._observations.encode(batch)
            memory = self._remembered(state, seen, episode_start)
            at = torch.arange(len(seen)), memory.lengths - 1
            outputs = self._network.outputs(memory.context)[at]
            taken = self._network.drawn(outputs, 0.0 if deterministic else 1.0, self._rng)
            memory = memory.with_action(taken)
            decoded = self._actions.decode(taken)
        return (decoded if is_batch else rows_of(decoded, np.array(0))), memory

    def _remembered(
        self,
        state: DecisionMemory | None,
        seen: Float[Tensor, "batch observation"],
        episode_start: NDArray[np.bool_] | None,
    ) -> DecisionMemory:
        """With the present step, of which the action is to be predicted."""
        num = len(seen)
        length, entries = self.config.context_length, self._network.context_shape
        assert entries is not None, "the network has contexts"
        begun = DecisionMemory.begun(num, length, entries[1], self.target_return)
        if state is None:
            return self._with_step(begun, seen)
        if len(state) != num:
            raise ValueError(f"expected {len(state)} observations, as before, got {num}")
        starts = np.zeros(num, bool) if episode_start is None else np.array(episode_start, bool)
        begins = torch.from_numpy(starts.reshape(-1))
        return self._with_step(self._one_later(state, seen).replaced(begins, begun), seen)

    def _one_later(
        self, state: DecisionMemory, seen: Float[Tensor, "batch observation"]
    ) -> DecisionMemory:
        """A step later: the reward is off, and there is room for the present step."""
        last = state.context[torch.arange(len(state)), state.lengths - 1, 3:]
        given = torch.cat([last, seen], dim=1)  # observation, action, and what came of it
        reward = self._reward_scale.inverse(self._rewards.moments(given, len(given))[0])[:, 0]
        return state.later(reward)

    def _with_step(
        self, memory: DecisionMemory, seen: Float[Tensor, "batch observation"]
    ) -> DecisionMemory:
        returns = self._return_scale(memory.to_come.unsqueeze(1)).to(seen.dtype)
        times = (memory.times / self._longest).clamp(max=1).to(seen.dtype).unsqueeze(1)
        return memory.with_step(torch.cat([returns, times, torch.ones_like(times), seen], dim=1))

    # ---- learning -------------------------------------------------------------------------------

    def fit(
        self,
        data: Transitions,
        *,
        seed: int = 0,
        held_out: float = 0.1,
        reward_settings: Mapping[str, Any] | None = None,
        progress_bar: bool = False,
        **settings: Any,
    ) -> DecisionTransformerFit:
        """Learn from recorded steps.

        Args:
            data: Steps of the environment, in the order in which they were taken.
            seed: Of what is held out, of batches and of noise.
            held_out: Share of the steps, in whole episodes, that is held out, in (0, 1).
            reward_settings: Of `generative.training.fit`, for the rewards.
            progress_bar: Show one for each model.
            settings: Of `generative.training.fit`, for the sequence model.

        Raises:
            TypeError: These are no `Transitions`, or a setting is unknown.
            ValueError: They do not fit the spaces, or are too few.
        """
        if not isinstance(data, Transitions):
            raise TypeError(f"expected Transitions to fit to, got {type(data).__name__}")
        starts, returns = episode_starts(data), returns_to_go(data, 1.0)
        train, rest = split_by_episodes(starts, held_out, seed)
        self._fit_scales(data, returns, train)
        self._longest = int((np.arange(len(data)) - starts).max()) + 1
        lowest, highest = (float(f(returns[np.unique(starts)])) for f in (np.min, np.max))
        if self.config.target_return is None:
            self.ask_for(highest)
        options: dict[str, Any] = {"seed": seed, "progress_bar": progress_bar}
        training = fit(
            self._network,
            self._windows(data, starts, returns, (train, rest)),
            **options,
            **(_SETTINGS | settings),
        )
        earned = self._earned(data)
        rewards = fit(
            self._rewards,
            Dataset(earned.take(torch.from_numpy(train)), earned.take(torch.from_numpy(rest))),
            **options,
            **(_REWARD_SETTINGS | dict(reward_settings or {})),
        )
        for model in (self._network, self._rewards):
            model.cpu()  # where it acts
        given = earned.context
        assert given is not None, "rewards are predicted from contexts"
        with torch.no_grad():
            guessed = self._reward_scale.inverse(self._rewards.moments(given[rest], len(rest))[0])
        off = guessed[:, 0].numpy() - data.reward[rest]
        error = float(np.sqrt(np.mean(off**2)))
        return DecisionTransformerFit(training, rewards, error, lowest, highest)

    def _fit_scales(
        self, data: Transitions, returns: NDArray[np.float64], steps: NDArray[np.int64]
    ) -> None:
        for codec, values, name in (
            (self._observations, data.observation, "z-score"),
            (self._actions, data.action, "min-max"),
        ):
            scaled = Codec.fitted(codec.space, rows_of(values, steps), name)  # type: ignore[arg-type]  # both are names of normalisers
            codec.normaliser.load_state_dict(scaled.normaliser.state_dict())
        for scale, numbers in ((self._return_scale, returns), (self._reward_scale, data.reward)):
            rows = torch.from_numpy(numbers[steps]).unsqueeze(1)
            scale.load_state_dict(Normaliser.fitted(rows, "z-score").state_dict())

    def _windows(
        self,
        data: Transitions,
        starts: NDArray[np.int64],
        returns: NDArray[np.float64],
        parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> Dataset:
        """Windows from every step on, padded at their ends, in two parts."""
        windows = chunk_windows(
            data,
            observation_horizon=1,
            prediction_horizon=self.config.context_length,
            cut_episodes="repeat",
        )
        seen, acted = (
            self._observations.encode(data.observation),
            self._actions.encode(data.action),
        )
        scaled = self._return_scale(torch.from_numpy(returns).unsqueeze(1)).to(seen.dtype)
        times = torch.from_numpy((np.arange(len(data)) - starts) / self._longest).to(seen.dtype)
        steps = torch.cat([scaled, times.unsqueeze(1), torch.ones_like(scaled), seen, acted], 1)

        def events(own: ChunkWindows) -> Events:
            known = torch.from_numpy(own.acted_known).unsqueeze(2)
            context = steps[own.acted] * known
            return Events(context[:, :, 3 + seen.shape[1] :].flatten(1), context)

        first, second = (
            events(windows.take(np.flatnonzero(np.isin(windows.steps, own)))) for own in parts
        )
        return Dataset(first, second)

    def _earned(self, data: Transitions) -> Events:
        """Rewards, and what they are predicted from."""
        given = torch.cat(
            [
                self._observations.encode(data.observation),
                self._actions.encode(data.action),
                self._observations.encode(data.next_observation),
            ],
            dim=1,
        )
        rewards = self._reward_scale(torch.from_numpy(data.reward).unsqueeze(1))
        return Events(rewards.to(given.dtype), given)

    def learn(
        self,
        total_timesteps: int,
        callback: Callback = None,
        *,
        log_interval: int = 4,
        tb_log_name: str = "run",
        reset_num_timesteps: bool = False,
        progress_bar: bool = False,
    ) -> Self:
        """Take steps at random, and fit to them; what others did is for `fit`.

        Raises:
            ValueError: The budget is not positive, there is no environment, or there is a
                callback, which has no steps of learning to look at.
        """
        data = collected_at_random(
            self, total_timesteps, callback, goes_on=not reset_num_timesteps
        )
        self.fit(data, seed=self.seed, progress_bar=progress_bar)
        return self

    # ---- files ----------------------------------------------------------------------------------

    @property
    def _modules(self) -> nn.ModuleDict:
        """All that files hold the state of."""
        return nn.ModuleDict(
            {
                "network": self._network,
                "rewards": self._rewards,
                "observations": self._observations.normaliser,
                "actions": self._actions.normaliser,
                "reward_scale": self._reward_scale,
                "return_scale": self._return_scale,
            }
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write spaces, scales, models and the stream of draws to one file."""
        header = {
            "format": _FORMAT,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "longest": self._longest,
            "target_return": None if math.isnan(self.target_return) else self.target_return,
            "is_fitted": not self._network.training,
        }
        arrays = {f"modules.{key}": value for key, value in module_arrays(self._modules).items()}
        write_arrays(path, arrays | {"rng": self._rng.get_state().numpy()}, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None) -> Self:
        """Read what `save` wrote (see `AbstractAgent.load`)."""
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        agent = cls.__new__(cls)
        with damage_in(path):
            agent._set_up(
                space_from_json(header["observation_space"]),
                space_from_json(header["action_space"]),
                header["seed"],
                config_from_json(cls.Config, header["config"]),
            )
            prefix = "modules."
            own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            restore_module(agent._modules, own)
            for model in (agent._network, agent._rewards):
                model.train(not header["is_fitted"])
            agent.num_timesteps, agent._longest = header["num_timesteps"], header["longest"]
            if header["target_return"] is not None:
                agent.ask_for(header["target_return"])
            agent._rng.set_state(torch.from_numpy(arrays["rng"].copy()))
        if env is not None:
            enter(agent, env)
        return agent
