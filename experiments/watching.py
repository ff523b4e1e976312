"""An agent seen acting: in the environment's own window, or as a GIF or MP4."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..agents.action_masks import mask_rows
from ..agents.agent import AbstractAgent
from ..envs.tabular_env import TabularEnv
from ..storage import write_whole
from .action_masks import wants_masks
from .evaluation import step_cap
from .records import RunRecord

__all__ = ["encode_gif", "play_episodes", "show_tables", "watch", "write_video"]

_FORMATS = (".gif", ".mp4")


def watch(
    run: RunRecord | str | os.PathLike[str],
    *,
    video: str | os.PathLike[str] | None = None,
    num_episodes: int = 3,
    seed: int = 0,
    max_steps: int | None = None,
    fps: float | None = None,
) -> list[float]:
    """Play episodes with the agent of a run where one can see them.

    Our own grids also show the agent's values as a heat map and its policy as arrows.

    Args:
        run: The run.
        video: A ``.gif`` or ``.mp4`` to write; None opens the environment's window.
        num_episodes: How many.
        seed: Of the episodes.
        max_steps: Cap on the steps of an episode; None is the environment's own time limit, or
            1000 where it has none.
        fps: Frames per second; None is the environment's own.

    Returns:
        The undiscounted return of each episode.

    Raises:
        ValueError: The environment cannot be drawn in this way, or the file is of another kind.
        ModuleNotFoundError: An MP4 is asked for without ``imageio-ffmpeg``.
    """
    if video is not None and Path(video).suffix.lower() not in _FORMATS:
        raise ValueError(f"expected a file ending in {' or '.join(_FORMATS)}, got {video}")
    record = run if isinstance(run, RunRecord) else RunRecord.open(run)
    mode = "human" if video is None else "rgb_array"
    environment = record.environment.for_evaluation
    modes = environment.make().metadata.get("render_modes", [])
    if mode not in modes:
        raise ValueError(
            f"{environment.label} cannot be drawn as {mode}: it knows "
            f"{', '.join(map(str, modes)) or 'no way'}"
        )
    agent = record.load_agent()
    env = environment.make(render_mode=mode)
    show_tables(env, agent)
    returns: list[float] = []
    cap = max_steps or step_cap(env)
    seeds = [seed + episode for episode in range(num_episodes)]
    try:
        frames = play_episodes(env, agent, seeds, cap, returns)
        if video is None:
            for _ in frames:
                continue  # the window draws itself
        else:
            rate = fps or float(env.metadata.get("render_fps", 30))
            write_video(video, list(frames), fps=rate)
    finally:
        env.close()
    return returns


def write_video(
    path: str | os.PathLike[str], frames: Sequence[NDArray[np.uint8]], *, fps: float
) -> Path:
    """Write pictures as a film, whole or not at all.

    Args:
        path: Ends in ``.gif`` or ``.mp4``.
        frames: (H, W, 3) pictures of one size, at least one.
        fps: Pictures per second.

    Raises:
        ValueError: There are no pictures, or the ending is another.
        ModuleNotFoundError: MP4 needs ``imageio-ffmpeg``.
    """
    if not frames:
        raise ValueError("expected at least one picture, got none")
    suffix = Path(path).suffix.lower()
    if suffix == ".gif":
        return write_whole(path, encode_gif(frames, fps))
    if suffix == ".mp4":
        return _write_mp4(Path(path), frames, fps)
    raise ValueError(f"expected a file ending in {' or '.join(_FORMATS)}, got {path}")


def play_episodes(
    env: gymnasium.Env[Any, Any],
    agent: AbstractAgent,
    seeds: Sequence[int],
    max_steps: int,
    returns: list[float],
) -> Iterator[NDArray[np.uint8]]:
    """Play episodes with an agent's greedy policy, and give what there is to see.

    Args:
        env: Draws itself, or gives pictures.
        agent: Acts.
        seeds: Of the episodes.
        max_steps: Cap on the steps of each.
        returns: The undiscounted return of each episode is appended to it.

    Yields:
        (H, W, 3) pictures, of the first observation and after every step, where ``env`` was made
        with ``render_mode="rgb_array"``; else nothing.
    """
    masked = wants_masks(agent)
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        memory, first, total = None, True, 0.0
        yield from _picture(env)
        for _ in range(max_steps):
            masks = mask_rows([info]) if masked else None
            action, memory = agent.predict(
                observation,
                state=memory,
                episode_start=np.array([first]),
                deterministic=True,
                **({} if masks is None else {"action_mask": masks[0]}),
            )
            observation, reward, terminated, truncated, info = env.step(action)
            total, first = total + float(reward), False
            yield from _picture(env)
            if terminated or truncated:
                break
        returns.append(total)


def _picture(env: gymnasium.Env[Any, Any]) -> Iterator[NDArray[np.uint8]]:
    if env.render_mode == "rgb_array":
        yield np.asarray(env.render(), dtype=np.uint8)


def show_tables(env: gymnasium.Env[Any, Any], agent: AbstractAgent) -> None:
    """Let one of our own grids show the agent's values and policy, where it has tables."""
    inner = env.unwrapped
    values, policy = (getattr(agent, name, None) for name in ("state_values", "policy"))
    if isinstance(inner, TabularEnv) and isinstance(values, np.ndarray):
        inner.set_values(values, policy)


def encode_gif(frames: Sequence[NDArray[np.uint8]], fps: float) -> bytes:
    """The bytes of a GIF of these (H, W, 3) pictures, which plays for ever."""
    from PIL import Image

    pictures = [Image.fromarray(frame).quantize(64) for frame in frames]
    content = io.BytesIO()
    # GIF counts in hundredths of a second, and players slow down what is faster than two of them
    duration = max(20, round(1000 / fps))
    pictures[0].save(
        content, "GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0
    )
    return content.getvalue()


def _write_mp4(path: Path, frames: Sequence[NDArray[np.uint8]], fps: float) -> Path:
    try:
        from imageio_ffmpeg import write_frames  # type: ignore[import-untyped]  # has no stubs
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an MP4 needs imageio-ffmpeg: pip install 'gymagine[video]'; a .gif needs nothing"
        ) from error
    height, width = (size - size % 2 for size in frames[0].shape[:2])  # its codec wants even sizes
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    writer = write_frames(str(temporary), (width, height), fps=fps, macro_block_size=1)
    try:
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame[:height, :width]))
        writer.close()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
