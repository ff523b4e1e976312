"""Step sizes are those of PyTorch's schedules."""

import pytest
import torch
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.fit_settings import FitSettings, check_run, settings_for
from gymagine.generative.flows.nice import NICE
from torch.optim import lr_scheduler

NUM = 40


def theirs(schedule):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.5)
    scheduler = schedule(optimiser)
    rates = []
    for _ in range(NUM):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def ours(**settings):
    given = FitSettings(num_updates=NUM, learning_rate=0.5, **settings)
    return [given.learning_rate_at(update) for update in range(NUM)]


def test_constant():
    assert ours() == [0.5] * NUM


def test_linear():
    expected = theirs(
        lambda o: lr_scheduler.LinearLR(o, start_factor=1, end_factor=1e-12, total_iters=NUM)
    )
    assert ours(step_sizes="linear") == pytest.approx(expected, abs=1e-9)


def test_cosine():
    expected = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=NUM))
    assert ours(step_sizes="cosine") == pytest.approx(expected, abs=1e-9)


def test_warm_up():
    expected = theirs(lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 8, total_iters=7))
    assert ours(warm_up=8) == pytest.approx(expected, abs=1e-9)
    after = ours(warm_up=8, step_sizes="cosine")[8:]
    whole = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=NUM - 8))
    assert after == pytest.approx(whole[: NUM - 8], abs=1e-9)


def test_a_familys_own_settings_give_way_to_the_users():
    assert settings_for(NICE((2,)), {}) == FitSettings()
    own = settings_for(WGANGP((2,)), {"learning_rate": 3e-4})
    assert own == FitSettings(**{**WGANGP.fit_defaults, "learning_rate": 3e-4})
    usual = settings_for(WGANGP((2,)), {"beta_1": 0.9, "beta_2": 0.999})
    assert (usual.beta_1, usual.beta_2) == (0.9, 0.999)
    with pytest.raises(TypeError, match="FitSettings has no hyper-parameter 'betas'"):
        settings_for(WGANGP((2,)), {"betas": (0.0, 0.9)})


def test_betas_are_adams():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = FitSettings(beta_1=0.0, beta_2=0.9).optimiser([parameter])
    assert optimiser.defaults["betas"] == (0.0, 0.9)


def test_what_belongs_to_a_run():
    check_run(0, 1)
    with pytest.raises(ValueError, match="seed of at least 0, got -1"):
        check_run(-1, 1)
    with pytest.raises(ValueError, match="at least 1 update between checkpoints, got 0"):
        check_run(0, 0)
