import io

import numpy as np
import pytest
from gymagine.experiments.summary import summarise
from gymagine.experiments.tables import comparison_rows, comparison_table, decimals_for, failures
from rich.console import Console


def printed(table, width=120, colour=False):
    stream = io.StringIO()
    Console(
        file=stream,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
    ).print(table)
    return stream.getvalue()


def line_of(text, name):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(name)]
    return line.split()


@pytest.fixture
def frozen_lake(make_run, make_comparison):
    curve = {"curve_steps": [0, 500, 1000], "curve_returns": [0.0, 0.7, 0.72]}
    runs = [
        make_run("FrozenLake-v1", "q-learning", seed, final, wall_seconds=12.3, **curve)
        for seed, final in enumerate([0.70, 0.72, 0.73, 0.71, 0.74])
    ]
    runs += [make_run("FrozenLake-v1", "planner", s, 0.7402, wall_seconds=0.02) for s in range(5)]
    return make_comparison(runs, optimum=0.7441902878, control=0.0139397960)


def test_every_figure_of_a_row(frozen_lake):
    text = printed(comparison_table(frozen_lake, width=120))
    # mean 0.72, Student's half width 2.776445 * sqrt(0.00025 / 5) = 0.019632
    assert line_of(text, "q-learning") == [
        "q-learning", "5", "0.7200", "[0.7004,", "0.7396]", "0.7200", "0.0242", "500", "12.3",
        "0.008",
    ]  # fmt: skip
    assert line_of(text, "planner")[-2:] == ["0.02", "best"]
    assert line_of(text, "exact optimum") == ["exact", "optimum", "0.7442", "0.0000"]
    assert line_of(text, "random policy") == ["random", "policy", "0.0139", "0.7303"]
    assert "FrozenLake-v1: undiscounted return, at most 100 steps; 1,000 steps, 5 seeds" in text


def test_one_run_that_stands_for_all_seeds_is_not_shown_as_many(make_run, make_comparison):
    runs = [make_run(agent="planner", seed=seed, final=0.9, record="one") for seed in range(5)]
    runs += [make_run(agent="learner", seed=seed, final=0.5) for seed in range(5)]
    text = printed(comparison_table(make_comparison(runs)))
    row = ["planner", "1", "run", "0.900", "0.900", "0.100", "2.0", "best"]
    assert line_of(text, "planner") == row
    # equal results of five runs are five results
    assert line_of(text, "learner")[1:5] == ["5", "0.500", "[0.500,", "0.500]"]
    assert "1 run: a planner has no randomness" in text


def test_rows_are_sorted_with_the_random_policy_where_it_belongs(make_run, make_comparison):
    finals = {"poor": -1.0, "good": 0.5, "best": 0.9, "broken": None}
    runs = [make_run(agent=agent, final=final) for agent, final in finals.items()]
    comparison = make_comparison(runs)
    rows = comparison_rows(
        comparison, "Lake-v1", summarise(comparison, rng=np.random.default_rng(0))
    )
    names = [row.cells[0] for row in rows]
    assert names == ["exact optimum", "best", "good", "random policy", "poor", "broken"]
    kinds = [row.kind for row in rows]
    assert kinds == ["optimum", "best", "agent", "control", "agent", "failed"]


def test_failed_runs_are_red_with_the_reason_below(mixed_comparison):
    text = printed(
        comparison_table(mixed_comparison, environment="Lake-v1", width=120), colour=True
    )
    row = next(line for line in text.splitlines() if "sarsa" in line)
    assert "\x1b[31m" in row
    assert "1/3" in row and "no interval" in row
    plain = printed(comparison_table(mixed_comparison, environment="Lake-v1", width=120))
    assert "sarsa, seed 1: failed: KeyError: 'a'" in plain
    assert "sarsa, seed 2: interrupted: stopped from outside" in plain
    assert "Cliff-v1" not in plain


def test_all_environments_are_sections_of_one_table(mixed_comparison):
    text = printed(comparison_table(mixed_comparison, width=120))
    lines = [line.strip() for line in text.splitlines()]
    assert lines.index("Lake-v1") < lines.index("Cliff-v1")
    assert sum(line.startswith("q-learning") for line in lines) == 2
    assert "sarsa on Cliff-v1, seeds 0, 1, 2: failed: ValueError: no luck" in lines


def test_steps_say_how_many_seeds_arrived(mixed_comparison):
    text = printed(comparison_table(mixed_comparison, environment="Lake-v1", width=120))
    assert "500 (2/3)" in text


def test_one_seed_and_no_references(make_run, make_comparison):
    comparison = make_comparison([make_run(final=0.5)], optimum=None, control=None)
    text = printed(comparison_table(comparison, width=120))
    assert line_of(text, "q-learning")[:5] == ["q-learning", "1", "0.5000", "[no", "interval]"]
    assert "exact optimum" not in text and "random policy" not in text
    assert "nan" not in text.lower() and "1 seed" in text


def test_nothing_finished(make_run, make_comparison):
    text = printed(comparison_table(make_comparison([make_run(final=None)]), width=120))
    assert "failed" in line_of(text, "q-learning  ")
    assert "ValueError: no luck" in text


def test_usual_names_fit_eighty_characters(frozen_lake):
    lines = printed(comparison_table(frozen_lake, width=80), width=80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    # nothing is cut; a cell breaks before its interval at most
    for part in ("q-learning", "[0.7004, 0.7396]", "0.0242", "12.3", "0.008"):
        assert part in text
    assert "…" not in text


def test_names_in_brackets_are_no_markup(make_run, make_comparison):
    comparison = make_comparison(
        [make_run("Lake[red]-v1", "[bold]agent", final=None, error="[/] closes nothing")]
    )
    text = printed(comparison_table(comparison, width=120))
    assert "[bold]agent" in text and "Lake[red]-v1" in text and "[/] closes nothing" in text


def test_unknown_environment_is_refused(frozen_lake):
    with pytest.raises(ValueError, match="expected one of FrozenLake-v1, got Lake"):
        comparison_table(frozen_lake, environment="Lake")


def test_equal_failures_are_told_once(mixed_comparison):
    told = {(f.environment, f.agent, f.seeds, f.status) for f in failures(mixed_comparison)}
    assert told == {
        ("Lake-v1", "sarsa", (1,), "failed"),
        ("Lake-v1", "sarsa", (2,), "interrupted"),
        ("Cliff-v1", "sarsa", (0, 1, 2), "failed"),
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0139, 500.0], 5), ([-13.0], 2), ([-56000.0], 0), ([0.0, 0.5], 4), ([0.0], 3), ([], 3)],
)
def test_decimals(values, expected):
    assert decimals_for(values) == expected
