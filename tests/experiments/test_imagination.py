import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from gymagine.agents.imagination.dream_training import DreamSettings
from gymagine.experiments.command_line import main
from gymagine.experiments.imagination import draw_pictures, imagine
from gymagine.experiments.imagination_plots import draw_errors
from gymagine.experiments.imagination_records import ImaginationRecord, ImaginationSettings
from gymagine.experiments.imagination_results import (
    ImaginationResults,
    ImaginationRun,
    results_tables,
)
from gymagine.generative.open_loop import OpenLoopErrors
from rich.console import Console

torch.set_num_threads(1)

QUICK = ImaginationSettings(
    "CartPole-v1",
    generator="gaussian",
    agent="dqn",
    num_seeds=1,
    dream=DreamSettings(real_steps=200, dream_steps=300, num_envs=4, horizon=30),
    num_updates=30,
    head_updates=30,
    episodes=2,
)
ERRORS = OpenLoopErrors((1, 10), (0.01, 0.1), (0.2, 0.9), (0.02, 0.3), 50)


def run_of(condition, seed, real, **more):
    known = {"real_steps": 10, "imagined_steps": 0, "seconds": 1.0, **more}
    return ImaginationRun(condition, seed, real, (real, real), **known)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    record, results = imagine(QUICK, folder=tmp_path_factory.mktemp("runs"))
    draw_pictures(record, results)
    return record, results


@pytest.mark.slow
def test_a_folder_holds_all_conditions(finished):
    record, results = finished
    assert {run.condition for run in results.runs} == {
        "dream",
        "untrained",
        "real-few",
        "real-many",
        "random",
    }
    assert json.loads((record.folder / "results.json").read_text())["title"].startswith("CartPole")
    dream = record.folder / "dream-0"
    for name in ("result.json", "agent.safetensors", "world_model.safetensors"):
        assert (dream / name).is_file()
    assert list(dream.glob("events*"))
    assert (record.folder / "open_loop.png").read_bytes()[:4] == b"\x89PNG"
    assert (record.folder / "beside.gif").read_bytes()[:3] == b"GIF"
    (own,) = results.of("dream")
    assert own.real_steps == 200 and own.imagined_steps == 300
    assert own.model_error is not None and own.open_loop is not None
    (many,) = results.of("real-many")
    assert (many.real_steps, many.imagined_steps, many.imagined_return) == (300, 0, None)
    (untrained,) = results.of("untrained")
    assert untrained.model_error is None and untrained.imagined_return is not None


@pytest.mark.slow
def test_what_is_there_is_not_done_again(finished):
    record, results = finished
    before = {path: path.stat().st_mtime_ns for path in record.folder.glob("*/result.json")}
    (record.place("random", 0) / "result.json").unlink()
    again = ImaginationRecord.open(record.folder)
    assert again.settings == dataclasses.replace(QUICK, hyperparameters={})
    _, found = imagine(again)
    after = {path: path.stat().st_mtime_ns for path in record.folder.glob("*/result.json")}
    changed = {path.parent.name for path, moment in after.items() if before[path] != moment}
    assert changed == {"random-0"}
    key = lambda run: (run.condition, run.real_returns)  # noqa: E731
    assert sorted(map(key, found.runs)) == sorted(map(key, results.runs))


def test_the_table_tells_conditions_with_intervals():
    runs = [run_of("dream", seed, value, imagined_return=9.0) for seed, value in enumerate((1, 3))]
    runs += [run_of("random", 0, 0.5, real_steps=0), run_of("real-few", 0, 2.0)]
    runs[0] = dataclasses.replace(runs[0], open_loop=ERRORS, share_clipped=0.02)
    results = ImaginationResults("Somewhere", tuple(runs))
    interval = results.real("dream")
    # Student's t with one degree of freedom: 12.706 s / sqrt 2, and s = sqrt 2
    assert (interval.estimate, interval.high) == (2.0, pytest.approx(2 + 12.706, abs=1e-3))
    console = Console(file=io.StringIO(), width=100)
    console.print(results_tables(results))
    shown = console.file.getvalue()
    for words in (
        "in the dream",
        "awake, 10 steps",
        "random",
        "2.00 [-10.71, 14.71]",
        "0.010",
        "2.00%",
    ):
        assert words in shown, words
    assert "untrained" not in shown
    assert results.real("untrained") is None and results.imagined("random") is None


def test_results_come_back_from_json():
    run = run_of("dream", 3, 1.5, open_loop=ERRORS, imagined_return=2.0, share_clipped=0.0)
    assert ImaginationRun.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_errors_are_drawn():
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(draw_errors("A title", ERRORS))).convert("RGB"))
    blue = np.array([0x00, 0x72, 0xB2])
    assert (np.abs(picture.astype(int) - blue).sum(axis=2) < 30).sum() > 100


@pytest.mark.parametrize("model", [(0.0, 0.0), (0.0, 0.1), (0.1, np.inf)])
@pytest.mark.parametrize("controls", [(0.0, 0.0), (0.1, 0.2)])
def test_errors_of_nothing_and_without_end_are_drawn(model, controls):
    errors = OpenLoopErrors((1, 10), model, controls, controls, 50)
    assert draw_errors("A title", errors)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CartPole-v1", "--generator", "difusion"], "did you mean diffusion"),
        (["CartPole-v1", "--agent", "dqm"], "did you mean dqn"),
        (["CartPole-v7"], "CartPole"),
        (["Pendulum-v1", "--agent", "dqn"], "dqn|DQN|action"),
        (["CartPole-v1", "--generator", "gated-pixelcnn"], "GatedPixelCNN|pictures|vector"),
        (["CartPole-v1", "--real-steps", "19"], "real_steps"),
        (["CartPole-v1", "--seeds", "0"], "num_seeds"),
        (["CartPole-v1", "--set", "discount"], "NAME=VALUE"),
        (["--resume", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_a_line(words, message, capsys, tmp_path, without_shape_checks):
    import re

    code = main(["imagine", *words, *([] if "--resume" in words else ["--folder", str(tmp_path)])])
    told = capsys.readouterr().err
    assert code == 2
    assert re.search(message, told), told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())
