"""Trajectory planners in a maze, beside behaviour cloning of the same demonstrations.

Run with ``python benchmarks/trajectory_planner.py``: about ten minutes on one core. A waypoint
controller, noisy and most often on a detour, is recorded in ``gymagine/PointMaze-v0``. Planners
and clones learn from the same steps and are asked for goals from starts that are the same for all.
The table goes to ``benchmarks/trajectory_planner.md``.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import gymagine  # noqa: F401  # registers the maze
import gymnasium
import numpy as np
import torch
from gymagine.agents.imagination.generative_policy import GenerativePolicy
from gymagine.agents.imagination.trajectory_planner import TrajectoryPlanner
from gymagine.agents.random_policy import RandomPolicy
from gymagine.envs.point_maze import WaypointController
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.data.environments import transitions
from gymagine.generative.diffusion.ddpm import DDPM

LOG = logging.getLogger("trajectory_planner")
MAZE = "gymagine/PointMaze-v0"
SEEDS = (0, 1, 2)
NUM_STEPS = 20_000
NUM_EPISODES = 50
DEMONSTRATOR = {"detour": 0.7, "noise": 0.3}
DIFFUSION = {
    "num_steps": 50,
    "sampling_steps": 10,
    "clip": 1.1,
    "prediction": "data",
    "hidden_sizes": (256, 256, 256),
}
PLANNER: dict[str, Any] = {"horizon": 16, "action_horizon": 4, "discount": 0.98}
GUIDED = {
    "one plan without guidance, DDPM": {"guidance_scale": 0.0, "num_plans": 1},
    "one plan with guidance, DDPM": {"guidance_scale": 3.0, "num_plans": 1},
    "best of 8 with guidance, DDPM": {"guidance_scale": 3.0, "num_plans": 8},
}
UPDATES = 2_000
TABLE = Path(__file__).with_suffix(".md")


def played(agent: Any) -> tuple[float, float]:
    """Share of episodes that reach the goal, and mean steps, the cap where they do not."""
    envs = gymnasium.make_vec(MAZE, num_envs=NUM_EPISODES, vectorization_mode="sync")
    observations, _ = envs.reset(seed=10_000)
    memory, going = None, np.ones(NUM_EPISODES, dtype=bool)
    reached, lengths = np.zeros(NUM_EPISODES, dtype=bool), np.zeros(NUM_EPISODES)
    while going.any():
        actions, memory = agent.predict(observations, memory)
        observations, _, terminated, truncated, _ = envs.step(actions)
        lengths += going
        reached |= going & terminated
        going &= ~(terminated | truncated)
    envs.close()
    return float(reached.mean()), float(lengths.mean())


def demonstrated(seed: int) -> tuple[float, float]:
    """The same of the demonstrator."""
    env = gymnasium.make(MAZE)
    data = transitions(env, 5_000, WaypointController(env, seed=seed, **DEMONSTRATOR), seed=seed)
    ends = data.terminated | data.truncated
    return float(data.terminated.sum() / ends.sum()), len(data) / float(ends.sum())


def contenders(seed: int) -> dict[str, Any]:
    """Agents by name, trained on one recording."""
    env = gymnasium.make(MAZE)
    data = transitions(
        env, NUM_STEPS, WaypointController(env, seed=seed, **DEMONSTRATOR), seed=seed
    )
    found: dict[str, Any] = {"random": RandomPolicy(env, seed=seed)}
    for name, length, used in (("cloning (MSE)", 1, 1), ("cloning (MSE), chunks of 4", 4, 4)):
        clone = GenerativePolicy(
            env,
            generator=Regression,
            seed=seed,
            observation_horizon=1,
            prediction_horizon=length,
            action_horizon=used,
        )
        clone.fit(data, seed=seed, num_updates=UPDATES)
        found[name] = clone
    for name, family, settings, method in (
        ("guidance, DDPM", DDPM, DIFFUSION, "guidance"),
        ("return-conditioned, DDPM", DDPM, DIFFUSION | {"guidance": 1.0}, "return-conditioned"),
        ("ranking of 16, VAE", VAE, {}, "ranking"),
    ):
        options = {"generator": family, "hyperparameters": settings, "method": method, **PLANNER}
        planner = TrajectoryPlanner(env, seed=seed, **options)
        fit = planner.fit(data, seed=seed, num_updates=UPDATES)
        LOG.info("%s: second model %.2f (mean %.2f)", name, fit.error, fit.constant_error)
        if method != "guidance":
            found[name] = planner
            continue
        for title, asked in GUIDED.items():
            found[title] = asked_otherwise(planner, env, options | asked, seed)
    return found


def asked_otherwise(
    planner: TrajectoryPlanner, env: Any, options: dict[str, Any], seed: int
) -> TrajectoryPlanner:
    """Another planner with what this one learnt."""
    other = TrajectoryPlanner(env, seed=seed, **options)
    other._model.load_state_dict(planner._model.state_dict())
    other._model.eval()
    return other


def main() -> None:
    """Measure, and write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in SEEDS:
        found.setdefault("demonstrator", []).append(demonstrated(seed))
        for name, agent in contenders(seed).items():
            begun = time.perf_counter()
            found.setdefault(name, []).append(played(agent))
            LOG.info("%d %s %s %.0f s", seed, name, found[name][-1], time.perf_counter() - begun)
    lines = []
    for name, scores in found.items():
        reached = ", ".join(f"{share:.2f}" for share, _ in scores)
        means = np.mean(scores, axis=0)
        lines.append(f"| {name} | {means[0]:.2f} | {reached} | {means[1]:.0f} |")
    text = [
        "# Trajectory planners in a maze",
        "",
        f"`{MAZE}`; {len(SEEDS)} seeds of data and training, {NUM_EPISODES} episodes of each,",
        f"from the same starts to the same goals. {NUM_STEPS:,} steps of a waypoint controller",
        f"that goes on a detour in {DEMONSTRATOR['detour']:.0%} of its episodes, with noise of "
        f"deviation {DEMONSTRATOR['noise']}.",
        f"{UPDATES:,} updates of each generator. Written by `benchmarks/trajectory_planner.py`.",
        "",
        "| agent | goal reached | by seed | steps |",
        "|---|---:|---|---:|",
        *lines,
        "",
    ]
    TABLE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
