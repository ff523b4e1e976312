"""Imitation of a scripted expert on CartPole: rewards of a discriminator against plain cloning.

    python benchmarks/imitation_rewards.py [seeds]

CartPole with 200 steps at most. The expert's rule balances for all of them; of each of its
episodes every 20th step is shown, 10 pairs of observation and action. *Cloning* is a classifier of
actions (two hidden layers of 64, Adam, 1,000 updates). *GAIL* is A2C, 8 copies, paid by a
discriminator (reward ``positive``), 16,000 steps. It is shown with episodes that end as they do,
and with a horizon of 200 steps, which takes the survival bias away. What the bias does by itself
is the control: the same learner, paid by a discriminator that never learns.

Returns are means of 20 episodes, greedy; intervals are 95 % of the mean over seeds, by bootstrap.
Writes imitation_rewards.md beside this file.
"""

import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymagine.agents import A2C
from gymagine.agents.imagination.adversarial_imitation import imitate_adversarially
from gymagine.envs.adversarial_reward import AdversarialReward
from gymagine.envs.experts import expert_named
from gymagine.envs.transition_discriminator import TransitionDiscriminator
from gymagine.generative.data.environments import Transitions, transitions
from scipy.stats import bootstrap
from torch.nn import functional

LIMIT, THINNED, STEPS, EPISODES = 200, 20, 16_000, 20
TRAJECTORIES = (1, 4, 7, 10)
A2C_SETTINGS = {"num_envs": 8, "learning_rate": 2e-3, "entropy_weight": 0.02}
FIT_SETTINGS = {"discriminator_updates": 8, "gradient_penalty": 0.1}


def cart():
    return gymnasium.make("CartPole-v1", max_episode_steps=LIMIT)


def demonstrations(num, seed):
    """Every 20th step of so many episodes, from a random step on."""
    data = transitions(cart(), num * LIMIT, expert_named("cart-pole"), seed=seed)
    first = np.random.default_rng(seed).integers(THINNED, size=num)
    rows = np.concatenate([np.arange(LIMIT * i + first[i], LIMIT * (i + 1), THINNED)
                           for i in range(num)])  # fmt: skip
    names = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    return Transitions(**{name: getattr(data, name)[rows] for name in names})


def returns(act, seed):
    env, found = cart(), []
    for episode in range(EPISODES):
        observation, _ = env.reset(seed=10_000 * (seed + 1) + episode)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(int(act(observation)))
            total, over = total + reward, terminated or truncated
        found.append(total)
    return float(np.mean(found))


def cloned(num, seed):
    torch.manual_seed(seed)
    data = demonstrations(num, seed)
    x, y = torch.from_numpy(data.observation), torch.from_numpy(data.action)
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-6
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 64),
        torch.nn.Tanh(),
        torch.nn.Linear(64, 64),
        torch.nn.Tanh(),
        torch.nn.Linear(64, 2),
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(1_000):
        optimiser.zero_grad()
        functional.cross_entropy(network((x - mean) / deviation), y).backward()
        optimiser.step()

    @torch.no_grad()
    def act(observation):
        return network((torch.from_numpy(observation) - mean) / deviation).argmax()

    return returns(act, seed)


def adversarial(num, seed, *, horizon=None, learns=True):
    env = cart()
    judge = TransitionDiscriminator(env.observation_space, env.action_space, seed=seed)
    env = AdversarialReward(env, judge, horizon=horizon)
    agent = A2C(env, seed=seed, **A2C_SETTINGS)
    if learns:
        data = demonstrations(num, seed)
        imitate_adversarially(agent, env, data, STEPS, seed=seed, **FIT_SETTINGS)
    else:
        agent.learn(STEPS)
    return returns(lambda observation: agent.predict(observation)[0], seed)


def interval(values):
    values = np.array(values)
    if np.ptp(values) == 0:
        return f"{values[0]:.0f}"
    found = bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0))
    ends = found.confidence_interval
    return f"{values.mean():.0f} [{ends.low:.0f}, {ends.high:.0f}]"


def main():
    torch.set_num_threads(1)
    seeds, started = range(int(sys.argv[1]) if len(sys.argv) > 1 else 3), time.time()
    rows = []
    for num in TRAJECTORIES:
        contenders = (
            lambda seed, num=num: cloned(num, seed),
            lambda seed, num=num: adversarial(num, seed),
            lambda seed, num=num: adversarial(num, seed, horizon=LIMIT),
        )
        cells = " | ".join(interval([run(seed) for seed in seeds]) for run in contenders)
        rows.append(f"| {num} | {cells} |")
    survival, fixed = (
        interval([adversarial(0, seed, learns=False, horizon=horizon) for seed in seeds])
        for horizon in (None, LIMIT)
    )
    random = interval([returns(lambda _: np.random.default_rng().integers(2), s) for s in seeds])
    expert = expert_named("cart-pole")
    shown = interval([returns(lambda o: expert.predict(o)[0], seed) for seed in seeds])
    lines = [
        "# Rewards of a discriminator",
        "",
        "Made by [imitation_rewards.py](imitation_rewards.py), which says how: CartPole with "
        f"{LIMIT} steps, {len(seeds)} seeds, {(time.time() - started) / 60:.0f} minutes.",
        "",
        "| trajectories | cloning | GAIL, episodes end | GAIL, horizon 200 |",
        "|---|---|---|---|",
        *rows,
        f"| none: the judge never learns (control) | | {survival} | {fixed} |",
        "",
        f"Random actions: {random}. The expert: {shown}.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
