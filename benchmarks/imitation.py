"""Success on unseen goals of policies that imitate scripted experts, beside their controls.

    python benchmarks/imitation.py                  # what is not there yet, for 9 minutes
    python benchmarks/imitation.py --minutes 60 --tasks reach push
    python benchmarks/imitation.py --table                    # only write the table again

Tasks are Meta-World's; a row is a task and a seed: `experiments.imitation.imitate` with every
generator on the same demonstrations, 50 episodes of each policy on goals that were not
demonstrated. When a row is there it is written to imitation.json, with the settings that it was
made with, and imitation.md is written again; the same command goes on with what is missing.

Settings are those of `gymagine imitate` with what SETTINGS say.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.imitation import imitate
from gymagine.experiments.imitation_records import ImitationSettings
from gymagine.experiments.intervals import proportion_interval
from gymagine.storage import write_json, write_text

HERE = Path(__file__).resolve()
GENERATORS = ("diffusion", "flow", "gaussian-mixture")
TASKS = ("reach", "button-press", "push", "drawer-close", "window-open", "door-open")
SETTINGS = {"episodes": 50, "num_updates": 1_500, "evaluation_episodes": 50, "max_steps": 150}
SEEDS = 3
ORDER = (*GENERATORS, "regression", "random", "expert")


def settings_of(task, seed):
    """Of a row."""
    environment = EnvironmentName("gymagine/MetaWorld-v3", {"task": task})
    return ImitationSettings(environment, GENERATORS, seed=seed, **SETTINGS)


def measured(task, seed, folder):
    """A row."""
    begun = time.perf_counter()
    result = imitate(settings_of(task, seed), folder=folder, tell=said)
    return {
        "task": task,
        "seed": seed,
        "settings": {**SETTINGS, "generators": list(GENERATORS)},
        "seconds": round(time.perf_counter() - begun, 1),
        "demonstration_steps": len(result.demonstrations),
        "scores": [asdict(score) for score in result.results.scores],
    }


def said(line):
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def is_current(row):
    return row["settings"] == {**SETTINGS, "generators": list(GENERATORS)}


def share(rows, task, name):
    """How many episodes of a policy succeeded, of how many, and the share of each seed."""
    found = [
        (score["success"]["estimate"], score["num_episodes"])
        for row in rows
        if row["task"] == task
        for score in row["scores"]
        if score["name"] == name
    ]
    return round(sum(p * n for p, n in found)), sum(n for _, n in found), [p for p, _ in found]


def cell(rows, task, name):
    successes, trials, seeds = share(rows, task, name)
    if not trials:
        return ""
    pooled = proportion_interval(successes, trials)
    told = f"{pooled.estimate:.2f} [{pooled.low:.2f}, {pooled.high:.2f}]"
    return f"{told} ({', '.join(f'{one:.2f}' for one in seeds)})"


def table(rows):
    tasks = [task for task in TASKS if any(row["task"] == task for row in rows)]
    lines = [f"| task | {' | '.join(ORDER)} |", f"| --- |{' ---: |' * len(ORDER)}"]
    for task in tasks:
        lines.append(f"| {task} | {' | '.join(cell(rows, task, name) for name in ORDER)} |")
    return lines


def means(rows):
    """Of each policy over tasks and seeds: success, time of an action and of training."""
    yield "| policy | mean success over tasks and seeds | ms of an action | s of training |"
    yield "| --- | ---: | ---: | ---: |"
    for name in ORDER:
        own = [score for row in rows for score in row["scores"] if score["name"] == name]
        if not own:
            continue
        mean = np.mean([score["success"]["estimate"] for score in own])
        times = [
            "" if own[0][key] is None else f"{np.mean([score[key] for score in own]):.{places}f}"
            for key, places in (("milliseconds", 2), ("train_seconds", 0))
        ]
        yield f"| {name} | {mean:.2f} | {' | '.join(times)} |"


def report(rows):
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "metaworld", "mujoco"))
    return "\n".join(
        [
            "# Imitation of scripted experts on unseen goals",
            "",
            "Written by `python benchmarks/imitation.py`. Share of episodes that succeed, with "
            "Wilson's 95 % interval over all episodes of all seeds; in brackets the seeds. "
            "Episodes of one seed share one training, so that the interval is of these trainings; "
            "how much trainings differ is what the brackets show.",
            "",
            *table(rows),
            "",
            *means(rows),
            "",
            f"- {SETTINGS['episodes']} demonstrations of Meta-World's scripted expert, of goals "
            "drawn from a set of 50 (about 32 of them); "
            f"{SETTINGS['evaluation_episodes']} episodes of each policy, of goals drawn from "
            f"another set of 50, the same for all, at most {SETTINGS['max_steps']} steps; success "
            "ends an episode.",
            "- Horizons and the number of demonstrations were chosen on reach, by an earlier look "
            "at test goals; nothing was tuned for a generator.",
            f"- {SETTINGS['num_updates']:,} updates of each generator; chunks of 8 actions, of "
            "which 4 are played; regression is least squares (behaviour cloning), "
            "gaussian-mixture a mixture density network of 5 components.",
            f"- Times are of a busy machine: {platform.machine()}, one thread; {versions}.",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--folder", default="runs/imitation")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    store = HERE.with_suffix(".json")
    rows = json.loads(store.read_text())["rows"] if store.exists() else []
    rows = [row for row in rows if is_current(row)]
    end = time.monotonic() + 60 * options.minutes
    wanted = [(task, seed) for seed in range(options.seeds) for task in options.tasks]
    there = {(row["task"], row["seed"]) for row in rows}
    for task, seed in wanted if not options.table else []:
        if (task, seed) in there or time.monotonic() > end:
            continue
        said(f"{task}, seed {seed}")
        rows.append(measured(task, seed, options.folder))
        write_json(store, {"rows": rows})
        write_text(HERE.with_suffix(".md"), report(rows))
    if options.table and rows:
        write_text(HERE.with_suffix(".md"), report(rows))


if __name__ == "__main__":
    main()
