"""From demonstrations to a table, in a world whose expert is a straight line."""

import json

import gymnasium
import numpy as np
import pytest
from gymagine.experiments.demonstration_sources import DEMONSTRATIONS_FILE
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.evaluation import evaluate
from gymagine.experiments.imitation import evaluation_seed, imitate
from gymagine.experiments.imitation_records import ImitationRecord, ImitationSettings
from gymagine.experiments.imitation_results import ImitationResults
from gymagine.experiments.records import RunRecord
from gymagine.generative.data.collecting import collect
from gymagine.generative.data.demonstrations import Demonstrations
from gymnasium import spaces

ID = "tests/Line-v0"


class Line(gymnasium.Env):
    """A point goes to its goal; success when it is within 0.1; 20 steps at most."""

    def __init__(self):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place, self._goal = self.np_random.uniform(-1, 1, 2)
        return self._seen(), {}

    def step(self, action):
        self._place += 0.3 * float(np.clip(action[0], -1, 1))
        gap = abs(self._place - self._goal)
        return self._seen(), -gap, bool(gap < 0.1), False, {"success": gap < 0.1}

    def _seen(self):
        return np.array([self._place, self._goal], np.float32)


class Straight:
    """Three quarters of the way, every time."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        gap = observation[1] - observation[0]
        return np.clip([2.5 * gap], -1, 1).astype(np.float32), state


@pytest.fixture(scope="module", autouse=True)
def line():
    gymnasium.register(ID, entry_point=Line, max_episode_steps=20)
    yield
    del gymnasium.registry[ID]


@pytest.fixture(scope="module")
def found(line, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imitation")
    collect(ID, Straight(), 40, seed=0).save(folder / "shown")
    settings = ImitationSettings(
        EnvironmentName(ID),
        ("gaussian",),
        demonstrations=str(folder / "shown"),
        episodes=30,
        evaluation_episodes=25,
        num_updates=250,
        policy={"prediction_horizon": 2, "action_horizon": 1},
        fit={"batch_size": 64, "learning_rate": 3e-3},
    )
    told = []
    return imitate(settings, folder=folder / "runs", tell=told.append), told


def test_what_is_shown_is_learnt_and_random_actions_are_beaten(found):
    results = found[0].results
    random = results.score("random").success
    for name in ("gaussian", "regression"):
        score = results.score(name)
        assert score.success.estimate >= 0.9 and score.success.low > random.high
        assert score.milliseconds > 0 and score.num_parameters > 100
    assert results.score("gaussian").error < 0.3
    assert [score.kind for score in results.scores] == [
        "generator",
        "control",
        "random",
        "demonstrations",
    ]


def test_the_folder_holds_what_was_found(found):
    result, told = found
    record = ImitationRecord.open(result.record.folder)
    assert ImitationResults.read(record.results_file) == result.results
    assert "| gaussian |" in record.table_file.read_text()
    shown = Demonstrations.load(record.folder / DEMONSTRATIONS_FILE)
    assert shown.num_episodes == 30
    assert json.loads((record.folder / "status.json").read_text())["status"] == "finished"
    for name in ("gaussian", "regression"):
        own = RunRecord.open(record.folder / name)
        assert own.status == "finished" and own.config["hyperparameters"]["generator"] == name
        assert any("eval/success_rate" in row for row in own.metrics())
        assert any("train/loss" in row for row in own.metrics())
        assert len(list(own.folder.glob("events.out.tfevents.*"))) == 1
    assert told[0].startswith("30 demonstrations, 100% of them successes")


def test_a_saved_policy_acts_as_the_one_in_memory_and_is_evaluated_like_any_agent(found):
    result, _ = found
    own = RunRecord.open(result.record.folder / "regression")
    seen = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    mine, theirs = (
        policy.predict(seen)[0] for policy in (result.policies["regression"], own.load_agent())
    )
    assert np.array_equal(mine, theirs)
    assert evaluate(own, num_episodes=20, seed=5).lengths.mean() < 10


def test_all_play_the_same_episodes_none_of_which_was_demonstrated(found):
    result, _ = found
    settings = result.record.settings
    seeds = collect(ID, None, 25, seed=evaluation_seed(settings)).seeds
    assert not set(seeds) & set(result.demonstrations.seeds)
    score = result.results.score("regression")
    again = collect(ID, result.policies["regression"], 25, seed=evaluation_seed(settings))
    assert score.mean_return.estimate == pytest.approx(again.returns.mean())


def test_what_cannot_be_imitated_leaves_no_folder(tmp_path):
    usual = {"episodes": 2, "num_updates": 5, "max_steps": 20}
    cart = EnvironmentName("CartPole-v1")
    other = tmp_path / "line"
    collect(ID, Straight(), 2).save(other)
    for changes, message in (
        ({"demonstrations": str(other)}, "of tests/Line-v0, as these .*got CartPole-v1"),
        ({"generators": ("difusion",)}, "did you mean diffusion"),
        ({"demonstrations": "expert:nobody"}, "folder of a run after expert:"),
        ({"policy": {"action_horizon": 9}}, "action_horizon of at most prediction_horizon, 8"),
    ):
        chosen = {"environment": cart, "generators": ("regression",), **usual, **changes}
        with pytest.raises(ValueError, match=message):
            imitate(ImitationSettings(**chosen), folder=tmp_path / "runs")
    assert not list(tmp_path.rglob("config.json"))


def test_observations_far_from_all_demonstrations_are_taken_as_at_the_limit(found):
    policy = found[0].policies["regression"]
    shift = found[0].demonstrations.transitions.observation.mean(axis=0)
    spread = found[0].demonstrations.transitions.observation.std(axis=0)
    far, at_limit = (
        policy.predict((shift + times * spread).astype(np.float32))[0] for times in (1e6, 100)
    )
    assert np.array_equal(far, at_limit)
