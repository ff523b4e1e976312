"""Gradients by hand are autograd's."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.dense_gradients import DenseQNetwork
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.layers import layer_noise
from gymagine.agents.deep.networks import QNetwork

SWITCHES = [
    {},
    {"duelling": True},
    {"num_atoms": 5},
    {"noisy": True},
    {"duelling": True, "num_atoms": 5, "noisy": True},
]


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("noise_given", [True, False])
def test_gradients(switches, activation, noise_given):
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    spaces = [gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(3)]
    encoder = Encoder(spaces, "ab", rngs=rngs)
    network = QNetwork(
        encoder, 4, rngs=rngs, hidden_sizes=(7, 6), activation=activation, **switches
    ).double()
    dense = DenseQNetwork(network)
    leaves = torch.randn(3, 9, 2).double(), torch.randint(3, (3, 9))
    noise = None
    if noise_given and network.noise_shapes:
        noise = tuple(part.double() for part in layer_noise(network.noise_shapes, rngs))
    expected = network(leaves, noise)
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    out, passed = dense.forward(parameters, leaves, noise)
    torch.testing.assert_close(out, expected.detach(), rtol=1e-12, atol=1e-12)
    slopes = torch.randn(out.shape).double()
    expected.backward(slopes)
    found = dense.backward(passed, slopes)
    assert found.keys() == parameters.keys()
    for name, parameter in network.named_parameters():
        slope = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found[name], slope, rtol=1e-10, atol=1e-12)


def test_networks_of_images_are_refused():
    rngs = [np.random.default_rng(0)]
    encoder = Encoder([gymnasium.spaces.Box(0, 255, (10, 10, 3), np.uint8)], rngs=rngs)
    with pytest.raises(ValueError, match="without parameters"):
        DenseQNetwork(QNetwork(encoder, 2, rngs=rngs, hidden_sizes=(4,)))
