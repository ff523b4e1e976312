"""Two step sizes, three seeds each: six DQN agents learn together in one process.

Members of a population share their calls of the processor and nothing else: each is the agent of
its seed, to be evaluated, saved, loaded and resumed like one trained alone.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from gymagine import evaluate
from gymagine.agents.deep import DQN, Population

STEP_SIZES = (1e-4, 2e-3)
SETTINGS = {
    "double": True,
    "hidden_sizes": (64,),
    "batch_size": 64,
    "learning_starts": 500,
    "train_freq": 4,
    "gradient_steps": 2,
    "target_update_interval": 100,
    "exploration_rate": 0.1,
}


def main(num_steps=5_000):
    each = [{"learning_rate": size} for size in STEP_SIZES for _ in range(3)]
    seeds = [0, 1, 2] * len(STEP_SIZES)
    population = Population(DQN, "CartPole-v1", seeds=seeds, settings=each, **SETTINGS)
    with TemporaryDirectory() as folder:
        file = Path(folder, "six.safetensors")
        population.learn(num_steps // 2).save(file)  # one file for all, memories included
        population = Population.load(file, DQN, "CartPole-v1")
    population.learn(num_steps // 2)  # as if nothing had come between
    for agent in population.members:
        result = evaluate(agent, num_episodes=10)
        print(
            f"learning_rate {agent.config.learning_rate:g}, seed {agent.seed}, "
            f"{agent.num_timesteps:,} steps: mean return {result.mean:.1f} "
            f"[{result.low:.1f}, {result.high:.1f}]"
        )


if __name__ == "__main__":
    main()
