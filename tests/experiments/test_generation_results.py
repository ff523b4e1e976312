"""Results as files, and the rows that are the family's own."""

import json
import math
from dataclasses import replace

import pytest
from gymagine.experiments.generation_results import (
    GenerationResults,
    LikelihoodRow,
    Measuring,
    SampleRow,
)

RESULTS = GenerationResults(
    family="vae",
    num_updates=100,
    train_seconds=1.5,
    measure_seconds=0.5,
    num_parameters=12,
    likelihoods=(
        LikelihoodRow("vae", "bound", 20.0, 0.5, 0.45, 300),
        LikelihoodRow("vae, 100 weights", "importance-weighted bound", 19.0, None, 0.43, 300),
        LikelihoodRow("vae-like", "exact", 1.0, 0.5, 0.45, 300),
        LikelihoodRow("chow-liu", "exact", math.inf, 0.5, None, 300),
    ),
    samples=(
        SampleRow("untrained", 200, mean_discrepancy=0.5),
        SampleRow("vae", 200, 0.01, 0.002, 0.03, 0.9, 0.8, 1.1, 0.7, 8, 10, 0.95, 0.1),
    ),
    protocol=("one", "two"),
    notes=(),
)


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "results.json"
    RESULTS.write(path)
    assert GenerationResults.read(path) == RESULTS
    text = path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text  # other readers than Python's know neither


def test_the_own_rows_are_the_familys_and_the_tightest_bound():
    assert RESULTS.own_likelihood.name == "vae, 100 weights"
    assert RESULTS.own_samples.name == "vae"


def test_a_bound_of_fewer_events_is_not_taken():
    fewer = replace(RESULTS.likelihoods[1], num_events=20)
    found = replace(RESULTS, likelihoods=(RESULTS.likelihoods[0], fewer))
    assert found.own_likelihood.name == "vae"


def test_scalars_are_numbers_of_the_own_rows():
    found = RESULTS.scalars()
    assert found["results/nats"] == 19.0
    assert found["results/bits_per_dimension"] == 0.43
    assert found["results/recall"] == 0.8
    assert all(isinstance(value, float) for value in found.values())
    without = GenerationResults("gan", 1, 1.0, 1.0, 1, (), (), (), ())
    assert without.scalars() == {}
    assert without.own_likelihood is without.own_samples is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "x"}', '{"format": "gymagine-generation-results-1"}']
)
def test_other_files_are_refused(text, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="expected the results of a generator, got"):
        GenerationResults.read(path)


def test_a_row_with_a_foreign_field_is_refused(tmp_path):
    path = tmp_path / "results.json"
    RESULTS.write(path)
    value = json.loads(path.read_text())
    value["samples"][0]["colour"] = "green"
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match="colour"):
        GenerationResults.read(path)


@pytest.mark.parametrize("name", ["num_events", "num_samples", "max_seconds"])
def test_nothing_is_measured_on_nothing(name):
    with pytest.raises(ValueError, match=f"expected {name} above 0, got 0"):
        Measuring(**{name: 0})
