r"""Planning with a generator of whole trajectories: what is drawn is seen and done from here on.

A generator learns windows of trajectories (`trajectory_windows`). Plans begin with what is seen
now, and become good ones in one of three ways:

``guidance``
    Diffuser: the start is given as known entries, and draws are pulled by a predictor of their
    return, :math:`p(\tau) \exp(s\, J(\tau))`; of several the best is executed. Diffusion only.
``ranking``
    For any generator: with the start as its context it draws several plans, of which the one with
    the highest predicted return is executed.
``return-conditioned``
    Decision Diffuser: the generator draws what will be *seen* where a return is given as its
    context, and a model of inverse dynamics, :math:`a = f(o, o')`, finds the actions. Diffusion is
    given the start as known entries, and may have classifier-free guidance (its hyper-parameter
    ``guidance``).

The start is part of the context too; of diffusion's only while ``start_as_context`` says so. By
known entries alone, as in both papers, a small network hardly learns that what follows must fit.

Return predictor and inverse dynamics are conditional Gaussians' means. Beside their errors on
episodes that were held out stand those of a constant (`TrajectoryPlannerFit`).

References:
    M. Janner, Y. Du, J. B. Tenenbaum, S. Levine (2022), Planning with diffusion for flexible
        behavior synthesis, arXiv:2205.09991, sections 3.2 and 3.3, algorithm 1.
    A. Ajay, Y. Du, A. Gupta, J. B. Tenenbaum, T. Jaakkola, P. Agrawal (2022), Is conditional
        generative modeling all you need for decision-making?, arXiv:2211.15657, equation 7 and
        algorithm 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float64
from numpy.typing import NDArray

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
from ...generative.space_batches import rows_of
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask
from ..agent import AbstractAgent, Callback
from ..checkpoint import damage_in
from .action_queue import ActionQueue
from .offline_learning import collected_at_random, enter
from .trajectory_model import TrajectoryModel, TrajectoryPlannerFit
from .trajectory_planner_configuration import TrajectoryPlannerConfig
from .value_batches import as_batch

__all__ = [
    "TrajectoryPlan",
    "TrajectoryPlanner",
    "TrajectoryPlannerConfig",
    "TrajectoryPlannerFit",
]

_FORMAT = "gymagine-trajectory-planner-1"
_SECOND_SETTINGS = {"num_updates": 3_000, "evaluation_interval": 250, "patience": 4}


@dataclass(frozen=True)
class TrajectoryPlan:
    """What is planned for B environments.

    Attributes:
        observations: (B H, ...) that are expected, row by row of each plan, as the space has them.
        actions: (B T, ...) the actions that will be executed, likewise.
        predicted_return: (B,) of the plans; NaN where they were drawn for a return.
    """

    observations: Any
    actions: Any
    predicted_return: Float64[np.ndarray, " batch"]


class TrajectoryPlanner(AbstractAgent):
    """Plays what a generator of trajectories plans.

    `fit` learns from recorded steps, a demonstrator's or any others; `learn` takes steps at random
    first. Plans are drawn whether ``deterministic`` or not, from a stream that begins with the
    seed: equal agents act equally when they are asked the same in the same order.

    Args:
        env: An id, a spec or an environment; its observations and actions are ones that a `Codec`
            makes vectors of.
        generator: A family of real events.
        hyperparameters: Of the family.
        seed: Of first parameters and draws.
        config: Fields of `TrajectoryPlannerConfig`.

    Raises:
        TypeError: The generator is no family, or a hyper-parameter is unknown.
        ValueError: A space is not a vector's, or the family cannot do what the method needs.

    Example:
        >>> from gymagine.generative import RealNVP, transitions
        >>> small = {"hidden_sizes": (8,), "num_couplings": 2}
        >>> planner = TrajectoryPlanner("CartPole-v1", generator=RealNVP, hyperparameters=small,
        ...                             horizon=4, action_horizon=2)
        >>> found = planner.fit(transitions("CartPole-v1", 300), num_updates=5,
        ...                     second_settings={"num_updates": 5})
        >>> action, memory = planner.predict(np.zeros((3, 4), np.float32))
        >>> planner.method, action.shape, memory.left.tolist()
        ('ranking', (3,), [1, 1, 1])
    """

    Config = TrajectoryPlannerConfig
    name = "trajectory-planner"
    config: TrajectoryPlannerConfig
    reads_masks = False

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
        built = build_config(self.Config, config, type(self).__name__)
        self._set_up(
            (made.observation_space, made.action_space), generator, hyperparameters, seed, built
        )
        self.env = made

    def _set_up(
        self,
        own_spaces: tuple[spaces.Space[Any], spaces.Space[Any]],
        family: type[AbstractFamily],
        hyperparameters: Mapping[str, Any] | None,
        seed: int,
        config: TrajectoryPlannerConfig,
    ) -> None:
        self.config, self.seed, self.num_timesteps, self.env = config, seed, 0, None
        self.observation_space, self.action_space = own_spaces
        self.family, self.hyperparameters = family, dict(hyperparameters or {})
        if not (isinstance(family, type) and issubclass(family, AbstractFamily)):
            raise TypeError(f"expected a family of generators, got {family!r}")
        self._model = TrajectoryModel(*own_spaces, family, self.hyperparameters, seed, config)
        self._rng = torch.Generator().manual_seed(seed)

    @property
    def generator(self) -> AbstractFamily:
        """Of windows."""
        return self._model.generator

    @property
    def method(self) -> str:
        """How plans become good ones."""
        found: str = self._model.method
        return found

    # ---- planning -------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: ActionQueue | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, ActionQueue]:
        """The next action of each plan; a new plan where one has run out.

        Args:
            observation: One, or a batch of B.
            state: What the last call returned; None where all episodes begin.
            episode_start: (B,) which episodes begin, whose plans are given up.
            deterministic: Changes nothing.
            action_mask: Not taken.

        Raises:
            ValueError: Observations do not fit the space, are not as many as before, or there is
                a mask.
        """
        if action_mask is not None:
            raise ValueError("expected no action_mask: plans are drawn without")
        batch, is_batch = as_batch(self.observation_space, observation, "observation")
        with acting_arithmetic(self.config.num_threads), torch.no_grad():
            seen = self._model.observations.encode(batch)
            queue = self._remembered(state, len(seen), episode_start)
            due = queue.is_due
            if due.any():
                rows, _ = self._model.planned(seen[due], self._rng)
                chunks = self._model.actions_of(rows)
                queue = queue.with_chunks(due, chunks, self.config.action_horizon)
            taken, queue = queue.popped()
            decoded = self._model.actions.decode(taken)
        return (decoded if is_batch else rows_of(decoded, np.array(0))), queue

    def plan(self, observation: Any) -> TrajectoryPlan:
        """What would be planned for one observation or a batch, to look at.

        Raises:
            ValueError: Observations do not fit the space.
        """
        batch, _ = as_batch(self.observation_space, observation, "observation")
        with acting_arithmetic(self.config.num_threads), torch.no_grad():
            seen = self._model.observations.encode(batch)
            rows, values = self._model.planned(seen, self._rng)
            expected = rows[..., : seen.shape[1]].flatten(0, 1)
            actions = self._model.actions_of(rows).flatten(0, 1)
            return TrajectoryPlan(
                self._model.observations.decode(expected),
                self._model.actions.decode(actions),
                values.numpy(),
            )

    def _remembered(
        self,
        state: ActionQueue | None,
        num: int,
        episode_start: NDArray[np.bool_] | None,
    ) -> ActionQueue:
        if state is None:
            return ActionQueue.empty(
                num, self.config.action_horizon, self._model.actions.event_shape[0]
            )
        if len(state) != num:
            raise ValueError(f"expected {len(state)} observations, as before, got {num}")
        if episode_start is None:
            return state
        return state.cleared(torch.from_numpy(np.array(episode_start, dtype=bool).reshape(-1)))

    def ask_for(self, target_return: float) -> None:
        """Ask for another return from now on; nothing is learnt anew.

        Args:
            target_return: In the environment's own units, to the end of the episode.

        Raises:
            ValueError: The planner is not return-conditioned, or the return is not finite.
        """
        if self.method != "return-conditioned":
            raise ValueError(f"expected a return-conditioned planner, got one of {self.method}")
        if not np.isfinite(target_return):
            raise ValueError(f"expected a finite return to ask for, got {target_return}")
        self._model.ask_for(target_return)

    # ---- learning -------------------------------------------------------------------------------

    def fit(
        self,
        data: Transitions,
        *,
        seed: int = 0,
        held_out: float = 0.1,
        second_settings: Mapping[str, Any] | None = None,
        progress_bar: bool = False,
        **settings: Any,
    ) -> TrajectoryPlannerFit:
        """Learn windows of recorded steps, and to predict returns or actions.

        Args:
            data: Steps of the environment, in the order in which they were taken.
            seed: Of what is held out, of batches and of noise.
            held_out: Share of the steps, in whole episodes, that is held out, in (0, 1).
            second_settings: Of `generative.training.fit`, for the second model.
            progress_bar: Show one for each model.
            settings: Of `generative.training.fit`, for the generator.

        Raises:
            TypeError: These are no `Transitions`, or a setting is unknown.
            ValueError: They do not fit the spaces, or episodes are too few or too short.
        """
        if not isinstance(data, Transitions):
            raise TypeError(f"expected Transitions to fit to, got {type(data).__name__}")
        return self._model.learn(
            data,
            seed=seed,
            held_out=held_out,
            second_settings=second_settings or {},
            progress_bar=progress_bar,
            settings=settings,
        )

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
        """Take steps at random, and fit to them; what a demonstrator did is for `fit`.

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write spaces, scales, models and the stream of draws to one file."""
        header = {
            "format": _FORMAT,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "family": name_of_family(self.family),
            "hyperparameters": self.hyperparameters,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "is_fitted": not self._model.generator.training,
        }
        arrays = {f"modules.{key}": value for key, value in module_arrays(self._model).items()}
        write_arrays(path, arrays | {"rng": self._rng.get_state().numpy()}, header)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        env: EnvLike | None = None,
        *,
        family: type[AbstractFamily] | None = None,
    ) -> Self:
        """Read what `save` wrote (see `AbstractAgent.load`).

        Args:
            path: The file.
            env: The environment to learn in; None gives an agent that predicts.
            family: Of its generator, where it is not one of this package.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        agent = cls.__new__(cls)
        with damage_in(path):
            agent._set_up(
                (
                    space_from_json(header["observation_space"]),
                    space_from_json(header["action_space"]),
                ),
                family or family_named(header["family"], path),
                hyperparameters_from_json(header["hyperparameters"]),
                header["seed"],
                config_from_json(cls.Config, header["config"]),
            )
            prefix = "modules."
            own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            restore_module(agent._model, own)
            agent._model.train(not header["is_fitted"])
            agent.num_timesteps = header["num_timesteps"]
            agent._rng.set_state(torch.from_numpy(arrays["rng"].copy()))
        if env is not None:
            enter(agent, env)
        return agent
