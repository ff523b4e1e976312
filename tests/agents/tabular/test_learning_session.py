"""Stable-Baselines3's own callbacks and logger on tabular learners, simulated and stepped."""

import signal
import threading

import gymnasium
import numpy as np
import pytest
from gymagine.agents.learning_session import check_budget
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.schedules import Schedule
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    ProgressBarCallback,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor

DRY = {"is_slippery": False}


class Records(KVWriter):
    """Keeps what a logger dumps."""

    def __init__(self):
        self.dumps = []
        self.logger = Logger(folder=None, output_formats=[self])

    def write(self, key_values, key_excluded, step=0):
        self.dumps.append((step, dict(key_values)))

    def close(self):
        pass


class Notes(BaseCallback):
    """Keeps what every step shows."""

    def __init__(self):
        super().__init__()
        self.steps = []
        self.events = []

    def _on_training_start(self):
        self.events.append(("start", self.locals["total_timesteps"], self.num_timesteps))

    def _on_rollout_start(self):
        self.events.append("rollout")

    def _on_rollout_end(self):
        self.events.append("rollout end")

    def _on_training_end(self):
        self.events.append("end")

    def _on_step(self):
        shown = ("new_obs", "actions", "rewards", "dones", "infos")
        self.steps.append({name: self.locals[name] for name in shown})
        return True


def make(simulator, **settings):
    settings = {"exploration_rate": 0.5, **settings}
    return QLearning("FrozenLake-v1", seed=0, simulator=simulator, **settings)


def test_callbacks_change_nothing_that_is_learnt(make_learner, simulator, tmp_path):
    plain = make_learner("FrozenLake-v1", seed=0, simulator=simulator).learn(300)
    watched = make_learner("FrozenLake-v1", seed=0, simulator=simulator)
    watched.learn(300, lambda locals_, globals_: True)
    plain.save(tmp_path / "plain")
    watched.save(tmp_path / "watched")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "watched").read_bytes()


def test_what_every_step_shows(simulator):
    notes = Notes()
    agent = make(simulator)
    agent.learn(100)
    agent.learn(400, notes)
    assert notes.events == [("start", 500, 100), "rollout", "rollout end", "end"]
    assert notes.n_calls == len(notes.steps) == 400
    assert notes.num_timesteps == agent.num_timesteps == 500
    episodes = [step["infos"][0]["episode"] for step in notes.steps if step["dones"][0]]
    assert agent.episode_returns[-len(episodes) :].tolist() == [e["r"] for e in episodes]
    assert agent.episode_lengths[-len(episodes) :].tolist() == [e["l"] for e in episodes]
    for step in notes.steps:
        assert step["actions"].shape == step["rewards"].shape == step["dones"].shape == (1,)
        assert agent.observation_space.contains(step["new_obs"][0])
        assert ("episode" in step["infos"][0]) == step["dones"][0]
    # FrozenLake pays 1 at the goal, state 15, and only there
    assert all((s["new_obs"][0] == 15) == (s["rewards"][0] == 1.0) for s in notes.steps)


def test_truncation_is_shown_apart(simulator, paying_loop):
    notes = Notes()
    QLearning(paying_loop, seed=0, simulator=simulator).learn(41, notes)
    ends = [i for i, step in enumerate(notes.steps) if step["dones"][0]]
    assert ends == [19, 39]
    assert all(notes.steps[i]["infos"][0]["TimeLimit.truncated"] for i in ends)
    assert not notes.steps[20]["infos"][0]["TimeLimit.truncated"]


def test_a_function_stops_learning(simulator):
    calls = []
    agent = make(simulator).learn(100, lambda locals_, globals_: calls.append(1) or len(calls) < 7)
    assert agent.num_timesteps == 7


def test_stop_on_max_episodes(simulator):
    agent = make(simulator).learn(10_000, StopTrainingOnMaxEpisodes(5))
    assert agent.num_episodes == 5
    assert agent.num_timesteps == agent.episode_lengths.sum()


def test_every_n_timesteps_and_lists(simulator):
    inner, outer = Notes(), Notes()
    make(simulator).learn(250, [EveryNTimesteps(100, inner), outer])
    assert (inner.n_calls, outer.n_calls) == (2, 250)


def test_checkpoints_can_be_loaded(simulator, tmp_path):
    callback = CheckpointCallback(save_freq=100, save_path=str(tmp_path), name_prefix="q")
    agent = make(simulator).learn(250, callback)
    paths = sorted(path.name for path in tmp_path.iterdir())
    assert paths == ["q_100_steps.zip", "q_200_steps.zip"]
    resumed = QLearning.load(tmp_path / "q_200_steps.zip", env="FrozenLake-v1").learn(50)
    assert (resumed.action_values == agent.action_values).all()


def test_eval_callback_and_reward_threshold(simulator, tmp_path):
    env = gymnasium.make("FrozenLake-v1", **DRY)
    agent = QLearning(env, seed=0, simulator=simulator, exploration_rate=0.8)
    callback = EvalCallback(
        Monitor(gymnasium.make("FrozenLake-v1", **DRY)),
        callback_on_new_best=StopTrainingOnRewardThreshold(0.99),
        eval_freq=500,
        n_eval_episodes=3,
        best_model_save_path=str(tmp_path),
        log_path=str(tmp_path),
        verbose=0,
    )
    agent.learn(20_000, callback)
    assert agent.num_timesteps < 20_000
    assert agent.num_timesteps % 500 == 0
    best = QLearning.load(tmp_path / "best_model", env=gymnasium.make("FrozenLake-v1", **DRY))
    assert evaluate_policy(best, best.get_env(), n_eval_episodes=2, warn=False) == (1.0, 0.0)
    assert np.load(tmp_path / "evaluations.npz")["results"].shape[1] == 3


def test_evaluate_policy_with_tuple_observations():
    agent = MonteCarlo("Blackjack-v1", seed=0, discount=1.0, exploration_rate=0.2).learn(300_000)
    env = gymnasium.make("Blackjack-v1", sab=True)
    env.reset(seed=0)
    mean, _ = evaluate_policy(agent, Monitor(env), n_eval_episodes=2_000, deterministic=True)
    # optimal play scores -0.043; always sticking on 20 or more, a poor policy, -0.35
    assert mean > -0.15


def test_stable_baselines_progress_bar(simulator, capsys):
    make(simulator).learn(30, ProgressBarCallback())


def test_our_progress_bar_shows_rate_and_time_left(capsys):
    make("compiled").learn(200_000, progress_bar=True)
    shown = capsys.readouterr().err
    assert "200k/200k" in shown
    assert "steps/s" in shown


def test_nonsense_callbacks_are_refused():
    from gymagine.agents.learning_session import as_callback

    with pytest.raises(TypeError, match="expected a callback"):
        as_callback(3)


@pytest.mark.parametrize("budget", [2.5, "10", None, float("nan"), 0, -1, True])
def test_budgets_that_are_none(budget):
    with pytest.raises(ValueError, match="timestep"):
        check_budget(budget)


# ---- the logger -------------------------------------------------------------------------------


def test_scalars_are_dumped_every_few_episodes(make_learner, simulator):
    records = Records()
    agent = make_learner("FrozenLake-v1", seed=0, simulator=simulator)
    agent.set_logger(records.logger)
    ends = []
    agent.episode_watcher = lambda episodes: ends.extend(episodes.timesteps.tolist())
    agent.learn(600, log_interval=5)
    assert [step for step, _ in records.dumps] == ends[4::5]
    step, scalars = records.dumps[-1]
    assert scalars["time/total_timesteps"] == step
    assert scalars["rollout/ep_len_mean"] > 1
    assert {"rollout/ep_rew_mean", "time/fps", "time/episodes"} <= set(scalars)


def test_scalars_are_means_of_the_last_hundred_and_schedules():
    records = Records()
    rate = Schedule("linear", 1.0, 0.0, 4_000)
    agent = make("compiled", exploration_rate=rate, step_size=0.25)
    agent.set_logger(records.logger)
    lengths = []
    agent.episode_watcher = lambda episodes: lengths.extend(episodes.lengths.tolist())
    agent.learn(3_000, log_interval=1)
    assert len(records.dumps) == len(lengths) > 200
    for number, (step, scalars) in enumerate(records.dumps, start=1):
        recent = lengths[max(0, number - 100) : number]
        assert scalars["rollout/ep_len_mean"] == pytest.approx(np.mean(recent))
        assert scalars["rollout/exploration_rate"] == pytest.approx(1 - step / 4_000)
        assert scalars["train/step_size"] == 0.25


def test_without_outputs_nothing_is_imported_or_dumped():
    agent = make("compiled").learn(1_000)
    assert not agent.has_log_outputs


# ---- interruptions ----------------------------------------------------------------------------


def test_ctrl_c_loses_nothing(simulator, tmp_path):
    agent = make(simulator)
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        agent.learn(10**12)
    timer.join()
    taken = agent.num_timesteps
    assert taken > 0
    agent.save(tmp_path / "agent")
    resumed = QLearning.load(tmp_path / "agent", env="FrozenLake-v1").learn(100)
    assert resumed.num_timesteps == taken + 100
