"""What the common class gives: known entries, tilting, guidance, densities, mistakes."""

import math

import pytest
import torch
from gymagine.generative.diffusion import probability_flow
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.diffusion.edm import EDM
from gymagine.generative.diffusion.vp_diffusion import VPDiffusion
from gymagine.generative.training import fit

from .exact_families import FAMILIES, exact
from .gaussian_data import CORRELATION, denoise_correlated

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (8,), "sampling_steps": 3}


# ---- data with a correlation --------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_entries_fit_known_ones_after_some_rounds(name):
    """E[x_2 | x_1] is the correlation times x_1; one round alone is nearer to E[x_2] = 0."""
    settings = {"sigma_data": 1.0} if name == "edm" else {}
    model = exact(name, denoise=denoise_correlated, **settings)
    x = torch.tensor([[1.5, math.nan]], dtype=torch.float64).expand(1_000, 2)
    known = torch.tensor([[True, False]]).expand(1_000, 2)
    expected, deviation = CORRELATION * 1.5, math.sqrt(1 - CORRELATION**2)
    means, deviations, drawn = [], [], []
    for rounds in (1, 1, 5, 10):
        rng = torch.Generator().manual_seed(0)
        found = model.complete(x, known, rounds=rounds, rng=rng)
        drawn.append(found)
        assert torch.equal(found[:, 0], x[:, 0])
        means.append(float(found[:, 1].mean()))
        deviations.append(float(found[:, 1].std()))
    assert torch.equal(drawn[0], drawn[1])
    assert means[0] < 0.8 * expected
    assert means == sorted(means)
    assert means[-1] == pytest.approx(expected, rel=0.06)
    assert deviations[0] > 1.25 * deviation
    assert deviations[-1] == pytest.approx(deviation, rel=0.15)


# ---- learned ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_slopes_of_learned_networks_do_not_send_events_away():
    """Through a network that predicts noise, at its strongest, events went beyond 1,000."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2_000, 2, generator=rng) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    torch.manual_seed(0)
    model = DDPM((2,), num_steps=100, hidden_sizes=(64, 64))
    fit(model, x, num_updates=600, batch_size=256, learning_rate=2e-3, average_decay=0.98)
    means = []
    for through_network in (True, False):
        drawn = model.sample_tilted(
            1_000, lambda y: y[:, 0], through_network=through_network, rng=rng
        )
        assert float(drawn.abs().max()) < 7
        means.append(drawn.mean(dim=0))
    expected = torch.tensor([1.0, 0.8])  # the covariance's column
    torch.testing.assert_close(means[0], expected, atol=0.2, rtol=0)
    assert (means[0] - expected).norm() < (means[1] - expected).norm()


# ---- clipping -----------------------------------------------------------------------------------

CLIPPED = {
    "ddpm": {"num_steps": 20, "schedule": "linear"},
    "ancestral": {"sampling_steps": 20},
    "flow": {"sampling_steps": 20, "sampler": "flow"},
}


def wild(name, **settings):
    """A family whose network's guesses are far from all data."""
    family = DDPM if name == "ddpm" else VPDiffusion
    torch.manual_seed(0)
    model = family((3,), hidden_sizes=(8,), **CLIPPED[name], **settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return model.eval()


@pytest.mark.parametrize("name", CLIPPED)
def test_clipped_samples_do_not_go_astray(name):
    drawn = [
        wild(name, clip=clip).sample(200, rng=torch.Generator().manual_seed(0))
        for clip in (None, 1.0)
    ]
    assert float(drawn[0].std()) > 3
    assert float(drawn[1].std()) < 1.1
    assert float(drawn[1].abs().max()) < 1.02  # but for the noise of the last step
    outside = wild(name, clip=1.0).denoised(torch.full((4, 3), 90.0), 9)
    assert float(outside.abs().max()) == 1


@pytest.mark.parametrize("name", ["ddpm", "ancestral"])
def test_bounds_are_of_clipped_samples(name):
    """Within the range a clipped guess is nearer to any event: no bound of one falls."""
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        alone, wide, clipped = (
            wild(name, clip=clip).log_prob_bound(x, rng=torch.Generator().manual_seed(0))
            for clip in (None, 1e9, 1.0)
        )
    torch.testing.assert_close(wide, alone)
    assert (clipped > alone).all()


# ---- densities, a part of the events at a time --------------------------------------------------


@pytest.mark.parametrize("num_probes", [None, 2])
@pytest.mark.parametrize("family", [EDM, VPDiffusion])
def test_densities_do_not_depend_on_the_parts(family, num_probes, monkeypatch):
    torch.manual_seed(0)
    model = family((3,), context_shape=(2,), hidden_sizes=(8,), flow_steps=2).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, context = torch.randn(5, 3).double(), torch.randn(5, 2).double()

    def density():
        rng = torch.Generator().manual_seed(0)
        if family is EDM:
            return model.log_prob_by_trace(x, context, num_probes=num_probes, rng=rng)
        return model.log_prob_by_flow(x, context, num_probes=num_probes, rng=rng)

    whole = density()
    monkeypatch.setattr(probability_flow, "_MOST_ENTRIES", 2 * 9)
    torch.testing.assert_close(density(), whole)
    with pytest.raises(ValueError, match="expected at least 1 probe, got -1"):
        num_probes = -1
        density()


@pytest.mark.parametrize("family", [EDM, VPDiffusion])
def test_jacobians_of_many_events_are_not_made_together(family):
    """Of pictures of 400 entries no more than 6 events' at once, whatever the batch."""
    model = family((400,), hidden_sizes=(4,), flow_steps=1)
    asked = []
    denoise = model.network.denoise

    def counted(x, told):
        asked.append(len(x))
        return denoise(x, told)

    model.network.denoise = counted
    x = torch.zeros(8, 400)
    with torch.no_grad():
        found = model.log_prob(x) if family is EDM else model.log_prob_by_flow(x)
    assert found.shape == (8,)
    assert max(asked) == 6 and sum(asked) == 4 * 8


# ---- guidance, temperatures, mistakes -----------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_guidance_of_minus_one_knows_no_context(name):
    torch.manual_seed(0)
    model = FAMILIES[name]((2,), context_shape=(3,), guidance=-1.0, **SMALL)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    contexts = torch.randn(2, 4, 3)
    one, other = (model.sample(2, c, rng=torch.Generator().manual_seed(0)) for c in contexts)
    assert torch.equal(one, other)
    tilted = model.sample_tilted(2, lambda x: x.sum(dim=1), contexts[1])
    assert tilted.shape == (2, 4, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_guidance_needs_contexts_that_were_left_out(name):
    with pytest.raises(ValueError, match=r"expected drop_context above 0 for guidance of 2.0"):
        FAMILIES[name]((2,), context_shape=(3,), guidance=2.0, drop_context=0.0)
    FAMILIES[name]((2,), context_shape=(3,), drop_context=0.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_all_or_nothing_is_known(name):
    torch.manual_seed(0)
    model = FAMILIES[name]((2,), **SMALL)
    x = torch.randn(3, 2)
    every = torch.ones(3, 2, dtype=torch.bool)
    assert torch.equal(model.complete(x, every), x)
    found = model.complete(torch.full((3, 2), math.nan), ~every)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_mistakes(name, without_shape_checks):
    model = FAMILIES[name]((2,), **SMALL)
    x, known = torch.zeros(3, 2), torch.tensor([[True, False]]).expand(3, 2)

    def total(y):
        return y.sum(dim=1)

    for temperature in (-1.0, math.nan, math.inf):
        for call in (
            lambda t=temperature: model.sample_tilted(2, total, temperature=t),
            lambda t=temperature: model.complete(x, known, temperature=t),
        ):
            with pytest.raises(ValueError, match="expected a temperature of at least 0, got"):
                call()
    with pytest.raises(TypeError, match=r"marked by torch.bool, got torch.float32"):
        model.complete(x, known.float())
    with pytest.raises(ValueError, match=r"expected events of torch.float32.* got torch.float64"):
        model.complete(x.double(), known)
    with pytest.raises(ValueError, match="expected finite numbers where they are known"):
        model.complete(torch.full((3, 2), math.nan), known)
    with pytest.raises(TypeError, match=r"marked by torch.bool, got list"):
        model.complete(x, known.tolist())
    with pytest.raises(ValueError, match="expected at least 1 round, got 0"):
        model.complete(x, known, rounds=0)
    with pytest.raises(TypeError, match=r"expected a whole number of rounds, got 2\.5"):
        model.complete(x, known, rounds=2.5)
    with pytest.raises(ValueError, match="expected a differentiable function of events"):
        model.sample_tilted(2, lambda y: torch.zeros(len(y)))
    with pytest.raises(ValueError, match="expected a function of events, got numbers"):
        model.sample_tilted(2, lambda y: torch.zeros(len(y), requires_grad=True))
    with pytest.raises(ValueError, match="expected a function with a finite derivative"):
        model.sample_tilted(2, lambda y: math.nan * total(y))
    with pytest.raises(ValueError, match=r"of weights of shape \(2,\), got \(\)"):
        model.sample_tilted(2, lambda y: y.sum())
    with pytest.raises(ValueError, match="at least 1 sample"):
        model.sample_tilted(0, total)
    with pytest.raises(ValueError, match=r"expected events of shape \(B, 2\), got \(3, 4\)"):
        model.denoised(torch.zeros(3, 4), 1)
    with pytest.raises(ValueError, match="expected no context"):
        model.denoised(x, 1, torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"expected events of torch.float32.* got torch.float64"):
        model.denoised(x.double(), 1)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=r"expected a (time|noise level) "):
            model.denoised(x, wrong)


@pytest.mark.parametrize("name", FAMILIES)
def test_guidance_is_by_contexts(name):
    kind = FAMILIES[name]
    with pytest.raises(ValueError, match=r"a context_shape for guidance of 2\.0, got none"):
        kind((2,), guidance=2.0, hidden_sizes=(8,))
    assert kind((2,), context_shape=(3,), guidance=2.0, hidden_sizes=(8,)).config.guidance == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_denoiser_is_guided_by_contexts_that_were_left_out(name):
    x, context = torch.zeros(4, 2), torch.eye(3)[[0, 1, 2, 0]]
    model = FAMILIES[name]((2,), context_shape=(3,), **SMALL)
    assert model.denoised(x, 1, context, guidance=2.0).shape == x.shape
    assert model.denoised(x, 1).shape == x.shape  # what is expected without a context
    with pytest.raises(ValueError, match=r"expected a context, .*guidance of 2\.0, got none"):
        model.denoised(x, 1, guidance=2.0)
    for weight in (-2.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="expected guidance of at least -1, got"):
            model.denoised(x, 1, context, guidance=weight)
    always = FAMILIES[name]((2,), context_shape=(3,), drop_context=0.0, **SMALL)
    with pytest.raises(ValueError, match=r"drop_context above 0, .* always learnt with contexts"):
        always.denoised(x, 1, context, guidance=2.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_entries_may_be_known_of_every_event(name):
    torch.manual_seed(0)
    model, x = FAMILIES[name]((2,), **SMALL).eval(), torch.randn(3, 2)
    every = torch.tensor([[True, False]]).expand(3, 2)
    one, other = (
        model.complete(x, known, rng=torch.Generator().manual_seed(0))
        for known in (every, every[0])
    )
    assert torch.equal(one, other)
