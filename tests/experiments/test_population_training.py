"""Members of a population leave runs like any other, and go on together after any kill."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.population import Population
from gymagine.experiments import population_training
from gymagine.experiments.evaluation import evaluate
from gymagine.experiments.population_records import PopulationRecord
from gymagine.experiments.population_training import resume_population, train_population
from gymagine.experiments.records import RunRecord
from gymagine.experiments.session import RunFailedError, TrainingSession
from gymagine.experiments.training import resume, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NETWORK = {"hidden_sizes": (8,), "learning_starts": 20, "batch_size": 8, "buffer_size": 500}
BUDGET = {"total_timesteps": 120, "evaluate_every": 40, "evaluation_episodes": 2}
SMALL = {**NETWORK, **BUDGET, "final_episodes": 3}


class Opaque(gymnasium.Wrapper):
    """An environment whose state cannot be captured: its wrapper is unknown to the library."""

    def step(self, action):
        return self.env.step(action)


@pytest.fixture
def opaque():
    gymnasium.register("Opaque-v1", lambda: Opaque(gymnasium.make("CartPole-v1")))
    yield "Opaque-v1"
    del gymnasium.registry["Opaque-v1"]


class Fragile(gymnasium.Env):
    """One that was made as a certain number of its kind raises at its 35th step."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    broken, made = None, 0

    def __init__(self):
        Fragile.made += 1
        self.number, self.time = Fragile.made, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.time += 1
        if self.time == 35 and self.number == Fragile.broken:
            raise RuntimeError("the robot fell over")
        return np.zeros(2, np.float32), 1.0, self.time % 5 == 0, False, {}


class Killed(BaseException):
    """What no code here catches: as if the process had been killed at that point."""


def digests(results):
    """Of the members' files."""
    records = [result.record if hasattr(result, "record") else result for result in results]
    return [hashlib.sha256(r.checkpoint.read_bytes()).hexdigest() for r in records]


def told(results):
    """The evaluations without what a clock says."""
    records = [result.record if hasattr(result, "record") else result for result in results]
    return [
        [point.__dict__ | {"train_seconds": None} for point in record.evaluations()]
        for record in records
    ]


def only_population(folder):
    (place,) = folder.rglob("population.json")
    return PopulationRecord.open(place.parent)


@pytest.fixture(autouse=True, scope="module")
def quick_disk():
    """Nothing here pulls the plug: a killed process loses nothing that it has written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gymagine.storage.os.fsync", lambda file: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three members that nothing cut."""
    folder = tmp_path_factory.mktemp("whole")
    return train_population("dqn", "CartPole-v1", seeds=3, folder=folder, **SMALL)


# ---- records ------------------------------------------------------------------------------------


def test_each_member_leaves_a_run_like_any_other(whole):
    assert [result.status for result in whole] == ["finished"] * 3
    for seed, result in enumerate(whole):
        record = RunRecord.open(result.record.folder)
        assert record.folder.parent.parts[-2:] == ("CartPole-v1", "dqn")
        assert record.folder.name.startswith(f"{seed}-") and record.settings.seed == seed
        assert record.status == "finished" and record.num_timesteps == 120
        assert record.config["hyperparameters"]["hidden_sizes"] == [8]
        assert record.config["hyperparameters"]["discount"] == 0.99
        assert [point.timesteps for point in record.evaluations()] == [0, 40, 80, 120]
        assert tuple(record.evaluations()) == result.evaluations
        assert record.evaluations()[-1].num_episodes == 3
        assert [row["time/total_timesteps"] for row in record.metrics()][-1] == 120
        tags = EventAccumulator(str(record.folder)).Reload()
        assert {"eval/mean_reward", "rollout/ep_rew_mean"} <= set(tags.Tags()["scalars"])
        assert "_hparams_/session_start_info" in tags.PluginTagToContent("hparams")
    assert len(set(digests(whole))) == 3


def test_a_members_file_is_an_agents(whole):
    observations = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 4)).astype(np.float32)
    for result in whole:
        loaded = result.record.load_agent()
        assert loaded.num_timesteps == 120 and loaded.seed == result.agent.seed
        expected, _ = result.agent.predict(observations)
        assert loaded.predict(observations)[0].tolist() == expected.tolist()
        assert evaluate(result.record, num_episodes=2).num_episodes == 2


def test_a_member_is_evaluated_as_if_it_were_alone(whole, tmp_path):
    alone = train("dqn", "CartPole-v1", seed=1, folder=tmp_path, **SMALL)
    assert told([alone])[0][0] == told(whole)[1][0]  # before the first update
    assert "population" not in alone.record.config


def test_members_of_several_settings(tmp_path):
    rates = [{"learning_rate": rate} for rate in (1e-3, 1e-4)]
    results = train_population(
        "dqn", "CartPole-v1", seeds=[5, 5], settings=rates, folder=tmp_path, **SMALL
    )
    found = [result.record.config["hyperparameters"]["learning_rate"] for result in results]
    assert found == [1e-3, 1e-4]
    assert [result.record.settings.seed for result in results] == [5, 5]
    assert len(set(digests(results))) == 2


def test_the_time_of_a_population_is_shared_out(whole):
    seconds = {result.record.train_seconds for result in whole}
    assert len(seconds) == 1 and seconds.pop() > 0


def test_members_have_environments_of_their_own(tmp_path):
    made = []

    def make():
        made.append(gymnasium.make("CartPole-v1"))
        return made[-1]

    results = train_population("dqn", make, seeds=2, folder=tmp_path, **SMALL)
    assert len({id(env) for env in made}) >= 2
    assert not results[0].record.settings.wrapped
    assert results[0].record.settings.environment.id == "CartPole-v1"


@pytest.mark.parametrize(
    ("agent", "env", "more", "error", "message"),
    [
        ("q-learning", "FrozenLake-v1", {}, ValueError, "expected a deep agent"),
        ("dqn", "CartPol-v1", {}, ValueError, "did you mean CartPole-v1"),
        ("dqn", "Pendulum-v1", {}, ValueError, "Discrete"),
        ("dqn", "CartPole-v1", {"seeds": []}, ValueError, "expected one seed or more"),
        ("dqn", "CartPole-v1", {"settings": [{}]}, ValueError, "got 2 seeds and 1 settings"),
        ("dqn", "CartPole-v1", {"learning_rte": 1.0}, TypeError, "did you mean learning_rate"),
        ("dqn", "CartPole-v1", {"total_timesteps": 0}, ValueError, "total_timesteps"),
    ],
)
def test_mistakes_are_found_before_a_folder_is_made(tmp_path, agent, env, more, error, message):
    settings = {"seeds": 2, **SMALL, **more}
    if agent == "q-learning":
        settings = {"seeds": 2, **BUDGET}
    with pytest.raises(error, match=message):
        train_population(agent, env, folder=tmp_path / "runs", **settings)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("without_shape_checks")
def test_one_environment_is_not_enough(tmp_path):
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(ValueError, match="a function that makes an environment"):
        train_population("dqn", env, seeds=2, folder=tmp_path / "runs", **SMALL)
    assert not (tmp_path / "runs").exists()


# ---- cut and gone on with -----------------------------------------------------------------------


def nth_call_is_killed(monkeypatch, owner, name, nth):
    """Die in the nth call of a method, before it does its work."""
    method, calls = getattr(owner, name), []

    def dying(self, *arguments, **options):
        calls.append(self)
        if len(calls) == nth:
            raise Killed
        return method(self, *arguments, **options)

    monkeypatch.setattr(owner, name, dying)


# three members with evaluations at 0, 40, 80, 120 and checkpoints at 40, 80, 120
MOMENTS = {
    "before the first checkpoint": (Population, "save", 1),
    "between two members' files": ("agent", "save", 3 + 2),
    "before the population's file": (Population, "save", 2),
    "while one member is finished": (RunRecord, "set_status", 3 + 3 * 3 + 2),
}
MORE_MOMENTS = {
    "before anything is evaluated": (RunRecord, "write_evaluations", 4),
    "between two members' evaluations": (RunRecord, "write_evaluations", 3 + 3 * 2 + 2),
    "before the last file of all": (Population, "save", 3),
    "between two statuses": (RunRecord, "set_status", 3 + 3 * 2 + 2),
    "at the very end": (TrainingSession, "_set_status", 4),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_kill_tears_a_population(tmp_path, monkeypatch, whole, moment):
    owner, name, nth = {**MOMENTS, **MORE_MOMENTS}[moment]
    owner = type(whole[0].agent) if owner == "agent" else owner
    nth_call_is_killed(monkeypatch, owner, name, nth)
    with pytest.raises(Killed):
        train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path, **SMALL)
    monkeypatch.undo()
    cut = only_population(tmp_path)
    assert cut.status == "running"
    done = resume_population(cut.folder)
    assert [result.status for result in done] == ["finished"] * 3
    assert only_population(tmp_path).status == "finished"
    assert told(done) == told(whole)
    assert digests(done) == digests(whole)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS)
def test_no_other_kill_does_either(tmp_path, monkeypatch, whole, moment):
    test_no_kill_tears_a_population(tmp_path, monkeypatch, whole, moment)


@pytest.mark.parametrize("agent", ["a2c", "reinforce"])
def test_agents_with_several_copies_of_an_environment(tmp_path, monkeypatch, agent):
    """Three copies step together, so that evaluations may come one or two steps late."""
    settings = {**BUDGET, "num_envs": 3, "hidden_sizes": (8,), "final_episodes": 2}
    there = train_population(agent, "CartPole-v1", seeds=2, folder=tmp_path / "a", **settings)
    assert [point.timesteps for point in there[0].evaluations] == [0, 40, 80, 120]
    nth_call_is_killed(monkeypatch, Population, "save", 2)
    with pytest.raises(Killed):
        train_population(agent, "CartPole-v1", seeds=2, folder=tmp_path / "b", **settings)
    monkeypatch.undo()
    done = resume_population(only_population(tmp_path / "b"))
    assert told(done) == told(there) and digests(done) == digests(there)


def test_environments_that_do_not_tell_their_state(tmp_path, monkeypatch, opaque):
    """They begin new episodes at every checkpoint, whether the process was killed or not."""
    there = train_population("dqn", opaque, seeds=2, folder=tmp_path / "a", **SMALL)
    nth_call_is_killed(monkeypatch, Population, "learn", 2)
    with pytest.raises(Killed):
        train_population("dqn", opaque, seeds=2, folder=tmp_path / "b", **SMALL)
    monkeypatch.undo()
    done = resume_population(only_population(tmp_path / "b"))
    assert told(done) == told(there) and digests(done) == digests(there)


def test_environments_that_others_replace_are_closed(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(Opaque(gymnasium.make("CartPole-v1")))
        made[-1].close = lambda env=made[-1]: closed.append(env)
        return made[-1]

    closed = []
    train_population("dqn", make, seeds=2, folder=tmp_path, **SMALL)
    # of the members' two, those that began and those of the checkpoint at 40 were replaced
    members = [env for env in closed if env in made[-6:]]
    assert members == made[-6:-2]


def test_a_larger_budget_goes_on(tmp_path, whole):
    shorter = {**SMALL, "total_timesteps": 80}
    first = train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path, **shorter)
    done = resume_population(first[0].record, total_timesteps=120)
    assert digests(done) == digests(whole)
    assert [point.timesteps for point in done[0].evaluations] == [0, 40, 80, 120]
    with pytest.raises(ValueError, match="expected a budget of at least the 120 steps"):
        resume_population(done[1].record, total_timesteps=100)
    assert {RunRecord.open(d.record.folder).settings.total_timesteps for d in done} == {120}


@pytest.mark.slow
def test_a_budget_that_was_written_for_some_members_only(tmp_path, whole):
    shorter = {**SMALL, "total_timesteps": 80}
    first = train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path, **shorter)
    first[1].record.with_budget(120)
    assert digests(resume_population(first[0].record)) == digests(whole)


def test_the_way_to_the_population_is_through_any_member(tmp_path, monkeypatch, whole):
    nth_call_is_killed(monkeypatch, Population, "save", 2)
    with pytest.raises(Killed):
        train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path, **SMALL)
    monkeypatch.undo()
    member = only_population(tmp_path).members[2]
    result = resume(member.folder)
    assert result.agent.seed == 2 and result.status == "finished"
    assert digests(only_population(tmp_path).members) == digests(whole)
    with pytest.raises(ValueError, match="expected resume_population"):
        resume(member, env=gymnasium.make("CartPole-v1"))


@pytest.mark.slow
def test_a_folder_that_moved_goes_on(tmp_path, monkeypatch, whole):
    nth_call_is_killed(monkeypatch, Population, "save", 2)
    with pytest.raises(Killed):
        train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path / "here", **SMALL)
    monkeypatch.undo()
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert digests(resume_population(only_population(tmp_path).folder)) == digests(whole)


def test_a_member_without_its_population_goes_on_alone(tmp_path, monkeypatch):
    nth_call_is_killed(monkeypatch, Population, "save", 3)
    with pytest.raises(Killed):
        train_population("dqn", "CartPole-v1", seeds=3, folder=tmp_path, **SMALL)
    monkeypatch.undo()
    population = only_population(tmp_path)
    shutil.rmtree(population.folder)
    member = population.members[0]
    with pytest.raises(ValueError, match="expected a member of a population"):
        resume_population(member)
    result = resume(member, total_timesteps=160)
    assert result.status == "finished" and result.agent.num_timesteps == 160
    assert [point.timesteps for point in result.evaluations] == [0, 40, 80, 120, 160]


def test_a_damaged_population_is_said_to_be(tmp_path):
    train_population("dqn", "CartPole-v1", seeds=2, folder=tmp_path, **SMALL)
    population = only_population(tmp_path)
    population.checkpoint.write_bytes(population.checkpoint.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"population\.safetensors"):
        resume_population(population, total_timesteps=200)


def test_one_member_that_fails_fails_them_all_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Fragile, "made", 0)
    # 1 is described, 2 evaluates; the state of none can be saved, so that the members have 3 to 5,
    # and from the checkpoint at 40 steps on 6 to 8
    monkeypatch.setattr(Fragile, "broken", 7)
    with pytest.raises(RunFailedError, match=r"3 x dqn on Fragile failed.*the robot fell over"):
        train_population("dqn", Fragile, seeds=3, folder=tmp_path, **SMALL)
    population = only_population(tmp_path)
    assert population.status == "failed" and population.checkpoint.exists()
    for member in population.members:
        assert member.status == "failed"
        assert member.message == "RuntimeError: the robot fell over"
        assert [point.timesteps for point in member.evaluations()] == [0, 40]
    with pytest.raises(ValueError, match="expected it again as env="):
        resume_population(population)
    monkeypatch.setattr(Fragile, "broken", None)
    done = resume_population(population, env=Fragile)
    assert [result.status for result in done] == ["finished"] * 3


# ---- Ctrl-C and SIGKILL -------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_saves_and_the_population_goes_on(tmp_path):
    settings = {**SMALL, "total_timesteps": 2_000, "evaluate_every": 1_000}
    settings["checkpoint_every"] = 10**6
    whole = train_population("dqn", "CartPole-v1", seeds=2, folder=tmp_path / "a", **settings)

    def interrupt_once_it_learns():
        folder = tmp_path / "b"
        while not any(p.read_text().count("\n") > 1 for p in folder.rglob("evaluations.csv")):
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_learns, daemon=True).start()
    results = train_population("dqn", "CartPole-v1", seeds=2, folder=tmp_path / "b", **settings)
    assert [result.status for result in results] == ["interrupted"] * 2
    assert only_population(tmp_path / "b").status == "interrupted"
    steps = results[0].agent.num_timesteps
    assert 0 < steps < 2_000 and results[1].record.load_agent().num_timesteps == steps
    done = resume_population(results[0].record)
    assert digests(done) == digests(whole) and told(done) == told(whole)


class Process:
    """A training command in a process of its own, killed and resumed."""

    def __init__(self, folder, words, env):
        self.folder, self.env = folder, env
        self.process = self.start("train", *words, "--folder", str(folder))
        self.wait_for(lambda: list(folder.rglob("population.safetensors")))
        self.population = only_population(folder)

    def start(self, *words):
        command = [sys.executable, "-m", "gymagine", *words, "--no-progress-bar"]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env
        )

    def wait_for(self, condition):
        limit = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < limit and self.process.poll() is None, (
                self.process.stderr.read()
            )
            time.sleep(0.005)

    def kill(self, after):
        time.sleep(after)
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def go_on(self, until_it_saves):
        last = self.population.members[-1]
        before = last.num_timesteps
        place = np.random.default_rng().choice([str(last.folder), str(self.population.folder)])
        self.process = self.start("train", "--resume", place)
        if until_it_saves:
            self.wait_for(lambda: last.num_timesteps > before)
        else:
            _, errors = self.process.communicate(timeout=120)
            assert self.process.returncode == 0, errors


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["CartPole-v1", "opaque_world:Opaque-v0"])
def test_sigkill_changes_nothing(tmp_path, env_id):
    (tmp_path / "opaque_world.py").write_text(
        "import gymnasium\n"
        "class Opaque(gymnasium.Wrapper):\n"
        "    def step(self, action):\n"
        "        return self.env.step(action)\n"
        "gymnasium.register('Opaque-v0', lambda: Opaque(gymnasium.make('CartPole-v1')))\n"
    )
    words = ["dqn", env_id, "--seeds", "4", "--steps", "12000", "--evaluate-every", "2400"]
    words += ["--checkpoint-every", "600", "--evaluation-episodes", "2", "--final-episodes", "2"]
    words += ["--buffer-size", "5000", "--hidden-sizes", "16", "--prioritised"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "gymagine", "train", *words, "--no-progress-bar"]
    subprocess.run([*command, "--folder", str(tmp_path / "whole")], check=True, env=env)
    whole = only_population(tmp_path / "whole")
    run = Process(tmp_path / "cut", words, env)
    moments = np.random.default_rng().uniform(0.0, 0.5, 3)
    for index, moment in enumerate(moments):
        assert run.kill(moment), f"too late: it had finished ({moments.tolist()})"
        run.go_on(until_it_saves=index < 2)
    assert run.population.status == "finished"
    assert digests(run.population.members) == digests(whole.members), moments.tolist()
    assert told(run.population.members) == told(whole.members)
    for member in run.population.members:
        steps = [row["time/total_timesteps"] for row in member.metrics()]
        assert steps == sorted(steps) and steps[-1] == 12_000


def test_only_deep_agents_train_together():
    assert population_training.trains_together("dqn")
    assert not any(map(population_training.trains_together, ["q-learning", "sb3:a2c", "random"]))
