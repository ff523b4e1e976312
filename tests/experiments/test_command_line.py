"""What the command line says, how it ends, and how little it loads to say it."""

import csv
import dataclasses
import inspect
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from gymagine.agents.deep.presets import preset
from gymagine.experiments.catalogue import AGENTS, agent_class
from gymagine.experiments.command_line import COMMANDS, main
from gymagine.experiments.comparison import compare
from gymagine.experiments.population_records import PopulationRecord
from gymagine.experiments.population_training import train_population
from gymagine.experiments.records import RunRecord
from gymagine.experiments.results import load_comparison
from gymagine.experiments.training import train

HEAVY = {"torch", "stable_baselines3", "matplotlib", "numba", "scipy", "tensorboard", "pandas"}
LAKE = ["train", "q-learning", "FrozenLake-v1"]


def fails(capsys, *words):
    """The one line that a failing command leaves on standard error."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gymagine: error: ") and captured.err.count("\n") == 1
    return captured.err


def only_run(folder):
    (config,) = folder.rglob("config.json")
    return RunRecord.open(config.parent)


# ---- light, quick, complete ---------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compare", "--help"], ["nonsense"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys; from gymagine.experiments.command_line import main;"
        f"main({words!r}); print('LOADED', *{{name.partition('.')[0] for name in sys.modules}})"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(answer.stdout.rpartition("LOADED")[2].split())
    assert "gymagine" in loaded and not loaded & HEAVY


def test_help_answers_in_under_a_second():
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "gymagine", "--help"], check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 1.0


def test_overview_names_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command} " in text
    assert main(["--version"]) == 0
    import gymagine

    assert capsys.readouterr().out == f"gymagine {gymagine.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: gymagine {command}")
    assert "--" in text


@pytest.mark.parametrize("agent", ["q-learning", "dyna-q", "value-iteration", "sb3:dqn", "random"])
def test_help_of_an_agent_tells_its_hyper_parameters(agent, capsys):
    assert main(["train", agent, "--help"]) == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(agent_class(agent).Config):
        assert f"--{field.name.replace('_', '-')}" in text


def test_list_shows_every_name(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for name, entry in AGENTS.items():
        assert f"  {name} " in text and entry.summary in text
    for name in ("FrozenLake-v1", "Taxi-v4", "gymagine/GridWorld-v0", "CartPole-v1"):
        assert name in text
    assert "Taxi-v3" not in text
    assert main(["list", "agents"]) == 0
    assert "FrozenLake-v1" not in capsys.readouterr().out


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (["train", "q-lerning", "FrozenLake-v1"], "did you mean q-learning?"),
        (["train", "q-learning", "FrozenLak-v1"], "did you mean FrozenLake-v1?"),
        (["train", "q-learning", "FrozenLake-v1", "--env-options", "slippery=1"], "'slippery'"),
        (["train", "q-learning", "CartPole-v1", "--bins", "3", "3"], "bins of at least 1 for 4"),
        (["train", "q-learning", "FrozenLake-v1", "--steps", "0"], "total_timesteps"),
        (["train", "q-learning", "FrozenLake-v1", "--seeds", "0"], "expected seeds of at least 1"),
        (["train", "--resume", "nowhere"], "expected a run at nowhere"),
        (["solve", "CartPole-v1"], "CartPole-v1"),
        (
            ["solve", "FrozenLake-v1", "--planner", "valueiteration"],
            "did you mean value-iteration?",
        ),
        (
            ["solve", "FrozenLake-v1", "--discount", "1.5"],
            "expected a discount in [0, 1], got 1.5",
        ),
        (["evaluate", "nowhere"], "expected a run at nowhere"),
        (["watch", "nowhere"], "expected a run at nowhere"),
        (["monitor", "nowhere"], "expected a folder of runs at nowhere"),
        (["solve", "FrozenLake-v1@map_name=9x9"], "made with map_name=9x9: KeyError: '9x9'"),
        (["compare", "FrozenLake-v1", "--agents", "sarsaa"], "did you mean sarsa?"),
        (["compare", "Frozen-v1", "--agents", "sarsa"], "did you mean FrozenLake-v1?"),
        (["compare", "FrozenLake-v1", "--agents", "sarsa", "--set", "x"], "AGENT.NAME=VALUE"),
        (
            ["compare", "FrozenLake-v1", "--agents", "sarsa", "--set", "sarsa.stepsize=1"],
            "did you mean step_size?",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("columns", ["20", "200"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*LAKE, "--stepsize", "3"], "--stepsize, 3; did you mean --step-size? (see gymagine "),
        ([*LAKE, "--step-size", "-1"], "expected step_size"),
        ([*LAKE, "--discount", "1.5"], "expected discount in [0.0, 1.0], got 1.5"),
        ([*LAKE, "--steps", "many"], "--steps: invalid literal for int() with base 10: 'many'"),
        ([*LAKE, "--exploration-rate", "linear:1"], "got 'linear:1'"),
        (["train"], "expected the name of an agent"),
        (["solve"], "Missing from gymagine solve: ENV (see gymagine solve --help)"),
        (
            ["compare", "FrozenLake-v1"],
            "Missing from gymagine compare: --agents AGENT",
        ),
    ],
)
def test_wrong_options_are_one_line_at_any_width(words, message, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert message in fails(capsys, *words)


def test_resume_is_in_the_help(capsys):
    assert main(["train", "--help"]) == 0
    assert "--resume RUN" in capsys.readouterr().out


def test_every_hyper_parameter_is_an_option_of_its_own(capsys, tmp_path):
    """``--discount`` is the agent's; the one of the evaluation has another name."""
    words = [*LAKE, "--discount", "0.5", "--evaluation-discount", "0.75", "--steps", "100"]
    assert main([*words, "--folder", str(tmp_path), "--no-progress-bar"]) == 0
    record = only_run(tmp_path)
    assert record.config["hyperparameters"]["discount"] == 0.5
    assert record.load_agent().config.discount == 0.5
    assert record.settings.discount == 0.75


@pytest.mark.parametrize("agent", AGENTS)
def test_no_hyper_parameter_hides_behind_an_argument_of_train(agent):
    config = agent_class(agent).Config
    names = {field.name for field in dataclasses.fields(config)}
    for function in (train, train_population):
        assert not names & set(inspect.signature(function).parameters)


def test_traceback_on_request(monkeypatch):
    with pytest.raises(ValueError, match="did you mean train"):
        main(["trian", "--traceback"])
    monkeypatch.setenv("GYMAGINE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="did you mean train"):
        main(["trian"])


def test_our_own_mistakes_are_not_hidden(monkeypatch):
    monkeypatch.setattr("gymagine.experiments.commands.list.known_agents", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m gymagine list | head -1; echo ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert answer.stdout.splitlines()[-1] == "0"
    assert answer.stderr == ""


# ---- what it does ----------------------------------------------------------------------------


def test_solve_prints_the_truth(capsys):
    assert main(["solve", "FrozenLake-v1"]) == 0
    text = capsys.readouterr().out
    value = float(text.partition("value of the start")[2].split()[0])
    assert value == pytest.approx(0.542025932, abs=1e-8)
    assert "this policy 0.7401648978, the optimum 0.7441902878" in text
    assert "↓" in text
    words = ["solve", "CliffWalking-v1", "--discount", "1", "--json", "--planner"]
    for planner in ("value-iteration", "linear-programming", "backward-induction"):
        more = ["--horizon", "200"] if planner == "backward-induction" else []
        assert main([*words, planner, *more]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["start_value"] == pytest.approx(-13.0)
        assert report["method"] == planner and len(report["policy"]) == 48


def test_train_evaluate_and_resume(capsys, tmp_path):
    words = ["train", "--seed", "4", "q-learning", "FrozenLake-v1@is_slippery=false"]
    words += ["--steps", "4000", "--step-size", "0.5", "--step-size-decay", "0"]
    words += ["--exploration-rate", "linear:1:0.1:4000", "--simulator", "stepped"]
    assert main([*words, "--no-progress-bar", "--folder", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    record = only_run(tmp_path)
    assert str(record.folder) in told and "exact return 1" in told
    config = record.config
    assert (config["seed"], config["total_timesteps"], config["simulator"]) == (4, 4000, "stepped")
    assert config["hyperparameters"]["step_size"] in (0.5, "0.5")
    assert config["hyperparameters"]["exploration_rate"] == "linear:1.0:0.1:4000"
    assert config["environment"]["options"] == {"is_slippery": False}

    assert main(["evaluate", str(tmp_path), "--episodes", "10", "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert played["returns"] == [1.0] * 10 and played["exact_return"] == 1.0
    assert main(["evaluate", str(tmp_path), "--episodes", "10", "--max-steps", "3"]) == 0
    assert "10 episodes were stopped by the cap" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path), "--env", "FrozenLake-v1", "--episodes", "10"]) == 0
    assert "q-learning on FrozenLake-v1 after 4,000 steps" in capsys.readouterr().out

    resumed = ["train", "--resume", str(tmp_path), "--steps", "5000", "--no-progress-bar"]
    assert main(resumed) == 0
    assert only_run(tmp_path).num_timesteps == 5_000


DEEP = ["train", "dqn", "CartPole-v1", "--steps", "60", "--evaluation-episodes", "1"]
DEEP += ["--final-episodes", "2", "--buffer-size", "100", "--hidden-sizes", "8"]
DEEP += ["--learning-starts", "20", "--exploration-rate", "linear:1:0.1:50", "--no-progress-bar"]


def test_seeds_of_a_deep_agent_train_together_and_go_on_together(capsys, tmp_path):
    assert main([*DEEP, "--seed", "3", "--seeds", "2", "--folder", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    (place,) = tmp_path.rglob("population.json")
    population = PopulationRecord.open(place.parent)
    assert [member.settings.seed for member in population.members] == [3, 4]
    for member in population.members:
        assert str(member.folder) in told and member.num_timesteps == 60
        assert member.config["hyperparameters"]["exploration_rate"] == "linear:1.0:0.1:50"
        assert main(["evaluate", str(member.folder), "--episodes", "2"]) == 0
        assert "dqn on CartPole-v1 after 60 steps" in capsys.readouterr().out
    assert f"the population of {population.members[0].folder}, " in fails(
        capsys, "evaluate", str(population.folder)
    )
    places = [population.folder, population.members[1].folder, tmp_path]
    for steps, where in zip(("80", "100", "120"), places, strict=True):
        words = ["train", "--resume", str(where), "--steps", steps, "--no-progress-bar"]
        assert main(words) == 0
        assert capsys.readouterr().out.count(f"{steps} steps") == 2
        assert {member.num_timesteps for member in population.members} == {int(steps)}


@pytest.mark.slow
def test_seeds_of_other_agents_train_one_after_the_other(capsys, tmp_path):
    words = [*LAKE, "--steps", "200", "--seeds", "2", "--no-progress-bar"]
    assert main([*words, "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("q-learning on FrozenLake-v1, 200 steps") == 2
    folders = sorted((tmp_path / "FrozenLake-v1" / "q-learning").iterdir())
    assert [RunRecord.open(folder).settings.seed for folder in folders] == [0, 1]


def test_presets(capsys, tmp_path):
    words = ["train", "dqn", "CartPole-v1", "--presets", "--batch-size", "32", "--no-progress-bar"]
    more = ["--evaluation-episodes", "1", "--final-episodes", "1", "--folder", str(tmp_path)]
    assert main([*words, *more, "--steps", "600"]) == 0
    run = only_run(tmp_path)
    known = preset("dqn", "CartPole-v1")
    taken = run.config["hyperparameters"]
    assert taken["learning_rate"] == known.hyperparameters["learning_rate"]
    assert (taken["batch_size"], run.settings.total_timesteps) == (32, 600)
    capsys.readouterr()
    message = fails(capsys, "train", "dqn", "Blackjack-v1", "--presets")
    assert "no preset of dqn for Blackjack-v1; known: CartPole-v1" in message


def test_compare_takes_presets(tmp_path):
    settings = {"seeds": 1, "total_timesteps": 300, "evaluations": 1, "final_episodes": 1}
    settings |= {"evaluation_episodes": 1, "folder": tmp_path, "jobs": 1}
    own = {"dqn": {"batch_size": 8}}
    for presets in (False, True):
        comparison = compare(
            "CartPole-v1", "dqn", presets=presets, hyperparameters=own, **settings
        )
        known = preset("dqn", "CartPole-v1").hyperparameters["learning_rate"]
        taken = comparison.settings["agents"]["dqn"]
        assert (taken["learning_rate"] == known) == presets
        assert taken["batch_size"] == 8


def test_a_bar_for_a_whole_population(capsys, tmp_path):
    words = [word for word in DEEP if word != "--no-progress-bar"]
    assert main([*words, "--seeds", "2", "--folder", str(tmp_path)]) == 0
    shown = capsys.readouterr().err
    assert "2 x dqn on CartPole-v1" in shown and "100%" in shown


def test_compare_prints_and_writes(capsys, tmp_path):
    words = [
        "compare",
        "FrozenLake-v1",
        "--agents",
        "value-iteration",
        "q-learning",
        "--seeds",
        "2",
    ]
    words += ["--steps", "2000", "--jobs", "1", "--folder", str(tmp_path), "--no-progress-bar"]
    assert main([*words, "--set", "q-learning.step_size=0.25"]) == 0
    told = capsys.readouterr().out
    assert "exact optimum" in told and "0.7442" in told and "0.7402" in told
    root = tmp_path / "FrozenLake-v1"
    assert str(root / "report.md") in told
    comparison = load_comparison(root)
    assert comparison.settings["agents"]["q-learning"]["step_size"] in (0.25, "0.25")
    with open(root / "runs.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_compare_with_a_failed_run_exits_1(capsys, tmp_path):
    words = ["compare", "FrozenLake-v1", "--agents", "sb3:sac", "sarsa", "--seeds", "1"]
    words += ["--steps", "500", "--jobs", "1", "--folder", str(tmp_path), "--no-progress-bar"]
    assert main(words) == 1
    assert "refuses this environment" in capsys.readouterr().out


def test_compare_without_a_finished_run_exits_2(capsys, tmp_path):
    words = ["compare", "Pendulum-v1", "--agents", "q-learning", "--seeds", "1", "--steps", "10"]
    assert main([*words, "--jobs", "1", "--folder", str(tmp_path), "--no-progress-bar"]) == 2
    captured = capsys.readouterr()
    assert "0/1" in captured.out and (tmp_path / "Pendulum-v1" / "report.md").is_file()
    assert captured.err.startswith("gymagine: error: no run finished; expected a finite action")
    assert captured.err.count("\n") == 1


def test_progress_shows_rate_and_time_left(capsys, tmp_path):
    words = ["train", "q-learning", "FrozenLake-v1", "--steps", "3000", "--folder", str(tmp_path)]
    assert main(words) == 0
    shown = capsys.readouterr().err
    assert "q-learning on FrozenLake-v1" in shown and "100%" in shown and "left" in shown


@pytest.mark.slow
def test_ctrl_c_exits_130_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "gymagine", "train", "q-learning", "FrozenLake-v1"]
    command += ["--simulator", "stepped", "--steps", "100000000", "--folder", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if any(path.read_text().count("\n") > 1 for path in tmp_path.rglob("evaluations.csv")):
            break  # it has evaluated at step 0 and learns
        time.sleep(0.1)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    record = only_run(tmp_path)
    assert f"gymagine train --resume {record.folder} goes on" in errors
    assert "Traceback" not in errors
    assert record.status == "interrupted" and record.num_timesteps > 0
    assert record.load_agent().num_timesteps == record.num_timesteps


def test_an_environment_that_raises_is_one_line(tmp_path):
    (tmp_path / "broken_world.py").write_text(
        "import gymnasium\n"
        "class Broken(gymnasium.Wrapper):\n"
        "    def step(self, action):\n"
        "        raise RuntimeError('the robot\\nfell over')\n"
        "def make(): return Broken(gymnasium.make('FrozenLake-v1'))\n"
        "gymnasium.register('Broken-v0', entry_point=make)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "gymagine", "train", "q-learning", "broken_world:Broken-v0"]
    command += [
        "--evaluation-episodes",
        "0",
        "--folder",
        str(tmp_path / "runs"),
        "--no-progress-bar",
    ]
    answer = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert answer.returncode == 2
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("gymagine: error: ")
