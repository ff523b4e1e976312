"""Likelihoods in one unit: a density that is flat on levels costs what the levels do."""

import math

import pytest
import torch
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_likelihood import OWN_LAW, likelihoods, unseen_events
from gymagine.experiments.generation_results import Measuring
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.baselines.chow_liu import ChowLiu
from gymagine.generative.baselines.full_gaussian import FullGaussian
from gymagine.generative.baselines.independent import Independent
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.data.preparation import Dequantisation
from gymagine.generative.data.toys import eight_gaussians_log_prob
from gymagine.generative.generator import AbstractDensity, AbstractGenerator
from torch.distributions import constraints
from torch.testing import assert_close


class FlatOnLevels(AbstractDensity):
    """A probability of levels as a density of dequantised ones."""

    def __init__(self, law, num_levels):
        super().__init__(law.event_shape)
        self.law, self.num_levels = law, num_levels

    def _log_prob(self, x, context):
        levels = (x * self.num_levels).floor().to(torch.int64)
        return self.law.log_prob(levels) + self.num_entries * math.log(self.num_levels)

    def _loss(self, x, context, rng):
        return -self._log_prob(x, context)

    def _sample(self, num, context, temperature, rng):
        raise NotImplementedError


class EightGaussians(FlatOnLevels):
    def __init__(self, context_shape=None):
        AbstractGenerator.__init__(self, (2,), context_shape=context_shape)

    def _log_prob(self, x, context):
        return eight_gaussians_log_prob(x)


def rows_of(generator, data, **measuring):
    rows, notes = likelihoods(generator, "own", data, Measuring(**measuring), seed=0)
    return {row.name: row for row in rows}, notes


def test_a_density_that_is_flat_on_levels_costs_what_the_levels_do():
    pytest.importorskip("sklearn")
    levels, dequantised = (data_for("made", "digits", form=f) for f in ("levels", "dequantised"))
    x = levels.prepared(levels.train.x)
    law = Independent.fitted(x, constraints.integer_interval(0, 16))
    as_levels, _ = rows_of(law, levels)
    as_density, _ = rows_of(FlatOnLevels(law, 17), dequantised)
    for name in ("own", "independent"):
        assert_close(as_density[name].nats, as_levels["own"].nats, rtol=1e-5, atol=0)
        assert_close(
            as_density[name].bits_per_dimension, as_levels["own"].nats / 64 / math.log(2),
            rtol=1e-5, atol=0,
        )  # fmt: skip
    assert (as_levels["own"].kind, as_density["own"].kind) == ("exact", "bound")
    assert as_levels.keys() == {"own", "independent", "chow-liu", "full-gaussian"}
    # both are fitted on all events to train on, whatever the form of the generator's
    for name in ("chow-liu", "full-gaussian"):
        assert as_levels[name] == as_density[name]
    assert as_levels["chow-liu"].nats < as_levels["independent"].nats
    assert as_levels["full-gaussian"].kind == "bound"


def test_baselines_of_zeros_and_ones():
    pytest.importorskip("sklearn")
    data = data_for("made", "digits", form="thresholded")
    x, test = data.prepared(data.train.x), data.prepared(data.test.x)
    tree = ChowLiu.fitted(x)
    found, notes = rows_of(tree, data)
    assert found["own"].nats == found["chow-liu"].nats
    assert_close(found["own"].nats, -tree.log_prob(test).double().mean().item())
    nats = -Independent.fitted(x, constraints.boolean).log_prob(test).double().mean().item()
    assert_close(found["independent"].nats, nats)
    assert "full-gaussian" not in found
    assert any("no full-gaussian" in note for note in notes)


def test_points_stand_beside_their_own_law():
    data = data_for("nice", "eight-gaussians")
    found, notes = rows_of(EightGaussians(), data)
    assert_close(found["own"].nats, found[OWN_LAW].nats)
    assert found["own"].bits_per_dimension is None
    gaussian = -FullGaussian.fitted(data.train.x).log_prob(data.test.x).double().mean().item()
    assert_close(found["full-gaussian"].nats, gaussian)
    assert found[OWN_LAW].nats < found["full-gaussian"].nats <= found["independent"].nats + 0.01
    assert any("no chow-liu" in note for note in notes)


def test_all_rows_are_of_the_same_events():
    data = data_for("nice", "eight-gaussians")
    found, _ = rows_of(EightGaussians(), data, num_events=123)
    assert {row.num_events for row in found.values()} == {123}
    found, notes = rows_of(EightGaussians(), data, max_seconds=1e-9)
    assert {row.num_events for row in found.values()} == {10}
    assert any("of 10 events" in note for note in notes)
    assert_close(found["own"].nats, -eight_gaussians_log_prob(data.test.x[:10]).mean().item())


def test_importance_weights_have_a_row_of_their_own():
    pytest.importorskip("sklearn")
    torch.manual_seed(0)
    vae = VAE((1, 8, 8), decoder="bernoulli")
    found, _ = rows_of(vae, data_for("vae", "digits"), num_importance_weights=20)
    assert found["own, 20 weights"].kind == "importance-weighted bound"
    assert found["own, 20 weights"].nats < found["own"].nats


def test_what_has_no_likelihood_is_told():
    class Implicit(AbstractGenerator):
        def __init__(self):
            super().__init__((2,))

        def _loss(self, x, context, rng):
            return x.sum(dim=1)

        def _sample(self, num, context, temperature, rng):
            return torch.zeros(num, 2)

    found, notes = rows_of(Implicit(), data_for("nice", "moons"))
    assert found == {}
    assert notes == ["no likelihood: own has neither a density nor a bound"]


def test_densities_of_levels_that_are_not_dequantised_are_not_told():
    pytest.importorskip("sklearn")
    data = data_for("vae", "digits", form="centred")
    found, notes = rows_of(VAE((1, 8, 8)), data)
    assert found == {}
    assert "can be made as high as one likes" in notes[0]


def test_the_interval_of_dequantised_levels_does_not_count():
    """A Gaussian that is fitted in [-1, 1] gives levels the probabilities of one in [0, 1]."""
    pytest.importorskip("sklearn")
    found = []
    for form in ("dequantised", "dequantised-centred"):
        data = data_for("edm", "digits", form=form)
        x = data.prepared(data.train.x, torch.Generator().manual_seed(0))
        model = FullGaussian.fitted(x)
        own, _ = rows_of(model, data)
        assert_close(own["own"].nats, own["full-gaussian"].nats, rtol=1e-3, atol=0.0)
        assert own["own"].kind == "bound"
        found.append(own["own"])
    assert_close(found[0].nats, found[1].nats, rtol=1e-3, atol=0.0)
    assert_close(found[0].bits_per_dimension, found[1].bits_per_dimension, rtol=1e-3, atol=0.0)


def test_too_many_pairs_of_values_have_no_tree():
    levels = torch.randint(256, (40, 1, 5, 5), generator=torch.Generator().manual_seed(0))
    events = Events(levels.to(torch.uint8))
    data = Dataset(events, None, events, prepare=Dequantisation(256), name="noise")
    found, notes = rows_of(FullGaussian((1, 5, 5)), data)
    assert found.keys() == {"own", "independent", "full-gaussian"}
    assert any(note.startswith("no chow-liu: expected events of at most") for note in notes)


def test_classes_that_baselines_are_not_told_are_mentioned():
    data = data_for("nice", "eight-gaussians")
    told = [Events(part.x, torch.zeros(len(part), 3)) for part in (data.train, data.test)]
    data = Dataset(told[0], None, told[1], name=data.name)
    found, notes = rows_of(EightGaussians((3,)), data)
    assert_close(found["own"].nats, found[OWN_LAW].nats)
    assert "own is told the classes of the events, and the baselines are not" in notes


def test_events_are_those_to_test_on_or_else_held_out():
    x = torch.arange(6.0).view(3, 2, 1)
    parts = [Events(part) for part in x]
    assert unseen_events(Dataset(*parts)) == ("test", parts[2])
    assert unseen_events(Dataset(*parts[:2])) == ("held-out", parts[1])
    assert unseen_events(Dataset(parts[0])) == ("training", parts[0])
