"""Samples beside events: the data's own law is near, a collapsed or a broken generator is not."""

import pytest
import torch
from gymagine.experiments import generation_samples
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_results import Measuring
from gymagine.experiments.generation_samples import (
    GAUSSIAN,
    TRAINING,
    UNTRAINED,
    comparison_for,
    drawn,
    sample_rows,
    viewed,
)
from gymagine.generative.data.toys import eight_gaussians
from gymagine.generative.generator import AbstractGenerator
from gymagine.generative.metrics.features import picture_classifier
from torch.testing import assert_close

FEW = Measuring(num_samples=300)


class Drawing(AbstractGenerator):
    """Draws what a function gives for a number and a generator of noise."""

    def __init__(self, draw, event_shape=(2,), context_shape=None):
        super().__init__(event_shape, context_shape=context_shape)
        self.draw = draw

    def _loss(self, x, context, rng):
        return x.flatten(1).sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return self.draw(num, rng) if context is None else self.draw(context, rng)


def own_law(num, rng):
    return eight_gaussians(num, rng)


def one_mode(num, rng):
    return torch.tensor([2.0, 0.0]) + 0.2 * torch.randn(num, 2, generator=rng)


def rows_of(draw, data, measuring=FEW, comparison=None, **shapes):
    given = comparison or comparison_for(data, "", measuring, seed=0, folder=None)
    rows, notes = sample_rows(
        Drawing(draw, **shapes),
        Drawing(lambda num, rng: 9 + torch.randn(num, *shapes.get("event_shape", (2,)))),
        "own",
        data,
        given,
        measuring,
        seed=0,
    )
    return {row.name: row for row in rows}, notes


def test_the_datas_law_is_as_near_as_the_events_to_train_on():
    data = data_for("nice", "eight-gaussians")
    good, notes = rows_of(own_law, data)
    bad, _ = rows_of(one_mode, data)
    assert notes == []
    assert good.keys() == {"own", UNTRAINED, TRAINING, GAUSSIAN}
    assert {row.num_samples for row in good.values()} == {300}
    near, far = good["own"], bad["own"]
    assert abs(near.mean_discrepancy) < 0.01 < far.mean_discrepancy
    assert abs(good[TRAINING].mean_discrepancy) < 0.01
    assert near.mean_discrepancy < good[GAUSSIAN].mean_discrepancy < far.mean_discrepancy
    assert far.precision > 0.9  # what it draws lies among the data
    assert far.recall < 0.3 < near.recall
    assert far.coverage < 0.3 < near.coverage
    assert (near.modes_covered, far.modes_covered, near.num_modes) == (8, 1, 8)
    assert near.mode_divergence < 0.1 < far.mode_divergence
    assert good[UNTRAINED].precision == 0
    assert near.kernel_distance is None  # of features of pictures only


def test_the_same_seed_gives_the_same_numbers():
    data = data_for("nice", "eight-gaussians")
    first, again = (rows_of(own_law, data)[0]["own"] for _ in range(2))
    assert first == again


def test_other_points_have_no_known_modes():
    found, _ = rows_of(lambda num, rng: torch.randn(num, 2, generator=rng),
                       data_for("nice", "moons"))  # fmt: skip
    assert found["own"].num_modes is None


def test_numbers_that_are_not_finite_are_left_out_and_told():
    def broken(num, rng):
        x = eight_gaussians(num, rng)
        x[::3, 1] = float("nan")
        return x

    data = data_for("nice", "eight-gaussians")
    found, notes = rows_of(broken, data)
    lost = 300 - found["own"].num_samples
    assert 100 <= lost <= 105  # a third of each of the parts
    assert notes == [f"own: {lost} samples are not finite, and left out"]
    found, notes = rows_of(lambda num, rng: torch.full((num, 2), float("inf")), data)
    assert "own" not in found
    assert "own: too few samples to compare" in notes


def test_slow_samples_are_fewer_and_told():
    data = data_for("nice", "eight-gaussians")
    found, notes = rows_of(own_law, data, Measuring(num_samples=300, max_seconds=1e-9))
    assert "own" not in found
    assert notes[0].startswith("own: 10 samples, more of which take longer than")


def test_classes_are_those_of_the_events():
    pytest.importorskip("sklearn")
    data = data_for("vae", "digits", conditional=True)
    told = []

    def draw(context, rng):
        told.append(context)
        return torch.zeros(len(context), 1, 8, 8)

    drawn(Drawing(draw, (1, 8, 8), (10,)), data, 400)
    expected = data.test.context[torch.arange(400) % len(data.test)]
    assert_close(torch.cat(told), expected)


@pytest.mark.parametrize("form", ["thresholded", "levels", "centred", "dequantised"])
def test_pictures_of_all_forms_are_seen_alike(form):
    pytest.importorskip("sklearn")
    data = data_for("made", "digits", form=form)
    x = data.prepared(data.test.x, torch.Generator().manual_seed(0))
    assert x.shape[1:] == (64,)
    grey = data.test.x.float() / data.test.x.max()
    assert_close(viewed(x, data), grey)


@pytest.fixture
def quick_classifier(monkeypatch):
    """One that is trained for a second."""

    def classifier(data, folder):
        return picture_classifier(data, folder=folder, num_updates=100, num_threads=1)

    monkeypatch.setattr(generation_samples, "_classifier", classifier)


def test_pictures_are_compared_between_features(quick_classifier, tmp_path):
    pytest.importorskip("sklearn")
    data = data_for("made", "digits", form="dequantised")
    x = data.prepared(data.train.x, torch.Generator().manual_seed(0))
    comparison = comparison_for(data, "dequantised", FEW, seed=0, folder=tmp_path)
    assert comparison.real.shape == (300, 1, 8, 8)
    assert len(list(tmp_path.glob("classifier-digits-*"))) == 1

    def digits(num, rng):
        return x[torch.randint(len(x), (num,), generator=rng)]

    good, _ = rows_of(digits, data, comparison=comparison, event_shape=(64,))
    noise, _ = rows_of(
        lambda num, rng: torch.rand(num, 64, generator=rng),
        data,
        comparison=comparison,
        event_shape=(64,),
    )
    near, far = good["own"], noise["own"]
    assert near.kernel_distance < good[GAUSSIAN].kernel_distance < far.kernel_distance
    assert near.kernel_distance_error > 0
    assert near.coverage > 0.7 > far.coverage
    assert near.num_modes == 10


def test_zeros_and_ones_have_a_classifier_of_their_own(quick_classifier, tmp_path):
    pytest.importorskip("sklearn")
    for form in ("thresholded", "levels", "centred"):
        data = data_for("vae", "digits", form=form)
        comparison = comparison_for(data, form, FEW, seed=0, folder=tmp_path)
        assert (len(comparison.real.unique()) == 2) == (form == "thresholded")
    assert len(list(tmp_path.glob("classifier-digits-*"))) == 2
