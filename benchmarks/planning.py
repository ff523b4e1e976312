"""Seconds and memory of exact planning, against QuantEcon, mdpsolver and others.

    python benchmarks/planning.py --peer-python /path/to/venv/bin/python --rounds 3
    python benchmarks/planning.py --peer-python /path/to/venv/bin/python --quick

Every figure is the median over rounds; in each round every contender runs once, in a process of
its own and on one thread, so that what slows the machine slows all of them. Seconds are of the
processor, not of the clock, so that other programs matter less. All get the same arrays and are
asked for values within 1e-6 of the truth; the true error is measured against a reference whose own
error is bounded with scipy's arithmetic, not ours. A process solves again and again: the first
call pays for numba's compilation or for reading its cache, the fastest of the later ones is the
figure.
Results are kept in planning.json, from which planning.md beside this file is written: a long
benchmark can be made in sessions (``--cases``).
"""

import argparse
import ctypes
import gc
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve()
ACCURACY = 1e-6


# ---- models: compressed rows, an absorbing state in place of an end -----------------------------


def garnet(num_states, num_actions, branching):
    from gymagine.envs.garnet import garnet as draw

    mdp = draw(num_states, num_actions, branching, seed=0)
    return {
        "row_starts": mdp.row_starts,
        "next_states": mdp.next_states,
        "probabilities": mdp.probabilities,
        "rewards": mdp.rewards,
        "terminated": mdp.terminated,
    }


def sorted_rows(next_states, probabilities, rewards, terminated):
    """Rows (S, A, b) with equal next states summed, as compressed rows."""
    branching = next_states.shape[2]
    order = np.argsort(next_states, axis=2, kind="stable")
    pick = [
        np.take_along_axis(x, order, axis=2).reshape(-1, branching)
        for x in (next_states, probabilities, rewards, terminated)
    ]
    following, weights, gains, ends = pick
    first = np.ones(following.shape, dtype=bool)
    first[:, 1:] = following[:, 1:] != following[:, :-1]
    starts = np.flatnonzero(first.ravel())
    counts = first.sum(axis=1)
    return {
        "row_starts": np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        "next_states": following.ravel()[starts].astype(np.int32),
        "probabilities": np.add.reduceat(weights.ravel(), starts),
        "rewards": gains.ravel()[starts],
        "terminated": ends.ravel()[starts],
    }


def with_goal(ahead, weights):
    """Moves (S, A, b) at a cost of 1 until the last state, which ends the episode."""
    goal = len(ahead) - 1
    ends = ahead == goal
    rewards = np.full(ahead.shape, -1.0)
    ahead[goal], ends[goal], rewards[goal] = goal, True, 0.0
    return sorted_rows(ahead, np.broadcast_to(weights, ahead.shape).copy(), rewards, ends)


def slippery_grid(side, slip):
    """Four moves on an open square, each to one of its sides with probability ``slip`` (twice)."""
    row, column = np.divmod(np.arange(side * side), side)
    moves = ((0, -1), (1, 0), (0, 1), (-1, 0))
    ahead = np.stack(
        [
            np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
            for down, right in moves
        ],
        axis=1,
    )
    turned = np.stack([np.roll(ahead, turn, axis=1) for turn in (1, 0, -1)], axis=2)
    return with_goal(turned, np.array([slip, 1 - 2 * slip, slip]))


def slippery_maze(rooms, slip=0.2, seed=0):
    """A perfect maze: one way between any two cells. A move goes anywhere with ``slip``."""
    random = np.random.default_rng(seed)
    size = 2 * rooms + 1
    free = np.zeros((size, size), dtype=bool)
    free[1, 1] = True
    stack = [(1, 1)]
    while stack:
        row, column = stack[-1]
        options = [
            (down, right)
            for down, right in ((0, 2), (2, 0), (0, -2), (-2, 0))
            if 0 < row + down < size
            and 0 < column + right < size
            and not free[row + down, column + right]
        ]
        if not options:
            stack.pop()
            continue
        down, right = options[random.integers(len(options))]
        free[row + down // 2, column + right // 2] = free[row + down, column + right] = True
        stack.append((row + down, column + right))
    number = np.full((size, size), -1)
    number[free] = np.arange(free.sum())
    cells = np.argwhere(free)
    near = [
        number[cells[:, 0] + d, cells[:, 1] + r] for d, r in ((0, -1), (1, 0), (0, 1), (-1, 0))
    ]
    near = np.stack([np.where(x < 0, np.arange(len(cells)), x) for x in near], axis=1)
    ahead = np.concatenate(
        [near[:, :, None], np.broadcast_to(near[:, None, :], (len(cells), 4, 4))], axis=2
    )
    return with_goal(ahead, np.array([1 - slip] + [slip / 4] * 4))


def chain(length, slip=0.3):
    """Left or right, the other way with ``slip``; 0.01 a step at the left end, 1 at the right."""
    states = np.arange(length)
    sides = np.stack([np.maximum(states - 1, 0), np.minimum(states + 1, length - 1)], axis=1)
    ahead = np.broadcast_to(sides[:, None, :], (length, 2, 2)).copy()
    weights = np.broadcast_to(np.array([[1 - slip, slip], [slip, 1 - slip]]), ahead.shape).copy()
    rewards = np.zeros(ahead.shape)
    rewards[0], rewards[-1] = 0.01, 1.0
    return sorted_rows(ahead, weights, rewards, np.zeros(ahead.shape, dtype=bool))


def frozen_lake():
    from gymagine.envs.mdp import TabularMDP

    mdp = TabularMDP.from_env("FrozenLake8x8-v1")
    names = ("row_starts", "next_states", "probabilities", "rewards", "terminated")
    return {name: getattr(mdp, name) for name in names}


OURS = ("solve", "modified-policy-iteration", "value-iteration")
FAST_PEERS = ("quantecon-mpi",)
CASES = {  # name: (what it is, builder, discount, contenders)
    "lake": (
        "FrozenLake8x8",
        frozen_lake,
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-mpi", "bettermdptools", "pymdptoolbox"),
    ),
    "garnet-1e3": (
        "Garnet, 10^3 states, 4 actions, 5 successors",
        lambda: garnet(10**3, 4, 5),
        0.99,
        (
            *OURS,
            "quantecon-mpi",
            "mdpsolver-vi",
            "mdpsolver-mpi",
            "pymdptoolbox",
        ),
    ),
    "garnet-1e4": (
        "Garnet, 10^4 states, 4 actions, 5 successors",
        lambda: garnet(10**4, 4, 5),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi", "mdpsolver-mpi"),
    ),
    "garnet-1e5": (
        "Garnet, 10^5 states, 4 actions, 5 successors",
        lambda: garnet(10**5, 4, 5),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi"),
    ),
    "garnet-1e5-10": (
        "Garnet, 10^5 states, 10 actions, 10 successors",
        lambda: garnet(10**5, 10, 10),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi"),
    ),
    "garnet-1e6": (
        "Garnet, 10^6 states, 4 actions, 5 successors",
        lambda: garnet(10**6, 4, 5),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
    "grid-316": (
        "slippery grid, 316 x 316, a third to each side",
        lambda: slippery_grid(316, 1 / 3),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi", "mdpsolver-vi"),
    ),
    "grid-316-drift": (
        "slippery grid, 316 x 316, a tenth to each side",
        lambda: slippery_grid(316, 0.1),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi", "mdpsolver-vi"),
    ),
    "grid-1000-drift": (
        "slippery grid, 1000 x 1000, a tenth to each side",
        lambda: slippery_grid(1000, 0.1),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
    "grid-1000": (
        "slippery grid, 1000 x 1000, a third to each side",
        lambda: slippery_grid(1000, 1 / 3),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
}
for _discount in (0.999, 0.9999):
    CASES[f"maze-{_discount}"] = (
        "perfect maze of 50 x 50 rooms",
        lambda: slippery_maze(50),
        _discount,
        (
            "solve",
            "modified-policy-iteration",
            "policy-iteration",
            "value-iteration",
            "quantecon-mpi",
            "quantecon-pi",
        ),
    )
    CASES[f"chain-{_discount}"] = (
        "chain of 10^4 states",
        lambda: chain(10**4),
        _discount,
        (
            "solve",
            "modified-policy-iteration",
            "policy-iteration",
            "value-iteration",
            "quantecon-mpi",
            "quantecon-pi",
        ),
    )
QUICK = ("lake", "garnet-1e3", "garnet-1e4", "garnet-1e5", "grid-316")


# ---- contenders: each builds its model, and returns a function that gives the values ------------


def build_ours(arrays, discount, method):
    import warnings

    from gymagine.agents import planning
    from gymagine.envs.mdp import TabularMDP

    warnings.simplefilter("ignore", RuntimeWarning)  # what falls short shows in the table
    size = int(arrays["num_states"])
    mdp = TabularMDP(
        **{
            key: arrays[key]
            for key in ("row_starts", "next_states", "probabilities", "rewards", "terminated")
        },
        initial_distribution=np.full(size, 1 / size),
        num_actions=int(arrays["num_actions"]),
    )
    planner = getattr(planning, method.replace("-", "_"))
    caps = {"policy-iteration": 1_000, "value-iteration": 50_000}
    options = {"max_sweeps": caps[method]} if method in caps else {"max_sweeps": 100_000}
    chosen = []

    def run():
        solution = planner(mdp, discount=discount, tolerance=ACCURACY, **options)
        chosen[:] = [solution.method, solution.sweeps, solution.error_bound]
        return solution.state_values

    return run, chosen


def expected_rewards(arrays):
    weights = arrays["probabilities"] * arrays["rewards"]
    return np.add.reduceat(weights, arrays["row_starts"][:-1])


def build_quantecon(arrays, discount, method):
    from quantecon.markov import DiscreteDP
    from scipy.sparse import csr_matrix

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    matrix = csr_matrix(
        (arrays["probabilities"], arrays["next_states"], arrays["row_starts"]),
        shape=(size * num_actions, size),
    )
    states = np.repeat(np.arange(size), num_actions)
    actions = np.tile(np.arange(num_actions), size)
    problem = DiscreteDP(expected_rewards(arrays), matrix, discount, states, actions)
    # its values are within half of epsilon of the truth
    options = {"method": method, "epsilon": 2 * ACCURACY, "max_iter": 20_000}
    return (lambda: problem.solve(**options).v), []


def build_mdpsolver(arrays, discount, algorithm):
    import mdpsolver

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    starts = arrays["row_starts"].tolist()
    weights, columns = arrays["probabilities"].tolist(), arrays["next_states"].tolist()
    rows = [range(s * num_actions, (s + 1) * num_actions) for s in range(size)]
    probabilities = [[weights[starts[r] : starts[r + 1]] for r in row] for row in rows]
    following = [[columns[starts[r] : starts[r + 1]] for r in row] for row in rows]
    rewards = expected_rewards(arrays).reshape(size, num_actions).tolist()

    def run():
        model = mdpsolver.model()  # a used one starts from its last solution
        model.mdp(
            discount=discount,
            rewards=rewards,
            tranMatProbs=probabilities,
            tranMatColumns=following,
        )
        begun = time.process_time()
        model.solve(algorithm=algorithm, tolerance=ACCURACY, parallel=False)
        run.seconds = time.process_time() - begun
        return np.array(model.getValueVector())

    return run, []


def build_pymdptoolbox(arrays, discount, _):
    from mdptoolbox.mdp import ValueIteration
    from scipy.sparse import csr_matrix

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    matrix = csr_matrix(
        (arrays["probabilities"], arrays["next_states"], arrays["row_starts"]),
        shape=(size * num_actions, size),
    )
    transitions = [matrix[action::num_actions] for action in range(num_actions)]
    rewards = expected_rewards(arrays).reshape(size, num_actions)

    def run():
        problem = ValueIteration(transitions, rewards, discount, epsilon=ACCURACY)
        begun = time.process_time()
        problem.run()
        run.seconds = time.process_time() - begun
        return np.array(problem.V)

    return run, []


def build_bettermdptools(arrays, discount, _):
    import contextlib
    import io

    from algorithms.planner import Planner

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    starts = arrays["row_starts"].tolist()
    columns = [
        arrays[key].tolist() for key in ("probabilities", "next_states", "rewards", "terminated")
    ]
    outcomes = list(zip(*columns, strict=True))
    table = {
        s: {
            a: outcomes[starts[s * num_actions + a] : starts[s * num_actions + a + 1]]
            for a in range(num_actions)
        }
        for s in range(size)
    }
    theta = ACCURACY * (1 - discount) / discount

    def run():
        with contextlib.redirect_stdout(io.StringIO()):
            values, _, _ = Planner(table).value_iteration(
                gamma=discount, n_iters=5_000, theta=theta
            )
        return values

    return run, []


BUILDERS = {
    "quantecon-mpi": (build_quantecon, "mpi"),
    "quantecon-pi": (build_quantecon, "pi"),
    "mdpsolver-vi": (build_mdpsolver, "vi"),
    "mdpsolver-mpi": (build_mdpsolver, "mpi"),
    "pymdptoolbox": (build_pymdptoolbox, ""),
    "bettermdptools": (build_bettermdptools, ""),
}


IMPORTS = {
    build_ours: ("gymagine.envs.mdp", "gymagine.agents.planning.planner", "scipy.sparse.linalg"),
    build_quantecon: ("quantecon.markov", "scipy.sparse"),
    build_mdpsolver: ("mdpsolver",),
    build_pymdptoolbox: ("mdptoolbox.mdp", "scipy.sparse"),
    build_bettermdptools: ("algorithms.planner",),
}


# ---- one measurement, in a process of its own ---------------------------------------------------


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def forget_peak():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not to hide what is asked for now
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def measure(contender, folder, discount):
    arrays = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    truth = arrays.pop("truth")
    build, method = BUILDERS.get(contender, (build_ours, contender))
    for module in IMPORTS[build]:
        importlib.import_module(module)
    begun = time.process_time()
    run, chosen = build(arrays, discount, method)
    setup = time.process_time() - begun

    def timed():
        forget_peak()
        before = memory("VmRSS")
        begun = time.process_time()
        values = run()
        seconds = getattr(run, "seconds", time.process_time() - begun)
        return seconds, memory("VmHWM") - before, values

    first, *_ = runs = timed()
    # a solve of microseconds is timed more than once, one of many seconds is not repeated
    repeats = 0 if first > 15 else 1 if first > 1 else 5
    later = [timed() for _ in range(repeats)] or [runs]
    return {
        "setup": setup,
        "first": first,
        "seconds": min(seconds for seconds, _, _ in later),
        "memory": later[-1][1],
        "error": float(np.abs(later[-1][2] - truth).max()),
        "detail": chosen,
    }


def worker(contender, folder, discount):
    print("RESULT" + json.dumps(measure(contender, folder, discount)))


# ---- rounds -------------------------------------------------------------------------------------


def reference(arrays, discount):
    """Values and a bound of their error by scipy: |TV - V| / (1 - discount)."""
    from gymagine.agents.planning.solve import solve
    from gymagine.envs.mdp import TabularMDP
    from scipy.sparse import csr_array

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    mdp = TabularMDP(
        **{k: v for k, v in arrays.items() if k not in ("num_states", "num_actions")},
        initial_distribution=np.full(size, 1 / size),
        num_actions=num_actions,
    )
    values = solve(mdp, discount=discount, tolerance=1e-7).state_values
    going_on = np.where(arrays["terminated"], 0.0, arrays["probabilities"])
    matrix = csr_array(
        (going_on, arrays["next_states"], arrays["row_starts"]), shape=(size * num_actions, size)
    )
    backup = expected_rewards(arrays) + discount * (matrix @ values)
    residual = np.abs(backup.reshape(size, num_actions).max(axis=1) - values).max()
    return values, float(residual / (1 - discount))


def write_model(case, folder):
    _, builder, discount, _ = CASES[case]
    arrays = builder()
    if case == "lake":
        arrays["num_states"], arrays["num_actions"] = 64, 4
    else:
        size = int(arrays["next_states"].max()) + 1
        arrays["num_states"] = size
        arrays["num_actions"] = (len(arrays["row_starts"]) - 1) // size
    truth, bound = reference(arrays, discount)
    for name, array in {**arrays, "truth": truth}.items():
        np.save(Path(folder) / f"{name}.npy", array)
    size = sum(a.nbytes for a in arrays.values() if isinstance(a, np.ndarray))
    return bound, size


def run_case(case, args):
    _, _, discount, contenders = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        bound, size = write_model(case, folder)
        rounds = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name in contenders:
                if name in BUILDERS and args.peer_python is None:
                    continue
                rounds[name].append(run_worker(name, folder, discount, args))
    results = {}
    for name, runs in rounds.items():
        good = [run for run in runs if "error" in run]
        if good:
            keys = ("setup", "first", "seconds", "memory", "error")
            results[name] = {key: statistics.median(run[key] for run in good) for key in keys}
            results[name]["spread"] = [
                min(r["seconds"] for r in good),
                max(r["seconds"] for r in good),
            ]
            results[name]["detail"] = good[-1]["detail"]
        elif runs:
            results[name] = runs[-1]
    return {"reference_bound": bound, "bytes": size, "rounds": args.rounds, "results": results}


def run_worker(name, folder, discount, args):
    python = args.peer_python if name in BUILDERS else sys.executable
    command = [python, str(HERE), "--worker", name, folder, str(discount)]
    threads = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **{variable: "1" for variable in threads}}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=args.patience
        )
    except subprocess.TimeoutExpired:
        print(f"    {name}: more than {args.patience} s", flush=True)
        return {"failure": f"more than {args.patience} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        reason = done.stderr.strip().splitlines()[-1:] or ["no result"]
        print(f"    {name}: {reason[0]}", flush=True)
        return {"failure": reason[0][:120]}
    result = json.loads(lines[-1][len("RESULT") :])
    print(f"    {name}: {result['seconds']:.5f} s, error {result['error']:.1e}", flush=True)
    return result


# ---- the table ----------------------------------------------------------------------------------


def table(case, found):
    title, _, discount, _ = CASES[case]
    size = found["bytes"]
    lines = [
        f"## {title}, discount {discount}",
        "",
        f"Arrays of {size / 1e6:.3g} MB; the reference is within {found['reference_bound']:.0e}.",
        "",
        "| | set-up s | first call s | solve s | from to | memory MB | with arrays | true error | "
        "solve, times ours |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    own = found["results"]["solve"]["seconds"]
    for name, result in found["results"].items():
        label = f"**{name}**" if name not in BUILDERS else name
        if "failure" in result:
            lines.append(f"| {label} | {result['failure']} | | | | | | | |")
            continue
        if name == "solve":
            label += f" ({result['detail'][0]}, {result['detail'][1]} sweeps)"
        low, high = result["spread"]
        wrong = " (wrong)" if result["error"] > 1.01 * ACCURACY + found["reference_bound"] else ""
        lines.append(
            f"| {label} | {result['setup']:.3g} | {result['first']:.3g} | "
            f"{result['seconds']:.3g} | {low:.3g} to {high:.3g} | {result['memory'] / 1e6:.3g} | "
            f"{1 + result['memory'] / size:.2f}x | {result['error']:.0e}{wrong} | "
            f"{result['seconds'] / own:.2f}x |"
        )
    return [*lines, ""]


def summary(stored):
    """Ratios to the best peer over the cases of the claim (discount 0.99)."""
    ratios = {}
    for case, found in stored.items():
        results = found["results"]
        peer = results.get("quantecon-mpi", {})
        if CASES[case][2] == 0.99 and case != "lake" and "seconds" in peer:
            ratios[case] = peer["seconds"] / results["solve"]["seconds"]
    if not ratios:
        return []
    mean = float(np.exp(np.mean(np.log(list(ratios.values())))))
    parts = ", ".join(f"{case} {ratio:.1f}x" for case, ratio in ratios.items())
    return [
        f"QuantEcon's modified policy iteration takes **{mean:.1f} times** the seconds of `solve` "
        f"(geometric mean): {parts}.",
        "",
    ]


def write_table(stored):
    ordered = {case: stored[case] for case in CASES if case in stored}
    rounds = sorted({found["rounds"] for found in ordered.values()})
    lines = [
        "# Planning: seconds and memory",
        "",
        f"Written by `benchmarks/planning.py`. Medians of {' or '.join(map(str, rounds))} "
        f"interleaved rounds, one process and one thread each, processor time; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. Asked "
        f"accuracy {ACCURACY:g}; bold rows are gymagine's. Set-up: from arrays to the solver's "
        "model. First call: with numba's compilation, or reading its cache where an earlier round "
        "compiled. Memory: peak above what was held before the solve; with arrays: their sum, in "
        "units of the arrays. Wrong: more than the asked accuracy off the truth.",
        "",
        *summary(ordered),
    ]
    for case, found in ordered.items():
        lines += table(case, found)
    HERE.with_suffix(".md").write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}, one round")
    parser.add_argument("--cases", nargs="*", choices=list(CASES))
    parser.add_argument("--patience", type=float, default=120, help="seconds for one process")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker[0], args.worker[1], float(args.worker[2]))
        return
    if args.quick:
        args.rounds = 1
    kept = HERE.with_suffix(".json")
    stored = json.loads(kept.read_text()) if kept.exists() else {}
    for case in args.cases or (QUICK if args.quick else CASES):
        print(f"{case}: {CASES[case][0]}", flush=True)
        stored[case] = run_case(case, args)
        kept.write_text(json.dumps(stored, indent=1) + "\n")
        write_table(stored)


if __name__ == "__main__":
    main()
