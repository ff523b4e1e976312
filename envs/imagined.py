"""Environments that a world model imagines: agents train in them as in any other.

`ImaginedVectorEnv` steps all of its episodes in one pass of the model; `ImaginedEnv` is one of
them. An episode begins at a step of data (or where a real environment is reset), ends where the
model's head or the user's function says so, and is cut off at the horizon.

References:
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122 (agents trained in a dream, and
        the temperature that makes it harder to exploit).
    T. Yu, G. Thomas, L. Yu, S. Ermon, J. Zou, S. Levine, C. Finn, T. Ma (2020), MOPO: Model-based
        offline policy optimization, arXiv:2005.13239, equation 2 (rewards less the model's
        uncertainty).
"""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any, Literal, Required, TypedDict, Unpack, get_args

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from ..generative.abstract_world_model import AbstractWorldModel
from ..generative.data.environments import Transitions
from ..generative.space_batches import with_rows
from ..generative.world_model_state import AbstractWorldState, ImaginedStep
from .arguments import whole_number
from .imagined_rendering import Picture, Renderer
from .imagined_starts import DataStarts, StartPlace, Starts

__all__ = ["ImaginedEnv", "ImaginedOptions", "ImaginedVectorEnv", "ObservationMode"]

ObservationMode = Literal["observation", "latent"]


class ImaginedOptions(TypedDict, total=False):
    """Options of `ImaginedEnv`; of `ImaginedVectorEnv`, which explains them, as well."""

    horizon: Required[int | None]
    start_at: StartPlace
    temperature: float
    obs_mode: ObservationMode
    pessimism: float
    render_mode: str | None
    renderer: Renderer | None


_RENDER_MODES = ("rgb_array",)
_WORST_SHARE = 0.01  # of steps with something clipped, above which there is a warning
_FEWEST_STEPS = 1_000


class ImaginedVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` episodes that a world model imagines together.

    Each info of a step has ``model_uncertainty``, the members' disagreement in deviations of what
    they draw (0 of one alone), and ``num_clipped``, entries of the observation that the model put
    outside of the space.

    Args:
        model: The world model, in evaluation mode.
        starts: Where episodes begin: steps of data, or a function.
        num_envs: N, at least 1.
        horizon: Steps after which an episode is truncated; None never does.
        start_at: Of data: ``first`` steps of episodes, or ``any``.
        temperature: Of the model's draws.
        obs_mode: ``observation`` as the real environment gives it, or ``latent``, what the model
            remembers: `WorldModel.latents`.
        pessimism: Reward that a unit of ``model_uncertainty`` costs.
        autoreset_mode: When episodes that ended start anew. NEXT_STEP: at the following step,
            which ignores their action and returns reward 0. SAME_STEP: at once; the final
            observation is in ``infos["final_obs"]``, its info in ``infos["final_info"]``.
            DISABLED: when ``reset(options={"reset_mask": mask})`` says so.
        render_mode: ``rgb_array`` (a tuple with one picture for each) or None.
        renderer: Draws an observation, such as `ObservationRenderer` of the real environment.

    Attributes:
        model: The world model.
        state: What the N episodes remember; None before the first reset.
        num_steps: Steps imagined so far, over all episodes.
        num_clipped: Of these, how many had something clipped.

    Raises:
        TypeError: The model is none.
        ValueError: An option makes no sense; the message names it.

    Warns:
        UserWarning: More than one step in a hundred left the observation space.

    Example:
        >>> from gymagine.generative import ConditionalGaussian, WorldModel, transitions
        >>> space = spaces.Box(-np.inf, np.inf, (4,))
        >>> model = WorldModel(space, spaces.Discrete(2), ConditionalGaussian).eval()
        >>> envs = ImaginedVectorEnv(model, transitions("CartPole-v1", 100), 3, horizon=20)
        >>> observations, infos = envs.reset(seed=0)
        >>> observations, *_, infos = envs.step(envs.action_space.sample())
        >>> observations.shape, infos["model_uncertainty"]
        ((3, 4), array([0., 0., 0.]))
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it on the instance
        "render_modes": list(_RENDER_MODES),
        "render_fps": 30,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        model: AbstractWorldModel,
        starts: Transitions | Starts,
        num_envs: int = 1,
        *,
        horizon: int | None,
        start_at: StartPlace = "first",
        temperature: float = 1.0,
        obs_mode: ObservationMode = "observation",
        pessimism: float = 0.0,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        renderer: Renderer | None = None,
    ) -> None:
        if not isinstance(model, AbstractWorldModel):
            raise TypeError(f"expected a world model, got {type(model).__name__}")
        self.num_envs = whole_number(num_envs, "num_envs", least=1)
        self.horizon = None if horizon is None else whole_number(horizon, "horizon", least=1)
        _check_number(temperature, "temperature")
        _check_number(pessimism, "pessimism")
        if obs_mode not in get_args(ObservationMode):
            raise ValueError(f"expected obs_mode of {get_args(ObservationMode)}, got {obs_mode!r}")
        _check_rendering(render_mode, renderer, model.observation_space)
        self.model, self.obs_mode, self.temperature = model, obs_mode, float(temperature)
        self.pessimism = float(pessimism)
        if isinstance(starts, Transitions):
            starts = DataStarts(model, starts, start_at)
        elif not callable(starts):
            raise TypeError(f"expected Transitions or a function, got {type(starts).__name__}")
        self._starts: Starts = starts
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode, self._renderer = render_mode, renderer
        self.single_observation_space = _space_seen(model, obs_mode)
        self.single_action_space = model.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.state: AbstractWorldState | None = None
        self.num_steps = self.num_clipped = 0
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        self._torch_rng: torch.Generator | None = None
        self._warned = False

    # ---- Gymnasium's interface ------------------------------------------------------------------

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every row, or in those of a mask.

        Args:
            seed: Of all that is drawn from now on; None goes on.
            options: ``{"reset_mask": mask}``, (N,) bool, begins only these.

        Raises:
            TypeError: The seed is a list: all rows share one generator; or the mask is none.
            ValueError: The mask is of another length.
        """
        if isinstance(seed, list):
            raise TypeError("expected one seed, for all episodes share a generator, got a list")
        if seed is not None:
            super().reset(seed=seed)
            self._torch_rng = None
        mask = _checked_mask((options or {}).get("reset_mask"), self.num_envs)
        if self.state is None and not mask.all():
            raise ResetNeeded("expected a reset of all episodes before one of some")
        shown = None
        if self.state is not None:
            shown = self._seen(self.state, self.model.observations(self.state))
        return self._begin(mask, shown), {}

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Imagine a step of every episode.

        Args:
            actions: (N, ...); those of rows that begin an episode in this step are ignored.

        Raises:
            ValueError: An action is none.
            ResetNeeded: A row needs a reset first.
        """
        if self.state is None:
            raise ResetNeeded("expected reset() before the first step()")
        begins = self._ended.copy()
        if self.autoreset_mode is AutoresetMode.DISABLED and begins.any():
            rows = np.flatnonzero(begins).tolist()
            raise ResetNeeded(
                f"expected reset() after the end of episodes {rows}, of some only with "
                "options={'reset_mask': ...}"
            )
        self.state, found = self.model.step(
            self.state, actions, temperature=self.temperature, rng=self._rng()
        )
        observations = self._seen(self.state, found.observation)
        rewards = np.where(begins, 0.0, found.reward - self.pessimism * found.disagreement)
        terminated = found.terminated & ~begins
        self._elapsed += 1
        over = self.horizon is not None and self._elapsed >= (self.horizon or 0)
        truncated = np.broadcast_to(over, begins.shape) & ~begins
        infos = _infos(found, ~begins)
        self._count(found, ~begins)
        if begins.any():
            observations = self._begin(begins, observations)
        self._ended = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            ended = self._ended.copy()
            infos = _with_final(infos, self._rows(observations), ended)
            observations = self._begin(ended, observations)
        return observations, rewards, terminated, truncated, infos

    def render(self) -> tuple[Picture, ...] | None:
        """A picture (H, W, 3) of each episode."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render mode draws nothing")
            return None
        if self.state is None:
            raise ResetNeeded("expected reset() before render()")
        assert self._renderer is not None
        space = batch_space(self.model.observation_space, self.num_envs)
        rows = iterate(space, self.model.observations(self.state))
        return tuple(self._renderer(row) for row in rows)

    @property
    def memory(self) -> dict[str, Any]:
        """What goes on from here, but for the generator of starts and the clocks, as arrays.

        Setting it goes on from there.
        """
        rng = self._torch_rng
        return {
            "state": None if self.state is None else self.state.arrays(),
            "rng": None if rng is None else rng.get_state().cpu().numpy(),
            "num_steps": self.num_steps,
            "num_clipped": self.num_clipped,
        }

    @memory.setter
    def memory(self, memory: dict[str, Any]) -> None:
        self.num_steps, self.num_clipped = memory["num_steps"], memory["num_clipped"]
        device = self.model.is_fitted.device
        self.state = self._torch_rng = None
        if memory["state"] is not None:
            self.state = self.model.State.of_arrays(memory["state"], device)
        if memory["rng"] is not None:
            self._torch_rng = torch.Generator(device=device)
            self._torch_rng.set_state(torch.tensor(memory["rng"]))

    def take_generator(self, generator: np.random.Generator) -> None:
        """Draw everything from another generator from now on."""
        self._np_random, self._torch_rng = generator, None

    # ---- inside ---------------------------------------------------------------------------------

    def _rng(self) -> torch.Generator:
        if self._torch_rng is None:
            device = self.model.is_fitted.device
            seed = int(self.np_random.integers(2**62))
            self._torch_rng = torch.Generator(device=device).manual_seed(seed)
        return self._torch_rng

    def _begin(self, which: NDArray[np.bool_], shown: Any) -> Any:
        """Begin some episodes; (N, ...) what is seen in these, and in the others as before."""
        rows = np.flatnonzero(which)
        fresh = self._starts(len(rows), self.np_random)
        first = self._seen(fresh, self.model.observations(fresh))
        if self.state is None:
            self.state = fresh
        else:
            self.state = self.state.put(torch.from_numpy(rows), fresh)
            first = with_rows(shown, rows, first)
        self._elapsed[rows] = 0
        self._ended[rows] = False
        return first

    def _seen(self, state: Any, observations: Any) -> Any:
        if self.obs_mode == "observation":
            return observations
        return self.model.latents(state).detach().float().cpu().numpy()

    def _rows(self, observations: Any) -> list[Any]:
        return list(iterate(self.observation_space, observations))

    def _count(self, found: ImaginedStep, taken: NDArray[np.bool_]) -> None:
        self.num_steps += int(taken.sum())
        self.num_clipped += int((found.num_clipped[taken] > 0).sum())
        if self._warned or self.num_steps < _FEWEST_STEPS:
            return
        share = self.num_clipped / self.num_steps
        if share > _WORST_SHARE:
            self._warned = True
            warnings.warn(
                f"the world model left the observation space in {share:.1%} of its first "
                f"{self.num_steps} steps; what it imagined there was moved into it",
                stacklevel=3,
            )


class ImaginedEnv(gymnasium.Env[Any, Any]):
    """One episode that a world model imagines.

    Args:
        model: The world model, in evaluation mode.
        starts: Where episodes begin: steps of data, or a function.
        options: Further ones of `ImaginedVectorEnv`, but for the autoreset mode.

    Attributes:
        imagined: The vector environment of one episode that it is made of.

    Example:
        >>> from gymagine.generative import ConditionalGaussian, WorldModel, transitions
        >>> space = spaces.Box(-np.inf, np.inf, (4,))
        >>> model = WorldModel(space, spaces.Discrete(2), ConditionalGaussian).eval()
        >>> env = ImaginedEnv(model, transitions("CartPole-v1", 100), horizon=20)
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step(0)
        >>> observation.shape, sorted(info)
        ((4,), ['model_uncertainty', 'num_clipped'])
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it on the instance
        "render_modes": list(_RENDER_MODES),
        "render_fps": 30,
    }

    def __init__(
        self,
        model: AbstractWorldModel,
        starts: Transitions | Starts,
        **options: Unpack[ImaginedOptions],
    ) -> None:
        self.imagined = ImaginedVectorEnv(
            model, starts, 1, autoreset_mode=AutoresetMode.DISABLED, **options
        )
        self.observation_space = self.imagined.single_observation_space
        self.action_space = self.imagined.single_action_space
        self.render_mode = self.imagined.render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        if seed is not None or self.imagined.state is None:
            self.imagined.take_generator(self.np_random)
        observations, infos = self.imagined.reset()
        return self._one(observations), infos

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Imagine a step.

        Raises:
            ValueError: The action is none.
            ResetNeeded: The episode has not begun, or has ended.
        """
        out: Any = create_empty_array(self.action_space, n=1)
        actions = concatenate(self.action_space, [action], out)
        observations, rewards, terminated, truncated, infos = self.imagined.step(actions)
        info = {name: values[0].item() for name, values in infos.items() if name[0] != "_"}
        return (
            self._one(observations),
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            info,
        )

    def render(self) -> Picture | None:
        """A picture (H, W, 3)."""
        pictures = self.imagined.render()
        return None if pictures is None else pictures[0]

    def _one(self, observations: Any) -> Any:
        return next(iter(iterate(self.imagined.observation_space, observations)))


def _space_seen(model: AbstractWorldModel, obs_mode: ObservationMode) -> spaces.Space[Any]:
    if obs_mode == "observation":
        return model.observation_space
    return spaces.Box(-np.inf, np.inf, (model.num_latents,), dtype=np.float32)


def _check_number(value: float, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected {name} to be a number, got {value!r}")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"expected {name} of at least 0, got {value}")


def _check_rendering(
    render_mode: str | None, renderer: Renderer | None, space: spaces.Space[Any]
) -> None:
    if render_mode not in (None, *_RENDER_MODES):
        raise ValueError(f"expected render_mode of {_RENDER_MODES} or None, got {render_mode!r}")
    if render_mode is not None and renderer is None:
        raise ValueError(f"expected a renderer to draw observations of {space}, got None")


def _checked_mask(mask: Any, num_envs: int) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(num_envs, dtype=np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"expected reset_mask to be a boolean array, got {mask!r}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(f"expected reset_mask of {num_envs} with one set, got {mask}")
    return mask


def _infos(found: ImaginedStep, taken: NDArray[np.bool_]) -> dict[str, Any]:
    values = {"model_uncertainty": found.disagreement, "num_clipped": found.num_clipped}
    infos: dict[str, Any] = {}
    for name, each in values.items():
        infos[name] = np.where(taken, each, 0)
        infos[f"_{name}"] = taken.copy()
    return infos


def _with_final(
    infos: dict[str, Any], rows: list[Any], ended: NDArray[np.bool_]
) -> dict[str, Any]:
    """Infos of a step whose ended episodes begin anew at once; what was told is of their ends."""
    final_obs = np.full(len(rows), None, dtype=object)
    for row in np.flatnonzero(ended).tolist():
        final_obs[row] = copy.deepcopy(rows[row])
    final, left = {}, {}
    for name, values in infos.items():
        if name.startswith("_"):
            final[name], left[name] = values & ended, values & ~ended
        else:
            final[name], left[name] = np.where(ended, values, 0), np.where(ended, 0, values)
    left |= {"final_obs": final_obs, "_final_obs": ended}
    return {**left, "final_info": final, "_final_info": ended.copy()}
