"""Means, intervals and refusals of a matrix, as they are told."""

import dataclasses

import pytest
from gymagine.experiments.matrix import Cell, CellResult, MatrixResults, MatrixRole
from gymagine.experiments.matrix_report import (
    draw_matrix,
    entry_of,
    matrix_markdown,
    write_report,
)


def nothing(*given):
    raise AssertionError("nothing is run for a report")


ROLE = MatrixRole(
    "game", "Some-v0", "points", "From {base:,} on.", {"base": 1000}, nothing, nothing,
    {"chance": nothing, "expert": nothing},
)  # fmt: skip


def cells(contender, values, is_control=False, status="run", message="", settings=ROLE.settings):
    return [
        CellResult(
            Cell("game", contender, is_control, seed),
            status,
            {} if value is None else {"points": value, "other": 4.0},
            message,
            1.0,
            settings,
        )
        for seed, value in enumerate(values)
    ]


@pytest.fixture
def results():
    found = [
        *cells("chance", [0.0, 1.0, 2.0], is_control=True),
        *cells("flow", [1.0, 2.0, 3.0]),
        *cells("diffusion", [9.0, 9.1, 9.2]),
        *cells("gan", [5.0]),
        *cells("vae", [None], status="cannot", message="expected x | y, got a VAE"),
        *cells("vq-vae", [None], status="failed", message="FloatingPointError: nan"),
        *cells("autoencoder", [7.0], settings={"base": 1}),  # of settings that are no more
    ]
    words = ("flow", "diffusion", "gan", "vae", "vq-vae", "autoencoder")
    return MatrixResults((ROLE,), words, tuple(found))


def test_intervals_are_students_over_seeds(results):
    interval = entry_of(results, ROLE, "flow").interval
    # mean 2, deviation 1 of three: 4.3027 / sqrt(3)
    assert interval.estimate == 2 and interval.high == pytest.approx(2 + 2.4841, abs=1e-4)
    assert entry_of(results, ROLE, "flow").others == (("other", 4.0),)


def test_every_cell_has_a_number_or_a_reason(results):
    lines = matrix_markdown(results).splitlines()
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("|")}
    first = {line.split(" | ")[0].strip("| "): line for line in reversed(lines) if "|" in line}
    assert "2.00 [-0.48, 4.48]" in rows["flow"] and "**" not in rows["flow"]
    # the whole interval above the mean of chance
    assert "**9.10 [8.85, 9.35]**" in rows["diffusion"]
    assert "5.00 (1 seed)" in rows["gan"]
    assert "cannot, because: expected x \\| y, got a VAE" in rows["vae"]
    assert "[cannot, because](#game)" in first["vae"] and "[failed](#game)" in first["vq-vae"]
    assert "failed: FloatingPointError: nan" in rows["vq-vae"]
    assert "not run" in rows["autoencoder"]
    assert "chance: 1.00 [-1.48, 3.48]<br>expert: not run" in first["*controls*"]
    assert "Points in Some-v0. From 1,000 on." in lines


def test_no_baseline_nothing_is_bold(results):
    left = tuple(result for result in results.cells if not result.cell.is_control)
    text = matrix_markdown(dataclasses.replace(results, cells=left))
    assert "**9.10" not in text and "9.10 [8.85, 9.35]" in text


def test_the_picture_is_a_png_and_empty_tables_are_drawn_too(results):
    assert draw_matrix(results).startswith(b"\x89PNG")
    assert draw_matrix(dataclasses.replace(results, cells=())).startswith(b"\x89PNG")


def test_three_files(results, tmp_path):
    paths = write_report(results, tmp_path / "docs")
    assert [path.name for path in paths] == ["matrix.md", "matrix.png", "matrix.json"]
    assert all(path.stat().st_size > 100 for path in paths)
    assert "](matrix.png)" in paths[0].read_text()
