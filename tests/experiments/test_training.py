"""Runs are whole, can be read back, and go on bit for bit from wherever they were cut."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.experiments.catalogue import AGENTS
from gymagine.experiments.records import RunRecord
from gymagine.experiments.session import RunFailedError
from gymagine.experiments.training import resume, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SMALL = {"total_timesteps": 2_000, "evaluate_every": 500, "evaluation_episodes": 4}

OPAQUE = '''
"""An environment whose state cannot be captured: its wrapper is unknown to the library."""
import gymnasium

class Opaque(gymnasium.Wrapper):
    def step(self, action):
        return self.env.step(action)

def make():
    return Opaque(gymnasium.make("FrozenLake-v1"))

gymnasium.register("Opaque-v0", entry_point=make, max_episode_steps=100)
'''


def digest(record):
    return hashlib.sha256(record.checkpoint.read_bytes()).hexdigest()


def told(record):
    """The evaluations without what a clock says."""
    return [point.__dict__ | {"train_seconds": None} for point in record.evaluations()]


class Failing(gymnasium.Env):
    """Raises, or returns NaN, at a step of its life."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, at=10**9, error=True):
        self.at, self.error, self.time = at, error, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.time += 1
        if self.time == self.at and self.error:
            raise RuntimeError("the robot fell over")
        reward = float("nan") if self.time == self.at else 1.0
        return 0, reward, self.time % 5 == 0, False, {}


# ---- records ------------------------------------------------------------------------------------


def test_a_run_leaves_what_the_design_says(tmp_path):
    result = train("q-learning", "FrozenLake-v1", seed=7, folder=tmp_path, step_size=0.2, **SMALL)
    record = RunRecord.open(result.record.folder)
    assert record.folder.parent == tmp_path / "FrozenLake-v1" / "q-learning"
    assert record.folder.name.startswith("7-")
    assert record.status == "finished" and record.num_timesteps == 2_000
    assert record.config["hyperparameters"]["step_size"] == 0.2
    assert record.config["hyperparameters"]["discount"] == 0.99
    assert record.config["simulator"] == "compiled"
    assert [point.timesteps for point in record.evaluations()] == [0, 500, 1000, 1500, 2000]
    assert tuple(record.evaluations()) == result.evaluations
    assert record.evaluations()[-1].num_episodes == 100
    agent = record.load_agent()
    assert np.array_equal(agent.action_values, result.agent.action_values)
    names = {path.name for path in record.folder.iterdir()}
    assert {"config.json", "status.json", "metrics.csv", "evaluations.csv", "checkpoint"} <= names
    assert not [name for name in names if name.endswith(".part")]


def test_tensorboard_finds_the_tags_it_looks_for(tmp_path):
    result = train("q-learning", "FrozenLake-v1", folder=tmp_path, **SMALL)
    accumulator = EventAccumulator(str(result.record.folder)).Reload()
    tags = accumulator.Tags()
    wanted = {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/exploration_rate",
        "eval/mean_reward",
        "eval/mean_ep_length",
        "eval/exact_return",
        "time/fps",
    }
    assert wanted <= set(tags["scalars"])
    assert tags["images"] == ["values/heat_map"]
    exact = accumulator.Scalars("eval/exact_return")
    assert [event.step for event in exact] == [0, 500, 1000, 1500, 2000]
    assert exact[-1].value == pytest.approx(result.evaluations[-1].exact_return)
    hparams = accumulator.PluginTagToContent("hparams")
    assert "_hparams_/session_start_info" in hparams


def test_one_seed_is_one_result(tmp_path):
    first, second, other = (
        train("sarsa", "FrozenLake-v1", seed=seed, folder=tmp_path, **SMALL) for seed in (1, 1, 2)
    )
    assert digest(first.record) == digest(second.record)
    assert told(first.record) == told(second.record)
    assert digest(first.record) != digest(other.record)


def test_how_often_one_looks_does_not_change_what_is_learnt(tmp_path):
    more = SMALL | {"evaluate_every": 130}
    often = train("q-learning", "FrozenLake-v1", folder=tmp_path, **more)
    seldom = train("q-learning", "FrozenLake-v1", folder=tmp_path, **SMALL)
    direct = QLearning("FrozenLake-v1", seed=0).learn(2_000)
    assert np.array_equal(often.agent.action_values, direct.action_values)
    assert np.array_equal(seldom.agent.action_values, direct.action_values)


def test_planners_take_no_steps(tmp_path):
    result = train("value-iteration", "FrozenLake-v1", folder=tmp_path)
    assert result.status == "finished" and result.agent.num_timesteps == 0
    (point,) = result.evaluations
    assert point.exact_return == pytest.approx(0.7401648977587051, abs=1e-9)
    assert result.record.load_agent().predict(0)[0] == 0


def test_peers_learn_and_are_recorded(tmp_path):
    result = train(
        "sb3:a2c", "FrozenLake-v1", folder=tmp_path, **SMALL | {"total_timesteps": 1003}
    )
    assert result.agent.num_timesteps == 1003  # exact, though A2C collects five steps at a time
    assert [point.timesteps for point in result.evaluations] == [0, 500, 1000, 1003]
    loaded = result.record.load_agent()
    states = np.arange(16)
    assert loaded.predict(states)[0].tolist() == result.agent.predict(states)[0].tolist()
    assert resume(result.record).status == "finished"  # nothing is left to do


@pytest.mark.parametrize("agent", [name for name, e in AGENTS.items() if e.kind != "peer"])
def test_every_agent_can_be_trained_and_read_back(tmp_path, agent):
    settings = SMALL | {"total_timesteps": 1_000, "evaluation_episodes": 0}
    result = train(agent, "FrozenLake-v1", folder=tmp_path, **settings)
    assert result.status == "finished"
    last = result.evaluations[-1]
    assert last.exact_return is not None and 0.0 <= last.exact_return <= 0.7441902879
    loaded = RunRecord.open(result.record.folder).load_agent()
    assert loaded.num_timesteps == result.agent.num_timesteps
    if AGENTS[agent].kind == "prediction":  # of the uniform policy
        assert last.exact_return == pytest.approx(0.0139397959591714, abs=1e-12)


def test_a_policy_to_evaluate_is_kept(tmp_path):
    greedy = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])
    result = train("td-prediction", "FrozenLake-v1", policy=greedy, folder=tmp_path, **SMALL)
    assert result.record.config["hyperparameters"]["policy"] == greedy.tolist()
    assert result.evaluations[-1].exact_return == pytest.approx(0.7401648977587051, abs=1e-10)
    last = result.evaluations[-1]
    assert last.low - 0.1 < 0.74 < last.high + 0.1
    result.record.checkpoint.unlink()
    result.record.set_status("running", 0, 0.0)
    assert digest(resume(result.record.folder).record)  # begins again, with the same policy
    assert told(result.record)[-1] == last.__dict__ | {"train_seconds": None}


@pytest.mark.slow
def test_environments_with_wrappers_of_ones_own(tmp_path):
    env = gymnasium.wrappers.TimeAwareObservation(gymnasium.make("CartPole-v1"))
    result = train("sb3:a2c", env, folder=tmp_path, **SMALL)
    assert result.record.settings.wrapped
    with pytest.raises(ValueError, match="expected it again as env="):
        result.record.load_agent()
    bare = Failing()
    with pytest.raises(ValueError, match="expected evaluation_env="):
        train("q-learning", bare, folder=tmp_path, **SMALL)
    done = train("q-learning", bare, evaluation_env=Failing(), folder=tmp_path, **SMALL)
    assert done.record.config["simulator"] == "stepped"


def test_agent_classes_do_as_well_as_names(tmp_path):
    by_class = train(QLearning, "FrozenLake-v1", folder=tmp_path, **SMALL)
    assert by_class.record.settings.agent == "q-learning"


@pytest.mark.parametrize(
    ("agent", "env", "more", "error", "message"),
    [
        ("q-lerning", "FrozenLake-v1", {}, ValueError, "did you mean q-learning"),
        ("q-learning", "FrozenLak-v1", {}, ValueError, "did you mean FrozenLake-v1"),
        ("q-learning", "FrozenLake-v1", {"step_sise": 1}, TypeError, "did you mean step_size"),
        ("q-learning", "FrozenLake-v1", {"step_size": -1.0}, ValueError, "step_size"),
        ("q-learning", "Acrobot-v1", {"bins": 99}, ValueError, "expected at most .* bins"),
        ("sb3:dqn", "Pendulum-v1", {}, ValueError, "sb3:dqn refuses this environment"),
        ("q-learning", "FrozenLake-v1", {"total_timesteps": 0}, ValueError, "total_timesteps"),
        ("sb3:a2c", "CartPole-v1", {"evaluation_episodes": 0}, ValueError, "is not known"),
    ],
)
def test_mistakes_are_found_before_a_folder_is_made(tmp_path, agent, env, more, error, message):
    with pytest.raises(error, match=message):
        train(agent, env, folder=tmp_path / "runs", **SMALL | more)
    assert not (tmp_path / "runs").exists()


# ---- what goes wrong on the way ----------------------------------------------------------------


@pytest.mark.parametrize("agent", ["q-learning", "sb3:a2c"])
def test_an_environment_that_raises_fails_the_run_and_keeps_the_checkpoint(tmp_path, agent):
    with pytest.raises(RunFailedError, match="RuntimeError: the robot fell over"):
        train(agent, Failing(at=1_700), evaluation_env=Failing(), folder=tmp_path, **SMALL)
    (config,) = tmp_path.rglob("config.json")
    record = RunRecord.open(config.parent)
    assert record.status == "failed"
    assert record.message == "RuntimeError: the robot fell over"
    assert record.checkpoint.exists()
    assert [point.timesteps for point in record.evaluations()] == [0, 500, 1000, 1500]


def test_a_reward_that_is_no_number_fails_the_run(tmp_path):
    env = Failing(at=700, error=False)
    with pytest.raises(RunFailedError, match="expected a finite reward at step"):
        train("q-learning", env, evaluation_env=Failing(), folder=tmp_path, **SMALL)


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    import gymagine.storage as storage

    real, saved = os.replace, []

    def full(source, target):
        if str(target).endswith("agent.safetensors"):
            saved.append(target)
            if len(saved) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(storage.os, "replace", full)
    with pytest.raises(RunFailedError, match=r"step 1500 could not be saved.*No space left"):
        train("q-learning", "FrozenLake-v1", folder=tmp_path, **SMALL)
    monkeypatch.undo()
    (config,) = tmp_path.rglob("config.json")
    record = RunRecord.open(config.parent)
    assert record.status == "failed" and "No space left" in record.message
    assert record.load_agent().num_timesteps == 1_000
    whole = train("q-learning", "FrozenLake-v1", folder=tmp_path / "whole", **SMALL)
    resume(record)
    assert digest(record) == digest(whole.record)


@pytest.mark.slow
def test_files_that_cannot_grow_fail_the_run_in_one_line(tmp_path):
    """What a full disk does, by a limit on the size of files that needs no disk."""
    words = "train q-learning FrozenLake-v1 --steps 200000 --no-progress-bar --folder"
    command = f"ulimit -f 100; exec {sys.executable} -m gymagine {words} {tmp_path / 'cut'}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert answer.returncode == 2
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("gymagine: error: q-learning on FrozenLake-v1 failed after ")
    assert "File too large; the last checkpoint is kept" in last
    assert "Traceback" not in answer.stderr
    (config,) = tmp_path.rglob("config.json")
    record = RunRecord.open(config.parent)
    assert record.status == "failed" and 0 < record.load_agent().num_timesteps < 200_000
    whole = train(
        "q-learning", "FrozenLake-v1", total_timesteps=200_000, folder=tmp_path / "whole"
    )
    assert digest(resume(record).record) == digest(whole.record)
    assert told(record) == told(whole.record)


def test_a_damaged_checkpoint_is_said_to_be(tmp_path):
    record = train("q-learning", "FrozenLake-v1", folder=tmp_path, **SMALL).record
    record.checkpoint.write_bytes(record.checkpoint.read_bytes()[:100])
    record.set_status("running", 1_000, 0.0)
    with pytest.raises(ValueError, match="damaged or of another kind"):
        resume(record)


def test_peers_are_not_resumed(tmp_path):
    with pytest.raises(RunFailedError):
        train("sb3:a2c", Failing(at=1_700), evaluation_env=Failing(), folder=tmp_path, **SMALL)
    (config,) = tmp_path.rglob("config.json")
    with pytest.raises(ValueError, match="sb3:a2c cannot be resumed"):
        resume(config.parent, env=Failing(), evaluation_env=Failing())


# ---- cut and gone on with -----------------------------------------------------------------------


def interrupt_once_it_learns(folder):
    """Send this process a Ctrl-C, half a second after a run below the folder began to learn."""

    def watch():
        while not any(p.read_text().count("\n") > 1 for p in folder.rglob("evaluations.csv")):
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_ctrl_c_saves_and_the_run_goes_on_bit_for_bit(tmp_path):
    settings = {"total_timesteps": 120_000, "evaluate_every": 30_000, "evaluation_episodes": 3}
    settings |= {"simulator": "stepped", "checkpoint_every": 10**6}
    interrupt_once_it_learns(tmp_path)
    result = train("q-learning", "FrozenLake-v1", folder=tmp_path, **settings)
    assert result.status == "interrupted"
    assert RunRecord.open(result.record.folder).status == "interrupted"
    steps = result.agent.num_timesteps
    assert 0 < steps < 120_000 and steps == result.record.load_agent().num_timesteps
    done = resume(result.record)
    assert done.status == "finished" and done.agent.num_timesteps == 120_000
    direct = QLearning("FrozenLake-v1", seed=0, simulator="stepped").learn(120_000)
    assert np.array_equal(done.agent.action_values, direct.action_values)
    assert [point.timesteps // 30_000 for point in done.evaluations] == [0, 1, 2, 3, 4]


def test_ctrl_c_at_the_step_of_an_evaluation_does_not_skip_it(tmp_path, monkeypatch):
    whole = train("q-learning", "FrozenLake-v1", folder=tmp_path / "whole", **SMALL)
    learn = QLearning.learn

    def interrupted_at_1000(self, *arguments, **options):
        learn(self, *arguments, **options)
        if self.num_timesteps == 1_000:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(QLearning, "learn", interrupted_at_1000)
        cut = train("q-learning", "FrozenLake-v1", folder=tmp_path / "cut", **SMALL)
    assert cut.status == "interrupted" and cut.agent.num_timesteps == 1_000
    done = resume(cut.record)
    assert told(done.record) == told(whole.record)
    assert digest(done.record) == digest(whole.record)


def test_a_larger_budget_goes_on(tmp_path):
    record = train("q-learning", "FrozenLake-v1", folder=tmp_path, **SMALL).record
    longer = resume(record, total_timesteps=4_000)
    direct = QLearning("FrozenLake-v1", seed=0).learn(4_000)
    assert np.array_equal(longer.agent.action_values, direct.action_values)
    assert [point.timesteps for point in longer.evaluations][-3:] == [3_000, 3_500, 4_000]


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path):
    whole = train("q-learning", "FrozenLake-v1", folder=tmp_path / "whole", **SMALL)
    other = train("q-learning", "FrozenLake-v1", folder=tmp_path / "cut", **SMALL).record
    other.checkpoint.unlink()
    other.set_status("running", 0, 0.0)
    assert digest(resume(other).record) == digest(whole.record)
    assert told(other) == told(whole.record)


class Killed:
    """A training command in a process of its own, killed and resumed."""

    def __init__(self, folder, words, env):
        self.folder, self.env = folder, env
        self.process = self.start("train", *words, "--folder", str(folder))
        self.wait_for(lambda: list(folder.rglob("agent.safetensors")))
        (config,) = folder.rglob("config.json")
        self.record = RunRecord.open(config.parent)

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
        before = self.record.num_timesteps
        self.process = self.start("train", "--resume", str(self.record.folder))
        if until_it_saves:
            self.wait_for(lambda: self.record.num_timesteps > before)
        else:
            _, errors = self.process.communicate(timeout=120)
            assert self.process.returncode == 0, errors


def killed_and_resumed(tmp_path, words, kills):
    (tmp_path / "opaque_world.py").write_text(OPAQUE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "gymagine", "train", *words, "--no-progress-bar"]
    subprocess.run([*command, "--folder", str(tmp_path / "whole")], check=True, env=env)
    (config,) = (tmp_path / "whole").rglob("config.json")
    whole = RunRecord.open(config.parent)
    run = Killed(tmp_path / "cut", words, env)
    moments = np.random.default_rng().uniform(0.0, 0.4, kills)
    for index, moment in enumerate(moments):
        assert run.kill(moment), f"too late: it had finished ({moments.tolist()})"
        run.go_on(until_it_saves=index + 1 < kills)
    assert run.record.status == "finished"
    assert digest(run.record) == digest(whole), f"killed after {moments.tolist()}"
    assert told(run.record) == told(whole)
    steps = [row["time/total_timesteps"] for row in run.record.metrics()]
    assert steps == sorted(steps) and steps[-1] == whole.settings.total_timesteps


@pytest.mark.slow
def test_sigkill_changes_nothing(tmp_path):
    words = ["q-learning", "FrozenLake-v1", "--simulator", "stepped", "--steps", "100000"]
    words += ["--evaluate-every", "10000", "--checkpoint-every", "3000"]
    killed_and_resumed(tmp_path, [*words, "--evaluation-episodes", "3"], kills=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "env", "simulator", "steps"),
    [
        ("q-learning", "FrozenLake-v1", "stepped", 400_000),
        ("monte-carlo", "FrozenLake8x8-v1", "compiled", 30_000_000),
        ("q-learning", "opaque_world:Opaque-v0", "stepped", 300_000),
    ],
)
def test_ten_sigkills_change_nothing(tmp_path, agent, env, simulator, steps):
    words = [agent, env, "--simulator", simulator, "--steps", str(steps)]
    words += ["--evaluate-every", str(steps // 10), "--checkpoint-every", str(steps // 100)]
    killed_and_resumed(tmp_path, [*words, "--evaluation-episodes", "3"], kills=10)
