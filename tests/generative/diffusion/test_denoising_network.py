"""What a network is told, and that its two halves are the whole."""

import pytest
import torch
from gymagine.generative.diffusion.denoising_network import DenoisingNetwork, NetworkSettings

KINDS = {"mlp": (5,), "unet": (2, 4, 4), "transformer": (2, 6)}


def made(kind, context_shape=None):
    torch.manual_seed(0)
    settings = NetworkSettings(
        network=kind, hidden_sizes=(8, 6), channels=8, width=8, num_heads=2, num_layers=2
    )
    network = DenoisingNetwork(KINDS[kind], context_shape, settings).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_for_all_is_a_row_for_each(kind):
    network, x = made(kind), torch.randn(3, *KINDS[kind], dtype=torch.float64)
    times = torch.tensor([0.2, 0.7], dtype=torch.float64)
    rows = network.told(times).split(1)
    for time, row in zip(times, rows, strict=True):
        torch.testing.assert_close(network.denoise(x, row), network(x, time.expand(3), None))
    assert not torch.allclose(*(network.denoise(x, row) for row in rows))


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_that_is_left_out_is_no_context(kind):
    network, x = made(kind, (2, 2)), torch.randn(3, *KINDS[kind], dtype=torch.float64)
    time, context = torch.full((3,), 0.4).double(), torch.randn(3, 2, 2).double()
    absent = network(x, time, context, torch.zeros(3, dtype=torch.bool))
    torch.testing.assert_close(absent, network.denoise(x, network.told(time[:1])))
    present = network(x, time, context)
    assert not torch.allclose(absent, present)
    torch.testing.assert_close(present, network.denoise(x, network.told(time[:1], context)))
    zeros = network(x, time, torch.zeros_like(context))
    assert not torch.allclose(absent, zeros)


def test_auto_takes_what_suits_the_event():
    assert DenoisingNetwork((5,), None, NetworkSettings()).dense is not None
    assert DenoisingNetwork((1, 4, 4), None, NetworkSettings()).unet is not None
    assert DenoisingNetwork((1, 8), None, NetworkSettings()).unet is not None


def test_mistakes():
    with pytest.raises(ValueError, match=r"for a U-Net, got \(5,\)"):
        DenoisingNetwork((5,), None, NetworkSettings(network="unet"))
    with pytest.raises(ValueError, match="at least one level"):
        DenoisingNetwork((1, 4, 4), None, NetworkSettings(multipliers=()))
