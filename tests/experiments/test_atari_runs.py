"""Wrappers of presets: put on, recorded, and put on again by whoever comes back to the run."""

import json

import pytest
from gymagine.agents.deep.presets import PRESETS, preset
from gymagine.experiments.command_line import main
from gymagine.experiments.comparison import compare
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.evaluation import evaluate
from gymagine.experiments.population_training import train_population
from gymagine.experiments.records import RunRecord, RunSettings
from gymagine.experiments.references import reference

pytest.importorskip("ale_py")
pytest.importorskip("cv2")

LEARNING, EVALUATION = (
    f"ALE/Breakout-v5@preprocessing={kind}" for kind in ("atari", "atari-evaluation")
)
SHORT = [
    "--evaluate-every", "100", "--evaluation-episodes", "1", "--final-episodes", "2",
    "--max-steps", "30", "--no-progress-bar",
]  # fmt: skip
TINY = ["--buffer-size", "150", "--learning-starts", "50"]


def only_run(folder):
    (config,) = folder.rglob("config.json")
    return RunRecord.open(config.parent)


def names_of(env):
    return [wrapper.name for wrapper in env.spec.additional_wrappers]


def clips(env):
    return "ClipReward" in names_of(env)


@pytest.fixture
def made(monkeypatch):
    """The labels of all environments that are made by name."""
    labels, make = [], EnvironmentName.make

    def noting(self, **options):
        labels.append(self.label)
        return make(self, **options)

    monkeypatch.setattr(EnvironmentName, "make", noting)
    return labels


@pytest.fixture
def few_games(monkeypatch):
    """Two of the random policy, in place of two hundred."""
    monkeypatch.setattr("gymagine.experiments.references._CONTROL_EPISODES", 2)


@pytest.mark.slow
def test_a_run_by_preset_goes_on_is_evaluated_and_watched_alike(
    tmp_path, capsys, made, without_shape_checks
):
    words = ["train", "dqn", "ALE/Breakout-v5", "--presets", "--steps", "120", *TINY, *SHORT]
    assert main([*words, "--folder", str(tmp_path)]) == 0
    assert set(made) == {LEARNING, EVALUATION}
    record = only_run(tmp_path)
    assert record.environment.label == LEARNING
    assert record.config["hyperparameters"]["frame_stack"] == 4
    assert "breakout-v5@preprocessing=atari" in str(record.folder).lower()

    made.clear()
    assert main(["train", "--resume", str(record.folder), "--steps", "140"]) == 0
    assert set(made) == {LEARNING, EVALUATION}
    assert RunRecord.open(record.folder).num_timesteps == 140
    assert clips(record.load_agent().env)

    for command in (
        ["evaluate", str(record.folder), "--episodes", "1", "--max-steps", "20", "--json"],
        ["watch", str(record.folder), "--episodes", "1", "--max-steps", "5",
         "--video", str(tmp_path / "film.gif")],
    ):  # fmt: skip
        made.clear()
        capsys.readouterr()
        assert main(command) == 0
        assert EVALUATION in made
        if command[0] == "evaluate":
            assert json.loads(capsys.readouterr().out)["environment"] == EVALUATION
    assert (tmp_path / "film.gif").stat().st_size > 0
    assert evaluate(record, num_episodes=1, max_steps=20).environment == EVALUATION


@pytest.mark.slow
def test_copies_that_learn_have_the_same_wrappers(tmp_path, without_shape_checks):
    words = ["train", "a2c", "ALE/Breakout-v5", "--presets", "--num-envs", "2", "--steps", "40"]
    assert main([*words, *SHORT, "--folder", str(tmp_path)]) == 0
    agent = only_run(tmp_path).load_agent()
    copies = agent.get_env().envs
    assert len(copies) == 2 and names_of(copies[0]) == names_of(copies[1])
    assert all(clips(env) for env in copies)


def test_a_population_learns_and_is_evaluated_alike(tmp_path, made, without_shape_checks):
    results = train_population(
        "a2c", LEARNING, seeds=2, total_timesteps=20, evaluate_every=20, evaluation_episodes=1,
        final_episodes=1, max_steps=10, folder=tmp_path, num_envs=1,
    )  # fmt: skip
    assert [result.status for result in results] == ["finished"] * 2
    assert set(made) == {LEARNING, EVALUATION}
    assert all(clips(result.agent.env) for result in results)


@pytest.mark.slow
def test_all_agents_of_a_comparison_get_the_wrappers(
    tmp_path, made, few_games, without_shape_checks
):
    comparison = compare(
        "ALE/Breakout-v5", ["a2c", "random"], presets=True, seeds=1, total_timesteps=32,
        evaluations=1, evaluation_episodes=1, final_episodes=1, max_steps=10,
        hyperparameters={"a2c": {"num_envs": 1}}, folder=tmp_path, backend="sequential",
    )  # fmt: skip
    assert {run.environment for run in comparison.runs} == {LEARNING}
    assert {run.status for run in comparison.runs} == {"finished"}
    assert set(comparison.control) == {LEARNING} and EVALUATION in made
    plain = compare(
        "CartPole-v1", "random", presets=True, seeds=1, total_timesteps=8, evaluations=1,
        evaluation_episodes=1, final_episodes=1, folder=tmp_path, backend="sequential",
    )  # fmt: skip
    assert plain.runs[0].environment == "CartPole-v1"


def test_own_wrappers_win_over_the_presets(tmp_path, capsys):
    words = ["train", "dqn", "ALE/Breakout-v5@preprocessing=atari-evaluation", "--presets"]
    assert main([*words, "--steps", "60", *TINY, *SHORT, "--folder", str(tmp_path)]) == 0
    assert not clips(only_run(tmp_path).load_agent().env)


def test_the_list_says_what_is_put_on(capsys):
    assert main(["list", "presets"]) == 0
    told = capsys.readouterr().out
    assert told.count("@preprocessing=atari; ") == sum(bool(one.preprocessing) for one in PRESETS)
    assert "\n@preprocessing=atari: 84x84 grey frames" in told
    assert preset("dqn", "ALE/Pong-v5").preprocessing == "atari"


def test_the_control_plays_for_the_games_own_rewards(few_games):
    """Ms Pac-Man's dots bring 10 points each, which clipping would make 1."""
    name = EnvironmentName("ALE/MsPacman-v5", {"preprocessing": "atari"})
    control = reference(name, RunSettings("random", name, 0, 100, max_steps=120)).control
    assert control >= 10.0 and control % 5 == 0.0  # the mean of two games
