"""Stable-Baselines3's callbacks and evaluation run on a tabular agent as on its own."""

from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium
from gymagine.agents import SARSA
from stable_baselines3.common.callbacks import (
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor


def main():
    env = Monitor(gymnasium.make("FrozenLake-v1"))
    with TemporaryDirectory() as folder:
        stop = StopTrainingOnRewardThreshold(reward_threshold=0.7, verbose=1)
        evaluation = EvalCallback(
            env, callback_on_new_best=stop, n_eval_episodes=100, eval_freq=10_000,
            best_model_save_path=folder, verbose=0,
        )  # fmt: skip
        checkpoints = CheckpointCallback(save_freq=20_000, save_path=folder)
        agent = SARSA("FrozenLake-v1", seed=0).learn(200_000, [evaluation, checkpoints])
        print(f"stopped after {agent.num_timesteps:,} steps")
        print("files:", *sorted(path.name for path in Path(folder).iterdir()))
    mean, deviation = evaluate_policy(agent, env, n_eval_episodes=200)
    print(f"mean return of 200 episodes: {mean:.3f} (deviation {deviation:.3f})")


if __name__ == "__main__":
    main()
