"""What generators are worth as policies of action chunks, beside their controls.

    python benchmarks/policies.py [two-ways] [own-returns] [lunar-lander] [latency]

*Two ways*: success in gymagine/TwoWays-v0, where the mean of the demonstrators' actions crashes.
4,000 demonstrated steps (about 320 episodes), 1,200 updates of 256 windows, To = 2, Tp = 4, Ta =
2; three seeds of data and training, 100 episodes each. The interval is Wilson's over all 300
episodes, and the range over seeds stands beside it; "above" is the share of successes that passed
above the block: a half is what demonstrators do.

*Own returns*: policies after steps of their own with reward-weighted regression, beside the
control that learns from its own episodes with equal weights; two seeds. Fully trained ones (1,200
updates, then 2,000 steps) and, after those had shown no gain, half-trained ones (250 updates, then
6,000 steps with larger refits).

*LunarLander*: return in LunarLander-v3 (four discrete actions) from 20 episodes of Gymnasium's
heuristic, To = 2, Tp = 8, Ta = 4, two seeds, 20 episodes each; Student's interval over all 40.

*Latency*: milliseconds of the processor for one chunk of 16 actions of 4 numbers, given 2
observations of 20, by the steps of the sampler; one observation, one thread, medians of 100.

Families have about the same networks (two to three hidden layers of 128) and the same budget,
small on purpose. What was chosen by looking at this task, on other episodes but with the first
seed's demonstrations: the
room itself, whose sizes were changed until least squares failed and the demonstrator did not;
DDPM's prediction of data (noise was worse), the larger mixture, and the learning rate of all.
Results are kept in policies.json and rows that are there are not measured again: remove the file
for new ones. Writes policies.md beside this file.
"""

import json
import math
import platform
import statistics
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymagine.agents.imagination.generative_policy import GenerativePolicy
from gymagine.envs.registration import register_environments
from gymagine.envs.two_ways import TwoWays, two_ways_expert
from gymagine.experiments.evaluation import evaluate
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoencoders.vq_vae import VQVAE
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.baselines.mixture_regression import MixtureRegression
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.data.environments import transitions
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.diffusion.edm import EDM
from gymagine.generative.flows.flow_matching import FlowMatching
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.flows.spline_flow import SplineFlow
from gymnasium import spaces
from gymnasium.envs.box2d.lunar_lander import heuristic
from scipy.stats import t as student

SMALL = {"hidden_sizes": (128, 128)}
DDIM = SMALL | {"num_steps": 50, "eta": 0.0, "prediction": "data"}
LEVELS = SMALL | {"conditional": "categorical", "num_levels": 21}
SETTINGS = {"num_updates": 1_200, "step_sizes": "cosine", "learning_rate": 2e-3, "batch_size": 256}

# name: family, its hyper-parameters, settings of the policy
CONTENDERS = {
    "regression (MSE cloning)": (Regression, SMALL, {}),
    "conditional Gaussian": (ConditionalGaussian, SMALL, {}),
    "Gaussian mixture, 5": (MixtureRegression, SMALL, {}),
    "Gaussian mixture, 20": (MixtureRegression, SMALL | {"num_components": 20}, {}),
    "DDPM, 10 DDIM steps": (DDPM, DDIM, {"sampler_steps": 10}),
    "EDM, 6 Heun steps": (EDM, SMALL | {"drop_context": 0.0}, {"sampler_steps": 6}),
    "flow matching, 4 steps": (FlowMatching, SMALL, {"sampler_steps": 4}),
    "spline flow": (SplineFlow, {"hidden_sizes": (64, 64), "num_couplings": 4}, {}),
    "real NVP": (RealNVP, {"hidden_sizes": (64, 64), "num_couplings": 6}, {}),
    "VAE (CVAE of ACT)": (VAE, SMALL | {"decoder": "gaussian", "latent_size": 4}, {}),
    "VQ-VAE": (VQVAE, SMALL | {"decoder": "gaussian", "num_codes": 16}, {}),
    "WGAN-GP": (WGANGP, SMALL, {}),
    "MADE, mixtures": (MADE, SMALL | {"conditional": "gaussian-mixture"}, {}),
    "MADE, 21 levels": (MADE, LEVELS, {}),
}
FULLY, HALF = "1,200 updates, then 2,000 steps", "250 updates, then 6,000 steps"
FULL_REFITS = {"refit_episodes": 40, "memory_episodes": 160}
HALF_REFITS = {
    "refit_episodes": 50,
    "memory_episodes": 200,
    "refit_updates": 300,
    "refit_learning_rate": 1e-3,
}
# name of a contender, what it starts from; updates, steps of its own, settings of refits
FINE_TUNED = {
    ("VAE (CVAE of ACT)", FULLY): (1_200, 2_000, FULL_REFITS),
    ("DDPM, 10 DDIM steps", FULLY): (1_200, 2_000, FULL_REFITS),
    ("VAE (CVAE of ACT)", HALF): (250, 6_000, HALF_REFITS),
    ("MADE, 21 levels", HALF): (250, 6_000, HALF_REFITS),
}
LANDERS = (
    "regression (MSE cloning)",
    "DDPM, 10 DDIM steps",
    "flow matching, 4 steps",
    "VAE (CVAE of ACT)",
    "MADE, 4 levels",
)
STEPS = {
    "DDPM, DDIM steps": (DDPM, {"num_steps": 100, "eta": 0.0}, (1, 5, 10, 20, 50, 100)),
    "EDM, Heun steps": (EDM, {}, (2, 5, 10, 20)),
    "flow matching, Runge-Kutta steps": (FlowMatching, {}, (1, 2, 4, 8)),
}


# ---- two ways -----------------------------------------------------------------------------------


def policy_of(name, env, seed, **config):
    family, hyperparameters, own = CONTENDERS[name]
    return GenerativePolicy(
        env, generator=family, hyperparameters=hyperparameters, seed=seed, **(config | own)
    )


def passed(policy, seed, episodes=100):
    """(E, 2) success, and whether the point passed above the block; all at once."""
    envs = [TwoWays() for _ in range(episodes)]
    places = np.stack([env.reset(seed=1_000 * seed + i)[0] for i, env in enumerate(envs)])
    found, memory = np.zeros((episodes, 2), dtype=bool), None
    going = np.ones(episodes, dtype=bool)
    for step in range(60):
        starts = np.full(episodes, step == 0)
        actions, memory = policy.predict(places, memory, starts, deterministic=True)
        for i in np.flatnonzero(going):
            places[i], reward, terminated, _, _ = envs[i].step(actions[i])
            found[i, 1] |= abs(places[i, 0]) < 0.2 and places[i, 1] > 0
            found[i, 0], going[i] = reward > 0, not terminated
    return found


class Random:
    """Acts evenly at random."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """Random actions."""
        return self._rng.uniform(-1, 1, np.shape(observation)), None


def two_ways(rows, keep):
    env = "gymagine/TwoWays-v0"
    controls = {
        "the demonstrator": lambda seed: two_ways_expert(np.random.default_rng(100 + seed)),
        "random": Random,
    }
    for name in CONTENDERS:
        policy_of(name, env, 0, prediction_horizon=4, action_horizon=2)  # can be made
    for name in [*controls, *CONTENDERS]:
        if name in rows:
            continue
        runs, seconds, scores = [], [], []
        for seed in range(3):
            if name in controls:
                runs.append(passed(controls[name](seed), seed))
                continue
            expert = two_ways_expert(np.random.default_rng(seed))
            data = transitions(env, 4_000, expert, seed=seed)
            policy = policy_of(name, env, seed, prediction_horizon=4, action_horizon=2)
            started = time.process_time()
            errors = policy.fit(data, seed=seed, **SETTINGS).errors
            seconds.append(time.process_time() - started)
            scores.append([errors.energy_score, errors.constant_energy_score, errors.error])
            runs.append(passed(policy, seed))
        every = np.concatenate(runs)
        won = every[every[:, 0]]
        rows[name] = {
            "success": float(every[:, 0].mean()),
            "interval": wilson(int(every[:, 0].sum()), len(every)),
            "by_seed": [float(run[:, 0].mean()) for run in runs],
            "above": float(won[:, 1].mean()) if len(won) else None,
            "seconds": statistics.mean(seconds) if seconds else None,
            "scores": np.mean(scores, axis=0).tolist() if scores else None,
        }
        keep(name)


def wilson(successes, num, z=1.959964):
    """(low, high) of a share, 95 %."""
    share, half = successes / num, z * z / (2 * num)
    spread = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return [(share + half - spread) / (1 + 2 * half), (share + half + spread) / (1 + 2 * half)]


# ---- own returns --------------------------------------------------------------------------------


def own_returns(rows, keep):
    env = "gymagine/TwoWays-v0"
    weights = {"weighted": 0.5, "equal": 1e6}
    for (name, start), (num_updates, num_steps, refits) in FINE_TUNED.items():
        title = f"{name}: {start}"
        if title in rows:
            continue
        runs = {"before": [], **{kind: [] for kind in weights}}
        for seed in range(2):
            expert = two_ways_expert(np.random.default_rng(seed))
            data = transitions(env, 4_000, expert, seed=seed)
            for kind, temperature in weights.items():
                horizons = {"prediction_horizon": 4, "action_horizon": 2}
                policy = policy_of(
                    name, env, seed, return_temperature=temperature, **horizons, **refits
                )
                policy.fit(data, seed=seed, **(SETTINGS | {"num_updates": num_updates}))
                if kind == "weighted":
                    runs["before"].append(passed(policy, 10 + seed))
                policy.learn(num_steps)
                runs[kind].append(passed(policy, 10 + seed))
        rows[title] = {kind: row_of_success(found) for kind, found in runs.items()}
        keep(title)


def row_of_success(runs):
    every = np.concatenate(runs)[:, 0]
    return {
        "success": float(every.mean()),
        "interval": wilson(int(every.sum()), len(every)),
        "by_seed": [float(run[:, 0].mean()) for run in runs],
    }


# ---- lunar lander -------------------------------------------------------------------------------


class Heuristic:
    """Gymnasium's own demonstrator."""

    def __init__(self, env):
        self._env = env

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """The heuristic's action, or those of a batch."""
        rows = np.atleast_2d(observation)
        actions = np.array([heuristic(self._env.unwrapped, row) for row in rows])
        return actions[0] if np.ndim(observation) == 1 else actions, None


def lunar_lander(rows, keep):
    env = gymnasium.make("LunarLander-v3")
    rows["the heuristic"] = row_of_returns(
        [evaluate(Heuristic(env), env, num_episodes=40).returns]
    )
    data = whole_episodes(env, 20)
    for name in LANDERS:
        if name in rows:
            continue
        found = []
        for seed in range(2):
            horizons = {"prediction_horizon": 8, "action_horizon": 4, "cut_episodes": "repeat"}
            if name == "MADE, 4 levels":
                hyperparameters = SMALL | {"conditional": "categorical", "num_levels": 4}
                policy = GenerativePolicy(
                    env.spec,
                    generator=MADE,
                    hyperparameters=hyperparameters,
                    seed=seed,
                    **horizons,
                )
            else:
                policy = policy_of(name, env.spec, seed, **horizons)
            policy.fit(data, seed=seed, **SETTINGS)
            found.append(evaluate(policy, env.spec, num_episodes=20, seed=seed).returns)
        rows[name] = row_of_returns(found)
        keep(name)


def whole_episodes(env, num):
    """The steps of so many episodes."""
    data = transitions(env, 400 * num, Heuristic(env), seed=7)
    last = np.flatnonzero(data.terminated | data.truncated)[:num][-1] + 1
    parts = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    return type(data)(**{part: getattr(data, part)[:last] for part in parts})


def row_of_returns(found):
    every = np.concatenate(found)
    half = student.ppf(0.975, len(every) - 1) * every.std(ddof=1) / math.sqrt(len(every))
    mean = float(every.mean())
    return {
        "mean": mean,
        "interval": [mean - float(half), mean + float(half)],
        "by_seed": [float(one.mean()) for one in found],
        "landed": float((every > 200).mean()),
    }


# ---- latency ------------------------------------------------------------------------------------


class Spaces(gymnasium.Env):
    """What latencies are measured for."""

    observation_space = spaces.Box(-1, 1, (20,))
    action_space = spaces.Box(-1, 1, (4,))


def latency(rows, keep):
    rng, env = np.random.default_rng(0), Spaces()
    ends = np.arange(400) % 40 == 39
    data_type = type(transitions("CartPole-v1", 2))
    seen = rng.uniform(-1, 1, (400, 20)).astype(np.float32)
    acted = rng.uniform(-1, 1, (400, 4)).astype(np.float32)
    data = data_type(seen, acted, np.zeros(400), seen, ends, np.zeros(400, dtype=bool))
    wide = {"hidden_sizes": (256, 256, 256)}
    plain = {name: (CONTENDERS[name][0], {}) for name in ("regression (MSE cloning)", "real NVP")}
    for name, (family, more) in plain.items():
        policy = GenerativePolicy(env, generator=family, hyperparameters=more)
        policy.fit(data, num_updates=5)
        rows[name] = {"-": chunk_seconds(policy, seen[0])}
    for name, (family, more, steps) in STEPS.items():
        policy = GenerativePolicy(env, generator=family, hyperparameters=wide | more)
        policy.fit(data, num_updates=5)
        rows[name] = {}
        for num in steps:
            policy.use_sampler_steps(num)
            rows[name][str(num)] = chunk_seconds(policy, seen[0])
        keep(name)


def chunk_seconds(policy, observation, repeats=100):
    """Of one `predict` that draws a chunk: median of the processor's seconds."""
    found = []
    for _ in range(repeats + 5):
        started = time.process_time()
        policy.predict(observation)
        found.append(time.process_time() - started)
    return statistics.median(found[5:])


# ---- the tables ---------------------------------------------------------------------------------


def share(row):
    low, high = row["interval"]
    return f"{row['success']:.2f} [{low:.2f}, {high:.2f}]"


def tables(found):
    lines = [
        "# Generators as policies of action chunks",
        "",
        f"Written by `benchmarks/policies.py`; {platform.machine()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, one thread.",
        "",
    ]
    if "two-ways" in found:
        lines += [
            "## Two ways around a block, of which the mean crashes",
            "",
            "gymagine/TwoWays-v0; 3 seeds of 4,000 demonstrated steps and 1,200 updates, 100 "
            "episodes each; To = 2, Tp = 4, Ta = 2. Success with Wilson's 95 % interval over the "
            "300 episodes; the energy score is of held-out chunks (the mean action's is "
            f"{found['two-ways']['regression (MSE cloning)']['scores'][1]:.2f}; less is better).",
            "",
            "| policy | success | by seed | of these above | energy score | seconds to fit |",
            "|---|---:|---|---:|---:|---:|",
        ]
        for name, row in found["two-ways"].items():
            seeds = " / ".join(f"{value:.2f}" for value in row["by_seed"])
            above = "-" if row["above"] is None else f"{row['above']:.2f}"
            score = "-" if row["scores"] is None else f"{row['scores'][0]:.2f}"
            seconds = "-" if row["seconds"] is None else f"{row['seconds']:.0f}"
            lines.append(f"| {name} | {share(row)} | {seeds} | {above} | {score} | {seconds} |")
        lines.append("")
    if "own-returns" in found:
        lines += [
            "## After steps of their own",
            "",
            "gymagine/TwoWays-v0, updates on demonstrations and then reward-weighted regression "
            "(tau = 0.5), beside the control of equal weights; two seeds, 100 episodes each. "
            "Fully trained policies gained nothing; half-trained ones, which were tried after "
            "that with larger refits, did.",
            "",
            "| policy | before | by returns | equal weights |",
            "|---|---:|---:|---:|",
        ]
        for name, row in found["own-returns"].items():
            shares = " | ".join(share(row[kind]) for kind in ("before", "weighted", "equal"))
            lines.append(f"| {name} | {shares} |")
        lines.append("")
    if "lunar-lander" in found:
        lines += [
            "## LunarLander-v3 from 20 episodes of Gymnasium's heuristic",
            "",
            "Two seeds, 20 episodes each; To = 2, Tp = 8, Ta = 4. Mean return with Student's 95 % "
            "interval; landed is a return above 200.",
            "",
            "| policy | return | by seed | landed |",
            "|---|---:|---|---:|",
        ]
        for name, row in found["lunar-lander"].items():
            low, high = row["interval"]
            seeds = " / ".join(f"{value:.0f}" for value in row["by_seed"])
            lines.append(
                f"| {name} | {row['mean']:.0f} [{low:.0f}, {high:.0f}] | {seeds} | "
                f"{row['landed']:.2f} |"
            )
        lines.append("")
    if "latency" in found:
        lines += [
            "## Milliseconds to draw a chunk",
            "",
            "16 actions of 4 numbers, given 2 observations of 20; diffusion and flow matching "
            "with three hidden layers of 256. The last column is per action where 8 of the 16 are "
            "executed.",
            "",
            "| family | steps | ms a chunk | ms an action |",
            "|---|---:|---:|---:|",
        ]
        for name, row in found["latency"].items():
            for steps, seconds in row.items():
                lines.append(
                    f"| {name} | {steps} | {1e3 * seconds:.2f} | {1e3 * seconds / 8:.2f} |"
                )
        lines.append("")
    return "\n".join(lines)


def main():
    torch.set_num_threads(1)
    register_environments()
    kept = Path(__file__).with_suffix(".json")
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    sections = {
        "two-ways": two_ways,
        "own-returns": own_returns,
        "lunar-lander": lunar_lander,
        "latency": latency,
    }
    for section in sys.argv[1:] or sections:
        rows = found.setdefault(section, {})

        def keep(name, rows=rows):
            sys.stderr.write(f"{name}: {rows[name]}\n")
            kept.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

        sections[section](rows, keep)
    text = tables(found)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
