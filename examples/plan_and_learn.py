"""A planner's proof beside a learner's estimate, and what the difference is worth.

Value iteration proves the optimum of slippery FrozenLake to 1e-8; Q-learning estimates it from
200,000 steps; the learned policy is then evaluated exactly, under the environment's step cap.
"""

import numpy as np
from gymagine.agents import QLearning
from gymagine.agents.planning import backward_induction, policy_evaluation, value_iteration
from gymagine.envs import TabularMDP


def main():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    optimum = value_iteration(mdp, discount=0.99)
    agent = QLearning("FrozenLake-v1", seed=0, discount=0.99).learn(200_000)
    error = np.abs(agent.state_values - optimum.state_values).max()
    print(f"optimal value of the start: {optimum.state_values[0]:.6f} ± {optimum.error_bound:.1e}")
    print(f"largest error of the learned values: {error:.4f} ({agent.simulator} environment)")

    capped = policy_evaluation(mdp, agent.policy, discount=1.0, horizon=mdp.max_episode_steps)
    best = backward_induction(mdp, discount=1.0)
    print(f"success within {mdp.max_episode_steps} steps: {capped.state_values[0]:.4f}", end=" ")
    print(f"(the best possible: {best.state_values[0]:.4f})")


if __name__ == "__main__":
    main()
