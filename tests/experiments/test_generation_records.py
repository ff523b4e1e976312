"""The folder of a generator's training: written, read back, found, refused."""

import json
import os

import pytest
import torch
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_records import GenerationRecord, GenerationSettings
from gymagine.generative.flows.nice import NICE
from torch.testing import assert_close

SETTINGS = GenerationSettings(
    family="nice",
    data="moons",
    seed=7,
    hyperparameters={"hidden_sizes": [16], "base": "logistic"},
    fit={"num_updates": 3, "max_grad_norm": None},
)


def test_a_record_is_read_as_it_was_written(tmp_path):
    made = GenerationRecord.create(tmp_path, SETTINGS)
    assert made.folder.parent == tmp_path / "moons" / "nice"
    assert made.folder.name.startswith("7-")
    read = GenerationRecord.open(made.folder)
    assert (read.folder, read.settings) == (made.folder, SETTINGS)
    config = json.loads((made.folder / "config.json").read_text())
    assert {"versions", "command", "git_commit", "started"} <= config.keys()


def test_the_status_is_running_until_another_is_set(tmp_path):
    record = GenerationRecord.create(tmp_path, SETTINGS)
    assert record.status == "running"
    record.set_status("failed", 12, "no luck")
    assert GenerationRecord.open(record.folder).status == "failed"
    written = json.loads((record.folder / "status.json").read_text())
    assert written == {"status": "failed", "num_updates": 12, "message": "no luck"}


def test_above_several_the_latest_is_meant(tmp_path):
    older, newer = (GenerationRecord.create(tmp_path, SETTINGS) for _ in range(2))
    assert older.folder != newer.folder
    for age, record in ((100, newer), (50, older)):  # by the file's time, not by its name
        config = record.folder / "config.json"
        when = config.stat().st_mtime - age
        os.utime(config, (when, when))
    assert GenerationRecord.open(tmp_path).folder == older.folder
    assert GenerationRecord.open(newer.folder).folder == newer.folder


def test_runs_of_agents_and_torn_files_are_passed_over(tmp_path):
    own = GenerationRecord.create(tmp_path, SETTINGS)
    for name, text in (
        ("agent", '{"format": "gymagine-run-1"}'),
        ("torn", '{"format'),
        ("x", "[]"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    assert GenerationRecord.open(tmp_path).folder == own.folder
    for name in ("agent", "torn", "x"):  # not where it is the very folder that is asked for
        with pytest.raises(ValueError, match=f"run, got .*{name}.*damaged or of another kind"):
            GenerationRecord.open(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="expected the run of a generator at"):
        GenerationRecord.open(tmp_path / "empty")


def test_a_configuration_that_lacks_something_says_what(tmp_path):
    record = GenerationRecord.create(tmp_path, SETTINGS)
    path = record.folder / "config.json"
    config = json.loads(path.read_text())
    del config["family"]
    path.write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"expected the configuration of a generator's run.*family"
    ):
        GenerationRecord.open(record.folder)


def test_data_and_generator_come_back(tmp_path):
    record = GenerationRecord.create(tmp_path, SETTINGS)
    with pytest.raises(FileNotFoundError):
        record.load_generator()
    flow = NICE((2,), hidden_sizes=(16,))
    flow.save(record.generator_file)
    data = record.load_data()
    assert_close(data.test.x, data_for("nice", "moons").test.x)
    with torch.no_grad():
        x = data.test.x[:5]
        assert_close(record.load_generator().log_prob(x), flow.eval().log_prob(x))


def test_forms_and_classes_are_those_of_the_settings(tmp_path):
    pytest.importorskip("sklearn")
    settings = GenerationSettings("vae", "digits", form="levels", conditional=True)
    data = GenerationRecord.create(tmp_path, settings).load_data()
    assert data.prepared(data.train.x[:2]).dtype == torch.int64
    assert data.train.context.shape[1] == 10
