"""What all autoregressive families share: orders of entries and known values."""

import pytest
import torch
from gymagine.generative.autoregressive.autoregressive import (
    network_inputs,
    raster_event,
    raster_sequence,
)
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.autoregressive.transformer import Transformer
from gymagine.generative.conditionals import BernoulliConditional, CategoricalConditional
from gymagine.generative.testing import check_generator, enumerated_events
from scipy import stats
from torch.testing import assert_close

FAMILIES = [
    (MADE, {"hidden_sizes": (16,)}),
    (MADE, {"hidden_sizes": (16,), "num_masks": 3, "order": "random"}),
    (Transformer, {"width": 16}),
    (GatedPixelCNN, {"num_features": 8, "num_layers": 2}),
]


def each(*families):
    return pytest.mark.parametrize(
        ("family", "settings"), families, ids=lambda given: getattr(given, "name", "")
    )


def made(family, settings, shape=(1, 2, 3), **others):
    torch.manual_seed(0)
    return family(shape, **settings, **others).double()


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 4), (1, 2, 2, 2)], ids=str)
def test_raster_order_and_back(shape):
    x = torch.randn(5, *shape)
    entries = raster_sequence(x)
    assert torch.equal(raster_event(entries, shape), x)
    pairs = torch.stack([entries, -entries], dim=2)
    assert torch.equal(raster_event(pairs, shape), torch.stack([x, -x], dim=-1))


def test_what_networks_are_told():
    codes = torch.tensor([[2, 0]])
    conditional = CategoricalConditional(3)
    scaled = network_inputs(conditional, codes, torch.float64, one_hot=False)
    assert_close(scaled, torch.tensor([[[1.0], [-1.0]]], dtype=torch.float64))
    indicators = network_inputs(conditional, codes, torch.float32, one_hot=True)
    assert_close(indicators, torch.tensor([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]))
    bits = network_inputs(BernoulliConditional(), codes > 0, torch.float32, one_hot=False)
    assert_close(bits, torch.tensor([[[1.0], [-1.0]]]))


@each(*FAMILIES)
@pytest.mark.parametrize("conditional", ["bernoulli", "categorical", "gaussian-mixture"])
def test_known_entries_are_kept_and_others_drawn(family, settings, conditional):
    model = made(family, settings, conditional=conditional, num_levels=50, context_shape=(2,))
    context = torch.randn(8, 2, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    x = model.sample(1, context, rng=rng)[0]
    known = torch.rand(8, 1, 2, 3, generator=rng) < 0.5
    hidden = x.masked_fill(~known, -1 if conditional == "categorical" else 7)
    found = model.complete(hidden, known, context, rng=rng)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    assert torch.equal(found[known], x[known])
    model.check_events(found, context)
    assert bool((found != x)[~known].any())
    everywhere = torch.ones(1, 2, 3, dtype=torch.bool)
    assert torch.equal(model.complete(x, everywhere, context), x)
    nowhere = model.complete(x, ~everywhere, context, rng=torch.Generator().manual_seed(1))
    assert torch.equal(nowhere, model.sample(1, context, rng=torch.Generator().manual_seed(1))[0])


@each(FAMILIES[0], *FAMILIES[2:])
def test_what_follows_known_entries_is_drawn_from_the_posterior(family, settings):
    model = made(family, settings)
    x = torch.tensor([[[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]], dtype=torch.float64)
    known = torch.tensor([[[True, True, True], [False, False, False]]])
    rng = torch.Generator().manual_seed(0)
    drawn = model.complete(x.expand(4000, -1, -1, -1), known, rng=rng)[:, 0, 1]
    events = enumerated_events(model)
    agrees = (events[:, 0, 0] == x[0, 0, 0]).all(dim=1)
    posterior = model.log_prob(events[agrees]).softmax(dim=0)
    digits = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    counts = torch.bincount((drawn @ digits).long(), minlength=8)
    expected = torch.zeros(8, dtype=torch.float64)
    expected[(events[agrees][:, 0, 1] @ digits).long()] = posterior.detach()
    assert stats.chisquare(counts.numpy(), 4000 * expected.numpy()).pvalue > 1e-4


@each(FAMILIES[0])
def test_wrong_known_entries_are_refused(family, settings):
    model = made(family, settings)
    x, known = torch.zeros(2, 1, 2, 3), torch.ones(1, 2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"entries of \(2, 1, 2, 3\) are known, got \(2, 3\)"):
        model.complete(x, known[0])
    with pytest.raises(ValueError, match=r"Boolean.*got 0.5"):
        model.complete(x + 0.5, known)
    with pytest.raises(ValueError, match="temperature of at least 0, got -1"):
        model.complete(x, known, temperature=-1.0)
    with pytest.raises(ValueError, match="expected no context"):
        model.complete(x, known, torch.zeros(2, 1))


@each(*FAMILIES)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 2, 3), {}),
        ((2, 3, 1), {"conditional": "categorical", "num_levels": 4}),
        ((1, 2, 2), {"conditional": "discretised-logistic", "num_levels": 5}),
        ((2, 2, 2), {"conditional": "gaussian-mixture", "num_components": 2}),
    ],
    ids=["bits", "categories", "levels", "numbers"],
)
def test_the_shipped_laws(family, settings, shape, options):
    rng = torch.Generator().manual_seed(0)
    context = 3 * torch.randn(6, 2, generator=rng)
    for contexts in (None, context):
        torch.manual_seed(0)
        context_shape = None if contexts is None else (2,)
        model = family(shape, context_shape=context_shape, **settings, **options)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)  # samples of a few bits must show that the context matters
        x = model.sample(6 if contexts is None else 1, contexts, rng=rng).view(6, *shape)
        check_generator(model, x, contexts)


@each(*FAMILIES)
def test_likelihoods_keep_their_digits_in_mixed_precision(family, settings):
    model = made(family, settings, shape=(1, 8, 8)).float()
    x = model.sample(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.log_prob(x)
    assert mixed.dtype == torch.float32
    assert_close(mixed, model.log_prob(x), atol=0.2, rtol=0)
