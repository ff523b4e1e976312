import csv
import dataclasses
import json
import math

import pytest
from gymagine.experiments.plots import planned_plots
from gymagine.experiments.report import write_report
from gymagine.experiments.results import load_comparison


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def markdown_tables(text):
    """Each table of the text as a list of rows of cells."""
    tables, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            plain = line.replace("\\|", "\0").strip("|")
            rows.append([cell.strip().replace("\0", "|") for cell in plain.split("|")])
        elif rows:
            tables.append(rows)
            rows = []
    return tables


def test_results_give_back_the_comparison(mixed_comparison, tmp_path):
    paths = write_report(mixed_comparison, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        "results.json",
        "results.csv",
        "runs.csv",
        "report.md",
    ]
    assert load_comparison(tmp_path / "new" / "folder") == mixed_comparison
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(
        path.name for path in paths
    )


def test_json_holds_the_summaries_and_no_nan(mixed_comparison, tmp_path):
    def refuse(constant):
        raise AssertionError(constant)

    write_report(mixed_comparison, tmp_path)
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    value = json.loads(text, parse_constant=refuse)
    sarsa = [row for row in value["summaries"] if row["agent"] == "sarsa"]
    assert sarsa[0]["mean"] == {
        "estimate": 0.25,
        "low": None,
        "high": None,
        "confidence": 0.95,
    }
    assert value["aggregate"]["left_out"] == {"sarsa": ["Cliff-v1"]}


def test_csv_has_a_line_per_environment_and_agent_and_no_nan(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    rows = read_csv(tmp_path / "results.csv")
    assert len(rows) == 6
    assert "nan" not in (tmp_path / "results.csv").read_text(encoding="utf-8").lower()
    learner = next(row for row in rows if row["agent"] == "q-learning")
    assert float(learner["mean"]) == pytest.approx(0.75)
    # Student's t with 2 degrees of freedom is 4.302653; the deviation is 0.05
    half_width = 4.302653 * 0.05 / math.sqrt(3)
    assert float(learner["mean_low"]) == pytest.approx(0.75 - half_width, abs=1e-6)
    assert float(learner["gap"]) == pytest.approx(0.25)
    assert float(learner["p_value"]) == pytest.approx(0.1)
    assert float(learner["steps_to_threshold"]) == 500
    failed = rows[-1]
    assert (failed["agent"], failed["seeds"], failed["failed"]) == ("sarsa", "0", "3")
    assert failed["mean"] == failed["mean_low"] == failed["p_value"] == ""


def test_csv_of_runs(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    rows = read_csv(tmp_path / "runs.csv")
    assert len(rows) == len(mixed_comparison.runs)
    for row, run in zip(rows, mixed_comparison.runs, strict=True):
        assert (row["environment"], row["agent"], int(row["seed"]), row["status"]) == (
            run.environment,
            run.agent,
            run.seed,
            run.status,
        )
        final = "" if run.final_return is None else repr(run.final_return)
        assert row["final_return"] == final


def test_markdown_tables_are_rectangular_and_hold_the_figures(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    tables = markdown_tables(text)
    assert len(tables) == 5  # protocol, two environments, over environments, versions
    for rows in tables:
        assert {len(row) for row in rows} == {len(rows[0])}
    lake = {row[0]: row for row in tables[1]}
    assert lake["`q-learning`"][1:6] == [
        "3",
        "0.750 [0.626, 0.874]",
        "0.750",
        "0.250",
        "500 (2/3)",
    ]
    assert lake["**`planner`**"][-1] == "best"
    assert lake["`sarsa`"][1] == "1/3"
    assert "nan" not in text.lower()


def test_markdown_tells_the_protocol(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for part in (
        "# Comparison of 3 agents on 2 environments",
        "undiscounted return, at most 100 steps",
        "| training budget, environment steps | 1,000 |",
        "| seeds | 0, 1, 2 |",
        "exactly, through the model",
        "With 3 seeds each it cannot be below 0.1 before the adjustment",
        "| `gymagine` | 0.1.0 |",
        '"step_size": 0.1',
        "`sarsa` is not ranked here: it has no finished run on `Cliff-v1`",
    ):
        assert part in text


def test_markdown_shows_whole_errors(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "`sarsa` on `Lake-v1`, seed 1: failed" in text
    assert "    Traceback\n      x | y\n    KeyError: 'a'" in text


def test_markdown_links_the_pictures_that_are_drawn(mixed_comparison, tmp_path):
    write_report(mixed_comparison, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    plots = planned_plots(mixed_comparison)
    assert len(plots) == 5
    assert text.count("![") == len(plots)
    for plot in plots:
        assert f"]({plot.stem}.png)" in text


def test_evaluation_by_episodes_and_budgets_by_environment(make_run, make_comparison, tmp_path):
    runs = [
        make_run("Lake-v1", "q-learning"),
        make_run("Pole-v1", "q-learning", exact=False, final_episodes=100),
        make_run("Pole-v1", "sb3:dqn", exact=False, final_episodes=100),
    ]
    write_report(make_comparison(runs, budget={"Lake-v1": 1000, "Pole-v1": 5000}), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "1,000 on `Lake-v1`, 5,000 on `Pole-v1`" in text
    assert "exactly, through the model; by 100 episodes per run (`q-learning`, `sb3:dqn`)" in text


@pytest.mark.parametrize("final", [0.5, None])
def test_one_run_without_references(make_run, make_comparison, tmp_path, final):
    comparison = make_comparison(
        [make_run(agent="a|b", final=final)], optimum=None, control=None, settings={}, versions={}
    )
    write_report(comparison, tmp_path)
    assert load_comparison(tmp_path) == comparison
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "1 agent on" in text and "`a\\|b`" in text
    assert ("## Runs that did not finish" in text) == (final is None)
    assert read_csv(tmp_path / "results.csv")[0]["gap"] == ""


def test_equal_comparisons_give_equal_bytes(mixed_comparison, tmp_path):
    first = write_report(mixed_comparison, tmp_path / "a")
    second = write_report(dataclasses.replace(mixed_comparison), tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_that_cannot_be_written_is_an_os_error(mixed_comparison, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        write_report(mixed_comparison, tmp_path / "file")
