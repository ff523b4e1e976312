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
from planning_contenders import ACCURACY, BUILDERS, IMPORTS, build_ours, expected_rewards
from planning_models import CASES, QUICK

HERE = Path(__file__).resolve()


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
        wrong = " (wrong)" if result["error"] > limit(found) else ""
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
        *slow_mixing(stored),
    ]


def slow_mixing(stored):
    """Which solver is the fastest where models mix slowly, and what `solve` takes."""
    parts = []
    for case, found in stored.items():
        if CASES[case][2] == 0.99:
            continue
        right = {
            name: result["seconds"]
            for name, result in found["results"].items()
            if name != "solve" and result.get("error", np.inf) <= limit(found)
        }
        best = min(right, key=right.get)
        solve = found["results"]["solve"]
        parts.append(
            f"{case}: {best} wins, `solve` ends with {solve['detail'][0]} after "
            f"{solve['seconds'] / right[best]:.2f}x its seconds"
        )
    return [f"Slow mixing. {'; '.join(parts)}.", ""] if parts else []


def limit(found):
    """Largest distance from the reference that a right answer can have."""
    return 1.01 * ACCURACY + found["reference_bound"]


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
