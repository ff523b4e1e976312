"""Whether pseudo-counts follow true counts, and whether being paid for novelty helps to explore.

    python benchmarks/novelty.py

*Counts*: a random walk of 3,000 steps on an empty 10 x 10 grid, its rows and columns seen as two
categories. After it the gain of one more visit is asked of every cell, and compared with how
often the cell was visited, by Spearman's rank correlation. The control is the same generator
before it learnt anything, whose gains tell what is easy, not what is known.

*Exploration*: steps of Q-learning, whose table starts at 0, until it is first paid what the
problem is about: in a RiverSwim of 10 states the reward upstream, 200 times that downstream; in
four rooms (12 x 12) the only reward there is. Rows differ in the bonus alone; what is not found
within 15,000 steps counts as 15,000. Controls are no bonus, and the shift without counts: every
step costs 0.05, which makes a table of zeros optimistic.

Intervals are 95 %, by bootstrap over seeds. Writes novelty.md beside this file.
"""

import copy
import time
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymagine.agents import QLearning
from gymagine.envs import TabularEnv, grid_world, river_swim
from gymagine.envs.novelty_bonus import NoveltyBonus
from gymagine.generative import EDM, GAN, MADE, VAE, RealNVP
from gymagine.generative.baselines.categorical_counts import CategoricalCounts
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit, TransformObservation, TransformReward
from scipy.stats import bootstrap, spearmanr

SIZE, WALK, COUNT_SEEDS = 10, 3_000, 3
SEEDS, BUDGET, COST = 10, 15_000, 0.05
ROOMS = (
    "S....#......",
    ".....#......",
    ".....#......",
    "............",
    ".....#......",
    "##.#######.#",
    ".....#......",
    ".....#......",
    ".....#......",
    "............",
    ".....#......",
    ".....#.....G",
)
LENGTH, LARGE = 10, 1.0

COUNTED = {
    "MADE": (partial(MADE, conditional="bernoulli", hidden_sizes=(64,)), {}),
    "VAE": (partial(VAE, decoder="bernoulli", hidden_sizes=(64,), latent_size=4), {}),
    "real NVP": (partial(RealNVP, num_couplings=4, hidden_sizes=(32,)), {}),
    "GAN": (partial(GAN, hidden_sizes=(32,)), {}),
    "EDM": (partial(EDM, hidden_sizes=(64,)), {"kind": "surrogate"}),
}


# ---- counts -------------------------------------------------------------------------------------


def grid():
    rows = ["S" + "." * (SIZE - 1)] + ["." * SIZE] * (SIZE - 1)
    seen = spaces.MultiDiscrete([SIZE, SIZE])
    cells = TransformObservation(
        TabularEnv(grid_world(rows, step_reward=0.0)),
        lambda state: np.array([state // SIZE, state % SIZE]),
        seen,
    )
    return TimeLimit(cells, 100)


def gains(env):
    """Of one more visit to each cell, which is not kept."""
    found = np.zeros((SIZE, SIZE))
    for cell in np.ndindex(SIZE, SIZE):
        meter = copy.deepcopy(env._meter)
        found[cell] = meter.learn(env._event(np.array(cell))).nats
    return found


def walked(make, settings, seed):
    """Rank correlations after learning and before, milliseconds a step, and the label."""
    torch.manual_seed(seed)
    env = NoveltyBonus(grid(), make((2 * SIZE,)), seed=seed, **settings)
    untrained = gains(env)
    counts, random = np.zeros((SIZE, SIZE)), np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    counts[tuple(observation)] += 1
    started = time.process_time()
    for _ in range(WALK):
        observation, _, terminated, truncated, _ = env.step(int(random.integers(4)))
        counts[tuple(observation)] += 1
        if terminated or truncated:
            observation, _ = env.reset()
            counts[tuple(observation)] += 1
    taken = 1e3 * (time.process_time() - started) / WALK
    ranks = [spearmanr(-g.ravel(), counts.ravel())[0] for g in (gains(env), untrained)]
    return *ranks, taken, env.kind


def count_rows():
    for name, (make, settings) in COUNTED.items():
        runs = [walked(make, settings, seed) for seed in range(COUNT_SEEDS)]
        after, before = (np.array([run[i] for run in runs]) for i in (0, 1))
        milliseconds = np.median([run[2] for run in runs])
        yield (
            f"| {name} | {runs[0][3]} | {interval(after, '.2f')} | {interval(before, '.2f')} | "
            f"{milliseconds:.1f} |"
        )


# ---- exploration --------------------------------------------------------------------------------


class FirstReward(gymnasium.Wrapper):
    """Notes the step of the first reward of at least some size."""

    def __init__(self, env, size):
        super().__init__(env)
        self.size, self.steps, self.first = size, 0, None

    def step(self, action):
        """Take a step."""
        result = self.env.step(action)
        self.steps += 1
        if self.first is None and result[1] >= self.size:
            self.first = self.steps
        return result


def river():
    model = river_swim(num_states=LENGTH, small_reward=0.005, large_reward=LARGE)
    return FirstReward(TimeLimit(TabularEnv(model), 200), LARGE)


def rooms():
    return FirstReward(TimeLimit(TabularEnv(grid_world(ROOMS, step_reward=0.0)), 200), 1.0)


def counts(num):
    return CategoricalCounts(num)


def made(num):
    return MADE((num,), conditional="bernoulli", hidden_sizes=(32,))


def vae(num):
    return VAE((num,), decoder="bernoulli", hidden_sizes=(32,), latent_size=4)


PROBLEMS = {"RiverSwim-10": river, "four rooms": rooms}
BONUSES = {
    "none (control)": None,
    "shift alone (control)": "cost",
    "true counts, scale 0.5": (counts, {"scale": 0.5}),
    "true counts, shifted": (counts, {"scale": COST, "shift": 1.0}),
    "MADE, shifted": (made, {"scale": COST, "shift": 1.0}),
    "VAE, shifted": (vae, {"scale": COST, "shift": 1.0}),
}


def paying(env, bonus, seed):
    """The environment with one of the bonuses."""
    if bonus is None:
        return env
    if bonus == "cost":
        return TransformReward(env, lambda reward: reward - COST)
    make, settings = bonus
    torch.manual_seed(seed)
    return NoveltyBonus(env, make(int(env.observation_space.n)), seed=seed, **settings)


def first_reward(problem, bonus, seed):
    inner = PROBLEMS[problem]()
    agent = QLearning(
        paying(inner, bonus, seed),
        seed=seed,
        discount=0.95,
        step_size=0.2,
        step_size_decay=0.0,
        exploration_rate=0.1,
    )
    for _ in range(0, BUDGET, 500):
        agent.learn(500)
        if inner.first is not None:
            return inner.first
    return BUDGET


def interval(values, form):
    if np.ptp(values) == 0:
        return f"{values[0]:{form}}"
    found = bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return f"{np.mean(values):{form}} [{found.low:{form}}, {found.high:{form}}]"


def exploration_rows():
    for problem in PROBLEMS:
        for name, bonus in BONUSES.items():
            steps = np.array([first_reward(problem, bonus, seed) for seed in range(SEEDS)])
            found = int((steps < BUDGET).sum())
            yield (
                f"| {problem} | {name} | {interval(steps, ',.0f')} | {np.median(steps):,.0f} | "
                f"{found} of {SEEDS} |"
            )


def main():
    torch.set_num_threads(1)
    lines = [
        "# Novelty",
        "",
        "Made by [novelty.py](novelty.py), which says how.",
        "",
        "## Pseudo-counts beside true counts",
        "",
        f"Spearman's rank correlation over {SIZE**2} cells, {COUNT_SEEDS} seeds.",
        "",
        "| generator | gain is | after learning | untrained (control) | ms a step |",
        "|---|---|---|---|---|",
        *count_rows(),
        "",
        "## Steps of Q-learning to the first reward",
        "",
        f"{SEEDS} seeds.",
        "",
        "| problem | bonus | mean steps | median | found |",
        "|---|---|---|---|---|",
        *exploration_rows(),
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
