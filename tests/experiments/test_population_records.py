"""A population's folder names its members' and says what is wrong with either."""

import json

import pytest
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.population_records import PopulationRecord
from gymagine.experiments.records import RunRecord, RunSettings, new_folder, new_run_folder


def settings(seed):
    return RunSettings("dqn", EnvironmentName("CartPole-v1"), seed=seed, total_timesteps=100)


@pytest.fixture
def population(tmp_path):
    folders = [new_run_folder(tmp_path, settings(seed)) for seed in range(3)]
    place = new_folder(folders[0].parent, "population-0-2")
    facts = {"hyperparameters": {}, "population": f"../{place.name}"}
    members = [
        RunRecord.create(folder, settings(seed), facts) for seed, folder in enumerate(folders)
    ]
    return PopulationRecord.create(place, members)


def test_it_can_be_read_back_from_any_side(population):
    assert PopulationRecord.open(population.folder) == population
    for member in population.members:
        assert PopulationRecord.of(RunRecord.open(member.folder)) == population
    assert PopulationRecord.is_at(population.folder)
    assert not PopulationRecord.is_at(population.members[0].folder)
    assert population.checkpoint == population.folder / "population.safetensors"


def test_paths_are_relative(population, monkeypatch):
    value = json.loads((population.folder / "population.json").read_text())
    assert all(place.startswith("../") for place in value["members"])
    monkeypatch.chdir(population.folder)
    member = RunRecord.open("../" + population.members[1].folder.name)
    assert PopulationRecord.of(member).members[1].settings.seed == 1


def test_a_run_on_its_own_has_none(tmp_path):
    record = RunRecord.create(new_run_folder(tmp_path, settings(7)), settings(7), {})
    assert PopulationRecord.of(record) is None


def test_it_has_finished_when_all_have(population):
    first, second, third = population.members
    assert population.status == "running"
    first.set_status("finished", 100, 1.0)
    second.set_status("finished", 100, 1.0)
    assert population.status == "running"
    third.set_status("failed", 90, 1.0, "no luck")
    assert population.status == "failed"
    third.set_status("finished", 100, 1.0)
    assert population.status == "finished"


def test_budgets_grow_together_or_not_at_all(population):
    longer = population.with_budget(200)
    assert PopulationRecord.open(population.folder) == longer
    assert {member.settings.total_timesteps for member in longer.members} == {200}
    longer.members[2].set_status("running", 180, 1.0)
    with pytest.raises(ValueError, match="expected a budget of at least the 180 steps"):
        longer.with_budget(150)
    assert PopulationRecord.open(population.folder) == longer
    longer.members[1].with_budget(300)  # and then the process was killed
    repaired = PopulationRecord.open(population.folder).with_one_budget()
    assert {member.settings.total_timesteps for member in repaired.members} == {300}


@pytest.mark.parametrize("content", ["[]", "{", '{"format": "other"}', '{"members": []}'])
def test_what_is_damaged_is_named(population, content):
    (population.folder / "population.json").write_text(content)
    with pytest.raises(ValueError, match=r"expected a population, got .*population\.json"):
        PopulationRecord.open(population.folder)


def test_what_is_missing_is_named(population, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no population\.json there"):
        PopulationRecord.open(tmp_path)
    (population.members[1].folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="expected a run at"):
        PopulationRecord.open(population.folder)
