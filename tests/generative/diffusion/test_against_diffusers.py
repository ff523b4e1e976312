"""Schedules, steps and targets against those of diffusers."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.diffusion.ddim import ddim
from gymagine.generative.diffusion.edm import EDM, preconditioning
from gymagine.generative.diffusion.gaussian_diffusion import (
    alpha_bars,
    as_data,
    diffused,
    noise_in,
    posterior,
    target_of,
)
from gymagine.generative.diffusion.noise_levels import karras_levels

from .gaussian_data import ExactNetwork

STEPS = 1_000
SCHEDULES = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
PREDICTIONS = {"noise": "epsilon", "data": "sample", "velocity": "v_prediction"}


def scheduler(kind, schedule="linear", **options):
    diffusers = pytest.importorskip("diffusers")  # here, as it takes seconds to import
    return getattr(diffusers, kind)(
        num_train_timesteps=STEPS, clip_sample=False, **SCHEDULES[schedule], **options
    )


def batch(seed, num=5):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(num, 3)), dtype=torch.float32)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule):
    theirs = scheduler("DDPMScheduler", schedule).alphas_cumprod.double()
    torch.testing.assert_close(alpha_bars(schedule, STEPS)[1:], theirs, rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noising_and_velocity(schedule):
    found, shares = scheduler("DDPMScheduler", schedule), alpha_bars(schedule, STEPS)
    x, noise, t = batch(0), batch(1), torch.tensor([1, 30, 400, 700, 999])
    torch.testing.assert_close(
        diffused(x, shares[t], noise), found.add_noise(x, noise, t - 1), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        target_of("velocity", x, noise, shares[t]),
        found.get_velocity(x, noise, t - 1),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("t", [2, 500, 1_000])
@pytest.mark.parametrize(("prediction", "theirs"), PREDICTIONS.items())
def test_ancestral_steps_have_their_mean(prediction, theirs, t):
    found, shares = scheduler("DDPMScheduler", prediction_type=theirs), alpha_bars("linear", STEPS)
    x_t, predicted, num = batch(2), batch(3), torch.full((5,), t)
    x_0 = as_data(prediction, predicted, x_t, shares[num])
    mean, variance = posterior(x_0, x_t, shares[num - 1], shares[num])
    step = found.step(predicted, t - 1, x_t, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(x_0, step.pred_original_sample, rtol=1e-3, atol=1e-3)
    noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(0))
    expected = mean + variance.sqrt() * noise
    torch.testing.assert_close(expected, step.prev_sample, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_whole_way_back(eta):
    # a denoiser of standard normal data, for which the expected x_0 is a multiple of x_t
    shares = alpha_bars("linear", STEPS)
    found = scheduler("DDIMScheduler", timestep_spacing="leading", set_alpha_to_one=True)
    found.set_timesteps(20)
    times = [int(t) + 1 for t in found.timesteps]
    x = start = batch(4)
    rng = torch.Generator().manual_seed(0)
    for t in found.timesteps:
        share = shares[int(t) + 1].float()
        noise = noise_in(x, share.sqrt() * x, share.expand(len(x)))
        x = found.step(noise, t, x, eta=eta, generator=rng).prev_sample
    ours = ddim(
        lambda x_t, t: shares[t].float().sqrt() * x_t,
        start,
        shares,
        times,
        eta=eta,
        rng=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(ours, x, rtol=2e-3, atol=2e-3)


def edm_scheduler():
    diffusers = pytest.importorskip("diffusers")
    return diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)


def test_factors_and_levels_of_edm():
    found, x, out = edm_scheduler(), batch(5), batch(6)
    for sigma in (0.01, 0.7, 40.0):
        factors = preconditioning(torch.tensor(sigma), 0.5)
        torch.testing.assert_close(factors.c_in * x, found.precondition_inputs(x, sigma))
        torch.testing.assert_close(factors.c_noise, found.precondition_noise(sigma)[0])
        torch.testing.assert_close(
            factors.c_skip * x + factors.c_out * out, found.precondition_outputs(x, out, sigma)
        )
    found.set_timesteps(18)
    levels = torch.tensor([*karras_levels(18, 0.002, 80.0), 0.0])
    torch.testing.assert_close(levels, found.sigmas, rtol=1e-5, atol=0)


def test_a_whole_way_back_of_edm():
    """Ours has units of the data's deviation, in which levels are twice as high."""
    settings = {"sigma_data": 0.5, "lowest": 0.004, "highest": 160.0, "sampling_steps": 20}
    model = EDM((3,), hidden_sizes=(4,), solver="euler", **settings).double().eval()

    def network(x, told):
        return (2 * x - told).tanh()

    model.network = ExactNetwork(network)
    drawn = model.sample(5, rng=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    x = 80 * torch.randn(5, 3, generator=rng, dtype=torch.float64)
    found = edm_scheduler()
    found.set_timesteps(20)
    for t in found.timesteps:
        told = t.double() - math.log(0.5) / 4
        x = found.step(network(found.scale_model_input(x, t), told), t, x).prev_sample
    torch.testing.assert_close(drawn, x, rtol=1e-4, atol=1e-4)
