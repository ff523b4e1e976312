"""Everything that is measured of one generator, and what is not beaten, by hand."""

import torch
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_measuring import (
    measure,
    unbeaten_baselines,
    unbeaten_controls,
)
from gymagine.experiments.generation_results import LikelihoodRow, Measuring, SampleRow
from gymagine.generative.flows.nice import NICE
from gymagine.generative.training import fit

MEASURING = Measuring(num_events=100, num_samples=100)


def likelihood(name, nats):
    return LikelihoodRow(name, "exact", nats, 0.1, None, 100)


def test_baselines_that_are_at_least_as_good_are_not_beaten():
    rows = [
        likelihood("vae", 20.0),
        likelihood("vae, 100 weights", 19.0),
        likelihood("the data's own law", 1.0),
        likelihood("independent", 25.0),
        likelihood("chow-liu", 19.0),
        likelihood("full-gaussian", 18.0),
    ]
    assert unbeaten_baselines("vae", rows) == ["chow-liu", "full-gaussian"]
    assert unbeaten_baselines("vae", rows[:4]) == []
    assert unbeaten_baselines("gan", []) == []


def test_controls_are_judged_by_the_distance_of_features_where_there_is_one():
    rows = [
        SampleRow("gan", 100, kernel_distance=0.5, mean_discrepancy=0.0),
        SampleRow("untrained", 100, kernel_distance=0.6, mean_discrepancy=-1.0),
        SampleRow("full-gaussian", 100, kernel_distance=0.1, mean_discrepancy=1.0),
        SampleRow("training events", 100, kernel_distance=0.0, mean_discrepancy=0.0),
    ]
    assert unbeaten_controls("gan", rows) == ["full-gaussian"]
    assert unbeaten_controls("gan", rows[1:]) == []


def test_training_makes_a_flow_better_than_it_was():
    torch.manual_seed(0)
    data = data_for("nice", "moons")
    flow, untrained = NICE((2,)), NICE((2,)).eval()
    found = []
    for num_updates in (1, 300):
        trained = fit(flow, data, num_updates=num_updates, learning_rate=5e-3)
        found.append(measure(flow, untrained, data, trained, family="nice", measuring=MEASURING))
    first, last = found
    assert last.own_likelihood.nats < first.own_likelihood.nats
    assert last.num_updates == 300
    assert last.num_parameters == sum(p.numel() for p in flow.parameters())
    assert last.measure_seconds > 0
    assert any("first 100 of 2,000 test events" in line for line in last.protocol)
    alike = measure(untrained, untrained, data, trained, family="nice", measuring=MEASURING)
    assert any("does not beat untrained" in note for note in alike.notes)
