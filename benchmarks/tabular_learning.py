"""Steps per second of tabular learning, against bettermdptools and hand-written loops.

    python benchmarks/tabular_learning.py --peer-python /path/to/venv/bin/python --rounds 5

Every figure is the median over rounds; in each round every contender runs once, in a process of
its own and on one thread, so that what slows the machine slows all of them. Seconds are of the
processor, not of the clock, so that other programs matter less. All explore and step
by falling schedules with bettermdptools' default ends: exploration rate 1 to 0.1, step size 0.5 to
0.01, discount 0.99; bettermdptools' fall by episode, the others' by step. Writes
tabular_learning.md beside this file.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ENVIRONMENTS = ("FrozenLake8x8-v1", "Taxi-v4", "CliffWalking-v1")
ALGORITHMS = ("q_learning", "sarsa")
DISCOUNT = 0.99
PYTHON_STEPS, COMPILED_STEPS = 150_000, 20_000_000
PEER_EPISODES = {"FrozenLake8x8-v1": 3_000, "Taxi-v4": 1_500, "CliffWalking-v1": 3_000}
ROWS = {
    "bettermdptools": "bettermdptools",
    "numpy": "Python loop, numpy table",
    "lists": "Python loop, lists",
    "stepped": "gymagine, stepped",
    "compiled": "gymagine, compiled",
    "defaults": "gymagine, compiled, default step size",
    "env": "environment alone, random actions",
}


# ---- contenders: each returns steps per second --------------------------------------------------


def measure_bettermdptools(algorithm, env_id):
    import warnings

    import gymnasium
    from algorithms.rl import RL

    warnings.simplefilter("ignore")
    env = gymnasium.make(env_id)
    steps = 0
    step_of_env = env.step

    def counted(action):
        nonlocal steps
        steps += 1
        return step_of_env(action)

    env.step = counted
    started = time.process_time()
    getattr(RL(env), algorithm)(gamma=DISCOUNT, n_episodes=PEER_EPISODES[env_id])
    return steps / (time.process_time() - started)


def falling(initial, final, share, step):
    """From initial to final over a share of the run."""
    return initial + (final - initial) * min(step / (share * PYTHON_STEPS), 1.0)


def measure_numpy(algorithm, env_id):
    """What a textbook's reader writes: one array, ``argmax`` and ``max``."""
    import gymnasium
    import numpy as np

    env = gymnasium.make(env_id)
    rng = np.random.default_rng(0)
    table = np.zeros((env.observation_space.n, env.action_space.n))
    num_actions = int(env.action_space.n)

    def act(state, step):
        if rng.random() < falling(1.0, 0.1, 0.9, step):
            return int(rng.integers(num_actions))
        return int(table[state].argmax())

    started = time.process_time()
    state, _ = env.reset(seed=0)
    action = act(state, 0)
    for step in range(PYTHON_STEPS):
        next_state, reward, terminated, truncated, _ = env.step(action)
        if algorithm == "sarsa":
            next_action = act(next_state, step)
            tail = table[next_state, next_action]
        else:
            tail = table[next_state].max()
        target = reward + (0.0 if terminated else DISCOUNT * tail)
        alpha = falling(0.5, 0.01, 0.5, step)
        table[state, action] += alpha * (target - table[state, action])
        if terminated or truncated:
            next_state, _ = env.reset()
            next_action = act(next_state, step)
        elif algorithm != "sarsa":
            next_action = act(next_state, step)
        state, action = next_state, next_action
    return PYTHON_STEPS / (time.process_time() - started)


def measure_lists(algorithm, env_id):
    """The fastest plain Python: lists of lists, no numpy in the loop."""
    import random

    import gymnasium

    env = gymnasium.make(env_id)
    num_actions = int(env.action_space.n)
    table = [[0.0] * num_actions for _ in range(int(env.observation_space.n))]
    draw, below = random.random, random.randrange

    def act(row, step):
        if draw() < falling(1.0, 0.1, 0.9, step):
            return below(num_actions)
        return row.index(max(row))

    started = time.process_time()
    state, _ = env.reset(seed=0)
    action = act(table[state], 0)
    for step in range(PYTHON_STEPS):
        next_state, reward, terminated, truncated, _ = env.step(action)
        row = table[next_state]
        if algorithm == "sarsa":
            next_action = act(row, step)
            tail = row[next_action]
        else:
            tail = max(row)
        target = reward + (0.0 if terminated else DISCOUNT * tail)
        alpha = falling(0.5, 0.01, 0.5, step)
        table[state][action] += alpha * (target - table[state][action])
        if terminated or truncated:
            next_state, _ = env.reset()
            next_action = act(table[next_state], step)
        elif algorithm != "sarsa":
            next_action = act(row, step)
        state, action = next_state, next_action
    return PYTHON_STEPS / (time.process_time() - started)


def make_agent(algorithm, env_id, simulator, **settings):
    from gymagine.agents.tabular.q_learning import QLearning
    from gymagine.agents.tabular.sarsa import SARSA

    learner = {"q_learning": QLearning, "sarsa": SARSA}[algorithm]
    return learner(env_id, seed=0, simulator=simulator, discount=DISCOUNT, **settings)


def measure_ours(algorithm, env_id, simulator, num_steps, **settings):
    rate = f"linear:1.0:0.1:{int(0.9 * num_steps)}"
    agent = make_agent(algorithm, env_id, simulator, exploration_rate=rate, **settings)
    agent.learn(1_000)
    started = time.process_time()
    agent.learn(num_steps)
    return num_steps / (time.process_time() - started)


def measure_env(_algorithm, env_id):
    import gymnasium

    env = gymnasium.make(env_id)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(PYTHON_STEPS)]
    env.reset(seed=0)
    started = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return PYTHON_STEPS / (time.process_time() - started)


def measure_first_call(algorithm, env_id):
    """Seconds from a fresh interpreter to the end of the first thousand steps."""
    started = time.perf_counter()
    agent = make_agent(algorithm, env_id, "compiled")
    built = time.perf_counter()
    agent.learn(1_000)
    return {"import and build": built - started, "learn": time.perf_counter() - built}


def falling_step(num_steps):
    return {"step_size": f"linear:0.5:0.01:{num_steps // 2}", "step_size_decay": 0.0}


WORKERS = {
    "bettermdptools": measure_bettermdptools,
    "numpy": measure_numpy,
    "lists": measure_lists,
    "stepped": lambda a, e: measure_ours(
        a, e, "stepped", PYTHON_STEPS, **falling_step(PYTHON_STEPS)
    ),
    "compiled": lambda a, e: measure_ours(
        a, e, "compiled", COMPILED_STEPS, **falling_step(COMPILED_STEPS)
    ),
    "defaults": lambda a, e: measure_ours(a, e, "compiled", COMPILED_STEPS),
    "env": measure_env,
    "first": measure_first_call,
}


# ---- the driver -------------------------------------------------------------------------------


def in_a_process(contender, algorithm, env_id, python=sys.executable, **environment):
    command = [python, str(HERE), "--worker", contender, algorithm, env_id]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **environment}
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.strip().splitlines()[-1])


def speeds(peer_python, rounds):
    contenders = [name for name in ROWS if name != "bettermdptools" or peer_python]
    found = {}
    for _ in range(rounds):
        for env_id in ENVIRONMENTS:
            for algorithm in ALGORITHMS:
                for name in contenders:
                    python = peer_python if name == "bettermdptools" else sys.executable
                    speed = in_a_process(name, algorithm, env_id, python)
                    found.setdefault((name, algorithm, env_id), []).append(speed)
    return found


def first_calls():
    with tempfile.TemporaryDirectory() as folder:
        return [
            in_a_process("first", "q_learning", ENVIRONMENTS[0], NUMBA_CACHE_DIR=folder)
            for _ in range(2)
        ]


def shown(speed):
    return f"{speed / 1e6:.1f} M" if speed >= 1e6 else f"{speed / 1e3:.1f} k"


def report(found, calls, rounds):
    median = {key: statistics.median(values) for key, values in found.items()}
    lines = [
        "# Tabular learning: environment steps per second",
        "",
        "Written by `benchmarks/tabular_learning.py`. "
        f"Medians of {rounds} interleaved rounds, one process and thread each, processor time; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        "Exploration rate 1 to 0.1, step size 0.5 to 0.01 (bettermdptools' defaults; the row with "
        "the default step size: 1 over the root of the number of updates), discount 0.99. This is "
        "speed only; what is learnt is the business of `gymagine compare`.",
        "",
    ]
    for algorithm in ALGORITHMS:
        lines += [f"## {algorithm.replace('_', '-')}", "",
                  "| | " + " | ".join(ENVIRONMENTS) + " |", "|---|---:|---:|---:|"]  # fmt: skip
        for name, label in ROWS.items():
            if (name, algorithm, ENVIRONMENTS[0]) in median:
                cells = [shown(median[name, algorithm, env_id]) for env_id in ENVIRONMENTS]
                lines.append(f"| {label} | " + " | ".join(cells) + " |")
        for over, base in (("compiled", "bettermdptools"), ("stepped", "bettermdptools"),
                           ("stepped", "numpy"), ("stepped", "lists")):  # fmt: skip
            if (base, algorithm, ENVIRONMENTS[0]) in median:
                ratios = [
                    median[over, algorithm, env_id] / median[base, algorithm, env_id]
                    for env_id in ENVIRONMENTS
                ]
                cells = " | ".join(f"**{r:.0f}x**" if r > 10 else f"**{r:.2f}x**" for r in ratios)
                lines.append(f"| {ROWS[over]} / {ROWS[base]} | {cells} |")
        lines.append("")
    cold, warm = calls
    lines += [
        "## The first call",
        "",
        "Q-learning on FrozenLake8x8, a thousand steps in a fresh interpreter. The first process "
        "on a machine compiles the kernels; later ones read them from numba's cache.",
        "",
        "| | first process | later processes |",
        "|---|---:|---:|",
        *(f"| {part} | {cold[part]:.2f} s | {warm[part]:.2f} s |" for part in cold),
        "",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="interpreter with bettermdptools 0.4.0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=3, metavar=("CONTENDER", "ALGORITHM", "ENV"))
    options = parser.parse_args()
    if options.worker:
        contender, algorithm, env_id = options.worker
        sys.stdout.write("\n" + json.dumps(WORKERS[contender](algorithm, env_id)) + "\n")
        return
    in_a_process("compiled", "q_learning", ENVIRONMENTS[0])  # compile once, outside the rounds
    in_a_process("compiled", "sarsa", ENVIRONMENTS[0])
    found = speeds(options.peer_python, options.rounds)
    text = report(found, first_calls(), options.rounds)
    HERE.with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
