"""What world models are worth: agents that learnt in them only, and tables that are known exactly.

    python benchmarks/worlds.py
    python benchmarks/worlds.py --tasks CartPole-v1 --generators flow diffusion
    python benchmarks/worlds.py --tasks FrozenLake-v1 --temperatures
    python benchmarks/worlds.py --speed
    python benchmarks/worlds.py --table

Every row is made by what ``gymagine imagine`` does, with 3 seeds, and kept in worlds.json: the
command goes on with what is not there yet, and writes worlds.md. FrozenLake's learnt models are
also compared with the true one: total variation of what follows a pair, and what is lost by the
policy that is optimal in the learnt model.
"""

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymagine.agents.imagination.dream_training import DreamSettings
from gymagine.agents.planning import policy_evaluation, value_iteration
from gymagine.envs import ImaginedVectorEnv, TabularMDP
from gymagine.envs.learnt_models import imagined_mdp, transition_distances
from gymagine.experiments.imagination import imagine
from gymagine.experiments.imagination_records import ImaginationSettings
from gymagine.experiments.intervals import mean_interval
from gymagine.experiments.tables import format_interval
from gymagine.experiments.world_models import fit_defaults, new_world_model
from gymagine.generative import DDPM, EDM, ConditionalGaussian, WorldModel
from gymagine.generative.data.environments import transitions
from gymagine.generative.world_model_fitting import fit_scales, fit_world_model

HERE = Path(__file__).resolve()
KEPT = HERE.with_suffix(".json")
SEEDS = 3
GENERATORS = (
    "gaussian",
    "vae",
    "autoregressive",
    "flow",
    "flow-matching",
    "gan",
    "diffusion",
)
CONTROLS = ("untrained", "real-few", "real-many", "random")
TEMPERATURES = (0.0, 0.5, 1.0, 1.3, 2.0)
LAKE = "FrozenLake-v1"
TASKS = {
    "CartPole-v1": ImaginationSettings("CartPole-v1", agent="dqn"),
    "Acrobot-v1": ImaginationSettings(
        "Acrobot-v1", agent="dqn", dream=DreamSettings(real_steps=10_000, dream_steps=100_000)
    ),
    "Pendulum-v1": ImaginationSettings(
        "Pendulum-v1",
        agent="sb3:ppo",
        dream=DreamSettings(real_steps=5_000, dream_steps=100_000, num_envs=8, horizon=200),
        hyperparameters={"learning_rate": 1e-3, "gamma": 0.9, "n_steps": 256, "batch_size": 64},
    ),
    "LunarLander-v3": ImaginationSettings(
        "LunarLander-v3", agent="dqn", dream=DreamSettings(real_steps=20_000, dream_steps=100_000)
    ),
}
NAMES = {
    "untrained": "untrained dream",
    "real-few": "awake, as many real steps",
    "real-many": "awake, as many steps as dreamt",
    "random": "random",
}


# ---- agents that learnt in a dream --------------------------------------------------------------


def dream_row(task, generator, folder, temperature=1.0):
    """Real and imagined returns of each seed."""
    settings = replace(
        TASKS[task],
        generator=generator,
        num_seeds=SEEDS,
        conditions=("dream",),
        dream=replace(TASKS[task].dream, temperature=temperature),
    )
    _, results = imagine(settings, folder=folder)
    runs = results.of("dream")
    return {
        "real": [run.real_return for run in runs],
        "imagined": [run.imagined_return for run in runs],
        "error": [run.model_error for run in runs],
        "linear_error": [run.linear_error for run in runs],
        "copying_error": [run.copying_error for run in runs],
        "open_loop": [run.open_loop.model[-1] for run in runs],
        "horizon": runs[0].open_loop.horizons[-1],
        "clipped": [run.share_clipped for run in runs],
        "seconds": [run.seconds for run in runs],
    }


def control_row(task, condition, folder):
    settings = replace(TASKS[task], num_seeds=SEEDS, conditions=(condition,))
    _, results = imagine(settings, folder=folder)
    runs = results.of(condition)
    imagined = [run.imagined_return for run in runs if run.imagined_return is not None]
    return {"real": [run.real_return for run in runs], "imagined": imagined}


# ---- tables that are known exactly --------------------------------------------------------------


def lake_row(generator, is_trained=True):
    """Distances from the true table, and what planning in the learnt one loses, of each seed."""
    exact = TabularMDP.from_env(LAKE)
    best = value_iteration(exact, discount=0.99).state_values[0]
    env = gymnasium.make(LAKE)
    goes_on = np.array([[len(exact.outcomes(s, a)) > 1 for a in range(4)] for s in range(16)])
    rows = []
    for seed in range(SEEDS):
        model = new_world_model(generator, env, seed=seed)
        data = transitions(env, 20_000, seed=seed)
        if is_trained:
            more = {"num_updates": 3_000, "head_settings": {"num_updates": 2_000}}
            fit_world_model(model, data, seed=seed, **fit_defaults(generator), **more)
        else:
            fit_scales(model.eval(), data)
        learnt = imagined_mdp(model, num_draws=1_000, seed=seed)
        distances = transition_distances(learnt, exact)[goes_on]
        policy = value_iteration(learnt, discount=0.99).policy
        value = policy_evaluation(exact, policy, discount=0.99).state_values[0]
        rows.append({"distance": float(distances.mean()), "value": float(value)})
    return {"best": float(best), "seeds": rows}


def random_lake_row():
    exact = TabularMDP.from_env(LAKE)
    best = value_iteration(exact, discount=0.99).state_values[0]
    value = policy_evaluation(exact, np.full((16, 4), 0.25), discount=0.99).state_values[0]
    return {"best": float(best), "seeds": [{"distance": None, "value": float(value)}]}


# ---- speed --------------------------------------------------------------------------------------

SPEEDS = {
    # name: generator, hyper-parameters, members
    "gaussian, 5 members": (ConditionalGaussian, {}, 5),
    "gaussian, 1 member": (ConditionalGaussian, {}, 1),
    "diffusion (DDPM), 3 steps": (DDPM, {"num_steps": 3}, 1),
    "diffusion (EDM), 3 Euler steps": (EDM, {"sampling_steps": 3, "solver": "euler"}, 1),
}
ROUNDS, STEPS, ENVS = 7, 200, 64


def speed_rows():
    """Imagined steps a second of processor time of each round, contenders taking turns."""
    env = gymnasium.make("CartPole-v1")
    data = transitions(env, 3_000)
    actions = np.random.default_rng(0).integers(2, size=(STEPS, ENVS))
    dreams = {}
    for name, (family, hyperparameters, members) in SPEEDS.items():
        model = WorldModel(
            env.observation_space,
            env.action_space,
            family,
            hyperparameters=hyperparameters,
            num_members=members,
        )
        fit_world_model(model, data, num_updates=500, head_settings={"num_updates": 500})
        dreams[name] = ImaginedVectorEnv(model, data, ENVS, horizon=200)
        dreams[name].reset(seed=0)
    found = {name: [] for name in dreams}
    for _ in range(ROUNDS):
        for name, dream in dreams.items():
            begun = time.process_time()
            for row in actions:
                dream.step(row)
            found[name].append(STEPS * ENVS / (time.process_time() - begun))
    return found


def speed_lines(stored):
    if "speed" not in stored:
        return
    yield "## Speed"
    yield ""
    yield (
        f"CartPole-v1, {ENVS} environments in one `ImaginedVectorEnv`, layers of 200, 200 units "
        "for the Gaussians; steps a second of processor time on one core, "
        f"{ROUNDS} rounds in turns."
    )
    yield ""
    yield "| world model | median | least | most |"
    yield "|---|---|---|---|"
    for name, values in stored["speed"].items():
        cells = [f"{value:,.0f}" for value in (np.median(values), min(values), max(values))]
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""


# ---- rows that are kept -------------------------------------------------------------------------


def wanted(tasks, generators, with_temperatures):
    """Keys of rows, and what makes them."""
    for task in tasks:
        if task == LAKE:
            for generator in ("tabular", *generators):
                yield f"{LAKE}/{generator}", lambda _, g=generator: lake_row(g)
            yield f"{LAKE}/untrained", lambda _: lake_row("gaussian", is_trained=False)
            yield f"{LAKE}/random", lambda _: random_lake_row()
            continue
        for condition in CONTROLS:
            yield (
                f"{task}/{condition}",
                lambda folder, t=task, c=condition: control_row(t, c, folder),
            )
        for generator in generators:
            yield (
                f"{task}/{generator}",
                lambda folder, t=task, g=generator: dream_row(t, g, folder),
            )
        if with_temperatures:
            for generator in generators:
                for heat in TEMPERATURES:
                    yield (
                        f"{task}/{generator}/temperature {heat:g}",
                        lambda folder, t=task, g=generator, h=heat: dream_row(t, g, folder, h),
                    )


def read():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(key, row):
    stored = read()
    stored[key] = row
    KEPT.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")


# ---- the table ----------------------------------------------------------------------------------


def interval(values, decimals):
    found = mean_interval(values)
    return format_interval(found, decimals) if found.is_known else f"{found.estimate:.{decimals}f}"


def dream_lines(task, stored):
    settings, dream = TASKS[task], TASKS[task].dream
    yield f"## {task}: {settings.agent} in the dream"
    yield ""
    yield (
        f"{dream.real_steps:,} real steps at random, {dream.dream_steps:,} imagined ones of "
        f"episodes of at most {dream.horizon}; {SEEDS} seeds, means with 95 % t intervals over "
        f"seeds of the return of {settings.episodes} greedy episodes."
    )
    yield ""
    yield "| world model | real return | imagined | error of a step | after 20 | moved back |"
    yield "|---|---|---|---|---|---|"
    for name in (*GENERATORS, *CONTROLS):
        row = stored.get(f"{task}/{name}")
        if row is None:
            continue
        cells = [NAMES.get(name, name), interval(row["real"], 1)]
        cells.append(interval(row["imagined"], 1) if row["imagined"] else "")
        if "error" in row:
            cells += [f"{np.mean(row['error']):.4f}", f"{np.mean(row['open_loop']):.3f}"]
            cells.append(f"{np.mean(row['clipped']):.1%}")
        else:
            cells += ["", "", ""]
        yield f"| {' | '.join(cells)} |"
    first = next((stored[f"{task}/{g}"] for g in GENERATORS if f"{task}/{g}" in stored), None)
    if first is not None:
        yield ""
        yield (
            "Errors are root mean squares on held-out steps, in deviations of what is learnt: "
            f"{np.mean(first['linear_error']):.4f} of a linear model, "
            f"{np.mean(first['copying_error']):.4f} of copying the last observation."
        )
    yield ""


def temperature_lines(task, stored):
    keys = [key for key in stored if key.startswith(f"{task}/") and "temperature" in key]
    if not keys:
        return
    yield f"## {task}: the temperature of the dream"
    yield ""
    yield "| world model | temperature | real return | imagined |"
    yield "|---|---|---|---|"
    for key in keys:
        _, generator, heat = key.split("/")
        row = stored[key]
        cells = (
            generator,
            heat.split()[1],
            interval(row["real"], 1),
            interval(row["imagined"], 1),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def lake_lines(stored):
    names = ("tabular", *GENERATORS, "untrained", "random")
    rows = [(name, stored.get(f"{LAKE}/{name}")) for name in names]
    rows = [(name, row) for name, row in rows if row is not None]
    if not rows:
        return
    yield f"## {LAKE}: learnt tables against the true one"
    yield ""
    yield (
        "20,000 real steps at random; 1,000 imagined steps of each pair make a table, which value "
        f"iteration solves (discount 0.99). The best policy is worth {rows[0][1]['best']:.3f} "
        "from the start. Distance: mean total variation over the pairs that are slippery. "
        f"{SEEDS} seeds."
    )
    yield ""
    yield "| world model | distance | value of its plan | lost |"
    yield "|---|---|---|---|"
    for name, row in rows:
        values = [seed["value"] for seed in row["seeds"]]
        distances = [seed["distance"] for seed in row["seeds"]]
        far = "" if distances[0] is None else interval(distances, 3)
        lost = row["best"] - np.mean(values)
        title = {"untrained": "gaussian, untrained", "random": "random policy"}.get(name, name)
        yield f"| {title} | {far} | {interval(values, 3)} | {lost:.3f} |"
    yield ""


def write_table():
    stored = read()
    lines = ["# World models", ""]
    lines += [
        "Made by `python benchmarks/worlds.py`; rows in worlds.json. Generators as in "
        "`experiments/role_generators.py`, 4,000 updates, one member. Dreams are of 1.0 in "
        "temperature unless said.",
        "",
    ]
    lines += lake_lines(stored)
    for task in TASKS:
        if any(key.startswith(f"{task}/") for key in stored):
            lines += dream_lines(task, stored)
            lines += temperature_lines(task, stored)
    lines += speed_lines(stored)
    lines.append(f"Python {platform.python_version()}, torch {torch.__version__}.")
    HERE.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", choices=[LAKE, *TASKS], default=[LAKE, *TASKS])
    parser.add_argument("--generators", nargs="*", default=GENERATORS)
    parser.add_argument("--temperatures", action="store_true", help="the study of temperatures")
    parser.add_argument("--folder", default="runs/worlds", help="where runs are kept")
    parser.add_argument("--speed", action="store_true", help="only the speed, on quiet cores")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.speed:
        keep("speed", speed_rows())
    elif not options.table:
        for key, make in wanted(options.tasks, options.generators, options.temperatures):
            if key in read():
                continue
            begun = time.perf_counter()
            keep(key, make(options.folder))
            print(f"{key}: {time.perf_counter() - begun:.0f} s", flush=True)
    write_table()


if __name__ == "__main__":
    main()
