import dataclasses
import json
import subprocess
from pathlib import Path

import gymagine
import pytest
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.provenance import git_commit, package_commit, package_versions
from gymagine.experiments.records import (
    EvaluationPoint,
    RunRecord,
    RunSettings,
    new_run_folder,
)

SETTINGS = RunSettings(
    agent="sb3:dqn",
    environment=EnvironmentName("gymagine/GridWorld-v0", {"slip": 0.25}),
    seed=3,
    total_timesteps=1_000,
    hyperparameters={"learning_rate": 0.1, "net_arch": [8, 8], "gamma": None},
)
POINTS = [
    EvaluationPoint(0, 0.1 + 0.2, -1.0, 1e-17, 12.5, 20, 3, None, 0.0),
    EvaluationPoint(500, 1 / 3, 1 / 3, 1 / 3, None, 0, 0, 1 / 3, 1.25),
]


def test_a_record_is_read_as_it_was_written(tmp_path):
    folder = new_run_folder(tmp_path, SETTINGS)
    facts = {"simulator": "stepped", "hyperparameters": dict(SETTINGS.hyperparameters)}
    written = RunRecord.create(folder, SETTINGS, facts)
    written.write_evaluations(POINTS)
    written.set_status("failed", 500, 2.5, "RuntimeError: no luck")
    read = RunRecord.open(folder)
    assert read.settings == SETTINGS == written.settings
    assert read.evaluations() == POINTS
    assert (read.status, read.message) == ("failed", "RuntimeError: no luck")
    assert (read.num_timesteps, read.train_seconds) == (500, 2.5)
    assert read.config["simulator"] == "stepped"
    assert read.environment == SETTINGS.environment


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"\xff\xfe", b"a,b\n1,2\n"])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("status.json", lambda record: record.status),
        ("evaluations.csv", RunRecord.evaluations),
        ("metrics.csv", RunRecord.metrics),
    ],
)
def test_damaged_files_are_named(tmp_path, name, read, content):
    record = RunRecord.create(new_run_folder(tmp_path, SETTINGS), SETTINGS, {})
    (record.folder / name).write_bytes(content)
    try:
        assert read(record) == []  # a file of lines of which none is whole
    except ValueError as error:
        assert str(record.folder / name) in str(error) and "damaged" in str(error)
    else:
        assert name != "status.json"


def test_a_clone_tells_its_commit_wherever_it_is_used(tmp_path, monkeypatch):
    root = Path(gymagine.__file__).parent
    if not (root / ".git").exists():
        pytest.skip("installed, not cloned")
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    monkeypatch.chdir(tmp_path)
    package_commit.cache_clear()
    assert package_commit().removesuffix("-modified") == answer.stdout.strip()


def test_folders_are_flat_and_never_shared(tmp_path):
    folders = [new_run_folder(tmp_path, SETTINGS) for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        environment, agent, run = folder.relative_to(tmp_path).parts
        assert environment.startswith("gymagine-GridWorld-v0") and agent == "sb3-dqn"
        assert run.startswith("3-2")


def test_the_record_says_where_it_comes_from(tmp_path):
    facts = {"hyperparameters": dict(SETTINGS.hyperparameters)}
    record = RunRecord.create(new_run_folder(tmp_path, SETTINGS), SETTINGS, facts)
    config = json.loads((record.folder / "config.json").read_text())
    import gymnasium
    import numpy

    assert config["versions"]["gymnasium"] == gymnasium.__version__
    assert config["versions"]["numpy"] == numpy.__version__
    assert config["seed"] == 3 and config["command"] and config["started"]
    assert config["hyperparameters"] == dict(SETTINGS.hyperparameters)


def test_git_commit_follows_the_repository(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.chdir(tmp_path)
    git_commit.cache_clear()
    assert git_commit() is None
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    git_commit.cache_clear()
    assert git_commit() == head.strip()
    (tmp_path / "file").write_text("x")
    subprocess.run(["git", "add", "file"], check=True)
    git_commit.cache_clear()
    assert git_commit() == f"{head.strip()}-modified"
    git_commit.cache_clear()


def test_versions_include_this_package():
    import gymagine

    assert package_versions()["gymagine"] == gymagine.__version__


def test_fingerprints_tell_settings_apart():
    same = dataclasses.replace(SETTINGS)
    assert same.fingerprint == SETTINGS.fingerprint
    for change in ({"seed": 4}, {"total_timesteps": 2_000}, {"hyperparameters": {}}):
        assert dataclasses.replace(SETTINGS, **change).fingerprint != SETTINGS.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_timesteps": 0}, "total_timesteps of at least 1, got 0"),
        ({"evaluate_every": -1}, "evaluate_every of at least 1, got -1"),
        ({"checkpoint_every": 0}, "checkpoint_every of at least 1"),
        ({"evaluation_episodes": -1}, "evaluation_episodes of at least 0, got -1"),
        ({"discount": -0.1}, r"discount in \[0, 1\], got -0.1"),
        ({"max_steps": 0}, "max_steps of at least 1, got 0"),
    ],
)
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SETTINGS, **change)


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a run at .*, found no config\.json"):
        RunRecord.open(tmp_path)
    for content in ("{", "[]", '{"format": "other"}', '{"format": "gymagine-run-1"}'):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match="expected the configuration of a run"):
            RunRecord.open(tmp_path)


def test_a_larger_budget_is_written_down(tmp_path):
    record = RunRecord.create(new_run_folder(tmp_path, SETTINGS), SETTINGS, {})
    record.set_status("interrupted", 800, 1.0)
    assert record.with_budget(2_000).settings.total_timesteps == 2_000
    assert RunRecord.open(record.folder).settings.total_timesteps == 2_000
    with pytest.raises(ValueError, match="at least the 800 steps"):
        record.with_budget(700)
