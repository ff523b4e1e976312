"""Step sizes are those of PyTorch's schedules."""

import pytest
import torch
from gymagine.generative.fit_settings import FitSettings
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
