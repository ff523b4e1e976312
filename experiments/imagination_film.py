"""A real episode beside an imagined one that begins alike and in which the same is done."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from ..agents.agent import AbstractAgent
from ..envs.imagined_rendering import ObservationRenderer
from ..generative.abstract_world_model import AbstractWorldModel
from .environment_names import EnvironmentName
from .episode_video import Film, cut_film

__all__ = ["can_film", "film_beside"]

_GAP = 12
_BAND = 36
_SIDE = 640


def can_film(environment: EnvironmentName) -> bool:
    """Whether a way is known to draw what is imagined of an environment."""
    env = environment.make()
    try:
        return ObservationRenderer.knows(env)
    finally:
        env.close()


def film_beside(
    agent: AbstractAgent,
    model: AbstractWorldModel,
    environment: EnvironmentName,
    *,
    seed: int = 0,
    max_steps: int = 300,
    temperature: float = 1.0,
) -> Film:
    """Film an episode of the agent's in the real environment, and the same imagined.

    The world model is given the first observation and then the actions only. Where an episode
    ends, its last picture stays.

    Args:
        agent: Acts, without exploration, on what is really seen.
        model: Imagines.
        environment: Of which a way is known to put it where observations say.
        seed: Of the episode and the dream.
        max_steps: After which the film ends.
        temperature: Of the dream.

    Raises:
        ValueError: No such way is known.
    """
    env = environment.make(render_mode="rgb_array")
    canvas = environment.make(render_mode="rgb_array")
    try:
        renderer = ObservationRenderer(canvas)
        rng = torch.Generator(device=model.is_fitted.device).manual_seed(seed)
        observation, _ = env.reset(seed=seed)
        agent_state: Any = None
        dream = model.begin(_batch(model.observation_space, observation))
        real, imagined = _picture(env), renderer(observation)
        pictures = [_beside(real, imagined, 0, "", "")]
        real_end = imagined_end = ""
        for step in range(1, max_steps + 1):
            action, agent_state = agent.predict(
                observation, agent_state, np.array([step == 1]), True
            )
            observation, _, terminated, truncated, _ = env.step(action)
            dream, found = model.step(
                dream, _batch(model.action_space, action), temperature=temperature, rng=rng
            )
            real = _picture(env)
            if not imagined_end:
                imagined = renderer(_first(model.observation_space, found.observation))
                imagined_end = f"ended at {step}" if found.terminated[0] else ""
            if terminated or truncated:
                real_end = f"ended at {step}"
            pictures.append(_beside(real, imagined, step, real_end, imagined_end))
            if real_end:
                break
        pictures += [pictures[-1]] * 10
        return cut_film(pictures, rate=float(env.metadata.get("render_fps") or 30), max_side=_SIDE)
    finally:
        env.close()
        canvas.close()


def _batch(space: gymnasium.Space[Any], value: Any) -> Any:
    out: Any = create_empty_array(space, n=1)
    return concatenate(space, [value], out)


def _first(space: gymnasium.Space[Any], batch: Any) -> Any:
    from gymnasium.vector.utils import batch_space

    return next(iter(iterate(batch_space(space, 1), batch)))


def _picture(env: gymnasium.Env[Any, Any]) -> NDArray[np.uint8]:
    shown: Any = env.render()
    return np.array(shown, dtype=np.uint8)


def _beside(
    real: NDArray[np.uint8], imagined: NDArray[np.uint8], step: int, *ends: str
) -> NDArray[np.uint8]:
    """Both pictures under their names."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = real.shape[:2]
    canvas = Image.new("RGB", (2 * width + _GAP, height + _BAND), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(12, width // 26))
    names = ("real", "imagined")
    for number, (picture, name, end) in enumerate(zip((real, imagined), names, ends, strict=True)):
        left = number * (width + _GAP)
        canvas.paste(Image.fromarray(picture), (left, _BAND))
        title = f"{name}, step {step}" + (f": {end}" if end else "")
        draw.text((left + 6, _BAND // 2), title, fill="black", font=font, anchor="lm")
    return np.asarray(canvas)
