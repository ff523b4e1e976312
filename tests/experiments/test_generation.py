"""Generators by name: records that go on, pictures, and one line for every mistake."""

import dataclasses

import numpy as np
import pytest
import torch
from gymagine.experiments.command_line import main
from gymagine.experiments.generation import generate, resume_generation
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_pictures import picture_grid
from gymagine.experiments.generation_records import GenerationRecord
from gymagine.experiments.generation_results import GenerationResults, Measuring
from gymagine.experiments.generator_catalogue import GENERATORS, generator_class
from gymagine.experiments.scalars import read_rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

torch.set_num_threads(1)
LITTLE = Measuring(num_events=50, num_samples=60)
FEW = {
    "num_updates": 6,
    "batch_size": 32,
    "log_interval": 2,
    "evaluation_interval": 3,
    "measuring": None,
}


@pytest.mark.parametrize("name", GENERATORS)
def test_names(name, capsys):
    config = generator_class(name).Config
    assert generator_class(name).name == name
    assert main(["generate", name, "--help"]) == 0
    said = capsys.readouterr().out
    for field in dataclasses.fields(config):
        assert f"--{field.name.replace('_', '-')}" in said or f"--no-{field.name}" in said


def test_a_record(tmp_path):
    result = generate("real-nvp", "moons", folder=tmp_path, **FEW)
    folder = result.record.folder
    assert folder.parent == tmp_path / "moons" / "real-nvp"
    assert {path.name for path in folder.glob("*.png")} == {
        "samples.png",
        "reconstructions.png",
        "interpolations.png",
    }
    record = GenerationRecord.open(tmp_path)
    assert record.folder == folder
    assert record.status == "finished"
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert "train/loss" in rows[0]
    assert len(rows) > 3
    loaded = record.load_generator()
    x = record.load_data().test.x
    torch.testing.assert_close(loaded.log_prob(x), result.generator.log_prob(x))


@pytest.mark.slow
def test_seeds(tmp_path):
    found = [
        generate("nice", "moons", seed=seed, folder=tmp_path / folder, **FEW).generator
        for seed, folder in ((0, "a"), (0, "b"), (1, "a"))
    ]
    first, again, other = (
        np.concatenate([p.detach().ravel() for p in g.parameters()]) for g in found
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


class StoppedError(Exception):
    pass


def test_going_on_leaves_the_same_bytes(tmp_path, monkeypatch):
    settings = FEW | {"checkpoint_interval": 2}
    whole = generate("nice", "moons", folder=tmp_path / "whole", **settings).record
    from gymagine.experiments import generation_watching

    def stop(self, update, scalars):
        if update >= 5:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(generation_watching.GenerationWatcher, "logged", stop)
        with pytest.raises(StoppedError):
            generate("nice", "moons", folder=tmp_path / "cut", **settings | {"log_interval": 5})
    cut = GenerationRecord.open(tmp_path / "cut")
    assert cut.status == "running"
    resume_generation(cut, measuring=None, checkpoint_interval=2)
    assert cut.status == "finished"
    assert cut.generator_file.read_bytes() == whole.generator_file.read_bytes()


def test_a_run_ends_with_what_it_is_worth(tmp_path):
    result = generate("nice", "moons", folder=tmp_path, **FEW | {"measuring": LITTLE})
    found = result.results
    assert [row.name for row in found.likelihoods] == [
        "nice",
        "the data's own law",
        "independent",
        "full-gaussian",
    ]
    assert (found.family, found.num_updates) == ("nice", 6)
    assert GenerationResults.read(result.record.results_file) == found
    rows = read_rows(result.record.folder / "metrics.csv")
    assert rows[-1]["results/nats"] == found.own_likelihood.nats
    events = EventAccumulator(str(result.record.folder)).Reload()
    assert {"results/nats", "results/precision"} <= set(events.Tags()["scalars"])
    start = HParamsPluginData.FromString(
        events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    ).session_start_info
    assert start.hparams["family"].string_value == "nice"
    assert start.hparams["batch_size"].number_value == 32


def test_a_run_that_is_killed_while_measuring_measures_when_it_goes_on(tmp_path, monkeypatch):
    from gymagine.experiments import generation

    settings = FEW | {"measuring": LITTLE}
    whole = generate("nice", "moons", folder=tmp_path / "whole", **settings)

    def stop(*arguments, **options):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(generation, "measure", stop)
        with pytest.raises(StoppedError):
            generate("nice", "moons", folder=tmp_path / "cut", **settings)
    cut = GenerationRecord.open(tmp_path / "cut")
    assert cut.status == "running"
    assert not cut.results_file.exists()
    result = resume_generation(cut, measuring=LITTLE)
    assert cut.status == "finished"
    assert result.results.likelihoods == whole.results.likelihoods
    assert result.results.samples == whole.results.samples
    monkeypatch.setattr(generation, "measure", stop)  # what is there is not measured again
    assert resume_generation(cut).results == result.results


def test_a_folder_without_another_above_it_in_its_name_is_measured(tmp_path, monkeypatch):
    made = generate("nice", "moons", folder=tmp_path / "runs", **FEW).record.folder
    made.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert resume_generation(GenerationRecord.open("moved"), measuring=LITTLE).results.samples


def test_ctrl_c_while_measuring_is_an_interruption(tmp_path, monkeypatch):
    from gymagine.experiments import generation

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(generation, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        generate("nice", "moons", folder=tmp_path, **FEW | {"measuring": LITTLE})
    record = GenerationRecord.open(tmp_path)
    assert record.status == "interrupted"
    assert record.load_generator().event_shape == (2,)


@pytest.mark.parametrize(
    ("family", "shape", "kind"),
    [
        ("made", (64,), torch.float32),
        ("gated-pixelcnn", (1, 8, 8), torch.float32),
        ("transformer", (1, 8, 8), torch.int64),
        ("maf", (64,), torch.float32),
        ("ddpm", (1, 8, 8), torch.float32),
    ],
)
def test_data_suit_the_family(family, shape, kind):
    pytest.importorskip("sklearn")
    data = data_for(family, "digits", conditional=True)
    x = data.prepared(data.train.x[:5])
    assert (tuple(x.shape[1:]), x.dtype) == (shape, kind)
    assert data.train.context.shape[1:] == (10,)


@pytest.mark.parametrize(
    ("family", "form", "support"),
    [
        ("vae", "thresholded", "Boolean"),
        ("vae", "levels", "IntegerInterval"),
        ("vae", "centred", "Real"),
        ("made", "redrawn", "Boolean"),
        ("made", "dequantised", "Real"),
        ("transformer", "levels", "IntegerInterval"),
    ],
)
def test_likelihoods_suit_the_form(family, form, support, tmp_path):
    pytest.importorskip("sklearn")
    found = generate(
        family,
        "digits",
        form=form,
        folder=tmp_path,
        measuring=None,
        num_updates=1,
        batch_size=2,
    )
    assert str(found.generator.support).startswith(support)
    with pytest.raises(ValueError, match="expected a likelihood of events in Boolean"):
        generate(
            "vae",
            "digits",
            form="thresholded",
            hyperparameters={"decoder": "gaussian"},
            folder=tmp_path,
        )


def test_a_familys_own_settings_of_training(tmp_path, capsys):
    """They are what the command shows and takes; those given count, the usual ones too."""
    own = generator_class("wgan-gp").fit_defaults
    assert main(["generate", "wgan-gp", "--help"]) == 0
    said = capsys.readouterr().out
    assert f"(default: {own['learning_rate']})" in said
    words = ["--num-updates", "1", "--beta-1", "0.9", "--no-measure", "--no-progress-bar"]
    assert main(["generate", "wgan-gp", "moons", "--folder", str(tmp_path), *words]) == 0
    settings = GenerationRecord.open(tmp_path).settings.fit
    assert (settings["num_updates"], settings["beta_1"]) == (1, 0.9)
    assert settings["learning_rate"] == own["learning_rate"]
    assert settings["beta_2"] == own["beta_2"]


def test_grids():
    pictures = torch.zeros(3, 1, 2, 2)
    pictures[1] = 1.0
    grid = picture_grid(pictures, num_columns=2)
    side = grid.shape[0] // 7  # two pictures of 2 and three lines
    small = grid[side // 2 :: side, side // 2 :: side, 0]
    assert small.shape == (7, 7)
    assert small[1:3, 1:3].max() == 0
    assert small[1:3, 4:6].min() == 255
    assert set(small[:, 0].tolist()) == {128}
    assert set(small[4:6, 4:6].ravel().tolist()) == {128}  # there is no fourth


def test_commands(tmp_path, capsys):
    words = ["generate", "nice", "moons", "--num-updates", "4", "--folder", str(tmp_path)]
    assert main([*words, "--no-progress-bar"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("nice on moons, 4 updates in ")
    assert [line.split("  ")[0] for line in said if line.startswith(("nice  ", "full"))] == [
        "full-gaussian",
        "nice",
        "full-gaussian",
        "nice",
    ]
    assert (
        main(["sample", said[1], "--temperature", "0.5", "--output", str(tmp_path / "x.png")]) == 0
    )
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert main(["sample", said[1], "--kind", "interpolations"]) == 0
    assert main(["generate", "--resume", said[1], "--no-progress-bar", "--no-measure"]) == 0
    capsys.readouterr()
    assert main(["list", "generators"]) == 0
    assert "spline-flow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate"], "expected the name of a family"),
        (["generate", "nise", "moons"], "unknown generator 'nise'; did you mean nice?"),
        (["generate", "nice", "moon"], "did you mean moons?"),
        (["generate", "nice", "moons", "--form", "levels"], "expected no form, of which moons"),
        (["generate", "nice", "moons", "--classes"], "expected data with classes"),
        (["generate", "nice", "moons", "--num-updates", "0"], "expected num_updates"),
        (["generate", "nice", "digits", "--form", "levels"], "expected a form that nice takes"),
        (["generate", "nice", "moons", "--seed", "-1"], "expected a seed of at least 0, got -1"),
        (["generate", "nice", "moons", "--checkpoint-every", "0"], "1 update between checkpoints"),
        (["generate", "nice", "moons", "--device", "cuda:99"], "expected a device that is there"),
        (["generate", "gan", "moons", "--patience", "3"], "expected no patience for a GAN"),
        (["sample", "nowhere"], "expected the run of a generator at nowhere, found none"),
    ],
)
def test_mistakes(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("config.json"))
