"""``gymagine matrix`` as somebody types it."""

import json

import pytest
from gymagine.experiments import matrix_roles
from gymagine.experiments.command_line import main
from gymagine.experiments.matrix import MatrixRole


@pytest.fixture
def asked(monkeypatch):
    found = []

    def score(entry, seed, settings):
        found.append((entry.name, seed))
        return {"points": 2.0 + seed}

    def role(name):
        settings = {"base": 1}
        rest = (
            (lambda entry, settings: None),
            score,
            {"chance": lambda seed, settings: {"points": 1.0}},
        )
        return MatrixRole(name, "Some-v0", "points", "From {base}.", settings, *rest)

    monkeypatch.setattr(matrix_roles, "MATRIX_ROLES", (role("one"), role("two")))
    monkeypatch.setattr(matrix_roles, "MATRIX_GENERATORS", ("flow", "gan"))
    monkeypatch.setenv("NO_COLOR", "1")
    return found


def test_cells_that_were_not_asked_for_show_as_not_run(asked, tmp_path, capsys):
    docs, folder = tmp_path / "docs", tmp_path / "runs"
    words = ["--folder", str(folder), "--docs", str(docs), "--seeds", "2"]
    assert main(["matrix", "--roles", "two", "--generators", "gan", *words]) == 0
    assert asked == [("gan", 0), ("gan", 1)]
    out = capsys.readouterr().out
    assert "two / gan / seed 1: points 3" in out and str(docs / "matrix.md") in out
    text = (docs / "matrix.md").read_text()
    assert "| flow | not run | not run |" in text
    assert "| gan | not run | 2.50 [-3.85, 8.85] |" in text
    assert len(json.loads((docs / "matrix.json").read_text())["cells"]) == 4


def test_what_docs_know_is_not_run_again(asked, tmp_path):
    docs = tmp_path / "docs"
    words = ["matrix", "--seeds", "1", "--docs", str(docs), "--folder"]
    assert main([*words, str(tmp_path / "first")]) == 0
    assert len(asked) == 4
    assert main([*words, str(tmp_path / "second")]) == 0
    assert len(asked) == 4
    assert main([*words, str(tmp_path / "third"), "--seeds", "2", "--report-only"]) == 0
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--roles", "tow"], "unknown role 'tow'; did you mean two?"),
        (["--generators", "difusion"], "did you mean diffusion?"),
        (["--seeds", "0"], "expected at least 1 seed, got 0"),
    ],
)
def test_mistakes_are_one_line_and_code_2(words, message, asked, tmp_path, capsys):
    assert main(["matrix", *words, "--folder", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "runs").exists()
