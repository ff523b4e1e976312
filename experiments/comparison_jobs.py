"""The work of a comparison in processes: what is done together, and what is done when one dies.

A job is what one process does at a time: a run, or the runs of one deep agent in one environment,
which learn together as a population (see `population_training`). Of a population that was cut, all
members go on, whatever was asked for; a seed more is a population, or a run, of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .comparison_runs import UNREADABLE, ComparisonRun
from .interruption import ending_with_parent
from .population_records import PopulationRecord
from .population_training import (
    begin_population,
    continue_population,
    prepare_population,
    trains_together,
)
from .recorded_session import TrainResult
from .results import RunResult, Status

__all__ = ["ComparisonJob", "executed", "jobs_of"]

_Results = list[tuple[Path, RunResult]]


@dataclass(frozen=True)
class ComparisonJob:
    """A run, or several that learn together.

    Attributes:
        runs: What to do.
        population: The folder of the population that goes on, or None.
    """

    runs: tuple[ComparisonRun, ...]
    population: Path | None = None

    def execute(self) -> _Results:
        """The runs' results by folder; only Ctrl-C a second time is raised."""
        if len(self.runs) == 1 and self.population is None:
            return [(self.runs[0].folder, self.runs[0].execute())]
        try:
            trained = self._train_together()
            if trained[0].status != "finished":
                return self.without_results("interrupted", None)
            return [(run.folder, run.result()) for run in self.runs]
        except Exception as error:  # of whatever library: it must not take the others with it
            message = " ".join(str(error).split()) or type(error).__name__
            return self.without_results("failed", message)

    def without_results(self, status: Status, error: str | None) -> _Results:
        """The results of runs that did not finish."""
        return [(run.folder, run.without_result(status, error)) for run in self.runs]

    def has_begun(self) -> bool:
        """Whether a process took it up, and did not come to an end with it."""
        return any(run.has_begun() for run in self.runs)

    def _train_together(self) -> tuple[TrainResult, ...]:
        if self.population is not None:
            return continue_population(PopulationRecord.open(self.population))
        for run in self.runs:
            run.clear()
        prepared = prepare_population([run.settings for run in self.runs])
        folders = [run.folder for run in self.runs]
        return begin_population(prepared, self._new_folder(), folders)

    def _new_folder(self) -> Path:
        first, last = self.runs[0], self.runs[-1]
        names = " ".join(run.folder.name for run in self.runs)
        words = hashlib.sha256(names.encode()).hexdigest()[:10]
        name = f"population-{first.settings.seed}-{last.settings.seed}-{words}"
        return first.folder.parent / name


def jobs_of(runs: Sequence[ComparisonRun]) -> list[ComparisonJob]:
    """What is to be done for runs that have not finished, in their order."""
    groups: dict[tuple[Path, Path | None], list[ComparisonRun]] = {}
    for run in runs:
        groups.setdefault(_group_of(run), []).append(run)
    return [ComparisonJob(tuple(group), folder) for (_, folder), group in groups.items()]


def _group_of(run: ComparisonRun) -> tuple[Path, Path | None]:
    """What is equal for runs that are one job, and the population that they go on with."""
    if not trains_together(run.settings.agent):
        return run.folder, None
    record = run.record_to_go_on_with()
    place = None if record is None else record.config.get("population")
    if record is not None and place is None:
        return run.folder, None  # it learned alone
    population = None if record is None else _population_to_go_on_with(run)
    if population is not None:
        return population, population
    return run.folder.parent, None


def _population_to_go_on_with(run: ComparisonRun) -> Path | None:
    """The folder of a run's population, where nothing of it is damaged."""
    try:
        population = run.population()
        if population is None or not population.checkpoint.exists():
            return None
        for member in population.members:
            member.evaluations()
            _ = member.status
    except UNREADABLE:
        return None
    return population.folder


def executed(
    runs: Sequence[ComparisonRun], num_processes: int | None, backend: str
) -> Iterator[tuple[Path, RunResult]]:
    """The runs' results in the order in which they are there: first those on disk."""
    waiting = []
    for run in runs:
        done = run.finished()
        if done is None:
            waiting.append(run)
        else:
            yield run.folder, done
    if not waiting:
        return
    from joblib import cpu_count

    jobs = jobs_of(waiting)
    yield from _survived(jobs, min(num_processes or cpu_count(), len(jobs)), backend)


def _survived(
    waiting: list[ComparisonJob], num_processes: int, backend: str
) -> Iterator[tuple[Path, RunResult]]:
    """The results of all jobs, of those too whose process dies: out of memory, a crash in C.

    A process that dies takes its neighbours with it, and none says which job it was. Those that
    had begun are therefore gone on with one at a time, and the rest together as before.
    """
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    alone: list[ComparisonJob] = []
    while waiting or alone:
        now = [alone.pop(0)] if alone else waiting
        suspected = now is not waiting
        there: set[Path] = set()
        try:
            for results in _in_parallel(now, num_processes, backend):
                there.update(path for path, _ in results)
                yield from results
            waiting = waiting if suspected else []
        except TerminatedWorkerError:
            if suspected:
                why = "its process died: out of memory, or a crash in compiled code"
                yield from now[0].without_results("failed", why)
                continue
            left = [job for job in now if job.runs[0].folder not in there]
            alone = [job for job in left if job.has_begun()] or left
            waiting = [job for job in left if job not in alone]


def _in_parallel(
    jobs: Sequence[ComparisonJob], num_processes: int, backend: str
) -> Iterator[_Results]:
    from joblib import Parallel, delayed, parallel_config

    alone = backend != "loky" or num_processes == 1
    threads = {} if alone else {"inner_max_num_threads": 1}
    with parallel_config(backend, n_jobs=num_processes, **threads):
        parallel = Parallel(return_as="generator_unordered")
        # of Ray's or a thread's work this process is not the parent
        parent = os.getpid() if backend == "loky" else None
        yield from parallel(delayed(_execute)(job, parent) for job in jobs)


def _execute(job: ComparisonJob, parent: int | None) -> _Results:
    with ending_with_parent(parent):
        return job.execute()
