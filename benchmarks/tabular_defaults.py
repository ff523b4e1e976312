"""Why the learners' default step sizes are what they are: FrozenLake-v1 after 200 000 steps.

    python benchmarks/tabular_defaults.py

For each learner and step size: the success of the greedy policy under the environment's cap of 100
steps, computed exactly from the model, mean and worst of 20 seeds. The best that can be had is
0.7442. Discount 0.99, exploration rate 0.1. Writes tabular_defaults.md beside this file.
"""

import sys
from pathlib import Path

import numpy as np
from gymagine.agents.tabular import (
    SARSA,
    DoubleQLearning,
    ExpectedSARSA,
    MonteCarlo,
    NStepSARSA,
    QLambda,
    QLearning,
    SARSALambda,
    learn_many,
)
from gymagine.envs import TabularMDP

LEARNERS = (
    QLearning, SARSA, ExpectedSARSA, DoubleQLearning, NStepSARSA, SARSALambda, QLambda, MonteCarlo,
)  # fmt: skip
SEEDS, NUM_STEPS, CAP = 20, 200_000, 100
STEP_SIZES = {
    "0.1": (0.1, 0.0),
    "0.02": (0.02, 0.0),
    "n^-0.5": (1.0, 0.5),
    "n^-0.6": (1.0, 0.6),
    "n^-0.7": (1.0, 0.7),
    "n^-0.8": (1.0, 0.8),
    "1/n": (1.0, 1.0),
}


def success(mdp, policy):
    """Exact probability of the goal within the cap."""
    rows = np.arange(mdp.num_states) * mdp.num_actions + policy
    matrix, rewards = mdp.continuation_matrix()[rows], mdp.expected_rewards.ravel()[rows]
    values = np.zeros(mdp.num_states)
    for _ in range(CAP):
        values = rewards + matrix @ values
    return float(mdp.initial_distribution @ values)


def row(learner, mdp):
    cells = []
    default = learner.Config()
    for size, decay in STEP_SIZES.values():
        settings = {"step_size": size, "step_size_decay": decay}
        agents = [learner("FrozenLake-v1", seed=seed, **settings) for seed in range(SEEDS)]
        scores = [success(mdp, agent.policy) for agent in learn_many(agents, NUM_STEPS)]
        cell = f"{np.mean(scores):.3f} ({min(scores):.2f})"
        is_default = (size, decay) == (default.step_size, default.step_size_decay)
        cells.append(f"**{cell}**" if is_default else cell)
    return f"| {learner.name} | " + " | ".join(cells) + " |"


def main():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    lines = [
        "# Default step sizes: FrozenLake-v1 after 200 000 steps",
        "",
        "Written by `benchmarks/tabular_defaults.py`. Exact success of the greedy policy under "
        f"the cap of {CAP} steps: mean (worst) of {SEEDS} seeds; the optimum is 0.744. n counts "
        "the updates of a pair. Defaults in bold.",
        "",
        "| | " + " | ".join(STEP_SIZES) + " |",
        "|---" * (len(STEP_SIZES) + 1) + "|",
        *(row(learner, mdp) for learner in LEARNERS),
        "",
    ]
    text = "\n".join(lines)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
