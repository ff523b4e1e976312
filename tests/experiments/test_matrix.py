"""Cells are run once, kept whole, and gone on with; what cannot be is refused by what is made."""

import dataclasses
import json

import pytest
from gymagine.experiments.matrix import (
    Cell,
    CellResult,
    MatrixRole,
    cells_of,
    merge_results,
    read_results,
    run_matrix,
)


class Recipe:
    """Counts what it is asked for; vae cannot, and a gan fails as long as it is told to."""

    def __init__(self):
        self.asked, self.fails = [], True

    def make(self, entry, settings):
        if entry.name == "vae":
            raise TypeError("expected an exact density, got a VAE")

    def score(self, entry, seed, settings):
        self.asked.append((entry.name, seed))
        if entry.name == "gan" and self.fails:
            raise FloatingPointError("loss of nan")
        return {"points": settings["base"] + seed, "other": 7}

    def control(self, seed, settings):
        self.asked.append(("control", seed))
        return {"points": 0.5}

    def role(self, name="game", base=10):
        return MatrixRole(
            name,
            "Somewhere-v0",
            "points",
            "From {base} on.",
            {"base": base, "sizes": (2, 3)},
            self.make,
            self.score,
            {"chance": self.control},
        )


def test_every_cell_is_run_once_or_refused(tmp_path):
    recipe, told = Recipe(), []
    words = ("flow", "vae", "flow")
    found = run_matrix([recipe.role()], words, num_seeds=2, folder=tmp_path, tell=told.append)
    assert recipe.asked == [("control", 0), ("flow", 0), ("control", 1), ("flow", 1)]
    assert [dict(result.numbers) for result in found.of("game", "flow")] == [
        {"points": 10, "other": 7},
        {"points": 11, "other": 7},
    ]
    refused = found.of("game", "vae")
    assert [(result.status, result.message) for result in refused] == [
        ("cannot", "expected an exact density, got a VAE")
    ] * 2
    assert len(told) == 6 and "flow / seed 1: points 11, other 7" in told[-2]


def test_what_is_there_is_not_run_again_and_what_is_new_is(tmp_path):
    recipe = Recipe()
    run_matrix([recipe.role()], ["flow"], num_seeds=1, folder=tmp_path)
    recipe.asked.clear()
    run_matrix([recipe.role()], ["flow", "diffusion"], num_seeds=1, folder=tmp_path)
    assert recipe.asked == [("diffusion", 0)]
    recipe.asked.clear()
    run_matrix([recipe.role()], ["flow"], num_seeds=2, folder=tmp_path)
    assert recipe.asked == [("control", 1), ("flow", 1)]


def test_a_killed_run_goes_on(tmp_path):
    class Killed(BaseException):
        pass

    recipe = Recipe()

    def killed_at_the_second(line):
        if len(recipe.asked) == 2:
            raise Killed

    with pytest.raises(Killed):
        run_matrix([recipe.role()], ["flow", "diffusion"], num_seeds=1, folder=tmp_path,
                   tell=killed_at_the_second)  # fmt: skip
    assert len(read_results(tmp_path)) == 2
    run_matrix([recipe.role()], ["flow", "diffusion"], num_seeds=1, folder=tmp_path)
    assert sorted(recipe.asked) == [("control", 0), ("diffusion", 0), ("flow", 0)]


def test_other_settings_are_another_cell(tmp_path):
    recipe = Recipe()
    run_matrix([recipe.role()], ["flow"], num_seeds=1, folder=tmp_path)
    found = run_matrix([recipe.role(base=20)], ["flow"], num_seeds=1, folder=tmp_path)
    assert recipe.asked.count(("flow", 0)) == 2
    (result,) = found.of("game", "flow")
    assert result.numbers["points"] == 20


def test_failures_are_kept_with_their_error_and_tried_again(tmp_path):
    recipe = Recipe()
    found = run_matrix([recipe.role()], ["gan", "flow"], num_seeds=1, folder=tmp_path)
    (result,) = found.of("game", "gan")
    assert (result.status, result.message) == ("failed", "FloatingPointError: loss of nan")
    assert found.of("game", "flow")[0].status == "run"
    recipe.fails = False
    found = run_matrix([recipe.role()], ["gan"], num_seeds=1, folder=tmp_path)
    assert found.of("game", "gan")[0].status == "run"


def test_a_measure_that_is_not_measured_is_a_failure(tmp_path):
    role = dataclasses.replace(Recipe().role(), measure="pints")
    found = run_matrix([role], ["flow"], num_seeds=1, folder=tmp_path)
    assert "expected 'pints' among ['other', 'points']" in found.of("game", "flow")[0].message


def test_a_file_of_results_fills_another_folder(tmp_path):
    recipe = Recipe()
    first, second, stored = tmp_path / "first", tmp_path / "second", tmp_path / "matrix.json"
    run_matrix([recipe.role()], ["flow", "vae"], num_seeds=1, folder=first).write(stored)
    assert merge_results(tmp_path / "none.json", second) == 0
    assert merge_results(stored, second) == 3
    assert merge_results(stored, second) == 0
    assert read_results(first) == read_results(second)
    recipe.asked.clear()
    run_matrix([recipe.role()], ["flow", "vae"], num_seeds=1, folder=second)
    assert recipe.asked == []


def test_the_first_seed_of_everything_comes_first():
    roles = [Recipe().role("one"), Recipe().role("two")]
    cells = cells_of(roles, ["flow"], 2)
    assert [(cell.role, cell.contender, cell.seed) for cell in cells] == [
        (role, name, seed)
        for seed in (0, 1)
        for role in ("one", "two")
        for name in ("chance", "flow")
    ]
    assert len({cell.place for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("words", "seeds", "message"),
    [(["flaw"], 1, "did you mean flow"), (["flow"], 0, "expected at least 1 seed, got 0")],
)
def test_mistakes_are_named_before_anything_runs(words, seeds, message, tmp_path):
    recipe = Recipe()
    with pytest.raises(ValueError, match=message):
        run_matrix([recipe.role()], words, num_seeds=seeds, folder=tmp_path)
    assert recipe.asked == []


@pytest.mark.parametrize("text", ['{"cells": [{"role": "game"}]}', "[]", "{"])
def test_foreign_files_are_refused(text, tmp_path):
    path = tmp_path / "matrix.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="expected"):
        merge_results(path, tmp_path / "runs")


def test_results_survive_json():
    cell = Cell("game", "a control, with words", True, 3)
    result = CellResult(cell, "run", {"points": 1.5}, "", 2.0, {"base": 1})
    assert CellResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    with pytest.raises(ValueError, match=r"expected .*status"):
        CellResult.from_json({**result.to_json(), "status": "done"})
