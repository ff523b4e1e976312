"""A comparison takes the place of those that it contains, and of no others."""

import json
import shutil
from dataclasses import replace

import pytest
from gymagine.experiments.comparison import compare
from gymagine.experiments.earlier_reports import set_earlier_report_aside
from gymagine.experiments.results import load_comparison


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparisons")
    few = {"total_timesteps": 400, "evaluations": 2, "jobs": 1}
    compare("FrozenLake-v1", ["q-learning", "sarsa"], seeds=2, folder=folder, **few)
    return folder / "FrozenLake-v1"


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written, tmp_path / "lake")
    (tmp_path / "lake" / "notes.txt").write_text("mine")
    return tmp_path / "lake"


def with_run_of(comparison, **change):
    return replace(comparison, runs=[*comparison.runs, replace(comparison.runs[0], **change)])


def of_other_hyperparameters(comparison):
    agents = {**comparison.settings["agents"], "sarsa": {"step_size": 0.123}}
    return replace(comparison, settings={**comparison.settings, "agents": agents})


@pytest.mark.parametrize(
    "change",
    [
        lambda comparison: comparison,
        lambda comparison: with_run_of(comparison, agent="monte-carlo"),
        lambda comparison: with_run_of(comparison, seed=7),
    ],
    ids=["the same", "another agent", "another seed"],
)
def test_more_of_the_same_replaces(root, change):
    assert set_earlier_report_aside(change(load_comparison(root)), root) is None
    assert not (root / "earlier").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda comparison: replace(comparison, runs=comparison.runs[:2]),
        lambda comparison: replace(comparison, runs=comparison.runs[::2]),
        lambda comparison: replace(comparison, budget=500),
        lambda comparison: replace(comparison, criterion="discounted"),
        of_other_hyperparameters,
    ],
    ids=["an agent less", "a seed less", "budget", "criterion", "hyper-parameters"],
)
def test_something_else_leaves_the_earlier_report(root, change):
    before = {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}
    earlier = set_earlier_report_aside(change(load_comparison(root)), root)
    kept = {path.name: path.read_bytes() for path in earlier.iterdir()}
    assert {"results.json", "results.csv", "runs.csv", "report.md"} <= kept.keys()
    assert any(name.endswith(".png") for name in kept)
    assert all(before[name] == content for name, content in kept.items())
    assert (root / "notes.txt").read_text() == "mine"
    assert (root / "runs").is_dir()


def test_two_of_one_second_are_both_kept(root):
    comparison = replace(load_comparison(root), budget=500)
    content = (root / "results.json").read_bytes()
    first = set_earlier_report_aside(comparison, root)
    shutil.copy2(first / "results.json", root)
    second = set_earlier_report_aside(comparison, root)
    assert first != second
    assert (first / "results.json").read_bytes() == content
    assert (second / "results.json").read_bytes() == content


def test_what_is_no_comparison_is_kept(root):
    comparison = load_comparison(root)
    (root / "results.json").write_text(json.dumps({"format": "of old"}))
    earlier = set_earlier_report_aside(comparison, root)
    assert json.loads((earlier / "results.json").read_text()) == {"format": "of old"}


def test_compare_sets_aside(root):
    few = {"total_timesteps": 400, "evaluations": 2, "jobs": 1}
    compare("FrozenLake-v1", "q-learning", seeds=2, folder=root.parent, name="lake", **few)
    assert len(list((root / "earlier").iterdir())) == 1
    assert load_comparison(root).agents == ["q-learning"]


def test_fewer_results_leave_the_earlier_report(root):
    """As after Ctrl-C in a comparison whose runs have to be done again."""
    comparison = load_comparison(root)
    cut = replace(comparison.runs[0], status="interrupted", final_return=None)
    assert set_earlier_report_aside(replace(comparison, runs=[cut, *comparison.runs[1:]]), root)


def test_a_move_that_was_cut_is_gone_on_with(root, monkeypatch):
    comparison = replace(load_comparison(root), budget=500)
    names = {path.name for path in root.iterdir() if path.suffix not in ("", ".txt")}
    moved = []

    def cut(source, target):
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(source)
        source.rename(target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("gymagine.experiments.earlier_reports.os.replace", cut)
        set_earlier_report_aside(comparison, root)
    earlier = set_earlier_report_aside(comparison, root)
    assert {path.name for path in earlier.iterdir()} == names
    assert len(list((root / "earlier").iterdir())) == 1


@pytest.mark.parametrize("change", [{"settings": []}, {"optimum": []}, {"runs": [3]}], ids=str)
def test_a_damaged_comparison_is_kept(root, change):
    comparison = load_comparison(root)
    damaged = json.loads((root / "results.json").read_text()) | change
    (root / "results.json").write_text(json.dumps(damaged))
    earlier = set_earlier_report_aside(comparison, root)
    assert json.loads((earlier / "results.json").read_text()) == damaged
