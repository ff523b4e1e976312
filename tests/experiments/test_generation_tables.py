"""Tables that fit a terminal of 80 characters, best first."""

from dataclasses import replace

import pytest
from gymagine.experiments.generation_results import GenerationResults, LikelihoodRow, SampleRow
from gymagine.experiments.generation_tables import results_tables
from rich.console import Console

SHARES = {"precision": 0.91, "recall": 0.5, "density": 1.25, "coverage": 0.75}
RESULTS = GenerationResults(
    family="masked-autoencoder",
    num_updates=100,
    train_seconds=1.5,
    measure_seconds=0.5,
    num_parameters=12,
    likelihoods=(
        LikelihoodRow("masked-autoencoder", "bound", 1020.25, 10.5, 1.4375, 2_000),
        LikelihoodRow("chow-liu", "exact", 20.0, None, None, 2_000),
    ),
    samples=(
        SampleRow("masked-autoencoder", 1_000, 0.0125, 0.002, 0.03, **SHARES, modes_covered=8,
                  num_modes=10, share_near=0.95, mode_divergence=0.1),
        SampleRow("training events", 1_000, -0.0005, 0.002, 0.5, **SHARES, modes_covered=10,
                  num_modes=10, share_near=1.0, mode_divergence=0.0),
    ),
    protocol=("how",),
    notes=("why",),
)  # fmt: skip


@pytest.fixture
def shown():
    def show(results):
        console = Console(width=80, record=True, highlight=False)
        with console.capture() as capture:
            console.print(results_tables(results))
        return capture.get().splitlines()

    return show


def test_rows_are_sorted_and_bounds_are_marked(shown):
    lines = shown(RESULTS)
    assert not any("…" in line for line in lines)
    cells = [line.split() for line in lines]
    assert cells[2] == ["chow-liu", "20.00", "2,000"]
    assert cells[3] == ["masked-autoencoder", "≤", "1,020.25", "10.50", "≤", "1.438", "2,000"]
    assert cells[6][:3] == ["training", "events", "-0.0005"]
    assert cells[7] == [
        "masked-autoencoder", "0.0125", "0.91", "0.50", "1.25", "0.75", "8/10", "0.95", "1,000"
    ]  # fmt: skip
    assert lines[-2:] == ["how", "why"]


def test_points_are_sorted_by_their_discrepancy_and_have_no_modes(shown):
    rows = [replace(row, kernel_distance=None, num_modes=None) for row in RESULTS.samples]
    lines = shown(replace(RESULTS, likelihoods=(), samples=tuple(rows)))
    assert "modes" not in lines[0]
    assert lines[2].startswith("masked-autoencoder")


def test_bits_have_no_column_where_data_have_no_levels(shown):
    rows = [replace(row, bits_per_dimension=None) for row in RESULTS.likelihoods]
    lines = shown(replace(RESULTS, likelihoods=tuple(rows), samples=()))
    assert lines[0].split() == ["likelihood", "nats", "s.e.", "events"]
    assert lines[3].split() == ["masked-autoencoder", "≤", "1,020.25", "10.50", "2,000"]
