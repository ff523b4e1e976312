r"""A policy made of any conditional generator: it draws chunks of actions, given what was seen.

.. math:: (a_t, \dots, a_{t+T_p-1}) \sim p_\theta(\cdot \mid o_{t-T_o+1}, \dots, o_t),

of which the first :math:`T_a` actions are executed before the next chunk is drawn. Trained on
demonstrations (`GenerativePolicy.fit`) it is a diffusion policy with `DDPM`, ACT's with `VAE`,
behaviour cloning with `Regression`, and so on: what demonstrators do in several ways is drawn in
one of them, where a mean would do neither.

`GenerativePolicy.learn` goes on from there by the policy's own returns (see `reward_weighting`):
it plays, and every so many episodes goes on learning from windows of them, those of the best
drawn most often. That needs nothing but a loss, and so serves every family.

References:
    C. Chi et al. (2023), Diffusion policy: visuomotor policy learning via action diffusion,
        arXiv:2303.04137.
    T. Z. Zhao, V. Kumar, S. Levine, C. Finn (2023), Learning fine-grained bimanual manipulation
        with low-cost hardware, arXiv:2304.13705 (chunks, a conditional autoencoder).
    J. Peters, S. Schaal (2007), Reinforcement learning by reward-weighted regression for
        operational space control, ICML.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ...configuration import build_config, config_from_json, config_to_json
from ...envs.environments import EnvLike, make_env
from ...generative.arithmetic import acting_arithmetic
from ...generative.data.environments import Transitions
from ...generative.family import (
    AbstractFamily,
    family_named,
    hyperparameters_from_json,
    name_of_family,
)
from ...generative.module_state import module_arrays, restore_module
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask, choice_sizes, masks_of_batch
from ..episodes import FinishedEpisodes, RecentEpisodes
from ..learner import AbstractLearner, Step
from .action_queue import PolicyMemory
from .chunk_model import ChunkModel
from .collected_steps import CollectedSteps
from .generative_policy_configuration import GenerativePolicyConfig
from .policy_fitting import GenerativePolicyFit
from .reward_weighting import drawn_windows, last_episodes
from .value_batches import as_batch
from .walk import Walk

__all__ = ["GenerativePolicy"]

_FORMAT = "gymagine-generative-policy-1"


class GenerativePolicy(AbstractLearner):
    """Plays what a generator draws.

    Demonstrators' ways are part of what is learnt, so that drawing one is no exploration: actions
    are drawn whether ``deterministic`` or not, from a stream that begins with the seed. Where the
    family has noise about a mean as its last step (`AbstractMeanSampler`), ``deterministic``
    leaves it out. Equal agents therefore act equally when they are asked the same in the same
    order; the stream is part of the file.

    Args:
        env: An id, a spec or an environment; its observations and actions are ones that a `Codec`
            makes vectors of.
        generator: A family that takes contexts and draws real vectors, or levels.
        hyperparameters: Of the family. ``eta`` of 0 makes of `DDPM` a diffusion policy with DDIM
            steps; ``conditional`` of an autoregressive family says whether it draws real actions
            (``mixture``) or levels (``categorical``, ``num_levels``).
        seed: Of first parameters and draws.
        config: Fields of `GenerativePolicyConfig`.

    Attributes:
        model: The generator and its codecs.
        policy_fit: What came of the last `fit`; None before, and after loading.

    Raises:
        TypeError: The generator is no family, or a hyper-parameter is unknown.
        ValueError: A space is not a vector's, or the family cannot fill the role.

    Example:
        >>> from gymagine.generative.baselines.regression import Regression
        >>> from gymagine.generative.data.environments import transitions
        >>> policy = GenerativePolicy("CartPole-v1", generator=Regression, prediction_horizon=4,
        ...                           action_horizon=2)
        >>> found = policy.fit(transitions("CartPole-v1", 300), num_updates=20)
        >>> action, memory = policy.predict(np.zeros((5, 4), np.float32))
        >>> action.shape, memory.queue.left.tolist()
        ((5,), [1, 1, 1, 1, 1])
    """

    Config = GenerativePolicyConfig
    name = "generative-policy"
    config: GenerativePolicyConfig
    _walk: Walk | None

    def __init__(
        self,
        env: EnvLike,
        *,
        generator: type[AbstractFamily],
        hyperparameters: Mapping[str, Any] | None = None,
        seed: int = 0,
        **config: Any,
    ) -> None:
        made = make_env(env)
        self._build(
            made.observation_space,
            made.action_space,
            generator,
            hyperparameters or {},
            build_config(self.Config, config, type(self).__name__),
            seed,
        )
        self._enter(made)

    def _build(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        family: type[AbstractFamily],
        hyperparameters: Mapping[str, Any],
        config: GenerativePolicyConfig,
        seed: int,
    ) -> None:
        self.config, self.seed = config, seed
        self.observation_space, self.action_space = observation_space, action_space
        is_chosen = isinstance(action_space, spaces.Discrete | spaces.MultiDiscrete)
        self.reads_masks = is_chosen
        self.model = ChunkModel(
            observation_space, action_space, family, hyperparameters, config, seed=seed
        )
        self.policy_fit: GenerativePolicyFit | None = None
        self.env, self._walk = None, None
        self.num_timesteps, self._num_refits, self._num_since = 0, 0, 0
        self.environment_restored, self.episode_watcher = True, None
        self._episodes = RecentEpisodes()
        self._collected = CollectedSteps(observation_space, action_space)
        self._refit_scalars: dict[str, float] = {}
        self._rng = torch.Generator().manual_seed(seed)
        self._learning_rng = torch.Generator().manual_seed(seed + 1)
        self._last: Step | None = None

    def _enter(self, env: Any) -> None:
        self.env = env
        self._walk = Walk(env, seed=int(np.random.SeedSequence(self.seed).generate_state(1)[0]))

    @property
    def generator(self) -> AbstractFamily:
        """Of chunks."""
        return self.model.generator

    def use_sampler_steps(self, num: int) -> None:
        """Draw in so many steps from now on, where the family draws in steps.

        Args:
            num: Times at which the sampler asks the network.

        Raises:
            ValueError: The family does not draw in steps, or the number does not fit it.
        """
        self.model.use_sampler_steps(num)
        self.config = self.model.config

    # ---- acting ---------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: PolicyMemory | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, PolicyMemory]:
        """The next action of each chunk; a new chunk where one has run out.

        Args:
            observation: One, or a batch as vector environments give it.
            state: What the last call returned; None where all episodes begin.
            episode_start: (B,) which episodes begin, whose memory is given up.
            deterministic: Leave out the noise that a family can leave out.
            action_mask: (A,) or (B, A) which actions are allowed: of these the most probable.

        Raises:
            ValueError: An observation does not fit the space, or memory or mask are of another
                number.
        """
        batch, is_batch = as_batch(self.observation_space, observation, "observation")
        rows, memory = self._act(
            batch, state, episode_start, deterministic, action_mask, self._rng
        )
        if is_batch:
            return self.model.actions.decode(rows), memory
        return self.model.actions.decode_one(rows[0]), memory

    def _act(
        self,
        batch: Any,
        state: PolicyMemory | None,
        episode_start: NDArray[np.bool_] | None,
        deterministic: bool,
        action_mask: ActionMask | None,
        rng: torch.Generator,
    ) -> tuple[Float[Tensor, "batch entries"], PolicyMemory]:
        """(B, A) encoded actions, and what is remembered."""
        config = self.config
        with acting_arithmetic(config.num_threads):
            seen = self.model.observations.encode(batch)
            memory = self._remembered(state, seen, episode_start)
            queue = memory.queue
            due = queue.is_due
            if due.any():
                context = memory.observations[due].flatten(1)
                chunks = self.model.draw(context, deterministic=deterministic, rng=rng)
                queue = queue.with_chunks(due, chunks, config.action_horizon, config.ensembling)
            rows, queue = queue.popped()
        if action_mask is not None:
            rows = self._masked(rows, action_mask)
        return rows, memory.with_queue(queue)

    def _remembered(
        self,
        state: PolicyMemory | None,
        seen: Float[Tensor, "batch entries"],
        episode_start: NDArray[np.bool_] | None,
    ) -> PolicyMemory:
        config = self.config
        if state is None:
            return PolicyMemory.begun(
                seen, config.observation_horizon, config.prediction_horizon, self.model.num_entries
            )
        if len(state) != len(seen):
            raise ValueError(
                f"expected {len(state)} observations, as many as are remembered, got {len(seen)}"
            )
        starts = np.zeros(len(seen), dtype=bool) if episode_start is None else episode_start
        begun = np.array(starts, dtype=bool).reshape(-1)
        if len(begun) != len(seen):
            raise ValueError(f"expected episode_start of {len(seen)}, got {len(begun)}")
        return state.seeing(seen, torch.from_numpy(begun))

    def _masked(
        self, rows: Float[Tensor, "batch entries"], action_mask: ActionMask
    ) -> Float[Tensor, "batch entries"]:
        if not self.reads_masks:
            raise ValueError(
                f"expected no action mask, which {self.action_space} has no use for, got one"
            )
        masks = masks_of_batch(action_mask, len(rows), choice_sizes(self.action_space))
        return torch.where(torch.from_numpy(masks.copy()), rows, float(rows.min()) - 1)

    # ---- learning from demonstrations -----------------------------------------------------------

    def fit(
        self,
        data: Transitions,
        *,
        seed: int = 0,
        held_out: float = 0.1,
        progress_bar: bool = False,
        **settings: Any,
    ) -> GenerativePolicyFit:
        """Learn from demonstrations.

        Scales of observations and actions are taken from the data the first time, and kept
        afterwards: a policy can go on learning from other demonstrations.

        Args:
            data: Steps in the order in which they were taken.
            seed: Of what is held out, of batches and of noise.
            held_out: Share of the steps, in whole episodes, that are not learnt from, in (0, 1).
            progress_bar: Show one.
            settings: Further arguments of `generative.training.fit`.

        Raises:
            TypeError: The data are no `Transitions`, or a setting is unknown.
            ValueError: The data do not fit the spaces, or have too few episodes, or a setting is
                out of range.
        """
        self.policy_fit = self.model.fit(
            data, seed=seed, held_out=held_out, progress_bar=progress_bar, **settings
        )
        return self.policy_fit

    # ---- learning by its own returns ------------------------------------------------------------

    def _begin_session(self) -> None:
        if self._walk is None:
            raise ValueError("expected an environment to learn in, got none: load with env=...")
        if not self.model.is_fitted:
            raise ValueError(
                "expected a policy that has learnt from demonstrations (fit) before it learns by "
                "its own returns, got one that has not"
            )
        if not self._walk.resume():
            self._keep_episodes()

    def _end_session(self) -> None:
        if self._walk is not None:
            self._walk.pause()

    def _limit_episodes(self, num_episodes: int | None) -> None:
        """Nothing: each call of `_advance` takes one step."""

    def _advance(self, num_steps: int) -> None:
        """Take a step; after some episodes, learn from them."""
        assert self._walk is not None
        observation, memory = self._walk.now()
        batch, _ = as_batch(self.observation_space, observation, "observation")
        rows, memory = self._act(batch, memory, None, False, None, self._learning_rng)
        step = self._walk.step(self.model.actions.decode_one(rows[0]), memory)
        self._collected.add(
            observation,
            step.action,
            step.reward,
            step.observation,
            terminated=step.terminated,
            truncated=step.truncated,
        )
        self.num_timesteps, self._last = self.num_timesteps + 1, step
        if step.episode is not None:
            self._hear_of(FinishedEpisodes.of_log([(self.num_timesteps, *step.episode)]))
            self._num_since += 1
            if self._num_since >= self.config.refit_episodes:
                self._refit()

    def _refit(self) -> None:
        config, number = self.config, self._num_refits
        self._keep_episodes()
        data = self._collected.transitions()
        self._num_refits, self._num_since = number + 1, 0
        windows = self.model.windows(data)
        rng = np.random.default_rng([self.seed, number])
        drawn, effective = drawn_windows(data, windows.steps, config.return_temperature, rng)
        found = self.model.refit(
            data,
            windows.take(drawn),
            seed=int(rng.integers(2**31)),
            num_updates=config.refit_updates,
            learning_rate=config.refit_learning_rate,
            device="cpu",
        )
        self._refit_scalars = {f"train/{name}": loss for name, loss in found.losses.items()}
        self._refit_scalars |= {
            "train/refits": float(self._num_refits),
            "train/effective_episodes": effective,
        }

    def _keep_episodes(self) -> None:
        """Give up all but the last whole episodes."""
        kept = CollectedSteps(self.observation_space, self.action_space)
        if len(self._collected):
            steps = last_episodes(self._collected.transitions(), self.config.memory_episodes)
            if len(steps):
                found = self._collected.arrays()
                kept.restore({name: array[steps] for name, array in found.items()})
        self._collected = kept

    def _last_steps(self) -> list[Step]:
        return [] if self._last is None else [self._last]

    def _scalars(self) -> dict[str, float]:
        return self._refit_scalars

    @property
    def tells_its_state(self) -> bool:
        """Whether a file holds all that goes on: not the chunk in the midst of an episode."""
        return False

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write generator, scales, streams of draws and its own episodes to one file.

        Raises:
            OSError: As `storage.write_arrays`.
        """
        header = {
            "format": _FORMAT,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "family": name_of_family(self.model.family),
            "hyperparameters": self.model.hyperparameters,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "num_refits": self._num_refits,
            "num_since": self._num_since,
            "num_episodes": self._episodes.num_episodes,
            "scalars": self._refit_scalars,
        }
        parts = {
            "model": module_arrays(self.model),
            "collected": self._collected.arrays(),
            "streams": {
                "acting": self._rng.get_state().numpy(),
                "learning": self._learning_rng.get_state().numpy(),
            },
            "episodes": {"returns": self._episodes.returns, "lengths": self._episodes.lengths},
        }
        arrays = {f"{name}/{key}": v for name, part in parts.items() for key, v in part.items()}
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        env: EnvLike | None = None,
        *,
        family: type[AbstractFamily] | None = None,
    ) -> Self:
        """Read what `save` wrote; where it learns on, an episode begins.

        Args:
            path: The file.
            env: The environment to go on learning in; None gives an agent that predicts.
            family: Of its generator, where it is not one of this package.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or foreign, or the environment has other spaces.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        agent = cls.__new__(cls)
        agent._build(
            space_from_json(header["observation_space"]),
            space_from_json(header["action_space"]),
            family or family_named(header["family"], path),
            hyperparameters_from_json(header["hyperparameters"]),
            config_from_json(cls.Config, header["config"]),
            header["seed"],
        )
        restore_module(agent.model, _part(arrays, "model"))
        agent.model.train(not agent.model.is_fitted)
        agent._restore(arrays, header)
        if env is not None:
            made = make_env(env)
            for name in ("observation_space", "action_space"):
                own, found = getattr(agent, name), getattr(made, name)
                if own != found:
                    raise ValueError(f"expected an environment of {name} {own}, got {found}")
            agent._enter(made)
        return agent

    def _restore(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
        """Take over what is no model."""
        self.num_timesteps = header["num_timesteps"]
        self._num_refits, self._num_since = header["num_refits"], header["num_since"]
        self._refit_scalars = header["scalars"]
        self._collected.restore(_part(arrays, "collected"))
        self._keep_episodes()
        streams, episodes = _part(arrays, "streams"), _part(arrays, "episodes")
        self._rng.set_state(torch.from_numpy(streams["acting"].copy()))
        self._learning_rng.set_state(torch.from_numpy(streams["learning"].copy()))
        self._episodes.restore(header["num_episodes"], episodes["returns"], episodes["lengths"])


def _part(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """Arrays under a name, by the rest of theirs."""
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
