"""Model-predictive control with a model learnt from a few thousand steps, beside its controls.

Run with ``python benchmarks/model_predictive_control.py``: about ten minutes on one core. On
Pendulum-v1 and CartPole-v1 and for each of three seeds an ensemble of conditional Gaussians learns
from random steps, and once more from steps that were planned; then each planner plays in it.
Beside them stand random actions and the cross-entropy method in the same model before it is
trained. The table goes to ``benchmarks/model_predictive_control.md``.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymagine.agents.agent import AbstractAgent
from gymagine.agents.imagination.model_predictive_control import ModelPredictiveControl
from gymagine.agents.random_policy import RandomPolicy
from numpy.typing import NDArray

LOG = logging.getLogger("model_predictive_control")
SEEDS = (0, 1, 2)
NUM_EPISODES = 5
SETTINGS: dict[str, Any] = {
    "num_candidates": 100,
    "num_elites": 10,
    "num_iterations": 2,
    "hidden_sizes": (64, 64),
    "num_updates": 1_000,
}
TASKS: dict[str, dict[str, Any]] = {
    "Pendulum-v1": {"horizon": 12, "random_steps": 1_000, "refit_interval": 200},
    "CartPole-v1": {"horizon": 12, "random_steps": 1_000, "refit_interval": 200},
}
LONGEST = 200  # steps of an episode, so that all of this takes ten minutes
BUDGET = 1_201  # steps of each agent: two fits, of 1,000 random and of 1,200 steps
TABLE = Path(__file__).with_suffix(".md")


def episode_returns(agent: AbstractAgent, env_id: str, seed: int) -> NDArray[np.float64]:
    """(E,) returns of the first episode in each of E copies, played at once."""
    envs = gymnasium.make_vec(
        env_id, num_envs=NUM_EPISODES, vectorization_mode="sync", max_episode_steps=LONGEST
    )
    observations, _ = envs.reset(seed=1_000 + 100 * seed)
    memory, returns, going = None, np.zeros(NUM_EPISODES), np.ones(NUM_EPISODES, dtype=bool)
    while going.any():
        actions, memory = agent.predict(observations, memory)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        returns += np.where(going, rewards, 0.0)
        going &= ~(terminated | truncated)
    envs.close()
    return returns


def with_planner(agent: ModelPredictiveControl, planner: str, seed: int) -> ModelPredictiveControl:
    """Another agent in the same model."""
    settings = SETTINGS | {"horizon": agent.config.horizon, "planner": planner}
    assert agent.env is not None
    return ModelPredictiveControl(agent.env, model=agent.model, seed=seed, **settings)


def rows_of_task(env_id: str) -> tuple[list[str], str]:
    """Lines of the table, and what is to be said of the models."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    errors = []
    for seed in SEEDS:
        options = SETTINGS | TASKS[env_id]
        untrained = ModelPredictiveControl(env_id, seed=seed, **options)
        untrained.model.eval()
        learnt = ModelPredictiveControl(env_id, seed=seed, **options).learn(BUDGET)
        fit = learnt.world_model_fit
        assert fit is not None
        errors.append((fit.error, fit.linear_error, fit.copying_error))
        agents: dict[str, AbstractAgent] = {
            "random": RandomPolicy(env_id, seed=seed),
            "cem, untrained model": untrained,
        }
        for planner in ("random-shooting", "mppi", "cem"):
            agents[f"{planner}, learnt model"] = with_planner(learnt, planner, seed)
        for name, agent in agents.items():
            begun = time.perf_counter()
            found.setdefault(name, []).append(episode_returns(agent, env_id, seed))
            LOG.info(
                "%s seed %d %s: %.1f in %.0f s",
                env_id,
                seed,
                name,
                found[name][-1].mean(),
                time.perf_counter() - begun,
            )
    lines = []
    for name, returns in found.items():
        means = [own.mean() for own in returns]
        text = ", ".join(f"{mean:.0f}" for mean in means)
        lines.append(f"| {env_id} | {name} | {np.mean(means):.1f} | {text} |")
    error, linear, copying = np.mean(errors, axis=0)
    return lines, f"{env_id}: {error:.3f} (linear {linear:.3f}, copying {copying:.3f})"


def main() -> None:
    """Measure, and write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    tables = [rows_of_task(env_id) for env_id in TASKS]
    text = [
        "# Model-predictive control in a learnt model",
        "",
        f"{len(SEEDS)} seeds, {NUM_EPISODES} episodes of each, of {LONGEST} steps at most; the",
        "mean return, and by seed.",
        f"An ensemble of conditional Gaussians learns from {BUDGET - 1:,} real steps, of which",
        "the first 1,000 are random. All planners have the same budget: "
        f"{SETTINGS['num_candidates']} candidates in {SETTINGS['num_iterations']}",
        "iterations for each action. Written by `benchmarks/model_predictive_control.py`.",
        "",
        "| environment | agent | mean return | by seed |",
        "|---|---|---:|---|",
        *[line for lines, _ in tables for line in lines],
        "",
        "Held-out error of one imagined step, in deviations: "
        + "; ".join(told for _, told in tables)
        + ".",
        "",
    ]
    TABLE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
