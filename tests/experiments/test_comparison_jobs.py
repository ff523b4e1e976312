"""The seeds of a deep agent are one job of a comparison, whatever is there of them already."""

import hashlib
import os
import shutil
import signal
import threading
import time

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.population import Population
from gymagine.experiments.comparison import compare
from gymagine.experiments.comparison_jobs import ComparisonJob
from gymagine.experiments.comparison_runs import ComparisonRun
from gymagine.experiments.population_records import PopulationRecord
from gymagine.experiments.records import RunRecord
from gymagine.experiments.training import train

NETWORK = {"hidden_sizes": (8,), "learning_starts": 20, "batch_size": 8, "buffer_size": 500}
SMALL = {
    "total_timesteps": 80,
    "evaluations": 2,
    "evaluation_episodes": 2,
    "final_episodes": 2,
    "jobs": 1,
    "hyperparameters": {"dqn": NETWORK},
}


class Fragile(gymnasium.Env):
    """Raises at the 30th step of its life."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    broken, time = True, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.time += 1
        if Fragile.broken and self.time == 30:
            raise RuntimeError("the gripper broke")
        return 0, 1.0, self.time % 5 == 0, False, {}


class Killed(BaseException):
    """What no code here catches: as if the process had been killed at that point."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Neither pictures nor a disk that is waited for."""
    monkeypatch.setattr("gymagine.experiments.comparison.write_plots", lambda *_: [])
    monkeypatch.setattr("gymagine.storage.os.fsync", lambda file: None)


@pytest.fixture
def executed(monkeypatch):
    """The seeds of each job that was really done, with the name of a population that went on."""
    done, together, alone = [], ComparisonJob._train_together, ComparisonRun._run

    def watch_together(self):
        went_on = None if self.population is None else self.population.name
        done.append(([run.settings.seed for run in self.runs], went_on))
        return together(self)

    def watch_alone(self):
        done.append(([self.settings.seed], None))
        return alone(self)

    monkeypatch.setattr(ComparisonJob, "_train_together", watch_together)
    monkeypatch.setattr(ComparisonRun, "_run", watch_alone)
    return done


def killed_at(monkeypatch, owner, name, nth):
    """Die in the nth call of a method."""
    method, calls = getattr(owner, name), []

    def dying(self, *arguments, **options):
        calls.append(self)
        if len(calls) == nth:
            raise Killed
        return method(self, *arguments, **options)

    monkeypatch.setattr(owner, name, dying)


def cut(monkeypatch, folder, seeds, *moment):
    """A comparison that was killed at a moment."""
    with monkeypatch.context() as patch:
        killed_at(patch, *moment)
        with pytest.raises(Killed):
            compare("CartPole-v1", "dqn", seeds=seeds, folder=folder, **SMALL)


def digests(comparison, folder):
    """Of the agents' files."""
    root = folder / "CartPole-v1"
    files = [RunRecord.open(root / run.record).checkpoint for run in comparison.runs]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three seeds that nothing cut."""
    folder = tmp_path_factory.mktemp("whole")
    comparison = compare("CartPole-v1", "dqn", seeds=3, folder=folder, **SMALL)
    return comparison, digests(comparison, folder)


def test_the_seeds_of_a_deep_agent_are_one_job(tmp_path, executed):
    comparison = compare("CartPole-v1", "dqn", seeds=3, folder=tmp_path, **SMALL)
    assert executed == [([0, 1, 2], None)]
    assert [run.seed for run in comparison.runs] == [0, 1, 2]
    for run in comparison.runs:
        assert run.status == "finished" and run.timesteps == 80
        assert run.curve_steps == [0, 40, 80] and run.final_episodes == 2
        record = RunRecord.open(tmp_path / "CartPole-v1" / run.record)
        assert record.settings.seed == run.seed and record.load_agent().seed == run.seed
        assert PopulationRecord.of(record) is not None


def test_a_seed_of_a_population_is_what_it_is_alone(tmp_path, whole):
    comparison, _ = whole
    settings = {"evaluate_every": 40, "evaluation_episodes": 2, "final_episodes": 2}
    alone = train(
        "dqn",
        "CartPole-v1",
        seed=2,
        total_timesteps=80,
        folder=tmp_path,
        **settings,
        **NETWORK,
    )
    returns = [point.score for point in alone.evaluations]
    assert comparison.runs[2].curve_returns == returns


def test_a_rerun_reuses_what_is_finished_and_trains_only_new_seeds(tmp_path, executed):
    first = compare("CartPole-v1", "dqn", seeds=2, folder=tmp_path, **SMALL)
    again = compare("CartPole-v1", "dqn", seeds=2, folder=tmp_path, **SMALL)
    assert executed == [([0, 1], None)] and again.runs == first.runs
    more = compare("CartPole-v1", "dqn", seeds=4, folder=tmp_path, **SMALL)
    assert executed[1:] == [([2, 3], None)] and more.runs[:2] == first.runs
    compare("CartPole-v1", "dqn", seeds=5, folder=tmp_path, **SMALL)
    assert executed[2:] == [([4], None)]  # one seed is a run like any other


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ((Population, "save", 2), [0, 1, 2]),
        ((RunRecord, "set_status", 3 + 3 * 2 + 3), [2]),  # two of three have finished
    ],
)
def test_a_killed_comparison_goes_on_from_the_populations_checkpoint(
    tmp_path, monkeypatch, executed, whole, moment, left
):
    cut(monkeypatch, tmp_path, 3, *moment)
    executed.clear()
    done = compare("CartPole-v1", "dqn", seeds=3, folder=tmp_path, **SMALL)
    ((seeds, population),) = executed
    assert seeds == left and population.startswith("population-0-2-")
    assert [run.curve_returns for run in done.runs] == [run.curve_returns for run in whole[0].runs]
    assert digests(done, tmp_path) == whole[1]


def test_other_seeds_leave_a_population_that_was_cut_as_it_was(
    tmp_path, monkeypatch, executed, whole
):
    cut(monkeypatch, tmp_path, 3, Population, "save", 2)
    executed.clear()
    more = compare("CartPole-v1", "dqn", seeds=[1, 0, 7, 8], folder=tmp_path, **SMALL)
    assert [seeds for seeds, _ in executed] == [[1, 0], [7, 8]]
    assert [went_on is not None for _, went_on in executed] == [True, False]
    assert {run.status for run in more.runs} == {"finished"}
    executed.clear()  # seed 2 went on with the others of its population
    done = compare("CartPole-v1", "dqn", seeds=3, folder=tmp_path, **SMALL)
    assert executed == [] and digests(done, tmp_path) == whole[1]


def damage_evaluations(population):
    (population.members[1].folder / "evaluations.csv").write_text("x,y\n1,2\n")


def damage_config(population):
    (population.members[1].folder / "config.json").write_text("[]")


def remove_population(population):
    shutil.rmtree(population.folder)


def damage_population(population):
    (population.folder / "population.json").write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [damage_evaluations, damage_config, remove_population, damage_population],
)
def test_a_population_that_cannot_go_on_begins_anew(
    tmp_path, monkeypatch, executed, whole, damage
):
    cut(monkeypatch, tmp_path, 3, Population, "save", 2)
    (place,) = tmp_path.rglob("population.json")
    damage(PopulationRecord.open(place.parent))
    executed.clear()
    done = compare("CartPole-v1", "dqn", seeds=3, folder=tmp_path, **SMALL)
    assert executed == [([0, 1, 2], None)]
    assert digests(done, tmp_path) == whole[1]
    assert len(list(tmp_path.rglob("population.json"))) == 1


def test_a_run_that_was_killed_before_the_first_checkpoint(tmp_path, monkeypatch, whole):
    cut(monkeypatch, tmp_path, 3, Population, "save", 1)
    done = compare("CartPole-v1", "dqn", seeds=3, folder=tmp_path, **SMALL)
    assert digests(done, tmp_path) == whole[1]


def test_members_fail_together_and_nothing_else_does(tmp_path, monkeypatch):
    gymnasium.register("Fragile-v1", Fragile, max_episode_steps=20)
    try:
        comparison = compare(
            "Fragile-v1", ["dqn", "random"], seeds=3, folder=tmp_path, max_steps=10, **SMALL
        )
        dqn = comparison.runs_of("Fragile-v1", "dqn")
        assert [run.status for run in dqn] == ["failed"] * 3
        message = "3 x dqn on Fragile-v1 failed after"
        assert all(
            message in run.error and "RuntimeError: the gripper broke" in run.error for run in dqn
        )
        monkeypatch.setattr(Fragile, "broken", False)
        again = compare(
            "Fragile-v1", ["dqn", "random"], seeds=3, folder=tmp_path, max_steps=10, **SMALL
        )
        assert {run.status for run in again.runs} == {"finished"}
    finally:
        del gymnasium.registry["Fragile-v1"]


def test_what_takes_long_comes_early(tmp_path, monkeypatch):
    jobs = []

    def note(self):
        jobs.append((self.runs[0].settings.agent, len(self.runs)))
        return self.without_results("failed", "not today")

    monkeypatch.setattr(ComparisonJob, "execute", note)
    agents = ["q-learning", "sb3:dqn", "dqn", "value-iteration"]
    compare("FrozenLake-v1", agents, seeds=2, folder=tmp_path, **SMALL)
    assert jobs == [
        ("value-iteration", 1),
        ("dqn", 2),
        ("sb3:dqn", 1),
        ("sb3:dqn", 1),
        ("q-learning", 1),
        ("q-learning", 1),
    ]


@pytest.mark.slow
def test_ctrl_c_keeps_the_population_and_the_rerun_goes_on(tmp_path, executed):
    settings = SMALL | {"total_timesteps": 3_000, "evaluations": 3}
    uncut = compare("CartPole-v1", "dqn", seeds=2, folder=tmp_path / "a", **settings)

    def interrupt_once_it_saves():
        while not list((tmp_path / "b").rglob("population.safetensors")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_saves, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        compare("CartPole-v1", "dqn", seeds=2, folder=tmp_path / "b", **settings)
    done = compare("CartPole-v1", "dqn", seeds=2, folder=tmp_path / "b", **settings)
    assert executed[-1][1] is not None
    assert digests(done, tmp_path / "b") == digests(uncut, tmp_path / "a")


def test_curves_of_members_differ(whole):
    comparison, files = whole
    assert len(set(files)) == 3
    assert len({tuple(run.curve_returns) for run in comparison.runs}) > 1
    assert np.isfinite([run.final_return for run in comparison.runs]).all()
