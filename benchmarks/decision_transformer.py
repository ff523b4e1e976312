"""A decision transformer on CartPole: the return that is asked for, and the one that it gets.

Run with ``python benchmarks/decision_transformer.py``: about ten minutes on one core. The data are
of mixed quality: a hand-written controller that errs at random, with a probability that is drawn
for each episode. Beside it stands behaviour cloning of the same data, which is asked for nothing.
The table goes to ``benchmarks/decision_transformer.md``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymagine.agents.imagination.decision_transformer import DecisionTransformer
from gymagine.agents.imagination.generative_policy import GenerativePolicy
from gymagine.agents.imagination.trajectory_windows import returns_to_go
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.data.environments import transitions
from gymagine.generative.world_model_data import episode_starts
from numpy.typing import NDArray

LOG = logging.getLogger("decision_transformer")
SEEDS = (0, 1, 2)
NUM_STEPS = 15_000
NUM_EPISODES = 20
LONGEST = 200
ASKED = (20.0, 50.0, 100.0, 150.0, 200.0)
SETTINGS: dict[str, Any] = {"width": 32, "num_layers": 2, "context_length": 10}
UPDATES = 1_200
TABLE = Path(__file__).with_suffix(".md")


class ErringController:
    """Balances the pole, but acts at random with a probability drawn for each episode."""

    def __init__(self, seed: int) -> None:
        self._rng, self._share = np.random.default_rng(seed), 0.0

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[int, Any]:
        """0 or 1, and whether an episode has begun."""
        if state is None:
            self._share = self._rng.uniform()
        if self._rng.random() < self._share:
            return int(self._rng.integers(2)), True
        place, speed, angle, turning = observation
        return int(angle + 0.5 * turning + 0.05 * place + 0.1 * speed > 0), True


def played(agent: Any, deterministic: bool) -> NDArray[np.float64]:
    """(E,) returns of the first episode in each of E copies, played at once."""
    envs = gymnasium.make_vec(
        "CartPole-v1",
        num_envs=NUM_EPISODES,
        vectorization_mode="sync",
        max_episode_steps=LONGEST,
    )
    observations, _ = envs.reset(seed=10_000)
    memory, returns, going = None, np.zeros(NUM_EPISODES), np.ones(NUM_EPISODES, dtype=bool)
    while going.any():
        actions, memory = agent.predict(observations, memory, deterministic=deterministic)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        returns += np.where(going, rewards, 0.0)
        going &= ~(terminated | truncated)
    envs.close()
    return returns


def main() -> None:
    """Measure, and write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[float]] = {}
    recorded = []
    env = gymnasium.make("CartPole-v1", max_episode_steps=LONGEST)
    for seed in SEEDS:
        data = transitions(env, NUM_STEPS, ErringController(seed), seed=seed)
        recorded.append(returns_to_go(data, 1.0)[np.unique(episode_starts(data))])
        agent = DecisionTransformer(env, seed=seed, **SETTINGS)
        fit = agent.fit(data, seed=seed, num_updates=UPDATES)
        LOG.info("%d: %.0f s, rewards off by %.3f", seed, fit.training.seconds, fit.reward_error)
        for asked in ASKED:
            agent.ask_for(asked)
            for how, deterministic in (("drawn", False), ("most probable", True)):
                got = float(played(agent, deterministic).mean())
                found.setdefault((f"{asked:.0f}", how), []).append(got)
                LOG.info("%d asked %.0f, %s: %.1f", seed, asked, how, got)
        clone = GenerativePolicy(
            env,
            generator=Regression,
            seed=seed,
            observation_horizon=1,
            prediction_horizon=1,
            action_horizon=1,
            cut_episodes="repeat",
        )
        clone.fit(data, seed=seed, num_updates=UPDATES)
        got = float(played(clone, True).mean())
        found.setdefault(("nothing: cloning", "most probable"), []).append(got)
    lines = [
        f"| {asked} | {how} | {np.mean(got):.1f} | {', '.join(f'{x:.0f}' for x in got)} |"
        for (asked, how), got in found.items()
    ]
    quantiles = np.quantile(np.concatenate(recorded), [0, 0.25, 0.5, 0.75, 1])
    text = [
        "# A decision transformer is asked for a return",
        "",
        f"CartPole-v1, episodes of {LONGEST} steps at most; {len(SEEDS)} seeds of data and "
        f"training, {NUM_EPISODES} episodes",
        f"of each. {NUM_STEPS:,} steps of a controller that errs; quartiles of its returns: "
        + ", ".join(f"{x:.0f}" for x in quantiles)
        + ".",
        f"{UPDATES:,} updates. Written by `benchmarks/decision_transformer.py`.",
        "",
        "| asked for | actions | mean return | by seed |",
        "|---|---|---:|---|",
        *lines,
        "",
    ]
    TABLE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
