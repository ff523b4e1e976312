"""Draw a grid, solve it, train Stable-Baselines3's PPO on it, and see both.

Any ASCII map is an environment with a known model: `#` wall, `S` start, `G` goal, `H` pit.
"""

import gymagine  # noqa: F401  (registers the environments)
import gymnasium
from gymagine.agents.planning import solve
from gymagine.envs import TabularMDP
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

MAP = ["S..#....", ".#.#.##.", ".#...#..", "...#.#.G", ".H......"]


def main(num_steps=4_000):
    env = gymnasium.make("gymagine/GridWorld-v0", rows=MAP, slip=0.1, render_mode="ansi")
    solution = solve(TabularMDP.from_env(env), discount=0.99)
    env.reset(seed=0)
    env.unwrapped.set_values(solution.state_values, solution.policy)
    print(env.render())
    print(f"{solution.method}: {solution.state_values[env.unwrapped.s]:.4f} from the start")

    agent = PPO("MlpPolicy", env, seed=0, n_steps=256).learn(num_steps)
    mean, deviation = evaluate_policy(agent, Monitor(env), n_eval_episodes=20)
    print(f"PPO after {num_steps:,} steps: return {mean:.2f} ± {deviation:.2f} (one deviation)")


if __name__ == "__main__":
    main()
