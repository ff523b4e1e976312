import dataclasses
import json
import math

import pytest
from gymagine.experiments.results import Comparison, RunResult, load_comparison
from gymagine.storage import write_json, write_text


def test_json_gives_back_an_equal_comparison(mixed_comparison):
    text = json.dumps(mixed_comparison.to_json(), allow_nan=False)
    assert Comparison.from_json(json.loads(text)) == mixed_comparison


def test_json_of_whole_numbers_and_further_keys(make_run):
    run = make_run(final=1.0, curve_steps=[1], curve_returns=[2.0])
    value = {**run.to_json(), "final_return": 1, "curve_returns": [2], "later": "unknown"}
    assert RunResult.from_json(value) == run


def test_a_comparison_is_loaded_from_its_folder_or_file(mixed_comparison, tmp_path):
    path = write_json(tmp_path / "results.json", mixed_comparison.to_json())
    assert load_comparison(tmp_path) == load_comparison(path) == mixed_comparison


def test_foreign_damaged_and_missing_files_are_told_apart(mixed_comparison, tmp_path):
    with pytest.raises(FileNotFoundError, match="found none"):
        load_comparison(tmp_path)
    whole = json.dumps(mixed_comparison.to_json())
    foreign = ["", whole[: len(whole) // 2], "[1, 2]", '{"format": "gymagine-mdp-1"}']
    without_runs = {k: v for k, v in mixed_comparison.to_json().items() if k != "runs"}
    for text in [*foreign, json.dumps(without_runs)]:
        write_text(tmp_path / "results.json", text)
        with pytest.raises(ValueError, match="damaged or of another kind"):
            load_comparison(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "ended"}, "expected status finished or failed or interrupted, got 'ended'"),
        ({"status": "failed"}, "expected the error"),
        ({"final": math.nan}, "finite final return, got nan"),
        ({"final": None, "status": "finished"}, "final return of a finished run"),
        ({"curve_steps": [1, 2], "curve_returns": [0.0]}, "1 returns and 2 steps"),
        ({"curve_steps": [2, 2], "curve_returns": [0.0, 0.0]}, "strictly increasing"),
        ({"curve_steps": [2], "curve_returns": [math.inf]}, "finite returns along"),
    ],
)
def test_impossible_runs_are_refused_by_name(make_run, changes, message):
    with pytest.raises(ValueError, match=f"q-learning on Lake-v1, seed 3: .*{message}"):
        make_run(seed=3, **changes)


def test_impossible_comparisons_are_refused(make_run, make_comparison):
    with pytest.raises(ValueError, match="at least one run"):
        make_comparison([])
    with pytest.raises(ValueError, match="got 2 of q-learning on Lake-v1, seed 0"):
        make_comparison([make_run(), make_run(final=0.7)])
    with pytest.raises(ValueError, match="budget for Lake-v1"):
        make_comparison([make_run()], budget={"Cliff-v1": 5})
    with pytest.raises(ValueError, match="finite optimum of Lake-v1 or None, got inf"):
        make_comparison([make_run()], optimum=math.inf)


def test_runs_are_found_in_order(mixed_comparison):
    assert mixed_comparison.environments == ["Lake-v1", "Cliff-v1"]
    assert mixed_comparison.agents == ["planner", "q-learning", "sarsa"]
    assert mixed_comparison.scores("Lake-v1", "q-learning") == pytest.approx([0.7, 0.75, 0.8])
    assert mixed_comparison.scores("Lake-v1", "sarsa").tolist() == [0.25]
    assert mixed_comparison.scores("Cliff-v1", "sarsa").size == 0
    statuses = [run.status for run in mixed_comparison.runs_of("Lake-v1", "sarsa")]
    assert statuses == ["finished", "failed", "interrupted"]


def test_budgets_and_scales(make_run, make_comparison):
    comparison = make_comparison([make_run()], budget={"Lake-v1": 7}, optimum=3.0, control=-1.0)
    assert comparison.budget_of("Lake-v1") == 7
    assert comparison.scale_of("Lake-v1") == (-1.0, 3.0)
    assert dataclasses.replace(comparison, budget=9).budget_of("Lake-v1") == 9


@pytest.mark.parametrize(("optimum", "control"), [(None, 0.0), (1.0, None), (1.0, 1.0)])
def test_no_scale_without_two_different_references(make_run, make_comparison, optimum, control):
    comparison = make_comparison([make_run()], optimum=optimum, control=control)
    assert comparison.scale_of("Lake-v1") is None
    assert comparison.scale_of("unknown") is None
