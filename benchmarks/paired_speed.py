"""Speeds against each other: interleaved rounds, a process for each contender, ratios in a round.

In each round every contender runs once, in a process of its own, on one thread and pinned to one
core, so that what slows the machine slows all of them; ratios are taken within a round, and the
table gives their medians over the rounds. Seconds are of the processor, not of the clock, so that
other programs matter less. Runs are kept in a JSON file beside the script, to which later rounds
are added, and from which the Markdown beside it is written.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

QUICK_SHARE = 10


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


@dataclass(frozen=True)
class Contender:
    """One row: what it is called, and what measures it, given by how much to shorten the run."""

    label: str
    measure: Callable[[int], dict]


@dataclass(frozen=True)
class Task:
    """Contenders that do the same work: the ratios are over the first; the others' are asked."""

    title: str
    base: str
    others: dict[str, float | None]


@dataclass(frozen=True)
class Benchmark:
    """All that a script measures.

    Attributes:
        script: The script's own file; results lie beside it.
        title: Of the table.
        about: What is measured, in the first line of the table after the script's name.
        tasks: The tables.
        contenders: All of them, by name, in the order of a round.
        packages: Whose versions are told.
        unit: Of the speeds.
        base_word: What the first of a task is called in its table's head.
        protocol: What contenders of a task share.
        closing: Further lines of Markdown, of what is stored.
    """

    script: Path
    title: str
    about: str
    tasks: dict[str, Task]
    contenders: dict[str, Contender]
    packages: tuple[str, ...]
    unit: str
    base_word: str
    protocol: str
    closing: Callable[[dict], Sequence[str]] = lambda stored: ()

    def main(self, description):
        """Answer the command line."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--quick", action="store_true", help="one round of a tenth of it")
        parser.add_argument(
            "--only", nargs="*", choices=list(self.contenders), metavar="CONTENDER"
        )
        parser.add_argument("--fresh", action="store_true", help="forget the rounds made before")
        parser.add_argument("--table", action="store_true", help="only write the table again")
        parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
        options = parser.parse_args()
        if options.worker:
            self._work(options.worker[0], int(options.worker[1]))
            return
        kept = self.script.with_suffix(".json")
        is_new = options.fresh or options.quick or not kept.exists()
        stored = {"rounds": []} if is_new else json.loads(kept.read_text())
        if not options.table:
            stored.update(self._facts())
            self._run(stored, options, kept)
        text = self._report(stored)
        if not options.quick:
            self.script.with_suffix(".md").write_text(text, encoding="utf-8")
        sys.stdout.write(text)

    def _run(self, stored, options, kept):
        share = QUICK_SHARE if options.quick else 1
        for number in range(1 if options.quick else options.rounds):
            sys.stderr.write(f"round {number + 1}\n")
            stored["rounds"].append({})
            for name in options.only or self.contenders:
                found = self._in_a_process(name, share)
                if found:
                    stored["rounds"][-1][name] = found
            if not options.quick:
                kept.write_text(json.dumps(stored, indent=1) + "\n")
                self.script.with_suffix(".md").write_text(self._report(stored), encoding="utf-8")

    def _work(self, name, share):
        import torch

        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        found = self.contenders[name].measure(share)
        sys.stdout.write("\n" + json.dumps(found) + "\n")

    def _in_a_process(self, name, share):
        command = [sys.executable, "-W", "ignore", str(self.script), "--worker", name, str(share)]
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        variables = {**os.environ, **{variable: "1" for variable in threads}}
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no result"])[-1]
            sys.stderr.write(f"    {name}: {reason}\n")
            return None
        found = json.loads(done.stdout.strip().splitlines()[-1])
        sys.stderr.write(
            f"    {name}: {_number(found['steps_per_second'])} {self.unit}, "
            f"start {found['seconds_to_start']:.1f} s\n"
        )
        return found

    def _facts(self):
        return {
            "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.machine()}",
            "versions": {
                "Python": platform.python_version(),
                **{name: _version(name) for name in self.packages},
            },
        }

    def _report(self, stored):
        rounds = stored["rounds"]
        versions = ", ".join(f"{name} {number}" for name, number in stored["versions"].items())
        lines = [
            f"# {self.title}",
            "",
            f"Written by `benchmarks/{self.script.name}`. {self.about} {len(rounds)} interleaved "
            f"rounds, one process, thread and core each; {self.unit} are of the processor. Ratios "
            "are taken within a round; the table gives medians, and the range. "
            f"{stored['machine']}. {versions}.",
            "",
            self.protocol,
            "",
        ]
        for task in self.tasks.values():
            head = f"| | {self.unit} | from to | times {self.base_word} | from to | asked "
            lines += [
                f"## {task.title}",
                "",
                head + "| seconds to start |",
                "|---|---:|---:|---:|---:|---|---:|",
                *self._rows(rounds, task),
                "",
            ]
        return "\n".join([*lines, *self.closing(stored)])

    def _rows(self, rounds, task):
        """Rows of a table: label, speed, its range, ratio, its range, what was asked, start."""
        for name in (task.base, *task.others):
            label = self.contenders[name].label
            of_name = [found[name] for found in rounds if found.get(name)]
            if not of_name:
                yield f"| {label} | not measured | | | | | |"
                continue
            speed, spread = _median_and_range([r["steps_per_second"] for r in of_name], _number)
            start = statistics.median(r["seconds_to_start"] for r in of_name)
            ratios = [
                found[name]["steps_per_second"] / found[task.base]["steps_per_second"]
                for found in rounds
                if found.get(name) and found.get(task.base)
            ]
            if name == task.base or not ratios:
                yield f"| {label} | {speed} | {spread} | | | | {start:.1f} |"
                continue
            ratio, between = _median_and_range(ratios, "{:.2f}".format)
            asked = task.others[name]
            reached = "yes" if asked and statistics.median(ratios) >= asked else "**no**"
            goal = f"{asked:g}x: {reached}" if asked else ""
            yield (
                f"| {label} | {speed} | {spread} | **{ratio}x** | {between} | {goal} | "
                f"{start:.1f} |"
            )


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _median_and_range(values, form):
    return form(statistics.median(values)), f"{form(min(values))} to {form(max(values))}"
