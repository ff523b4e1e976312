r"""Model-predictive control: plan in a model, do the first action of the plan, and plan again.

.. math:: a_t = \text{first of } \arg\max_{a_{t:t+H-1}}
    \mathbb E_{\text{model}} \Big[\sum_{k=0}^{H-1} \gamma^k r_{t+k+1}
    + \gamma^H V(o_{t+H})\Big] .

Any `PlanningModel` can be planned in: a `WorldModel` of any family of generators, which the agent
learns from what it does, or a user's own. How sequences are searched is said in `sequence_search`,
and what they are worth in `planning_model`. Each plan starts where the last one is one step later.

References:
    K. Chua, R. Calandra, R. McAllister, S. Levine (2018), Deep reinforcement learning in a handful
        of trials using probabilistic dynamics models, arXiv:1805.12114, algorithm 1 (PETS).
    G. Williams et al. (2017), Information theoretic MPC for model-based reinforcement learning,
        ICRA.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray

from ...configuration import build_config, config_from_json, config_to_json
from ...envs.environments import EnvLike, make_env
from ...generative.baselines.conditional_gaussian import ConditionalGaussian
from ...generative.family import AbstractFamily
from ...generative.world_model import Judgement, WorldModel
from ...generative.world_model_fitting import WorldModelFit, fit_world_model
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask, masks_of_batch
from ..checkpoint import check_same_space, checked_seed, damage_in, package_versions
from ..episodes import FinishedEpisodes, RecentEpisodes
from ..learner import AbstractLearner, Step
from .action_sequences import SequenceLaw, action_sequences
from .collected_steps import CollectedSteps
from .model_file import model_from_bytes, model_to_bytes
from .model_predictive_control_configuration import ModelPredictiveControlConfig
from .plan_memory import PlanMemory, memory_arrays, memory_of
from .planning_model import PlanningModel, ValueFunction, imagined_returns
from .sequence_search import SearchResult, SearchSettings, search
from .value_batches import as_batch
from .walk import Walk

__all__ = ["ModelPredictiveControl", "ModelPredictiveControlConfig"]

_FORMAT = "gymagine-model-predictive-control-1"


class ModelPredictiveControl(AbstractLearner):
    """Acts by planning in a model of the environment, which it may learn.

    While learning it acts at random for ``random_steps``, fits its `WorldModel` to all that was
    seen, and then acts by planning and fits again every ``refit_interval`` steps. A model that is
    no `WorldModel` is taken as it is: `learn` then counts steps and takes none.

    Plans have no exploration of their own, so ``deterministic`` changes nothing.

    Args:
        env: An id, a spec or an environment, with actions of a bounded Box or a Discrete space.
        model: To plan in; None makes an ensemble of conditional Gaussians.
        value_function: Of observations at the horizon; None counts nothing there.
        seed: Of everything that is drawn; None draws one.
        hyperparameters: Fields of `ModelPredictiveControlConfig`.

    Attributes:
        model: What it plans in.
        value_function: As given.
        world_model_fit: What came of the last fit; None before the first.

    Raises:
        TypeError: The model lacks a method, or a hyper-parameter is unknown.
        ValueError: Actions cannot be planned, the model is of other spaces than the environment,
            or a hyper-parameter is out of range.

    Example:
        >>> agent = ModelPredictiveControl(
        ...     "CartPole-v1", seed=0, random_steps=100, num_updates=20, hidden_sizes=(16,),
        ...     num_candidates=10, num_elites=2, num_iterations=2, horizon=5)
        >>> observation, _ = agent.learn(105).env.reset(seed=1)
        >>> action, memory = agent.predict(observation)
        >>> bool(agent.action_space.contains(action)), agent.num_timesteps
        (True, 105)
    """

    Config: ClassVar[type[Any]] = ModelPredictiveControlConfig
    name = "model-predictive-control"
    config: ModelPredictiveControlConfig
    reads_masks = False
    _walk: Walk | None

    def __init__(
        self,
        env: EnvLike,
        *,
        model: PlanningModel | None = None,
        value_function: ValueFunction | None = None,
        seed: int | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        made = make_env(env)
        self._set_up(
            config,
            made.observation_space,
            made.action_space,
            model,
            value_function,
            checked_seed(seed),
        )
        self._enter(made)

    def _set_up(
        self,
        config: ModelPredictiveControlConfig,
        observation_space: Any,
        action_space: Any,
        model: Any,
        value_function: ValueFunction | None,
        seed: int,
    ) -> None:
        self.config, self.seed = config, seed
        self.observation_space, self.action_space = observation_space, action_space
        self._sequences = action_sequences(action_space, config.horizon)
        self._settings = SearchSettings(
            planner=config.planner,
            num_candidates=config.num_candidates,
            num_elites=config.num_elites,
            num_iterations=config.num_iterations,
            temperature=config.temperature,
            smoothing=config.smoothing,
        )
        if model is None:
            model = WorldModel(
                observation_space,
                action_space,
                ConditionalGaussian,
                hyperparameters={"hidden_sizes": config.hidden_sizes},
                num_members=config.num_members,
                seed=seed,
            )
        self.model: PlanningModel = _checked_model(model, observation_space, action_space)
        self.value_function = value_function
        self.world_model_fit: WorldModelFit | None = None
        self.env, self._walk = None, None
        self.num_timesteps, self._num_fits = 0, 0
        self.environment_restored, self.episode_watcher = True, None
        self._episodes = RecentEpisodes()
        self._collected = CollectedSteps(observation_space, action_space)
        sequence = np.random.SeedSequence(seed)
        own, learning = (np.random.default_rng(part) for part in sequence.spawn(2))
        self._prediction_rng, self._learning_rng = own, learning
        self._last: Step | None = None

    def _enter(self, env: Any) -> None:
        self.env = env
        self._walk = Walk(env, seed=int(np.random.SeedSequence(self.seed).generate_state(1)[0]))

    # ---- planning -------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """The first action of a plan, or those of a batch of plans (see `AbstractAgent.predict`).

        Args:
            observation: One observation, or a batch of B.
            state: The `PlanMemory` of the call before, or None at the beginning.
            episode_start: (B,) which environments begin an episode.
            deterministic: Changes nothing.
            action_mask: (A,) or (B, A) which first actions are allowed, of a Discrete space.

        Returns:
            Actions, and the memory for the next call.

        Raises:
            ValueError: Observations do not fit the space, or are not as many as the memory's.
        """
        batch, is_batch = as_batch(self.observation_space, observation, "observation")
        action, memory = self._act(batch, state, episode_start, action_mask, self._prediction_rng)
        return (action if is_batch else action[0]), memory

    def _act(
        self,
        batch: Any,
        memory: PlanMemory | None,
        episode_start: NDArray[np.bool_] | None,
        action_mask: ActionMask | None,
        rng: np.random.Generator,
    ) -> tuple[NDArray[Any], PlanMemory]:
        model_state, law = self._followed(batch, memory, episode_start)
        if action_mask is not None:
            masks = masks_of_batch(action_mask, len(model_state), (self._sequences.num_entries,))
            law = self._sequences.allowing(law, masks)
        found = self._searched(model_state, law, rng)
        action = self._sequences.actions(found.plan[:, 0])
        return action, PlanMemory(model_state, found.law, action)

    def _followed(
        self, batch: Any, memory: PlanMemory | None, episode_start: NDArray[np.bool_] | None
    ) -> tuple[Any, SequenceLaw]:
        """The model's state where B episodes are now, and what their plans start from."""
        begun = self.model.begin(batch)
        fresh = self._sequences.first(len(begun))
        if memory is None:
            return begun, fresh
        if len(memory.model_state) != len(begun):
            raise ValueError(
                f"expected {len(memory.model_state)} observations, as many as are remembered, got "
                f"{len(begun)}"
            )
        model_state = self.model.observe(memory.model_state, memory.action, batch)
        law = self._sequences.following(memory.law)
        starts = np.flatnonzero(np.asarray([] if episode_start is None else episode_start))
        if len(starts):
            model_state = model_state.put(starts, begun.take(starts))
            law = law.put(starts, self._sequences.first(len(starts)))
        return model_state, law

    def _searched(
        self, model_state: Any, law: SequenceLaw, rng: np.random.Generator
    ) -> SearchResult:
        config, num = self.config, len(model_state)
        several = config.num_candidates * config.num_particles
        spread = model_state.take(np.repeat(np.arange(num), several))
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))

        def score(
            drawn: Float64[np.ndarray, "batch candidates horizon entries"],
        ) -> Float64[np.ndarray, "batch candidates"]:
            every = np.repeat(drawn, config.num_particles, axis=1)
            actions = self._sequences.actions(every.reshape(-1, *drawn.shape[2:]))
            returns = imagined_returns(
                self.model,
                spread,
                actions,
                discount=config.discount,
                temperature=config.model_temperature,
                disagreement_penalty=config.disagreement_penalty,
                value_function=self.value_function,
                rng=noise,
            )
            means: NDArray[np.float64] = returns.reshape(num, config.num_candidates, -1).mean(2)
            return means

        return search(self._sequences, law, score, self._settings, rng)

    # ---- learning -------------------------------------------------------------------------------

    def _begin_session(self) -> None:
        if self._walk is None:
            raise ValueError("expected an environment to learn in, got none: load with env=...")
        if not self._walk.resume():
            self._collected.cut()

    def _end_session(self) -> None:
        if self._walk is not None:
            self._walk.pause()

    def _limit_episodes(self, num_episodes: int | None) -> None:
        """Nothing: each call of `_advance` takes one step."""

    def _advance(self, num_steps: int) -> None:
        """Take a step, or none but count them where nothing is learnt."""
        if not isinstance(self.model, WorldModel):
            self.num_timesteps += num_steps
            return
        assert self._walk is not None
        self._refit_if_due(self.model)
        observation, memory = self._walk.now()
        if self._num_fits:
            batch = as_batch(self.observation_space, observation, "observation")[0]
            actions, memory = self._act(batch, memory, None, None, self._learning_rng)
            action = actions[0]
        else:
            action = self._random_action()
        step = self._walk.step(action, memory)
        self._collected.add(
            observation,
            action,
            step.reward,
            step.observation,
            terminated=step.terminated,
            truncated=step.truncated,
        )
        self.num_timesteps += 1
        self._last = step
        if step.episode is not None:
            log = [(self.num_timesteps, *step.episode)]
            self._hear_of(FinishedEpisodes.of_log(log))

    def _refit_if_due(self, model: WorldModel) -> None:
        beyond = len(self._collected) - self.config.random_steps
        if beyond < self._num_fits * self.config.refit_interval:
            return
        self.world_model_fit = fit_world_model(
            model,
            self._collected.transitions(),
            seed=self.seed % 2**31 + self._num_fits,
            num_updates=self.config.num_updates,
            head_settings={"num_updates": self.config.num_updates, "device": "cpu"},
            device="cpu",
        )
        self._num_fits += 1

    def _random_action(self) -> Any:
        law = self._sequences.first(1)
        drawn = self._sequences.draw_uniform(law, 1, self._learning_rng)
        return self._sequences.actions(drawn[0, 0, :1])[0]

    def _last_steps(self) -> list[Step]:
        return [] if self._last is None else [self._last]

    def _scalars(self) -> dict[str, float]:
        found = self.world_model_fit
        if found is None:
            return {}
        return {
            "world_model/error": found.error,
            "world_model/copying_error": found.copying_error,
            "world_model/linear_error": found.linear_error,
        }

    @property
    def tells_its_state(self) -> bool:
        """Whether a checkpoint holds the environment's own state, so that nothing is lost."""
        return self._walk is not None and self._walk.tells_its_state

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, what was seen, and where the agent is in its episode to one file.

        A model that is no `WorldModel`, and functions, are the user's to give again.
        """
        arrays: dict[str, NDArray[Any]] = {}
        if isinstance(self.model, WorldModel):
            arrays["model"] = model_to_bytes(self.model)
        arrays |= {f"steps.{name}": own for name, own in self._collected.arrays().items()}
        arrays["episodes.returns"] = self._episodes.returns
        arrays["episodes.lengths"] = self._episodes.lengths
        walk = None
        if self._walk is not None:
            place, walk = self._walk.saved()
            arrays |= {f"walk.{name}": own for name, own in place.items()}
            remembered = self._walk.memory
            memory = {} if remembered is None else memory_arrays(remembered)
            arrays |= {f"memory.{name}": own for name, own in memory.items()}
        header = {
            "format": _FORMAT,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "num_episodes": self.num_episodes,
            "num_fits": self._num_fits,
            "has_model": "model" in arrays,
            "has_value_function": self.value_function is not None,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "random_states": [
                rng.bit_generator.state for rng in (self._prediction_rng, self._learning_rng)
            ],
            "walk": walk,
            "versions": package_versions(),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        env: EnvLike | None = None,
        *,
        model: PlanningModel | None = None,
        value_function: ValueFunction | None = None,
        family: type[AbstractFamily] | None = None,
        termination: Judgement | None = None,
        reward_function: Judgement | None = None,
    ) -> Self:
        """Read what `save` wrote (see `AbstractAgent.load`).

        Args:
            path: The file.
            env: The environment to go on learning in.
            model: The one that the agent was made with, where that was no `WorldModel`.
            value_function: The one that the agent was made with, if it was.
            family: As `WorldModel.load`.
            termination: Likewise.
            reward_function: Likewise.

        Raises:
            ValueError: As `AbstractAgent.load`; or a model or function is missing or too much.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        with damage_in(path):
            _check_given(path, "value_function", value_function, header["has_value_function"])
            _check_given(path, "model", model, not header["has_model"])
            if model is None:
                options = {"termination": termination, "reward_function": reward_function}
                model = model_from_bytes(arrays["model"], family=family, **options)
            spaces = [
                space_from_json(header[f"{kind}_space"]) for kind in ("observation", "action")
            ]
            config = config_from_json(cls.Config, header["config"])
        made = None if env is None else make_env(env)
        if made is not None:
            check_same_space("observation", spaces[0], made.observation_space)
            check_same_space("action", spaces[1], made.action_space)
        agent = cls.__new__(cls)
        with damage_in(path):
            seed = checked_seed(header["seed"])
            agent._set_up(config, spaces[0], spaces[1], model, value_function, seed)
            agent._restore(arrays, header)
        if made is not None:
            agent._enter(made)
            with damage_in(path):
                agent._go_on(arrays, header)
        return agent

    def _restore(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
        self.num_timesteps, self._num_fits = header["num_timesteps"], header["num_fits"]
        self._episodes.restore(
            header["num_episodes"], arrays["episodes.returns"], arrays["episodes.lengths"]
        )
        self._collected.restore(_part(arrays, "steps"))
        rngs = (self._prediction_rng, self._learning_rng)
        for rng, state in zip(rngs, header["random_states"], strict=True):
            rng.bit_generator.state = state

    def _go_on(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
        """Stand where the file's agent stood, or begin an episode."""
        assert self._walk is not None
        self.environment_restored = self._walk.restore(_part(arrays, "walk"), header["walk"])
        memory = _part(arrays, "memory")
        if not self.environment_restored:
            self._collected.cut()
        elif memory:
            self._walk.memory = memory_of(memory)
        self._say_what_was_not_restored()


def _part(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """Those under a name."""
    return {
        key.removeprefix(f"{name}."): own
        for key, own in arrays.items()
        if key.startswith(f"{name}.")
    }


def _checked_model(model: Any, observation_space: Any, action_space: Any) -> PlanningModel:
    if not isinstance(model, PlanningModel):
        needed = ("observation_space", "action_space", "begin", "observe", "step")
        missing = [name for name in needed if not hasattr(model, name)]
        raise TypeError(f"expected a model to plan in, got {model!r} without {missing}")
    for kind, wanted, found in (
        ("observation", observation_space, model.observation_space),
        ("action", action_space, model.action_space),
    ):
        if wanted != found:
            raise ValueError(f"expected a model of {kind} space {wanted}, got {found}")
    return model


def _check_given(path: Any, name: str, given: Any, is_needed: bool) -> None:
    if (given is not None) != is_needed:
        raise ValueError(
            f"expected {'a' if is_needed else 'no'} {name}, with{'' if is_needed else 'out'} "
            f"which {path} was made"
        )
