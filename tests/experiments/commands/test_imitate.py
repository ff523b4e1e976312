"""``gymagine imitate`` as somebody types it."""

import json

import pytest
from gymagine.experiments.command_line import main

QUICK = ["--episodes", "3", "--updates", "20", "--evaluation-episodes", "3", "--max-steps", "30"]


@pytest.fixture(autouse=True)
def without_colours(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_table_a_folder_and_a_film(tmp_path, capsys):
    film = tmp_path / "cart.gif"
    words = ["imitate", "CartPole-v1", "--generator", "gaussian", *QUICK, "--video", str(film)]
    assert main([*words, "--folder", str(tmp_path), "--no-progress-bar"]) == 0
    out = capsys.readouterr().out
    for name in ("gaussian", "regression", "random", "expert"):
        assert f"\n{name}" in out
    (config,) = tmp_path.glob("CartPole-v1/imitate/*/config.json")
    found = json.loads(config.read_text())
    assert found["demonstrations"] == "expert" and found["policy"] == {}
    assert str(config.parent) in out and film.read_bytes().startswith(b"GIF")
    # each policy is a run that other commands take
    assert main(["evaluate", str(config.parent / "gaussian"), "--episodes", "2"]) == 0


def test_help_names_the_options_of_policies(capsys):
    assert main(["imitate", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--generator", "--demonstrations", "--prediction-horizon", "minari:ID"):
        assert word in out
    assert "--refit-updates" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CartPole-v1", "--generator", "difusion"], "did you mean diffusion?"),
        (["CartPole-v1", "--demonstrations", "nowhere"], "got 'nowhere', where there are none"),
        (["CartPole-v1", "--demonstrations", "minari:none-v0"], "expected a Minari data set at"),
        (["Acrobot-v1"], "expected an environment with a scripted expert"),
        (["CartPole-v1", "--video", "film.avi"], "video ending in .gif or .mp4, got film.avi"),
        (["CartPole-v1", "--episodes", "0"], "expected episodes of at least 1, got 0"),
        (["CartPole-v1", "--action-horizon", "99"], "action_horizon of at most"),
        ([], "ENV"),
    ],
)
def test_mistakes_are_one_line_and_code_2(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert main(["imitate", *words, "--folder", str(tmp_path / "runs"), "--no-progress-bar"]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "runs").exists()
