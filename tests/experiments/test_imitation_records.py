"""Folders of imitation."""

import json

import pytest
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.imitation_records import ImitationRecord, ImitationSettings
from gymagine.experiments.records import RunRecord

CART = EnvironmentName("CartPole-v1")


def test_settings_come_back_from_the_folder(tmp_path):
    settings = ImitationSettings(
        EnvironmentName("LunarLander-v3", {"continuous": True}),
        ("flow", "diffusion"),
        episodes=3,
        max_steps=9,
        policy={"action_horizon": 2},
    )
    record = ImitationRecord.create(tmp_path, settings)
    assert ImitationRecord.open(record.folder).settings == settings
    assert record.folder.parent == tmp_path / "LunarLander-v3@continuous=true" / "imitate"
    assert json.loads((record.folder / "status.json").read_text())["status"] == "running"
    with pytest.raises(FileNotFoundError, match="expected a run of imitate at"):
        ImitationRecord.open(tmp_path)


def test_policies_are_runs_that_other_commands_open(tmp_path):
    record = ImitationRecord.create(tmp_path, ImitationSettings(CART, ("flow",)))
    own = record.policy_record("flow", 120, {"hyperparameters": {"generator": "flow"}})
    again = RunRecord.open(own.folder)
    assert again.environment == CART and again.settings.total_timesteps == 120
    with pytest.raises(ValueError, match="configuration of a run of imitate"):
        ImitationRecord.open(own.folder)


def test_policies_are_evaluated_on_other_goals_where_there_are_some():
    assert ImitationSettings(CART, ("flow",)).unseen == CART
    for options, expected in (
        ({"task": "reach"}, {"task": "reach", "goals": "test"}),
        ({"task": "reach", "goals": "train"}, {"task": "reach", "goals": "test"}),
        ({"task": "reach", "goals": "test"}, {"task": "reach", "goals": "test"}),
    ):
        settings = ImitationSettings(EnvironmentName("gymagine/MetaWorld-v3", options), ("flow",))
        assert settings.unseen.options == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generators": ()}, "at least one generator"),
        ({"episodes": 0}, "expected episodes of at least 1, got 0"),
        ({"num_updates": 0}, "expected num_updates of at least 1, got 0"),
        ({"max_steps": 0}, "expected max_steps of at least 1, got 0"),
        ({"seed": -1}, "seed of at least 0, got -1"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        ImitationSettings(**{"environment": CART, "generators": ("flow",), **changes})
