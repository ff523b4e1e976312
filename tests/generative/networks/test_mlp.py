"""The multilayer perceptron against its equations, written out in numpy."""

import numpy as np
import pytest
import torch
from gymagine.generative.networks.mlp import MLP, activation_function, modulate
from torch import nn


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(layer):
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


@pytest.mark.parametrize("num_context", [0, 2])
def test_concatenation_is_the_equation(num_context):
    network = MLP(3, 2, hidden_sizes=(5, 4), num_context=num_context, activation="tanh").double()
    x, context = numbers(7, 3), numbers(7, num_context, seed=1) if num_context else None
    hidden = np.concatenate([x] if context is None else [x, context], axis=1)
    for layer in network.layers[:-1]:
        weight, bias = weights(layer)
        hidden = np.tanh(hidden @ weight.T + bias)
    weight, bias = weights(network.layers[-1])
    expected = hidden @ weight.T + bias
    np.testing.assert_allclose(network(x, context).detach(), expected, rtol=1e-12, atol=1e-14)


def test_modulation_is_the_equation():
    network = MLP(3, 2, hidden_sizes=(5, 4), num_context=2, context_use="modulate").double()
    x, context = numbers(7, 3), numbers(7, 2, seed=1)
    weight, bias = weights(network.modulation)
    film = context.numpy() @ weight.T + bias
    scales, shifts = (film[:, :5], film[:, 10:14]), (film[:, 5:10], film[:, 14:])
    hidden = x.numpy()
    for layer, scale, shift in zip(network.layers[:-1], scales, shifts, strict=True):
        weight, bias = weights(layer)
        hidden = np.maximum((1 + scale) * (hidden @ weight.T + bias) + shift, 0)
    weight, bias = weights(network.layers[-1])
    expected = hidden @ weight.T + bias
    np.testing.assert_allclose(network(x, context).detach(), expected, rtol=1e-12, atol=1e-14)


def test_modulation_by_zero_changes_nothing():
    x = numbers(4, 3)
    assert torch.equal(modulate(x, torch.zeros_like(x), torch.zeros_like(x)), x)


def test_no_hidden_layers_is_linear():
    network = MLP(3, 2, hidden_sizes=()).double()
    x, y = numbers(4, 3), numbers(4, 3, seed=1)
    zero = network(torch.zeros_like(x))
    torch.testing.assert_close(network(x + y) - zero, network(x) + network(y) - 2 * zero)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("relu", nn.ReLU()),
        ("leaky-relu", nn.LeakyReLU()),
        ("elu", nn.ELU()),
        ("gelu", nn.GELU()),
        ("silu", nn.SiLU()),
        ("softplus", nn.Softplus()),
        ("tanh", nn.Tanh()),
    ],
)
def test_activations_are_torchs(name, module):
    x = torch.linspace(-3, 3, 13)
    assert torch.equal(activation_function(name)(x), module(x))


def test_output_scale_makes_the_start_small():
    torch.manual_seed(0)
    plain = MLP(3, 2)
    torch.manual_seed(0)
    small = MLP(3, 2, output_scale=0.1)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(small(x), 0.1 * (plain(x) - plain.layers[-1].bias))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_inputs": 0}, "at least one input"),
        ({"num_inputs": 2, "hidden_sizes": (3, 0)}, "layers of"),
        ({"num_inputs": 2, "num_context": -1}, "-1 numbers of context"),
        ({"num_inputs": 2, "hidden_sizes": (), "num_context": 1, "context_use": "modulate"},
         "a hidden layer"),
        ({"num_inputs": 2, "context_use": "add"}, "got 'add'"),
        ({"num_inputs": 2, "activation": "step"}, "got 'step'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(without_shape_checks, arguments, said):
    with pytest.raises(ValueError, match=said):
        MLP(num_outputs=1, **arguments)
