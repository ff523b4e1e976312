"""Noise is that of torch's own seeding."""

import pytest
import torch
from gymagine.generative.devices import seed_noise


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_noise_is_that_of_torch(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.randn(9), torch.randperm(9), torch.bernoulli(torch.full((9,), 0.5))
        torch.manual_seed(3)
        seed_noise(torch.device("cpu"), seed)
        found = torch.randn(9), torch.randperm(9), torch.bernoulli(torch.full((9,), 0.5))
    for one, same in zip(found, expected, strict=True):
        assert torch.equal(one, same)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_noise_of_a_device_is_that_of_torch():
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = torch.randn(9, device=device)
        torch.manual_seed(3)
        seed_noise(device, 5)
        assert torch.equal(torch.randn(9, device=device), expected)
