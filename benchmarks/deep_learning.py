"""What deep agents learn: final returns over seeds, with variants, SB3's counterparts, statistics.

    python benchmarks/deep_learning.py                    # everything that is not there yet
    python benchmarks/deep_learning.py --tasks CartPole-v1 --entries dqn rainbow
    python benchmarks/deep_learning.py --table            # only write the table again
    python benchmarks/deep_learning.py --quick            # a hundredth of the steps, two seeds

Every row is one call of `gymagine.experiments.compare`: an agent with its hyper-parameters, all
seeds. When a row is there it is written to deep_learning.json, with the settings that it was made
with, and deep_learning.md is written again; the same command goes on with what is missing, or was
made with other settings. Runs that were cut go on from their checkpoints in ``--folder``.

Hyper-parameters are the presets' (`gymagine.agents.deep.presets`) with what `TASKS` says besides.
They were chosen on other seeds than the rows', which begin at 0 (CartPole: 20, Pendulum: 10).
SB3's rows have the same hyper-parameters under SB3's names, and the same budget.
"""

import argparse
import dataclasses
import json
import logging
import os
import platform
import sys
import time
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from deep_learning_peers import a2c_of_sb3, dqn_of_sb3
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.presets import preset
from gymagine.experiments.comparison import compare
from gymagine.experiments.results import Comparison, RunResult
from gymagine.experiments.statistics import holm_adjust, permutation_test
from gymagine.experiments.summary import summarise

HERE = Path(__file__).resolve()
OUR_SEEDS, SB3_SEEDS = 6, 5
EVALUATIONS = 10

SWITCHES = {
    "double": {"double": True},
    "duelling": {"duelling": True},
    "prioritised": {"prioritised": True},
    "3-step": {"n_step": 3},
    "categorical": {"categorical": True},
    "noisy": {"noisy": True},
    "rainbow": {"rainbow": True},
}
"""Changes of DQN's settings; the names are the rows'."""
COMPILED = ("categorical", "noisy", "rainbow")  # where that pays for the half minute it takes
PRESET = "dqn, the preset"


@dataclass(frozen=True)
class Task:
    """One environment.

    Attributes:
        environment: Its id.
        steps: The budget of every agent, in environment steps.
        switches: Which variants of DQN have a row.
        atoms: The lowest and the highest return of categorical values.
        published: What others report, in words.
        agents: Of ours, besides the variants.
        peers: SB3's counterparts.
        own: By agent, hyper-parameters on top of the preset's.
        evaluation_episodes: Of each point of a curve; the last one has 100 episodes.
        key: Its name here; empty for the environment's id.
        first_seed: Of the rows, behind those that the settings were chosen on.
    """

    environment: str
    steps: int
    switches: tuple[str, ...]
    atoms: tuple[float, float]
    published: str
    agents: tuple[str, ...] = ("dqn", "a2c", "reinforce")
    peers: tuple[str, ...] = ("sb3:dqn", "sb3:a2c")
    own: dict[str, dict[str, object]] = field(default_factory=dict)
    evaluation_episodes: int | None = 10
    key: str = ""
    first_seed: int = 0

    @property
    def name(self):
        """What the command line and the tables call it."""
        return self.key or self.environment


TASKS = (
    Task(
        "CartPole-v1",
        50_000,
        tuple(SWITCHES),
        (0.0, 100.0),
        "DQN 500 ± 0 (RL Zoo's settings, 50 k steps, 5 seeds), 488.7 ± 16.1 (CleanRL, 500 k); "
        "A2C 500 (RL Zoo, 500 k, one run); REINFORCE 483.3 (SLM-Lab, 200 k). The preset's network "
        "has 256x256 units; that of all other rows of DQN 128x128, which leaves room above plain "
        "DQN and costs less than half",
        own={"dqn": {"hidden_sizes": (128, 128)}},
        first_seed=20,
    ),
    Task(
        "CartPole-v1",
        500_000,
        (),
        (0.0, 1.0),
        "A2C 500 (RL Zoo, the same settings and budget, one run); REINFORCE 483.3 (SLM-Lab, "
        "200 k)",
        agents=("a2c",),
        peers=(),
        own={"a2c": dataclasses.asdict(A2C.Config())},
        key="CartPole-v1-long",
    ),
    Task(
        "Acrobot-v1",
        100_000,
        tuple(SWITCHES),
        (-100.0, 0.0),
        "DQN -74 ± 2 (RL Zoo's settings, 100 k steps), -91.5 ± 7.2 (CleanRL, 500 k); A2C -83.4 "
        "(RL Zoo, 500 k, one run). The preset of DQN is that with 3 steps",
        own={"dqn": {"n_step": 1}},
    ),
    Task(
        "MountainCar-v0",
        120_000,
        ("double", "3-step", "rainbow"),
        (-50.0, 0.0),
        "DQN -107 ± 4 (RL Zoo's settings, 120 k steps), -195 ± 8.5 (CleanRL, 500 k); A2C -111.3 "
        "(RL Zoo, 1 M steps, one run, observations normalised)",
        agents=("dqn",),
        peers=("sb3:dqn",),
    ),
    Task(
        "LunarLander-v3",
        100_000,
        ("double", "duelling", "3-step", "rainbow"),
        (-100.0, 100.0),
        "DQN 195 ± 28 (v2, RL Zoo's settings, 100 k steps), 195.2 and with double and prioritised "
        "replay 265.9 (v3, SLM-Lab, 300 k); A2C 155.8 (v2, RL Zoo, 200 k, one run)",
    ),
    Task(
        "Pendulum-v1",
        300_000,
        (),
        (0.0, 1.0),
        "A2C -163 (RL Zoo, 1 M steps, one run, observations normalised, state-dependent "
        "exploration); PPO -172 (RL Zoo, 100 k)",
        agents=("a2c", "reinforce"),
        peers=("sb3:a2c",),
        first_seed=10,
    ),
    Task(
        "FrozenLake-v1",
        50_000,
        ("rainbow",),
        (0.0, 1.0),
        "the exact optimum under the cap of 100 steps, 0.7442",
        agents=("dqn",),
        peers=("sb3:dqn",),
        evaluation_episodes=None,
    ),
    Task(
        "Taxi-v4",
        100_000,
        ("rainbow",),
        (-20.0, 20.0),
        "the exact optimum, 7.93",
        agents=("dqn",),
        peers=("sb3:dqn",),
        evaluation_episodes=None,
    ),
)


@dataclass(frozen=True)
class Entry:
    """One row: an agent with its settings on a task."""

    task: Task
    label: str
    agent: str
    hyperparameters: dict[str, object]
    seeds: int

    @property
    def fingerprint(self):
        """What makes another row of it."""
        task = self.task
        settings = sorted((k, str(v)) for k, v in self.hyperparameters.items())
        seeds = [self.seeds, task.first_seed] if task.first_seed else [self.seeds]
        return repr([self.agent, settings, task.steps, task.evaluation_episodes, *seeds])


# ---- rows ---------------------------------------------------------------------------------------


def settings_of(task, agent):
    """The preset's hyper-parameters and the task's own."""
    found = preset(agent, task.environment)
    own = task.own.get(agent, {})
    return own if found is None else {**found.hyperparameters, **own}


def entries_of(task):
    """The task's rows, quick ones first."""
    for agent in sorted(task.agents):
        yield Entry(task, agent, agent, settings_of(task, agent), OUR_SEEDS)
    if task.own.get("dqn"):
        own = dict(preset("dqn", task.environment).hyperparameters)
        if all(own != {**settings_of(task, "dqn"), **SWITCHES[name]} for name in task.switches):
            yield Entry(task, PRESET, "dqn", own, OUR_SEEDS)
    for name in task.switches:
        own = {**settings_of(task, "dqn"), **SWITCHES[name]}
        own["compile"] = name in COMPILED
        if name in ("categorical", "rainbow"):
            own["v_min"], own["v_max"] = task.atoms
        if name in ("prioritised", "rainbow"):
            own["importance_exponent"] = f"linear:0.4:1.0:{task.steps}"
        yield Entry(task, label_of(name), "dqn", own, OUR_SEEDS)
    for name in task.peers:
        ours = name.removeprefix("sb3:")
        translate = dqn_of_sb3 if ours == "dqn" else a2c_of_sb3
        agent, given = translate(settings_of(task, ours), task.steps)
        yield Entry(task, name, agent, given, SB3_SEEDS)


def label_of(switch):
    return switch if switch == "rainbow" else f"dqn, {switch}"


def made(entry, folder):
    """The row's runs, by one comparison."""
    task = entry.task
    begun = time.perf_counter()
    comparison = compare(
        task.environment,
        [entry.agent],
        seeds=range(task.first_seed, task.first_seed + entry.seeds),
        total_timesteps=task.steps,
        evaluations=EVALUATIONS,
        evaluation_episodes=task.evaluation_episodes,
        hyperparameters={entry.agent: entry.hyperparameters},
        folder=folder,
        name=f"{task.name}-{entry.label}",
        jobs=1,
    )
    runs = [replace(run, agent=entry.label) for run in comparison.runs]
    return {
        "fingerprint": entry.fingerprint,
        "seconds": time.perf_counter() - begun,
        "criterion": comparison.criterion,
        "control": comparison.control[task.environment],
        "optimum": comparison.optimum[task.environment],
        "hyperparameters": {k: str(v) for k, v in entry.hyperparameters.items()},
        "runs": [run.to_json() for run in runs],
    }


# ---- the table ----------------------------------------------------------------------------------


def joined(task, rows):
    """The rows of a task as one comparison."""
    first = rows[0]
    return Comparison(
        criterion=first["criterion"],
        discount=1.0,
        budget=task.steps,
        seeds=sorted({run["seed"] for row in rows for run in row["runs"]}),
        runs=[RunResult.from_json(run) for row in rows for run in row["runs"]],
        optimum={task.environment: first["optimum"]},
        control={task.environment: first["control"]},
        settings={},
        versions={},
    )


def against(comparison, task, base, labels):
    """By label: Holm's p-values of final returns and of mean curves against the base's."""
    rng = np.random.default_rng(0)
    found = {}
    for kind in (final_returns, curve_means):
        own = kind(comparison, task, base)
        given = [label for label in labels if len(kind(comparison, task, label)) and len(own)]
        p_values = [
            permutation_test(own, kind(comparison, task, label), rng=rng) for label in given
        ]
        found[kind] = dict(zip(given, holm_adjust(p_values).tolist(), strict=True))
    return found


def final_returns(comparison, task, label):
    return comparison.scores(task.environment, label)


def curve_means(comparison, task, label):
    """(N,) mean of the evaluations on the way, the one before learning left out."""
    runs = comparison.runs_of(task.environment, label)
    return np.array([np.mean(run.curve_returns[1:]) for run in runs if run.curve_returns])


def number(value):
    size = abs(value)
    return f"{value:.3f}" if size < 1 else f"{value:.2f}" if size < 10 else f"{value:.1f}"


def p_text(value):
    return "" if value is None else f"{value:.4f}" if value < 0.001 else f"{value:.3f}"


def task_lines(task, rows):
    comparison = joined(task, list(rows.values()))
    summaries = summarise(comparison, rng=np.random.default_rng(0))
    variants = [label for label in rows if label.startswith(("dqn, ", "rainbow", "sb3:dqn"))]
    tested = against(comparison, task, "dqn", variants) if "dqn" in rows else {}
    if {"a2c", "sb3:a2c"} <= set(rows):
        for kind, found in against(comparison, task, "a2c", ["sb3:a2c"]).items():
            tested[kind] = {**tested.get(kind, {}), **found}
    yield from (f"## {task.environment}, {task.steps:,} steps", "")
    optimum = comparison.optimum[task.environment]
    best = "" if optimum is None else f"Exact optimum {number(optimum)}. "
    yield (
        f"{comparison.criterion[0].upper()}{comparison.criterion[1:]}. {best}Random policy "
        f"{number(comparison.control[task.environment])}. Published: {task.published}."
    )
    yield from (
        "",
        "| | seeds | final return [95 %] | IQM | worst seed | mean of the curve | steps to 90 % | "
        "s | p final | p curve |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    )
    for row in summaries:
        if row.mean is None:
            yield f"| {row.agent} | failed: {failure(comparison, row.agent)} | | | | | | | | |"
            continue
        mean, finals = row.mean, comparison.scores(task.environment, row.agent)
        steps = row.threshold and row.threshold.steps
        ps = [tested.get(kind, {}).get(row.agent) for kind in (final_returns, curve_means)]
        yield (
            f"| {row.agent} | {row.num_seeds} | **{number(mean.estimate)}** "
            f"[{number(mean.low)}, {number(mean.high)}] | {number(row.iqm.estimate)} | "
            f"{number(finals.min())} | "
            f"{number(curve_means(comparison, task, row.agent).mean())} | "
            f"{f'{steps:,.0f}' if steps else '-'} | {rows[row.agent]['seconds']:.0f} | "
            f"{p_text(ps[0])} | {p_text(ps[1])} |"
        )
    yield from ("", *missing_lines(task, rows))


def missing_lines(task, rows):
    """Rows that the same command would make next."""
    missing = [entry.label for entry in entries_of(task) if entry.label not in rows]
    if missing:
        yield from (f"Not made yet: {'; '.join(missing)}.", "")


def failure(comparison, label):
    return next(run.error or run.status for run in comparison.runs if run.agent == label)


def switches_lines(stored):
    """Which switch is at least as good as plain DQN somewhere, and where the tests say so."""
    yield from ("## The switches against plain DQN", "")
    yield from (
        "Difference of mean final returns and of mean curves (a better one is positive), over all "
        "tasks on which both have rows; ! marks differences that the permutation test, adjusted "
        "by Holm's method within the task, gives at most 0.05; an empty cell is not made yet.",
        "",
        "| | " + " | ".join(f"{t.environment}: final; curve" for t in TASKS if t.switches) + " |",
        "|---|" + "---:|" * sum(bool(t.switches) for t in TASKS),
    )
    for name in SWITCHES:
        label, cells = label_of(name), []
        for task in TASKS:
            rows = stored.get(task.name, {})
            if not task.switches:
                continue
            if label not in rows or "dqn" not in rows:
                cells.append("")
                continue
            comparison = joined(task, list(rows.values()))
            others = [x for x in rows if x.startswith(("dqn, ", "rainbow", "sb3:dqn"))]
            tested = against(comparison, task, "dqn", others)
            cells.append(
                "; ".join(difference(comparison, task, label, *t) for t in tested.items())
            )
        yield f"| {label} | " + " | ".join(cells) + " |"
    yield ""
    for name in SWITCHES:
        yield f"- {label_of(name)}: {verdict(stored, label_of(name))}."
    yield ""


def verdict(stored, label):
    """In words: where a switch is better than plain DQN, and where it is worse."""
    found = {
        "better": [],
        "better, but within chance": [],
        "worse": [],
        "worse, within chance": [],
    }
    for task in TASKS:
        rows = stored.get(task.name, {})
        if not task.switches or label not in rows or "dqn" not in rows:
            continue
        comparison = joined(task, list(rows.values()))
        others = [x for x in rows if x.startswith(("dqn, ", "rainbow", "sb3:dqn"))]
        told = against(comparison, task, "dqn", others)
        gains = {
            kind: kind(comparison, task, label).mean() - kind(comparison, task, "dqn").mean()
            for kind in told
        }
        sure = [kind for kind, ps in told.items() if ps.get(label, 1.0) <= 0.05]
        if sure:
            word = "better" if gains[sure[0]] > 0 else "worse"
            what = " and ".join(sorted(MEASURES[kind.__name__] for kind in sure))
            found[word].append(f"{task.environment} ({what})")
        else:
            up = gains[final_returns] >= 0
            found["better, but within chance" if up else "worse, within chance"].append(
                task.environment
            )
    parts = [f"{word} on {', '.join(tasks)}" for word, tasks in found.items() if tasks]
    return "; ".join(parts) or "not made yet"


MEASURES = {"final_returns": "final return", "curve_means": "mean of the curve"}


def difference(comparison, task, label, kind, p_values):
    own, base = (kind(comparison, task, name) for name in (label, "dqn"))
    if not len(own) or not len(base):
        return "?"
    gain = own.mean() - base.mean()
    mark = "!" if p_values.get(label, 1.0) <= 0.05 else ""
    return f"{'+' if gain >= 0 else ''}{number(gain)}{mark}"


def write_table(stored):
    versions = {
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "gymnasium", "stable_baselines3", "numpy")},
    }
    lines = [
        "# Deep agents: what they learn",
        "",
        "Written by `benchmarks/deep_learning.py`. Every agent of a task has the same budget of "
        "environment steps; SB3's have the hyper-parameters of ours. Final return: of the greedy "
        "policy (policy-gradient agents: its most probable action) after training, mean over "
        f"seeds 0 to {OUR_SEEDS - 1} (SB3: 0 to {SB3_SEEDS - 1}; CartPole: from 20, Pendulum: "
        "from 10 on) with Student's 95 % interval; "
        "100 episodes of each seed, or exact where the model is known. Mean of the curve: over "
        f"{EVALUATIONS} evaluations on the way, which tells how early it learnt. s: seconds of "
        "all seeds with their evaluations, of the clock, on one core of a shared machine; of a "
        "row that was cut, its last part. p: "
        "two-sided permutation test against `dqn` (`sb3:a2c`: against `a2c`), adjusted by Holm's "
        f"method within the task. Hyper-parameters: presets ({', '.join(sources())}); they were "
        "chosen on other seeds. "
        + ", ".join(f"{name} {number_}" for name, number_ in versions.items())
        + ".",
        "",
    ]
    for task in TASKS:
        rows = stored.get(task.name, {})
        if rows:
            lines += task_lines(task, rows)
        else:
            lines += [f"## {task.name}, {task.steps:,} steps", "", *missing_lines(task, rows)]
    lines += switches_lines(stored)
    HERE.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


def sources():
    return ("`gymagine.agents.deep.presets`", "`TASKS` of the script")


# ---- the driver -------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", choices=[task.name for task in TASKS])
    parser.add_argument("--entries", nargs="*", help="labels of rows, such as dqn or sb3:a2c")
    parser.add_argument("--folder", default="runs/deep_learning", help="where runs are kept")
    parser.add_argument("--quick", action="store_true", help="a look; nothing is kept")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kept = HERE.with_suffix(".json")
    stored = json.loads(kept.read_text()) if kept.exists() else {}
    if options.table:
        write_table(stored)
        return
    for task in TASKS:
        if options.tasks and task.name not in options.tasks:
            continue
        for entry in entries_of(task):
            if options.entries and entry.label not in options.entries:
                continue
            if options.quick:
                look(entry)
                continue
            rows = json.loads(kept.read_text()) if kept.exists() else {}
            there = rows.get(task.name, {}).get(entry.label)
            if there and there["fingerprint"] == entry.fingerprint:
                continue
            row = made(entry, options.folder)
            keep(kept, task, entry, row)
            sys.stderr.write(f"{task.name} {entry.label}: {row['seconds']:.0f} s\n")


def keep(kept, task, entry, row):
    """Add the row to the file, which another process may have written to meanwhile."""
    stored = json.loads(kept.read_text()) if kept.exists() else {}
    rows = stored.setdefault(task.name, {})
    rows[entry.label] = row
    order = [known.label for known in entries_of(task)]
    stored[task.name] = {label: rows[label] for label in order if label in rows}
    partial = kept.with_suffix(".part")
    partial.write_text(json.dumps(stored) + "\n")
    partial.replace(kept)
    write_table(stored)


def look(entry):
    """Whether the row can be made: a hundredth of the steps, two seeds."""
    import tempfile

    task = replace(entry.task, steps=entry.task.steps // 100, evaluation_episodes=1)
    with tempfile.TemporaryDirectory() as folder:
        row = made(replace(entry, task=task, seeds=2), folder)
    runs = [run["error"] or number(run["final_return"]) for run in row["runs"]]
    sys.stderr.write(f"{task.name} {entry.label}: {row['seconds']:.0f} s, {runs}\n")


if __name__ == "__main__":
    main()
