"""Scores as tables and files."""

import json

import pytest
from gymagine.experiments.imitation_results import (
    ImitationResults,
    PolicyScore,
    results_markdown,
    results_table,
)
from gymagine.generative.data.collecting import collect
from rich.console import Console


@pytest.fixture(scope="module")
def played():
    return collect("CartPole-v1", None, 6, seed=0, success=lambda one: len(one) > 15)


def results(played, *, knows=True):
    data = played if knows else collect("CartPole-v1", None, 6, seed=0)
    learnt = {"milliseconds": 1.25, "train_seconds": 3.0, "num_parameters": 9, "error": 0.5}
    scores = (
        PolicyScore.of("diffusion", "generator", data, **learnt, linear_error=0.7),
        PolicyScore.of("random", "random", data),
        PolicyScore.of("gaussian-mixture", "generator", data, **learnt),
    )
    return ImitationResults(scores, ("how it was done",), ("what is not beaten",))


def test_scores_are_those_of_the_episodes(played):
    score = results(played).score("diffusion")
    assert score.mean_return.estimate == pytest.approx(played.returns.mean())
    assert score.mean_length == pytest.approx(played.lengths.mean())
    # Wilson (1927): of k successes in n, centre (k + z^2/2) / (n + z^2)
    successes, z = int(played.success.sum()), 1.959964
    centre = (successes + z**2 / 2) / (6 + z**2)
    assert (score.success.low + score.success.high) / 2 == pytest.approx(centre, abs=1e-6)
    assert score.success.estimate == successes / 6


@pytest.mark.parametrize("knows", [True, False])
def test_files_hold_what_was_measured(knows, played, tmp_path):
    mine = results(played, knows=knows)
    mine.write(tmp_path / "results.json")
    assert ImitationResults.read(tmp_path / "results.json") == mine
    assert json.loads((tmp_path / "results.json").read_text())["protocol"] == ["how it was done"]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="expected results of imitation, got"):
        ImitationResults.read(tmp_path / "other.json")


def test_tables_fit_a_terminal_and_speak_of_success_only_where_it_is_known(played):
    for knows in (True, False):
        console = Console(width=80, file=None, record=True, quiet=False)
        with console.capture() as captured:
            console.print(results_table(results(played, knows=knows)))
        text = captured.get()
        assert "…" not in text and ("success" in text) == knows
        told = results_markdown(results(played, knows=knows), "Title")
        assert told.startswith("# Title") and "| random |" in told
        assert "- how it was done" in told and "- what is not beaten" in told
