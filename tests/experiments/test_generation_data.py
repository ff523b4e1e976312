"""Data in the forms that families take, and likelihoods that suit them."""

import pytest
import torch
from gymagine.experiments.generation_data import (
    Flattened,
    check_likelihood,
    data_for,
    has_forms,
    likelihood_for,
    preparation_of,
)
from gymagine.generative.autoencoders.autoencoder import Autoencoder
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.data.catalogue import dataset_named
from gymagine.generative.data.preparation import Dequantisation, Levels, ThresholdBinarisation
from gymagine.generative.flows.maf import MAF
from torch.testing import assert_close

pytest.importorskip("sklearn")


def test_only_pictures_have_forms():
    assert [name for name in ("moons", "digits", "second-order") if has_forms(name)] == ["digits"]
    assert not has_forms("no such data")


@pytest.mark.parametrize(
    ("family", "form", "made_of"),
    [("made", None, "thresholded"), ("nice", None, "dequantised"), ("made", "levels", "levels")],
)
def test_the_form_is_the_familys_first_unless_another_is_asked_for(family, form, made_of):
    found = data_for(family, "digits", form=form)
    expected = dataset_named("digits", form=made_of)
    rng = (torch.Generator().manual_seed(3) for _ in range(2))
    x = [data.prepared(data.test.x, next(rng)) for data in (found, expected)]
    assert_close(x[0], x[1].flatten(1))


def test_pictures_stay_pictures_for_families_that_take_them():
    x = data_for("gated-pixelcnn", "digits").train.x[:4]
    assert data_for("gated-pixelcnn", "digits").prepared(x).shape == (4, 1, 8, 8)
    assert data_for("made", "digits").prepared(x).shape == (4, 64)
    assert data_for("made", "moons").prepare is None


def test_flattening_passes_the_noise_on():
    x = torch.zeros(5, 1, 2, 2, dtype=torch.uint8)
    noise = [torch.Generator().manual_seed(7) for _ in range(2)]
    inner = Dequantisation(17)
    assert_close(Flattened(inner)(x, noise[0]), inner(x, noise[1]).flatten(1))
    assert_close(Flattened()(x), x.flatten(1))


def test_what_prepares_pictures_is_found_behind_the_flattening():
    assert isinstance(preparation_of(data_for("nice", "digits")), Dequantisation)
    assert isinstance(preparation_of(data_for("transformer", "digits")), Levels)
    assert isinstance(preparation_of(data_for("vae", "digits")), ThresholdBinarisation)
    assert preparation_of(data_for("nice", "moons")) is None


@pytest.mark.parametrize(
    ("family", "data", "form", "expected"),
    [
        ("vae", "digits", "thresholded", {"decoder": "bernoulli"}),
        ("vae", "digits", "levels", {"decoder": "categorical", "num_levels": 17}),
        ("vae", "moons", None, {"decoder": "gaussian"}),
        ("made", "digits", "redrawn", {"conditional": "bernoulli"}),
        ("made", "moons", None, {"conditional": "gaussian-mixture"}),
        ("nice", "digits", None, {}),
        ("ddpm", "digits", "centred", {"clip": 1.0}),
        ("ddpm", "moons", None, {}),
    ],
)
def test_likelihoods_by_what_events_are(family, data, form, expected):
    assert likelihood_for(family, data_for(family, data, form=form)) == expected


def test_a_likelihood_of_other_events_is_refused():
    binary = data_for("vae", "digits", form="thresholded")
    check_likelihood(VAE((1, 8, 8), decoder="bernoulli"), binary)
    with pytest.raises(ValueError, match=r"expected a likelihood of events in Boolean\(\)"):
        check_likelihood(MAF((64,)), binary)
    with pytest.raises(ValueError, match="choose another form, or another decoder"):
        check_likelihood(VAE((1, 8, 8), decoder="categorical", num_levels=17),
                         data_for("vae", "digits", form="centred"))  # fmt: skip
    check_likelihood(MAF((2,)), data_for("maf", "moons"))
    check_likelihood(Autoencoder((1, 8, 8)), binary)  # which has none


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("nise", "digits"), {}, "did you mean nice"),
        (("nice", "digit"), {}, "did you mean digits"),
        (("nice", "digits"), {"form": "levels"}, "expected a form that nice takes, dequantised"),
        (("nice", "moons"), {"form": "levels"}, "expected no form, of which moons has one only"),
        (("nice", "moons"), {"conditional": True}, "expected data with classes for a context"),
    ],
)
def test_mistakes(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        data_for(*arguments, **options)


def test_classes_are_one_hot_contexts_of_the_same_events():
    plain, told = (data_for("vae", "digits", conditional=c) for c in (False, True))
    assert_close(plain.test.x, told.test.x)
    assert plain.test.context is None
    assert_close(told.test.context.sum(dim=1), torch.ones(len(told.test)))
    assert told.test.context.shape[1] == 10
