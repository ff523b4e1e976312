"""Comparisons continue, isolate failures and stand beside the exact optimum."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import gymnasium
import pytest
from gymagine.agents.tabular.q_learning import QLearning, QLearningConfig
from gymagine.experiments.comparison import compare
from gymagine.experiments.comparison_runs import ComparisonRun
from gymagine.experiments.folder_lock import FolderInUseError, folder_lock
from gymagine.experiments.results import load_comparison
from joblib.externals.loky import get_reusable_executor

QUICK = {"seeds": 2, "total_timesteps": 2_000, "evaluations": 4, "jobs": 1}
OPTIMUM, GREEDY, RANDOM = 0.7441902878292697, 0.7401648977587051, 0.0139397959591714


class Fragile(gymnasium.Env):
    """Raises from step 1200 on."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.steps += 1
        if self.steps > 1_200:
            raise RuntimeError("the gripper broke")
        return 0, float(action), self.steps % 10 == 0, False, {}


@pytest.fixture
def fragile():
    gymnasium.register("Fragile-v0", entry_point=Fragile, max_episode_steps=20)
    yield "Fragile-v0"
    del gymnasium.registry["Fragile-v0"]


@pytest.fixture(autouse=True)
def without_pictures(request, monkeypatch):
    """Drawing takes longer than the runs of these tests; one of them looks at the files."""
    if request.node.name != "test_curves_and_files":
        monkeypatch.setattr("gymagine.experiments.comparison.write_plots", lambda *_: [])


@pytest.fixture
def executed(monkeypatch):
    """The runs that were really made."""
    made, execute = [], ComparisonRun._run

    def watch(self):
        made.append((self.settings.agent, self.settings.seed))
        return execute(self)

    monkeypatch.setattr(ComparisonRun, "_run", watch)
    return made


def test_references_are_of_the_same_criterion(tmp_path):
    agents = ["value-iteration", "backward-induction", "random"]
    comparison = compare("FrozenLake-v1", agents, folder=tmp_path, **QUICK)
    assert comparison.optimum["FrozenLake-v1"] == pytest.approx(OPTIMUM, abs=1e-10)
    assert comparison.control["FrozenLake-v1"] == pytest.approx(RANDOM, abs=1e-10)
    final = {run.agent: run.final_return for run in comparison.runs}
    assert final["value-iteration"] == pytest.approx(GREEDY, abs=1e-10)
    assert final["backward-induction"] == pytest.approx(OPTIMUM, abs=1e-10)
    assert final["random"] == pytest.approx(RANDOM, abs=1e-10)
    assert all(run.exact for run in comparison.runs)
    assert comparison.criterion == "undiscounted return, at most 100 steps"


def test_discounted_comparisons_have_discounted_references(tmp_path):
    comparison = compare(
        "FrozenLake-v1@is_slippery=false",
        "value-iteration",
        discount=0.9,
        folder=tmp_path,
        **QUICK,
    )
    assert comparison.optimum["FrozenLake-v1@is_slippery=false"] == pytest.approx(0.9**5)
    assert comparison.runs[0].final_return == pytest.approx(0.9**5)


@pytest.mark.slow
def test_curves_and_files(tmp_path):
    agents = ["q-learning", "value-iteration", "sb3:a2c"]
    comparison = compare("FrozenLake-v1", agents, folder=tmp_path, name="mine", **QUICK)
    root = tmp_path / "mine"
    assert load_comparison(root) == comparison
    assert comparison.agents == agents and comparison.seeds == [0, 1]
    for run in comparison.runs:
        steps = [0] if run.agent == "value-iteration" else [0, 500, 1_000, 1_500, 2_000]
        assert run.curve_steps == steps and run.status == "finished"
        assert run.timesteps == steps[-1]
        assert (root / run.record / "config.json").is_file()
    names = {path.name for path in root.iterdir()}
    assert {"results.json", "results.csv", "report.md", "learning_curves.png"} <= names
    settings = comparison.settings["agents"]
    assert settings["q-learning"]["discount"] == QLearningConfig().discount
    assert settings["sb3:a2c"]["ent_coef"] == 0.01
    assert list(root.rglob("events.out.tfevents.*"))


def test_environments_whose_model_is_unknown_are_sampled(tmp_path):
    settings = QUICK | {"total_timesteps": 400, "evaluations": 1, "final_episodes": 7}
    settings["evaluation_episodes"] = 2
    comparison = compare("CartPole-v1", ["sb3:a2c", "random"], folder=tmp_path, **settings)
    assert comparison.optimum == {"CartPole-v1": None}
    # a random policy balances for about 22 steps
    assert 15 < comparison.control["CartPole-v1"] < 30
    for run in comparison.runs:
        assert not run.exact and run.final_episodes == 7


@pytest.mark.slow
def test_a_rerun_reuses_what_is_finished(tmp_path, executed):
    first = compare("FrozenLake-v1", ["q-learning", "sarsa"], folder=tmp_path, **QUICK)
    assert sorted(executed) == [("q-learning", 0), ("q-learning", 1), ("sarsa", 0), ("sarsa", 1)]
    executed.clear()
    again = compare("FrozenLake-v1", ["q-learning", "sarsa"], folder=tmp_path, **QUICK)
    assert executed == [] and again.runs == first.runs
    wider = QUICK | {"seeds": 3}
    agents = ["q-learning", "sarsa", "expected-sarsa"]
    compare("FrozenLake-v1", agents, folder=tmp_path, **wider)
    assert sorted(executed) == [
        ("expected-sarsa", 0),
        ("expected-sarsa", 1),
        ("expected-sarsa", 2),
        ("q-learning", 2),
        ("sarsa", 2),
    ]


def test_other_settings_are_other_runs(tmp_path, executed):
    for step_size in (0.1, 0.2, 0.1):
        hyperparameters = {"q-learning": {"step_size": step_size}}
        compare(
            "FrozenLake-v1",
            "q-learning",
            hyperparameters=hyperparameters,
            folder=tmp_path,
            **QUICK,
        )
    assert len(executed) == 4


@pytest.mark.slow
def test_other_defaults_are_other_runs(tmp_path, executed, monkeypatch):
    """A default that changes between two versions must not bring back the old version's runs."""

    @dataclass(frozen=True)
    class Changed(QLearningConfig):
        exploration_rate: float = 0.37

    compare("FrozenLake-v1", "q-learning", folder=tmp_path, **QUICK)
    monkeypatch.setattr(QLearning, "Config", Changed)
    comparison = compare("FrozenLake-v1", "q-learning", folder=tmp_path, **QUICK)
    assert len(executed) == 4
    assert comparison.settings["agents"]["q-learning"]["exploration_rate"] == 0.37


def test_planners_run_once_for_all_seeds(tmp_path, executed):
    comparison = compare("FrozenLake-v1", "value-iteration", folder=tmp_path, **QUICK)
    assert executed == [("value-iteration", 0)]
    assert [run.seed for run in comparison.runs] == [0, 1]
    assert len({run.final_return for run in comparison.runs}) == 1


def test_a_failing_run_is_shown_and_loses_nothing(tmp_path, fragile):
    comparison = compare(
        [fragile, "FrozenLake-v1"], ["q-learning", "sb3:sac"], folder=tmp_path, **QUICK
    )
    by_name = {(run.environment, run.agent, run.seed): run for run in comparison.runs}
    assert len(by_name) == 8
    broken = by_name[fragile, "q-learning", 0]
    assert broken.status == "failed" and "the gripper broke" in broken.error
    assert broken.timesteps == 1_200
    refused = by_name["FrozenLake-v1", "sb3:sac", 1]
    assert refused.status == "failed" and "refuses this environment" in refused.error
    assert by_name["FrozenLake-v1", "q-learning", 1].status == "finished"
    report = (next(tmp_path.iterdir()) / "report.md").read_text()
    assert "the gripper broke" in report


def test_failed_runs_are_tried_again(tmp_path, fragile, executed, monkeypatch):
    compare(fragile, "q-learning", folder=tmp_path, **QUICK)
    monkeypatch.setattr(Fragile, "step", lambda self, action: (0, 1.0, True, False, {}))
    comparison = compare(fragile, "q-learning", folder=tmp_path, **QUICK)
    assert executed == [("q-learning", 0), ("q-learning", 1)] * 2
    assert [run.status for run in comparison.runs] == ["finished", "finished"]


DYING = """
import os
import gymnasium

class Dying(gymnasium.Wrapper):
    def step(self, action):
        if str(os.getpid()) != os.environ["ALIVE"]:
            os.abort()
        return self.env.step(action)

gymnasium.register("Dying-v0", entry_point=lambda: Dying(gymnasium.make("CliffWalking-v1")))
"""


@pytest.mark.slow  # each death starts new processes, which import torch
def test_a_process_that_dies_fails_its_own_run_only(tmp_path, monkeypatch):
    (tmp_path / "dying_world.py").write_text(DYING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ALIVE", str(os.getpid()))
    get_reusable_executor().shutdown(wait=True)  # its processes do not know the path
    names = ["dying_world:Dying-v0", "FrozenLake-v1"]
    settings = QUICK | {"jobs": 2, "max_steps": 10}
    hyperparameters = {"q-learning": {"simulator": "stepped"}}
    comparison = compare(
        names, "q-learning", hyperparameters=hyperparameters, folder=tmp_path, **settings
    )
    get_reusable_executor().shutdown(wait=True)
    lake = [run.status for run in comparison.runs if run.environment == "FrozenLake-v1"]
    dead = [run for run in comparison.runs if run.environment != "FrozenLake-v1"]
    assert lake == ["finished"] * 2
    assert all(run.status == "failed" and "its process died" in run.error for run in dead)


def test_an_environment_that_raises_at_once_loses_nothing(tmp_path, fragile, monkeypatch, caplog):
    def broken(self, action):
        raise RuntimeError("the gripper\nbroke")

    monkeypatch.setattr(Fragile, "step", broken)
    comparison = compare([fragile, "FrozenLake-v1"], "sarsa", folder=tmp_path, **QUICK)
    assert comparison.control[fragile] is None
    assert "no random policy on Fragile-v0: RuntimeError: the gripper broke" in caplog.text
    failed, finished = (comparison.runs_of(name, "sarsa") for name in comparison.environments)
    assert all("RuntimeError: the gripper broke" in run.error for run in failed)
    assert [run.status for run in finished] == ["finished"] * 2


def test_two_processes_do_not_share_a_folder(tmp_path):
    folder = tmp_path / "FrozenLake-v1"
    with folder_lock(folder), pytest.raises(FolderInUseError, match="another works in"):
        compare("FrozenLake-v1", "sarsa", folder=tmp_path, **QUICK)


@pytest.mark.slow
def test_processes_give_what_one_process_gives(tmp_path):
    agents = ["q-learning", "sarsa"]
    alone = compare("FrozenLake-v1", agents, folder=tmp_path / "a", **QUICK)
    together = compare("FrozenLake-v1", agents, folder=tmp_path / "b", **QUICK | {"jobs": 2})
    assert [run.final_return for run in alone.runs] == [run.final_return for run in together.runs]


@pytest.mark.parametrize(
    ("environments", "agents", "more", "error", "message"),
    [
        ("FrozenLake-v1", "q-lerning", {}, ValueError, "did you mean q-learning"),
        (["FrozenLake-v1", "Taxi"], "q-learning", {}, ValueError, "did you mean Taxi-v4"),
        ("FrozenLake-v1", [], {}, ValueError, "at least one environment, one agent"),
        ("FrozenLake-v1", "sarsa", {"seeds": 0}, ValueError, "and one seed"),
        ("FrozenLake-v1", "sarsa", {"evaluations": 0}, ValueError, "evaluations of at least 1"),
        ("FrozenLake-v1", "sarsa", {"discount": 2.0}, ValueError, "discount in"),
        (
            "FrozenLake-v1",
            "sarsa",
            {"hyperparameters": {"sarsa": {"stepsize": 1}}},
            TypeError,
            "did you mean step_size",
        ),
        (
            "FrozenLake-v1",
            "sarsa",
            {"hyperparameters": {"sarsaa": {"step_size": 1.0}}},
            ValueError,
            "did you mean sarsa",
        ),
        (
            "FrozenLake-v1",
            "sarsa",
            {"hyperparameters": {"sarsa": {"step_size": -1.0}}},
            ValueError,
            "expected step_size",
        ),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    tmp_path, environments, agents, more, error, message
):
    with pytest.raises(error, match=message):
        compare(environments, agents, folder=tmp_path / "all", **QUICK | more)
    assert not (tmp_path / "all").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_the_rerun_goes_on(tmp_path, executed):
    settings = QUICK | {"total_timesteps": 100_000}
    hyperparameters = {"q-learning": {"simulator": "stepped"}}

    def interrupt_once_it_learns():
        while not any(p.read_text().count("\n") > 1 for p in tmp_path.rglob("q-*/*/eval*.csv")):
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_learns, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        compare(
            "FrozenLake-v1",
            ["value-iteration", "q-learning"],
            hyperparameters=hyperparameters,
            folder=tmp_path,
            **settings,
        )
    cut = load_comparison(tmp_path / "FrozenLake-v1")
    assert {run.status for run in cut.runs if run.agent == "value-iteration"} == {"finished"}
    assert "interrupted" in {run.status for run in cut.runs if run.agent == "q-learning"}
    done = compare(
        "FrozenLake-v1",
        ["value-iteration", "q-learning"],
        hyperparameters=hyperparameters,
        folder=tmp_path,
        **settings,
    )
    assert {run.status for run in done.runs} == {"finished"}
    assert executed.count(("value-iteration", 0)) == 1


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_all_processes(tmp_path):
    command = [sys.executable, "-m", "gymagine", "compare", "FrozenLake-v1", "--agents"]
    command += ["value-iteration", "sb3:dqn", "--seeds", "3", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, "--folder", str(tmp_path)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    root = tmp_path / "FrozenLake-v1"
    for _ in range(600):
        if any(json.loads(s.read_text())["num_timesteps"] for s in root.rglob("status.json")):
            break
        threading.Event().wait(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors and "Traceback" not in errors
    assert {run.status for run in load_comparison(root).runs} == {"finished", "interrupted"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluations.csv", None),
        ("evaluations.csv", "timesteps\n"),
        ("evaluations.csv", "x,y\n1,2\n"),
        ("status.json", None),
        ("status.json", "[]"),
        ("status.json", '{"status":"finished","message":"","num_timesteps":1,"train_seconds":[]}'),
        ("config.json", "[]"),
    ],
)
def test_a_damaged_run_is_done_again(tmp_path, name, content):
    first = compare("FrozenLake-v1", "q-learning", folder=tmp_path, **QUICK)
    damaged = tmp_path / "FrozenLake-v1" / first.runs[0].record / name
    damaged.unlink()
    if content is not None:
        damaged.write_text(content)
    again = compare("FrozenLake-v1", "q-learning", folder=tmp_path, **QUICK)
    assert [run.status for run in again.runs] == ["finished", "finished"]
    assert [run.final_return for run in again.runs] == [run.final_return for run in first.runs]
