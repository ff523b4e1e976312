"""DQN from pixels on a processor: a rendered grid world, and MinAtar's Breakout.

    python benchmarks/deep_pixels.py
    python benchmarks/deep_pixels.py --tasks PixelGrid-v0

Three seeds of each, trained together by `gymagine.experiments.compare`; writes deep_pixels.md
beside this file, and goes on with what is not there yet. The grid world gives its picture as
observation, one pixel a cell, and starts anywhere: its best return is known exactly. MinAtar
(``pip install minatar``) is the published test bed of 10 x 10 pixels.
"""

import argparse
import importlib.util
import json
import logging
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import gymnasium
import numpy as np
from gymagine.agents.deep.presets import preset
from gymagine.envs.grid_drawing import draw_grid
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.textbook.grid_world import grid_world
from gymagine.experiments.comparison import compare
from gymagine.experiments.exact_evaluation import optimal_return
from gymagine.experiments.statistics import mean_interval
from gymagine.schedules import Schedule
from gymnasium import spaces

HERE = Path(__file__).resolve()
SEEDS = 3
MAP = (
    "S.S.#S.S",
    ".##.#.#.",
    "S.S...#S",
    "##.##.#.",
    "S..S.H.S",
    ".#H#.##.",
    "S.S..#G.",
    ".H.S.S..",
)
CAP = 100


class Pictures(gymnasium.ObservationWrapper):
    """A grid world's picture in place of its state."""

    def __init__(self, env):
        super().__init__(env)
        mdp = env.unwrapped.mdp
        self._pictures = [
            draw_grid(mdp.layout, agent_state=state, cell_size=1)
            for state in range(mdp.num_states)
        ]
        shape = self._pictures[0].shape
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)

    def observation(self, observation):
        """(H, W, 3) bytes."""
        return self._pictures[observation]


def pixel_grid():
    return Pictures(TabularEnv(grid_world(MAP, slip=0.1)))


GRID = {
    "learning_rate": 5e-4,
    "batch_size": 32,
    "buffer_size": 30_000,
    "learning_starts": 1_000,
    "train_freq": 4,
    "target_update_interval": 500,
    "exploration_rate": Schedule("linear", 1.0, 0.05, 20_000),
    "hidden_sizes": (),
}
TASKS = {
    # id: steps, cap of an evaluation's episode, hyper-parameters, what is known of it
    "PixelGrid-v0": (40_000, CAP, lambda: GRID, "the exact optimum"),
    "MinAtar/Breakout-v1": (
        200_000,
        1_000,
        lambda: preset("dqn", "MinAtar/Breakout-v1").hyperparameters,
        "random 0.5 by its authors; their DQN's curves span 5 million steps (Young & Tian 2019)",
    ),
}


def register_tasks():
    gymnasium.register("PixelGrid-v0", entry_point=pixel_grid, max_episode_steps=CAP)
    if importlib.util.find_spec("minatar") is not None:
        from minatar.gym import register_envs

        register_envs()


def made(id_, folder):
    steps, cap, settings, _ = TASKS[id_]
    begun = time.perf_counter()
    comparison = compare(
        id_,
        ["dqn"],
        seeds=SEEDS,
        total_timesteps=steps,
        evaluations=10,
        evaluation_episodes=20,
        max_steps=cap,
        hyperparameters={"dqn": dict(settings())},
        folder=folder,
        jobs=1,
    )
    scores = comparison.scores(id_, "dqn")
    runs = comparison.runs_of(id_, "dqn")
    optimum = comparison.optimum[id_]
    if id_ == "PixelGrid-v0":
        optimum = optimal_return(grid_world(MAP, slip=0.1), discount=1.0, horizon=CAP)
    shape = gymnasium.make(id_).observation_space
    return {
        "steps": steps,
        "pixels": "x".join(map(str, shape.shape)) + f" {shape.dtype}",
        "random": comparison.control[id_],
        "optimum": optimum,
        "scores": scores.tolist(),
        "curve": np.mean([run.curve_returns for run in runs], axis=0).tolist(),
        "curve_steps": runs[0].curve_steps,
        "seconds": time.perf_counter() - begun,
        "training_seconds": float(np.mean([run.wall_seconds for run in runs])),
    }


def table(stored):
    lines = [
        "# DQN from pixels, on a processor",
        "",
        f"Written by `benchmarks/deep_pixels.py`: {SEEDS} seeds trained together on one core of a "
        "shared machine; mean of the greedy policy's return over 100 episodes of each seed, with "
        f"Student's 95 % interval over seeds. Python {platform.python_version()}, torch "
        f"{version('torch')}.",
        "",
        "| task | pixels | steps | random policy | half-way | final [95 %] | known | minutes, "
        "evaluations included |",
        "|---|---|---:|---:|---:|---:|---|---:|",
    ]
    for id_, found in stored.items():
        mean = mean_interval(np.array(found["scores"]))
        known = TASKS[id_][3]
        if found["optimum"] is not None:
            known += f": {found['optimum']:.3f}"
        half = found["curve"][len(found["curve"]) // 2]
        lines.append(
            f"| {id_} | {found['pixels']} | {found['steps']:,} | {found['random']:.2f} | "
            f"{half:.2f} | **{mean.estimate:.2f}** [{mean.low:.2f}, {mean.high:.2f}] | {known} | "
            f"{found['seconds'] / 60:.1f} |"
        )
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS))
    parser.add_argument("--folder", default="runs/deep_pixels", help="where runs are kept")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    register_tasks()
    kept = HERE.with_suffix(".json")
    for id_ in options.tasks or TASKS:
        if id_ not in gymnasium.registry:
            sys.stderr.write(f"{id_} is left out: pip install minatar\n")
            continue
        found = made(id_, options.folder)
        stored = json.loads(kept.read_text()) if kept.exists() else {}
        stored[id_] = found
        kept.write_text(json.dumps(stored) + "\n")
        HERE.with_suffix(".md").write_text(table(stored), encoding="utf-8")
        sys.stderr.write(f"{id_}: {found['scores']}, {found['seconds']:.0f} s\n")


if __name__ == "__main__":
    main()
