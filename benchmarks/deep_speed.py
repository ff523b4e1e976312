"""Environment steps per second of deep learners on CartPole-v1, against Stable-Baselines3.

    python benchmarks/deep_speed.py --rounds 5
    python benchmarks/deep_speed.py --quick              # one short round, for a look
    python benchmarks/deep_speed.py --only sb3-dqn ours-dqn-compiled

In each round every contender runs once, in a process of its own, on one thread and pinned to one
core, so that what slows the machine slows all of them; ratios are taken within a round, and the
table gives their medians over the rounds. Seconds are of the processor, not of the clock, so that
other programs matter less. The clock starts when learning has started and, where the update is
compiled, compiled; what that took is shown apart. All contenders of a task get the same
hyper-parameters (`TASKS`). Runs are kept in deep_speed.json, to which later rounds are added
(``--fresh`` forgets them), and from which deep_speed.md beside this file is written.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve()
ENVIRONMENT = "CartPole-v1"
MEMBERS, COPIES = 10, 8

DQN_SETTINGS = {
    "learning_rate": 2.5e-4,
    "discount": 0.99,
    "buffer_size": 10_000,
    "learning_starts": 1_000,
    "train_freq": 4,
    "gradient_steps": 1,
    "target_update_interval": 500,
    "hidden_sizes": (120, 84),
    "max_grad_norm": 10.0,
}
EXPLORATION = (1.0, 0.05, 3_200)  # from, to, over how many steps
A2C_SETTINGS = {
    "learning_rate": 7e-4,
    "discount": 0.99,
    "hidden_sizes": (64, 64),
    "max_grad_norm": 0.5,
}
# steps before the clock starts, steps on the clock; of one member
STEPS = {"dqn": (2_000, 14_000), "population": (2_000, 4_000), "on-policy": (8_000, 80_000)}
QUICK_SHARE = 10

# task: (title, the contender that the ratios are over, the others with the ratio asked for)
TASKS = {
    "dqn": (
        "DQN, batches of 128",
        "sb3-dqn",
        {"ours-dqn": 2.2, "ours-dqn-compiled": 3.5},
    ),
    "population": (
        f"A population of {MEMBERS} DQNs, batches of 128: member-steps",
        "sb3-dqn",
        {"ours-population": 8.0, "ours-population-compiled": 8.0},
    ),
    "population-32": (
        f"A population of {MEMBERS} DQNs, batches of 32: member-steps",
        "sb3-dqn-32",
        {"ours-population-32": 8.0, "ours-population-32-compiled": 8.0},
    ),
    "on-policy": (
        f"A2C and REINFORCE with {COPIES} environments",
        "sb3-a2c",
        {
            "ours-a2c": 3.0,
            "ours-a2c-compiled": 3.0,
            "ours-reinforce": 3.0,
            "ours-reinforce-compiled": 3.0,
        },
    ),
}
EARLIER = {  # steps per second, of the same DQN task, by hand on another day; not paired with ours
    "SB3": 1_661,
    "CleanRL": 2_118,
    "Tianshou 2.0.1": 799,
    "a minimal torch loop, fused Adam": 4_046,
    "the same, hand-derived gradients, torch.compile": 8_089,
    "a C loop with AVX-512": 25_789,
}


# ---- contenders: each returns what it measured -----------------------------------------------


class Clock:
    """Seconds of the processor and of the clock since the start."""

    def __init__(self):
        self.begun = time.process_time(), time.perf_counter()

    def read(self):
        """(processor, clock)."""
        return time.process_time() - self.begun[0], time.perf_counter() - self.begun[1]


def result(starting, running, num_steps):
    """Of two readings: until the clock started, and of the steps on it."""
    (_, start_wall), (processor, wall) = starting, running
    return {
        "steps_per_second": num_steps / processor,
        "steps_per_wall_second": num_steps / wall,
        "seconds_to_start": start_wall,
    }


def measure_sb3(make, total, before):
    """Learn once, as its schedules want, and read the clock on the way."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Reader(BaseCallback):
        def __init__(self):
            super().__init__()
            self.clock, self.starting, self.at = Clock(), None, 0

        def _on_step(self):
            if self.starting is None and self.num_timesteps >= before:
                self.starting, self.at = self.clock.read(), self.num_timesteps
                self.clock = Clock()
            return True

    reader = Reader()
    model = make()
    model.learn(total, callback=reader)
    return result(reader.starting, reader.clock.read(), model.num_timesteps - reader.at)


def sb3_dqn(before, steps, batch_size):
    from stable_baselines3 import DQN

    first, last, over = EXPLORATION

    def make():
        return DQN(
            "MlpPolicy",
            ENVIRONMENT,
            seed=0,
            device="cpu",
            gamma=DQN_SETTINGS["discount"],
            batch_size=batch_size,
            exploration_initial_eps=first,
            exploration_final_eps=last,
            exploration_fraction=over / (before + steps),
            policy_kwargs={"net_arch": list(DQN_SETTINGS["hidden_sizes"])},
            **{k: v for k, v in DQN_SETTINGS.items() if k not in ("discount", "hidden_sizes")},
        )

    return measure_sb3(make, before + steps, before)


def sb3_a2c(before, steps):
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_vec_env

    def make():
        return A2C(
            "MlpPolicy",
            make_vec_env(ENVIRONMENT, n_envs=COPIES, seed=0),
            seed=0,
            device="cpu",
            learning_rate=A2C_SETTINGS["learning_rate"],
            gamma=A2C_SETTINGS["discount"],
            max_grad_norm=A2C_SETTINGS["max_grad_norm"],
            policy_kwargs={"net_arch": list(A2C_SETTINGS["hidden_sizes"])},
        )

    return measure_sb3(make, before + steps, before)


def measure_ours(learner, before, steps, members=1):
    clock = Clock()
    learner.learn(before)
    starting = clock.read()
    at, clock = learner.num_timesteps, Clock()
    learner.learn(steps)
    running = clock.read()
    return result(starting, running, members * (learner.num_timesteps - at))


def dqn_settings(compiled, batch_size):
    from gymagine.schedules import Schedule

    first, last, over = EXPLORATION
    rate = Schedule("linear", first, last, over)
    return {
        **DQN_SETTINGS,
        "batch_size": batch_size,
        "exploration_rate": rate,
        "compile": compiled,
    }


def ours_dqn(before, steps, compiled, batch_size):
    from gymagine.agents.deep.dqn import DQN

    agent = DQN(ENVIRONMENT, seed=0, **dqn_settings(compiled, batch_size))
    return measure_ours(agent, before, steps)


def ours_population(before, steps, compiled, batch_size):
    from gymagine.agents.deep.dqn import DQN
    from gymagine.agents.deep.population import Population

    learner = Population(DQN, ENVIRONMENT, seeds=MEMBERS, **dqn_settings(compiled, batch_size))
    return measure_ours(learner, before, steps, MEMBERS)


def ours_a2c(before, steps, compiled):
    from gymagine.agents.deep.a2c import A2C

    settings = {**A2C_SETTINGS, "num_envs": COPIES, "compile": compiled}
    return measure_ours(A2C(ENVIRONMENT, seed=0, **settings), before, steps)


def ours_reinforce(before, steps, compiled):
    from gymagine.agents.deep.reinforce import REINFORCE

    settings = {**A2C_SETTINGS, "num_envs": COPIES, "compile": compiled}
    return measure_ours(REINFORCE(ENVIRONMENT, seed=0, **settings), before, steps)


# name: (label, kind of `STEPS`, function, its further arguments)
CONTENDERS = {
    "sb3-dqn": ("SB3 DQN", "dqn", sb3_dqn, (128,)),
    "ours-dqn": ("gymagine DQN", "dqn", ours_dqn, (False, 128)),
    "ours-dqn-compiled": ("gymagine DQN, compiled", "dqn", ours_dqn, (True, 128)),
    "ours-population": (
        f"gymagine, {MEMBERS} members", "population", ours_population, (False, 128),
    ),
    "ours-population-compiled": (
        f"gymagine, {MEMBERS} members, compiled", "population", ours_population, (True, 128),
    ),
    "sb3-dqn-32": ("SB3 DQN", "dqn", sb3_dqn, (32,)),
    "ours-population-32": (
        f"gymagine, {MEMBERS} members", "population", ours_population, (False, 32),
    ),
    "ours-population-32-compiled": (
        f"gymagine, {MEMBERS} members, compiled", "population", ours_population, (True, 32),
    ),
    "sb3-a2c": ("SB3 A2C", "on-policy", sb3_a2c, ()),
    "ours-a2c": ("gymagine A2C", "on-policy", ours_a2c, (False,)),
    "ours-a2c-compiled": ("gymagine A2C, compiled", "on-policy", ours_a2c, (True,)),
    "ours-reinforce": ("gymagine REINFORCE", "on-policy", ours_reinforce, (False,)),
    "ours-reinforce-compiled": (
        "gymagine REINFORCE, compiled", "on-policy", ours_reinforce, (True,),
    ),
}  # fmt: skip


# ---- the driver ---------------------------------------------------------------------------------


def worker(name, share):
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    _, kind, measure, more = CONTENDERS[name]
    before, steps = STEPS[kind]
    found = measure(before, steps // share, *more)
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def in_a_process(name, share):
    command = [sys.executable, "-W", "ignore", str(HERE), "--worker", name, str(share)]
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    variables = {**os.environ, **{variable: "1" for variable in threads}}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no result"])[-1]
        sys.stderr.write(f"    {name}: {reason}\n")
        return None
    found = json.loads(done.stdout.strip().splitlines()[-1])
    sys.stderr.write(
        f"    {name}: {found['steps_per_second']:,.0f} steps/s, "
        f"start {found['seconds_to_start']:.1f} s\n"
    )
    return found


def cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def facts():
    return {
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.machine()}",
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in ("torch", "stable_baselines3", "gymnasium")},
            "numpy": version("numpy"),
        },
    }


def median_and_range(values, form):
    low, high = min(values), max(values)
    middle = form.format(statistics.median(values))
    return middle, f"{form.format(low)} to {form.format(high)}"


def task_rows(rounds, base, others):
    """Rows of a table: label, speed, its range, ratio, its range, what was asked, start."""
    for name in (base, *others):
        of_name = [found[name] for found in rounds if found.get(name)]
        if not of_name:
            yield f"| {CONTENDERS[name][0]} | not measured | | | | | |"
            continue
        speed, spread = median_and_range([r["steps_per_second"] for r in of_name], "{:,.0f}")
        start = statistics.median(r["seconds_to_start"] for r in of_name)
        ratios = [
            found[name]["steps_per_second"] / found[base]["steps_per_second"]
            for found in rounds
            if found.get(name) and found.get(base)
        ]
        if name == base or not ratios:
            yield f"| {CONTENDERS[name][0]} | {speed} | {spread} | | | | {start:.1f} |"
            continue
        ratio, between = median_and_range(ratios, "{:.2f}")
        asked = others[name]
        reached = "yes" if asked and statistics.median(ratios) >= asked else "**no**"
        goal = f"{asked:g}x: {reached}" if asked else ""
        yield (
            f"| {CONTENDERS[name][0]} | {speed} | {spread} | **{ratio}x** | {between} | {goal} | "
            f"{start:.1f} |"
        )


def protocol():
    """What all contenders of a task share."""
    dqn, a2c, (first, last, over) = DQN_SETTINGS, A2C_SETTINGS, EXPLORATION
    layers, a2c_layers = ("x".join(map(str, s["hidden_sizes"])) for s in (dqn, a2c))
    return (
        f"DQN: network {layers}, one update per {dqn['train_freq']} steps, learning starts "
        f"{dqn['learning_starts']:,}, buffer {dqn['buffer_size']:,}, target copied every "
        f"{dqn['target_update_interval']} steps, Adam at {dqn['learning_rate']:g}, Huber loss, "
        f"gradients clipped at {dqn['max_grad_norm']:g}, exploration {first:g} to {last:g} over "
        f"{over:,} steps; the clock runs from step {STEPS['dqn'][0]:,} for {STEPS['dqn'][1]:,} "
        f"steps (populations: {STEPS['population'][1]:,} of each member). A2C and REINFORCE: "
        f"networks {a2c_layers}, step size {a2c['learning_rate']:g}, gradients clipped at "
        f"{a2c['max_grad_norm']:g}; A2C updates every 5 steps of {COPIES} environments, REINFORCE "
        f"after whole episodes. SB3's environments are its `DummyVecEnv` of {COPIES}; gymagine's "
        f"what `num_envs={COPIES}` makes of the same id."
    )


def report(stored):
    rounds = stored["rounds"]
    versions = ", ".join(f"{name} {number}" for name, number in stored["versions"].items())
    lines = [
        "# Deep learners: environment steps per second",
        "",
        f"Written by `benchmarks/deep_speed.py`. {ENVIRONMENT}; {len(rounds)} interleaved rounds, "
        "one process, thread and core each; steps per second of the processor, from the moment at "
        "which learning had started and the update was compiled. Ratios are taken within a round; "
        f"the table gives medians, and the range. {stored['machine']}. {versions}.",
        "",
        protocol(),
        "",
    ]
    for title, base, others in TASKS.values():
        lines += [
            f"## {title}",
            "",
            "| | steps/s | from to | times SB3 | from to | asked | seconds to start |",
            "|---|---:|---:|---:|---:|---|---:|",
            *task_rows(rounds, base, others),
            "",
        ]
    lines += [
        "## Others, measured on another day",
        "",
        "The same DQN task at batches of 128 on a machine of the same kind, not paired with the "
        "rounds above: only their ratios to each other say something.",
        "",
        "| | steps/s | times SB3 |",
        "|---|---:|---:|",
        *(f"| {k} | {v:,} | {v / EARLIER['SB3']:.1f}x |" for k, v in EARLIER.items()),
        "",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the steps")
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), metavar="CONTENDER")
    parser.add_argument("--fresh", action="store_true", help="forget the rounds made before")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], int(options.worker[1]))
        return
    kept = HERE.with_suffix(".json")
    earlier = [] if options.fresh or options.quick or not kept.exists() else (
        json.loads(kept.read_text())["rounds"]
    )  # fmt: skip
    stored = {**facts(), "rounds": earlier}
    share = QUICK_SHARE if options.quick else 1
    for number in range(1 if options.quick else options.rounds):
        sys.stderr.write(f"round {number + 1}\n")
        stored["rounds"].append({})
        for name in options.only or CONTENDERS:
            found = in_a_process(name, share)
            if found:
                stored["rounds"][-1][name] = found
        if not options.quick:
            kept.write_text(json.dumps(stored, indent=1) + "\n")
            HERE.with_suffix(".md").write_text(report(stored), encoding="utf-8")
    sys.stdout.write(report(stored))


if __name__ == "__main__":
    main()
